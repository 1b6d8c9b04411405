package web

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/picket-dns/picket"
)

// holdsShown bounds the holds on the page; the API has all.
const holdsShown = 500

type retentionBody struct {
	Kinds []picket.KindKept `json:"kinds" doc:"What is kept: how long by the configuration, what is there, what was removed last"`
}

type retentionOutput struct{ Body retentionBody }

type holdsInput struct {
	All bool `query:"all" default:"false" doc:"Also those that were released"`
}

type holdsBody struct {
	Holds []picket.Hold `json:"holds" doc:"Legal holds, in the order in which they were placed"`
}

type holdsOutput struct{ Body holdsBody }

// addRetentionAPI registers what the API says of what is kept.
func (c *Console) addRetentionAPI(api huma.API) {
	huma.Register(api, op("get-retention", "/api/retention", "Say what is kept how long, and what was removed"), c.apiRetention)
	huma.Register(api, op("list-holds", "/api/holds", "List legal holds"), c.apiHolds)
}

func (c *Console) apiRetention(ctx context.Context, _ *struct{}) (*retentionOutput, error) {
	out := &retentionOutput{retentionBody{Kinds: []picket.KindKept{}}}
	if c.retention == nil {
		return out, nil
	}
	list, err := c.retention.Kept(ctx)
	if err != nil {
		return nil, c.apiError(err)
	}
	for i := range list {
		list[i].Removed = notNil(list[i].Removed)
	}
	out.Body.Kinds = notNil(list)
	return out, nil
}

func (c *Console) apiHolds(ctx context.Context, in *holdsInput) (*holdsOutput, error) {
	out := &holdsOutput{holdsBody{Holds: []picket.Hold{}}}
	if c.retention == nil {
		return out, nil
	}
	list, err := c.retention.Holds(ctx)
	if err != nil {
		return nil, c.apiError(err)
	}
	for i := range list {
		if in.All || list[i].Released == "" {
			out.Body.Holds = append(out.Body.Holds, list[i])
		}
	}
	return out, nil
}

// keptView is a kind as the page shows it.
type keptView struct {
	Title, Name    string
	Configured     string
	Oldest, Newest stamp
	Rows           string // in tables
	Segments       string // "" or how many, with their rows and size
	Held           string // "" or what is under legal hold
	Removed        []removalView
}

type removalView struct {
	Kind      string
	When      stamp
	What      string
	Path      string // "" or the segment
	SHA256    string
	OlderThan stamp
	Held      string
	Seq       string
}

type holdView struct {
	ID           string
	Kind         string
	Since, Until stamp
	Placed       stamp
	By, Reason   string
	Held         bool // not released
	Released     stamp
	ReleasedBy   string
	Why          string
}

type retentionPage struct {
	Kinds     []keptView
	Removed   []removalView
	Holds     []holdView // those that hold first
	Active    string
	MoreHolds string
}

// keptWords names the kinds of what is kept.
var keptWords = map[string]string{
	"query": "Queries", "admin-event": "Admin events", "asset": "Assets", "signal": "Signals", "sighting": "Sightings",
	"change": "Changes of zones", "finding": "Findings", "quarantine": "Rejected records", "mark": "Marks of what was taken",
	"activity": "Counts of queries", "intake": "Counts of intake", "all": "Everything",
}

func keptTitle(kind string) string {
	if w, ok := keptWords[kind]; ok {
		return w
	}
	return sentence(kind)
}

func (c *Console) serveRetention(w http.ResponseWriter, r *http.Request) {
	rev, err := c.findings.FindingsRevision(r.Context())
	if err != nil {
		c.failStore(w, r, err)
		return
	}
	if c.retention == nil {
		c.fail(w, r, http.StatusNotFound, "Nothing is kept here.")
		return
	}
	kept, err := c.retention.Kept(r.Context())
	var holds []picket.Hold
	if err == nil {
		holds, err = c.retention.Holds(r.Context())
	}
	if err != nil {
		c.failStore(w, r, err)
		return
	}
	c.render(w, r, http.StatusOK, "retention", frame{Title: "Retention", Section: "retention", Live: true, Revision: rev, Refresh: 600, Page: c.newRetentionPage(kept, holds)})
}

func (c *Console) newRetentionPage(kept []picket.KindKept, holds []picket.Hold) *retentionPage {
	m := &retentionPage{}
	for i := range kept {
		k := &kept[i]
		v := keptView{Title: keptTitle(k.Kind), Name: visible(k.Kind), Configured: visible(k.Configured), Oldest: c.stampNow(k.Oldest), Newest: c.stampNow(k.Newest), Rows: count(k.Rows)}
		if k.Segments > 0 {
			v.Segments = plural(int64(k.Segments), "segment", "segments") + ", " + plural(k.Sealed, "row", "rows") + ", " + size(k.Bytes)
		}
		if k.HeldRows > 0 {
			v.Held = plural(k.HeldRows, "row", "rows")
		}
		if k.Held > 0 {
			if v.Held != "" {
				v.Held += ", "
			}
			v.Held += plural(int64(k.Held), "segment", "segments")
		}
		for _, x := range k.Removed {
			m.Removed = append(m.Removed, c.newRemoval(&x))
		}
		m.Kinds = append(m.Kinds, v)
	}
	active := 0
	var over []holdView
	for i := range holds {
		v := c.newHold(&holds[i])
		if v.Held {
			active++
			m.Holds = append(m.Holds, v)
		} else {
			over = append(over, v)
		}
	}
	m.Active = plural(int64(active), "hold", "holds")
	m.Holds = append(m.Holds, over...)
	if n := len(m.Holds) - holdsShown; n > 0 {
		m.MoreHolds, m.Holds = plural(int64(n), "more hold", "more holds"), m.Holds[:holdsShown]
	}
	return m
}

func (c *Console) newRemoval(x *picket.Removal) removalView {
	v := removalView{Kind: keptTitle(x.Kind), When: c.stampText(x.Time), What: plural(x.Rows, "row", "rows"), Path: visible(x.Path), SHA256: visible(x.SHA256),
		OlderThan: c.stampText(x.OlderThan), Seq: count(x.Seq)}
	if x.Held > 0 {
		v.Held = plural(x.Held, "row", "rows")
	}
	return v
}

func (c *Console) newHold(h *picket.Hold) holdView {
	return holdView{ID: count(h.ID), Kind: keptTitle(h.Kind), Since: c.stampNow(h.Since), Until: c.stampNow(h.Until), Placed: c.stampText(h.Placed),
		By: visible(h.By), Reason: cut(visible(h.Reason), commentShown), Held: h.Released == "", Released: c.stampText(h.Released),
		ReleasedBy: visible(h.ReleasedBy), Why: cut(visible(h.ReleaseReason), commentShown)}
}

// stampText is a stamp of a time as the ledger has it.
func (c *Console) stampText(s string) stamp {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return stamp{Zero: true, Absolute: "not known", Relative: "not known"}
	}
	return c.stampNow(t)
}
