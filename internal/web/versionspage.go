package web

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/picket-dns/picket"
)

const (
	versionsShown = 200  // states on a zone's page; the API has up to 1000
	scopesOnPage  = 1000 // zones, by source and scope, on the page of all
)

// versionView is a state of a zone that a source has shown.
type versionView struct {
	Key            string
	Zone           string // "" on a zone's own page
	ZoneURL        string
	Serial         string // "" where the source has none
	Time           stamp
	Learned        stamp // zero unless well after Time
	Source, Scope  string
	How            string
	Records        string
	Added, Removed string
	Churn          string // "" for none
	First, Partial bool
	Changes        string // URL of what has changed with it; "" for none
}

type versionsPage struct {
	Zone    string // "" for all zones
	Rows    []versionView
	Total   string
	More    string
	All     string // URL of all changes of the zone
	Raw     string
	Zones   bool // it is the page of all zones
	History bool // anything records history at all
}

// serveZones is the page of one zone's states, or that of all zones, each with the
// newest state by source and scope.
func (c *Console) serveZones(w http.ResponseWriter, r *http.Request) {
	zone := canonicalZone(r.URL.Query().Get("zone"))
	if len(zone) > 1024 {
		c.fail(w, r, http.StatusBadRequest, "There can be no zone of that name.")
		return
	}
	rev, model, err := c.versions(r.Context(), zone)
	if err != nil {
		c.failStore(w, r, err)
		return
	}
	title := "Zones"
	if zone != "" {
		title = "Versions of " + model.Zone
	}
	c.render(w, r, http.StatusOK, "versions", frame{Title: title, Section: "zones", Live: true, Revision: rev, Refresh: 30, Page: model})
}

func (c *Console) versions(ctx context.Context, zone string) (int64, *versionsPage, error) {
	rev, err := c.findings.FindingsRevision(ctx)
	m := &versionsPage{Zone: dnsText(zone), Zones: zone == "", History: c.history != nil, All: historyURL("/changes", picket.HistoryFilter{Zone: zone}, 1)}
	if zone != "" {
		m.Raw = "/api/zones/" + url.PathEscape(zone) + "/versions"
	}
	if err != nil || c.history == nil {
		return rev, m, err
	}
	limit := scopesOnPage
	if zone != "" {
		limit = versionsShown + 1
	}
	list, err := c.history.ZoneVersions(ctx, zone, limit)
	if err != nil {
		return 0, nil, err
	}
	if zone != "" && len(list) > versionsShown {
		m.More, list = "Older ones are", list[:versionsShown]
	}
	for i := range list {
		m.Rows = append(m.Rows, c.newVersion(&list[i], i, zone == ""))
	}
	m.Total = plural(int64(len(list)), "version", "versions")
	if m.More != "" {
		m.Total = "the newest " + count(versionsShown) + " versions"
	}
	return rev, m, nil
}

func (c *Console) newVersion(x *picket.ZoneVersion, i int, named bool) versionView {
	v := versionView{Key: strconv.Itoa(i), Time: c.stampNow(x.Time), Learned: stamp{Zero: true}, Source: visible(x.Source), Scope: cut(visible(x.Scope), commentShown),
		How: methodWords(x.Method), Records: count(x.Records), Added: count(x.Added), Removed: count(x.Removed), First: x.First, Partial: x.Partial}
	if named {
		v.Zone, v.ZoneURL = dnsText(x.Zone), zoneURL(x.Zone)
	}
	if x.HasSerial {
		v.Serial = strconv.FormatUint(uint64(x.Serial), 10)
	}
	if x.Received.Sub(x.Time) > learnedLater {
		v.Learned = c.stampNow(x.Received)
	}
	if x.Churn > 0 {
		v.Churn = count(x.Churn)
	}
	if !x.First && x.Added+x.Removed+x.Churn > 0 {
		// Changes carry the time of the state that they led to.
		v.Changes = historyURL("/changes", picket.HistoryFilter{Zone: x.Zone, Source: x.Source, Since: x.Time, Until: x.Time.Add(time.Nanosecond), Churn: x.Added+x.Removed == 0}, 1)
	}
	return v
}

func zoneURL(zone string) string { return "/zones?" + url.Values{"zone": {zone}}.Encode() }

// rangeOf reads the range of time of a link to one state's changes.
func rangeOf(q url.Values) (since, until time.Time, err error) {
	for _, x := range []struct {
		key string
		t   *time.Time
	}{{"since", &since}, {"until", &until}} {
		if s := strings.TrimSpace(q.Get(x.key)); s != "" {
			if *x.t, err = time.Parse(time.RFC3339Nano, s); err != nil {
				return since, until, errBadFilter
			}
		}
	}
	return since, until, nil
}
