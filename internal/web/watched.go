package web

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/picket-dns/picket"
)

const (
	zonesInBrief = 6                // zones that the coverage note names
	quietAfter   = 30 * time.Minute // an input whose newest event is older is called quiet
	zonesShown   = 2000             // rows of the zones table
)

// coverage is what stands next to a list: what was watched while nothing, or
// only this, was found.
type coverage struct {
	Zones     string
	ZoneNames []string // the first few
	MoreZones string   // "" or "and 12 more"
	Inputs    []inputView
	Working   string // "2 of 3 inputs"
	Troubled  int    // inputs with an error, quiet, or without any event
	Detectors string
	Notes     []string
	Since     stamp
	Last      stamp  // newest event of all inputs
	Blind     string // why nothing could be found at all; "" normally
}

type inputView struct {
	Name, Format, Transport, Kind string
	Received, Accepted            string
	Rejected, Skipped, Dropped    outcome
	Notes                         []string
	Last                          stamp
	Error                         string
	State                         string // ok, quiet, waiting, failing
	StateWords                    string
}

// outcome is what became of some of an input's records, in all and by reason.
type outcome struct {
	All     string
	Reasons []reason
}

type reason struct{ Why, Count string }

type zoneView struct {
	Name          string
	URL           string // of its versions; "" for inferred ones, which have none
	Contents      string // "zone data" or "inferred from traffic"
	Inferred      bool
	Live, Retired string
	Denial        string
	Traits        string
}

type detectorView struct{ Name, Title, URL string }

type watchedPage struct {
	Coverage  coverage
	Zones     []zoneView
	MoreZones string
	Detectors []detectorView
}

func (c *Console) serveWatched(w http.ResponseWriter, r *http.Request) {
	rev, err := c.findings.FindingsRevision(r.Context())
	if err != nil {
		c.failStore(w, r, err)
		return
	}
	watched, err := c.watch.Watched(r.Context())
	if err != nil {
		c.failStore(w, r, err)
		return
	}
	m := &watchedPage{Coverage: c.newCoverage(watched)}
	zones := slices.Clone(watched.Zones)
	slices.SortFunc(zones, func(a, b picket.Zone) int { return cmp.Compare(a.Name, b.Name) })
	if n := len(zones) - zonesShown; n > 0 {
		m.MoreZones = plural(int64(n), "more zone is", "more zones are")
		zones = zones[:zonesShown]
	}
	for _, z := range zones {
		m.Zones = append(m.Zones, newZoneView(z))
	}
	for _, d := range watched.Detectors {
		m.Detectors = append(m.Detectors, detectorView{Name: visible(d), Title: detectorTitle(d),
			URL: listURL(picket.FindingFilter{Detector: d}, 1)})
	}
	slices.SortFunc(m.Detectors, func(a, b detectorView) int { return cmp.Compare(a.Title, b.Title) })
	c.render(w, r, http.StatusOK, "watched", frame{Title: "What is watched", Section: "watched",
		Live: true, Revision: rev, Refresh: 30, Page: m})
}

func newZoneView(z picket.Zone) zoneView {
	v := zoneView{Name: dnsText(z.Name), Contents: "Zone data", Inferred: z.Inferred,
		Live: count(int64(z.Live)), Retired: count(int64(z.Retired)), Denial: "Unsigned"}
	if !z.Inferred {
		v.URL = zoneURL(z.Name)
	}
	switch {
	case z.Inferred:
		v.Contents, v.Live, v.Denial = "Inferred from traffic", "not known", "Not known"
	case z.Signed && z.NSEC3:
		v.Denial = "Signed, NSEC3"
	case z.Signed:
		v.Denial = "Signed, NSEC"
	}
	switch {
	case z.Reverse && z.Wildcard:
		v.Traits = "Reverse, wildcard at the apex"
	case z.Reverse:
		v.Traits = "Reverse"
	case z.Wildcard:
		v.Traits = "Wildcard at the apex"
	}
	return v
}

func (c *Console) newCoverage(w picket.Watched) coverage {
	v := coverage{
		Zones:     plural(int64(len(w.Zones)), "zone", "zones"),
		Detectors: plural(int64(len(w.Detectors)), "detector", "detectors"),
		Since:     c.stampNow(w.Started),
	}
	for i, z := range w.Zones {
		if i == zonesInBrief {
			v.MoreZones = fmt.Sprintf("and %s more", count(int64(len(w.Zones)-i)))
			break
		}
		v.ZoneNames = append(v.ZoneNames, dnsText(z.Name))
	}
	var last time.Time
	for _, s := range w.Inputs {
		in := c.newInputView(s)
		if in.State != "ok" {
			v.Troubled++
		}
		if s.LastEvent.After(last) {
			last = s.LastEvent
		}
		v.Inputs = append(v.Inputs, in)
	}
	v.Last = c.stampNow(last)
	v.Working = plural(int64(len(w.Inputs)), "input", "inputs")
	for _, n := range w.Notes {
		v.Notes = append(v.Notes, visible(n))
	}
	switch {
	case len(w.Inputs) == 0:
		v.Blind = "No input is configured, so nothing can be found."
	case last.IsZero():
		v.Blind = "No input has delivered an event yet, so nothing can be found."
	case len(w.Detectors) == 0:
		v.Blind = "No detector is running, so nothing can be found."
	}
	return v
}

func (c *Console) newInputView(s picket.SourceStatus) inputView {
	v := inputView{
		Name: visible(s.Name), Format: visible(s.Format), Transport: visible(s.Transport), Kind: telemetryOf(s.Kind),
		Received: count(s.Received), Accepted: count(s.Accepted), Rejected: newOutcome(s.Rejected), Skipped: newOutcome(s.Skipped),
		Dropped: newOutcome(s.Dropped), Last: c.stampNow(s.LastEvent), Error: visible(s.Error),
		State: "ok", StateWords: "Receiving",
	}
	for _, n := range s.Notes {
		v.Notes = append(v.Notes, visible(n))
	}
	switch {
	case s.Error != "":
		v.State, v.StateWords = "failing", "Failing"
	case s.LastEvent.IsZero() && s.Accepted > 0: // such as records of a zone file
		v.Last = stamp{Zero: true, Absolute: "without times", Relative: "without times"}
	case s.LastEvent.IsZero():
		v.State, v.StateWords = "waiting", "No event yet"
	case c.now().Sub(s.LastEvent) > quietAfter:
		v.State, v.StateWords = "quiet", "Quiet"
	}
	return v
}

// telemetryOf says what an input tells of, in the plural.
func telemetryOf(k picket.Kind) string {
	switch k {
	case picket.KindQuery:
		return "queries"
	case picket.KindRecord:
		return "zone records"
	case picket.KindSighting:
		return "sightings"
	case picket.KindAdminEvent:
		return "administrative events"
	case picket.KindAsset:
		return "assets"
	case picket.KindSignal:
		return "signals"
	}
	return visible(string(k))
}

// newOutcome lists counts by reason, largest first, and their sum.
func newOutcome(m map[string]int64) outcome {
	keys := make([]string, 0, len(m))
	var sum int64
	for k, n := range m {
		keys = append(keys, k)
		sum += n
	}
	slices.SortFunc(keys, func(a, b string) int {
		return cmp.Or(cmp.Compare(m[b], m[a]), cmp.Compare(a, b))
	})
	o := outcome{All: count(sum)}
	for _, k := range keys {
		o.Reasons = append(o.Reasons, reason{Why: visible(k), Count: count(m[k])})
	}
	return o
}
