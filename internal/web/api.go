package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"
	"unicode/utf16"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/picket-dns/picket"
)

type findingsInput struct {
	Zone        string    `query:"zone" maxLength:"1024" doc:"Only findings about this zone (apex, trailing dot optional)"`
	Detector    string    `query:"detector" maxLength:"64" doc:"Only findings of this detector (kebab-case name)"`
	MinSeverity string    `query:"min_severity" enum:"informational,low,medium,high,critical" default:"informational" doc:"This severity and above"`
	Since       time.Time `query:"since" doc:"Last seen at or after this time (RFC 3339)"`
	Until       time.Time `query:"until" doc:"Last seen before this time (RFC 3339)"`
	Text        string    `query:"text" maxLength:"256" doc:"Part of the summary, the source prefix or the id"`
	Limit       int       `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"At most this many findings"`
	Offset      int       `query:"offset" minimum:"0" maximum:"10000000" default:"0" doc:"Skip this many findings"`
}

type findingsBody struct {
	Findings []picket.StoredFinding `json:"findings" doc:"Newest last_seen first"`
	Total    int                    `json:"total" doc:"How many match without limit and offset"`
	Limit    int                    `json:"limit"`
	Offset   int                    `json:"offset"`
	Revision int64                  `json:"revision" doc:"The store's revision before the findings were read; /events tells when it changes"`
}

type findingsOutput struct{ Body findingsBody }

type findingInput struct {
	ID string `path:"id" maxLength:"1024" doc:"The finding's id"`
}

type findingOutput struct{ Body picket.StoredFinding }

// zoneBody is picket.Zone as the API shows it.
type zoneBody struct {
	Name     string `json:"name" doc:"Apex with trailing dot"`
	Inferred bool   `json:"inferred" doc:"No zone data: learned from traffic"`
	Reverse  bool   `json:"reverse"`
	Signed   bool   `json:"signed"`
	NSEC3    bool   `json:"nsec3"`
	Wildcard bool   `json:"wildcard"`
	Live     int    `json:"live" doc:"Owner names with records"`
	Retired  int    `json:"retired" doc:"Names known to have existed once"`
}

// inputBody is picket.SourceStatus as the API shows it.
type inputBody struct {
	Name      string           `json:"name"`
	Format    string           `json:"format" doc:"As content or the configuration tells; auto until something has come"`
	Transport string           `json:"transport"`
	Kind      picket.Kind      `json:"kind,omitempty" doc:"Of telemetry: query, record, sighting, admin-event, asset or signal"`
	Received  int64            `json:"received" doc:"accepted, rejected and dropped together: all that ever came, restarts included"`
	Accepted  int64            `json:"accepted" doc:"Records that yielded telemetry"`
	Rejected  map[string]int64 `json:"rejected" doc:"By reason: could not be read; kept in the quarantine as far as its bounds allow"`
	Skipped   map[string]int64 `json:"skipped" doc:"By reason: no telemetry of the kind, and therefore not in received"`
	Dropped   map[string]int64 `json:"dropped" doc:"By reason: lost before anybody looked at them"`
	LastEvent time.Time        `json:"last_event" doc:"Event time of the newest accepted record; year 1 when there is none"`
	Notes     []string         `json:"notes" doc:"What was assumed in reading"`
	Error     string           `json:"error,omitempty" doc:"What is wrong now"`
}

type watchedBody struct {
	Zones     []zoneBody  `json:"zones"`
	Inputs    []inputBody `json:"inputs"`
	Detectors []string    `json:"detectors"`
	Started   time.Time   `json:"started"`
	Notes     []string    `json:"notes" doc:"Gaps and degradations: what silence does not cover"`
}

type watchedOutput struct{ Body watchedBody }

// addAPI registers the JSON API. Huma's documentation page is off: it would load
// a third party's script.
func (c *Console) addAPI() {
	version := c.version
	if version == "" {
		version = "unknown"
	}
	cfg := huma.DefaultConfig("Picket", version)
	cfg.Info.Description = "Findings of DNS reconnaissance: early warnings, each with its limits. Read-only."
	cfg.OpenAPIPath = "/api/openapi"
	cfg.DocsPath, cfg.SchemasPath = "", ""
	cfg.CreateHooks = nil // no $schema links in bodies
	cfg.RejectUnknownQueryParameters = true
	format := huma.Format{Marshal: writeJSON, Unmarshal: json.Unmarshal}
	cfg.Formats = map[string]huma.Format{"application/json": format, "json": format}
	api := humago.New(c.mux, cfg)

	huma.Register(api, op("list-findings", "/api/findings", "List findings"), c.apiFindings)
	huma.Register(api, op("get-finding", "/api/findings/{id}", "Get one finding"), c.apiFinding)
	huma.Register(api, op("get-watched", "/api/watched", "Say what is being watched"), c.apiWatched)
	huma.Register(api, op("list-quarantine", "/api/quarantine", "List rejected records that are kept"), c.apiQuarantine)
	huma.Register(api, op("list-sightings", "/api/sightings", "List what passive DNS has seen of names"), c.apiSightings)
	huma.Register(api, op("count-sightings", "/api/sightings/count", "Count what passive DNS has seen of names"), c.apiSightingsCount)
	c.addCoverageAPI(api)
	c.addHistoryAPI(api)
	c.addRetentionAPI(api)
	c.mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		c.fail(w, r, http.StatusNotFound, "There is no such resource.")
	})
}

