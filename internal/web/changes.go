package web

import (
	"context"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/picket-dns/picket"
)

// addHistoryAPI registers what the API says of zones through time.
func (c *Console) addHistoryAPI(api huma.API) {
	huma.Register(api, op("list-changes", "/api/changes", "List what has changed in zones"), c.apiChanges)
	huma.Register(api, op("get-name", "/api/names/{name}", "Get the life lines of a name's records"), c.apiName)
	huma.Register(api, op("list-zone-versions", "/api/zones/{zone}/versions", "List the states of a zone that were seen"), c.apiVersions)
}

// changesInput are the filters of a zone's history.
type changesInput struct {
	Zone   string    `query:"zone" maxLength:"1024" doc:"Only changes of this zone (apex, trailing dot optional)"`
	Name   string    `query:"name" maxLength:"1024" doc:"Only changes of this name"`
	Below  bool      `query:"below" default:"false" doc:"And of everything below it"`
	Type   string    `query:"type" maxLength:"32" doc:"Only this record type, such as MX"`
	Source string    `query:"source" maxLength:"1024" doc:"Only what this input says"`
	Since  time.Time `query:"since" doc:"Done, or seen, at or after this time (RFC 3339)"`
	Until  time.Time `query:"until" doc:"Done, or seen, before this time (RFC 3339)"`
	Churn  bool      `query:"churn" default:"false" doc:"With what DNSSEC and serials change by themselves"`
	Limit  int       `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"At most this many changes"`
	Offset int       `query:"offset" minimum:"0" maximum:"10000000" default:"0" doc:"Skip this many changes"`
}

type changesBody struct {
	Changes []picket.RecordChange `json:"changes" doc:"Newest first"`
	Total   int64                 `json:"total" doc:"How many match without limit and offset"`
	Limit   int                   `json:"limit"`
	Offset  int                   `json:"offset"`
}

type changesOutput struct{ Body changesBody }

type nameInput struct {
	Name   string    `path:"name" maxLength:"1024" doc:"The name, trailing dot optional"`
	Below  bool      `query:"below" default:"false" doc:"And everything below it"`
	Type   string    `query:"type" maxLength:"32" doc:"Only this record type, such as MX"`
	Source string    `query:"source" maxLength:"1024" doc:"Only what this input says"`
	Since  time.Time `query:"since" doc:"Life lines that had not ended by then, changes at or after it (RFC 3339)"`
	Until  time.Time `query:"until" doc:"Life lines that had begun by then, changes before it (RFC 3339)"`
	Churn  bool      `query:"churn" default:"false" doc:"With what DNSSEC and serials change by themselves"`
	Living bool      `query:"living" default:"false" doc:"Only life lines that have not ended"`
	Limit  int       `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"At most this many life lines, and this many changes"`
	Offset int       `query:"offset" minimum:"0" maximum:"10000000" default:"0" doc:"Skip this many life lines; with an offset no changes are given"`
}

type nameBody struct {
	Name         string                `json:"name"`
	Lives        []picket.RecordLife   `json:"lives" doc:"Since when and until when each record was there, by which source"`
	TotalLives   int64                 `json:"total_lives" doc:"How many match without limit and offset"`
	Changes      []picket.RecordChange `json:"changes" doc:"Newest first"`
	TotalChanges int64                 `json:"total_changes" doc:"How many match without limit"`
}

type nameOutput struct{ Body nameBody }

type versionsInput struct {
	Zone  string `path:"zone" maxLength:"1024" doc:"Apex, trailing dot optional"`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"At most this many states"`
}

type versionsBody struct {
	Zone     string               `json:"zone"`
	Versions []picket.ZoneVersion `json:"versions" doc:"States of the zone that were seen, newest first"`
}

type versionsOutput struct{ Body versionsBody }

func (c *Console) apiChanges(ctx context.Context, in *changesInput) (*changesOutput, error) {
	out := &changesOutput{changesBody{Changes: []picket.RecordChange{}, Limit: in.Limit, Offset: in.Offset}}
	if c.history == nil {
		return out, nil
	}
	list, total, err := c.history.Changes(ctx, picket.HistoryFilter{Zone: canonicalZone(in.Zone), Name: canonicalZone(in.Name), Below: in.Below,
		Type: canonicalType(in.Type), Source: in.Source, Since: in.Since, Until: in.Until, Churn: in.Churn, Limit: in.Limit, Offset: in.Offset})
	if err != nil {
		return nil, c.apiError(err)
	}
	out.Body.Changes, out.Body.Total = listedChanges(list), total
	return out, nil
}

func (c *Console) apiName(ctx context.Context, in *nameInput) (*nameOutput, error) {
	f := picket.HistoryFilter{Name: canonicalZone(in.Name), Below: in.Below, Type: canonicalType(in.Type), Source: in.Source,
		Since: in.Since, Until: in.Until, Churn: in.Churn, Living: in.Living, Limit: in.Limit, Offset: in.Offset}
	out := &nameOutput{nameBody{Name: f.Name, Lives: []picket.RecordLife{}, Changes: []picket.RecordChange{}}}
	if c.history == nil {
		return out, nil
	}
	lives, total, err := c.history.Lives(ctx, f)
	if err != nil {
		return nil, c.apiError(err)
	}
	out.Body.Lives, out.Body.TotalLives = notNil(lives), total
	if in.Offset > 0 {
		return out, nil
	}
	changes, total, err := c.history.Changes(ctx, f)
	if err != nil {
		return nil, c.apiError(err)
	}
	out.Body.Changes, out.Body.TotalChanges = listedChanges(changes), total
	return out, nil
}

func (c *Console) apiVersions(ctx context.Context, in *versionsInput) (*versionsOutput, error) {
	out := &versionsOutput{versionsBody{Zone: canonicalZone(in.Zone), Versions: []picket.ZoneVersion{}}}
	if c.history == nil {
		return out, nil
	}
	list, err := c.history.ZoneVersions(ctx, out.Body.Zone, in.Limit)
	if err != nil {
		return nil, c.apiError(err)
	}
	out.Body.Versions = notNil(list)
	return out, nil
}

// listedChanges makes lists lists, also where there is nothing in them.
func listedChanges(list []picket.RecordChange) []picket.RecordChange {
	out := notNil(list)
	for i := range out {
		out[i].Old, out[i].New = notNil(out[i].Old), notNil(out[i].New)
	}
	return out
}

// canonicalType lets people write types as they like.
func canonicalType(s string) string { return strings.ToUpper(strings.TrimSpace(s)) }