func op(id, path, summary string) huma.Operation {
	return huma.Operation{OperationID: id, Method: http.MethodGet, Path: path, Summary: summary}
}

func (c *Console) apiFindings(ctx context.Context, in *findingsInput) (*findingsOutput, error) {
	f := picket.FindingFilter{
		Zone: canonicalZone(in.Zone), Detector: in.Detector, Since: in.Since, Until: in.Until,
		Text: in.Text, Limit: in.Limit, Offset: in.Offset,
	}
	if err := f.MinSeverity.UnmarshalText([]byte(in.MinSeverity)); err != nil {
		return nil, huma.Error422UnprocessableEntity("min_severity", err)
	}
	rev, err := c.findings.FindingsRevision(ctx)
	if err != nil {
		return nil, c.apiError(err)
	}
	list, total, err := c.findings.Findings(ctx, f)
	if err != nil {
		return nil, c.apiError(err)
	}
	out := make([]picket.StoredFinding, len(list))
	for i := range list {
		out[i] = presentable(list[i])
	}
	return &findingsOutput{findingsBody{Findings: out, Total: total, Limit: in.Limit, Offset: in.Offset, Revision: rev}}, nil
}

func (c *Console) apiFinding(ctx context.Context, in *findingInput) (*findingOutput, error) {
	f, err := c.findings.Finding(ctx, in.ID)
	if err != nil {
		return nil, c.apiError(err)
	}
	return &findingOutput{presentable(*f)}, nil
}

func (c *Console) apiWatched(ctx context.Context, _ *struct{}) (*watchedOutput, error) {
	w, err := c.watch.Watched(ctx)
	if err != nil {
		return nil, c.apiError(err)
	}
	zones := make([]zoneBody, len(w.Zones))
	for i, z := range w.Zones {
		zones[i] = zoneBody{Name: z.Name, Inferred: z.Inferred, Reverse: z.Reverse, Signed: z.Signed,
			NSEC3: z.NSEC3, Wildcard: z.Wildcard, Live: z.Live, Retired: z.Retired}
	}
	inputs := make([]inputBody, len(w.Inputs))
	for i, s := range w.Inputs {
		inputs[i] = inputBody{Name: s.Name, Format: s.Format, Transport: s.Transport, Kind: s.Kind, Received: s.Received, Accepted: s.Accepted,
			Rejected: notNilMap(s.Rejected), Skipped: notNilMap(s.Skipped), Dropped: notNilMap(s.Dropped), LastEvent: s.LastEvent,
			Notes: notNil(s.Notes), Error: s.Error}
	}
	return &watchedOutput{watchedBody{Zones: zones, Inputs: inputs, Detectors: notNil(w.Detectors),
		Started: w.Started, Notes: notNil(w.Notes)}}, nil
}

// apiError is failStore for the API.
func (c *Console) apiError(err error) error {
	if errors.Is(err, picket.ErrNotFound) {
		return huma.Error404NotFound("there is no finding with that id")
	}
	if !errors.Is(err, context.Canceled) {
		c.log.Error("read for the API", "err", err)
	}
	return huma.Error500InternalServerError("the store did not answer")
}

// presentable makes a finding one that JSON can hold and that a client can read
// without looking for null: lists are lists, and a number that is none (NaN,
// infinity) is left out rather than failing the whole answer.
func presentable(f picket.StoredFinding) picket.StoredFinding {
	f.Techniques = notNil(f.Techniques)
	f.Evidence.Names = notNil(f.Evidence.Names)
	f.Evidence.Features = slices.DeleteFunc(slices.Clone(notNil(f.Evidence.Features)), func(x picket.Feature) bool {
		return !finite(x.Value) || !finite(x.Threshold)
	})
	if !finite(f.Confidence) {
		f.Confidence = 0
	}
	return f
}

func notNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func notNilMap(m map[string]int64) map[string]int64 {
	if m == nil {
		return map[string]int64{}
	}
	return m
}

// writeJSON writes JSON in US-ASCII alone: names are hostile, and neither a
// terminal nor a log viewer shall see a control or direction-changing character.
func writeJSON(w io.Writer, v any) error {
	b, err := json.Marshal(v) // escapes <, >, & and C0 controls
	if err != nil {
		return err
	}
	out := make([]byte, 0, len(b)+1)
	for _, r := range string(b) {
		switch {
		case r < 0x7f:
			out = append(out, byte(r))
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	_, err = w.Write(append(out, '\n'))
	return err
}
