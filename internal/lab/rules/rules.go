// Package rules has the rules that are in use today against DNS reconnaissance,
// each written anew from its published condition, so that they are judged on the
// traffic that Picket is judged on. Conditions and thresholds are those that are
// published; what a rule's text leaves open is decided as said at the rule, in its
// favour.
package rules

import (
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
)

// Rule is one rule in use.
type Rule struct {
	Name string
	// Says is the condition in words, Source where it is published.
	Says, Source string
	// Threshold is what the score has to exceed.
	Threshold float64
	// New returns a counter that has seen nothing. secondaries are those that the
	// organisation lists.
	New func(secondaries []netip.Addr) Counter
}

// Counter computes a rule's score.
type Counter interface {
	// Observe returns the score of what the query counts for, and what that is: alerts
	// with the same key are one. A score of 0 says nothing.
	Observe(q *picket.Query) (score float64, key Key)
}

// Key is what a rule's alert is about.
type Key struct {
	Source netip.Addr
	Window int64 // start, Unix nanoseconds; 0 for rules without windows
}

// All lists the rules.
func All() []Rule {
	return []Rule{
		{"kql-distinct-names", "more than 30 distinct names of one source below one base domain in an hour", "community KQL, subdomain brute force", 30,
			func([]netip.Addr) Counter { return newWindowed(time.Hour, distinctNames) }},
		{"sentinel-nxdomain", "more than 200 NXDOMAIN of one source in 15 minutes", "Microsoft Sentinel ASIM, excessive NXDOMAIN", 200,
			func([]netip.Addr) Counter { return newWindowed(15*time.Minute, missing) }},
		{"sentinel-reverse", "more than 10 distinct names below in-addr.arpa of one source in a day, and none of the nine days before as many", "Microsoft Sentinel, reverse lookups", 10,
			func([]netip.Addr) Counter { return newReverse() }},
		{"escu-failures", "more than 50 failures of one source and response code in an hour", "Splunk ESCU, excessive DNS failures; the span is that of the search's schedule", 50,
			func([]netip.Addr) Counter { return newWindowed(time.Hour, failures) }},
		{"sigma-subdomains", "more than 200 names of one source below one registered domain in 15 minutes", "Sigma, high subdomain rate", 200,
			func([]netip.Addr) Counter { return newWindowed(15*time.Minute, distinctNames) }},
		{"et-2008470", "50 NXDOMAIN of one source in 10 seconds", "Emerging Threats 2008470, shipped disabled", 49,
			func([]netip.Addr) Counter { return newWindowed(10*time.Second, missing) }},
		{"trw", "sequential test on the outcomes of first contacts, likelihood ratio above 99", "Jung et al. 2004; theta 0.8 and 0.2, detection 0.99, false alarms 0.01", math.Log(99),
			func([]netip.Addr) Counter { return newWalk(false) }},
		{"trw-distinct", "the same, counting each name of a source once", "Jung et al. 2004, with distinct names", math.Log(99),
			func([]netip.Addr) Counter { return newWalk(true) }},
		{"any-transfer", "an AXFR or IXFR of whoever is no secondary", "common practice", 0,
			func(secondaries []netip.Addr) Counter { return transfers(secondaries) }},
	}
}

// hasher identifies names within a counter.
var hasher = dnsname.Hasher{Seed: 0x72756c65}

// windowed counts in windows that do not overlap, by source.
type windowed struct {
	span    int64
	what    func(q *picket.Query) (item uint64, counts, distinct bool)
	sources map[netip.Addr]*tally
	horizon int64 // when the sources of long ago were last dropped
}

type tally struct {
	window int64
	n      map[uint64]int // by group; for distinct ones the number of items
	seen   map[uint64]struct{}
}

func newWindowed(span time.Duration, what func(q *picket.Query) (uint64, bool, bool)) *windowed {
	return &windowed{span: int64(span), what: what, sources: map[netip.Addr]*tally{}}
}

// Observe implements Counter.
func (w *windowed) Observe(q *picket.Query) (float64, Key) {
	item, counts, distinct := w.what(q)
	if !counts {
		return 0, Key{}
	}
	window := q.Time - q.Time%w.span
	w.drop(window)
	t := w.sources[q.Client]
	if t == nil {
		t = &tally{n: map[uint64]int{}}
		w.sources[q.Client] = t
	}
	if t.window != window {
		t.window = window
		clear(t.n)
		clear(t.seen)
	}
	group := item
	if distinct {
		group = 0
		if t.seen == nil {
			t.seen = map[uint64]struct{}{}
		}
		if _, again := t.seen[item]; again {
			return float64(t.n[group]), Key{q.Client, window}
		}
		t.seen[item] = struct{}{}
	}
	t.n[group]++
	return float64(t.n[group]), Key{q.Client, window}
}

// drop forgets sources of windows that are over.
func (w *windowed) drop(window int64) {
	if window <= w.horizon {
		return
	}
	for a, t := range w.sources {
		if t.window < window {
			delete(w.sources, a)
		}
	}
	w.horizon = window
}

func distinctNames(q *picket.Query) (uint64, bool, bool) {
	return hasher.Name(q.Name), q.Class == 1 && q.Type != lab.TypePTR, true
}

func missing(q *picket.Query) (uint64, bool, bool) { return 0, q.Rcode == picket.RcodeNXDomain, false }

func failures(q *picket.Query) (uint64, bool, bool) {
	return uint64(q.Rcode), q.Rcode > picket.RcodeNoError, false
}

// reverse counts distinct names of the reverse tree a day, against the nine days before.
type reverse struct {
	today  *windowed
	before map[netip.Addr]*[9]day
}

type day struct {
	start int64
	n     float64
}

func newReverse() *reverse {
	return &reverse{today: newWindowed(24*time.Hour, func(q *picket.Query) (uint64, bool, bool) {
		return hasher.Name(q.Name), dnsname.IsReverse(q.Name), true
	}),
		before: map[netip.Addr]*[9]day{}}
}

// Observe implements Counter.
func (r *reverse) Observe(q *picket.Query) (float64, Key) {
	n, key := r.today.Observe(q)
	if n == 0 {
		return 0, key
	}
	days := r.before[q.Client]
	if days == nil {
		days = new([9]day)
		r.before[q.Client] = days
	}
	const span = int64(24 * time.Hour)
	most := 0.0
	for i := range days {
		if d := days[i]; d.start < key.Window && d.start >= key.Window-9*span {
			most = max(most, d.n)
		}
	}
	d := &days[(key.Window/span)%9]
	if d.start != key.Window {
		*d = day{start: key.Window}
	}
	d.n = n
	if n <= most {
		return 0, key
	}
	return n, key
}

// walk is the threshold random walk: first contacts that succeed speak for an
// ordinary client, those that fail against it.
type walk struct {
	distinct bool
	sources  map[netip.Addr]*walker
}

type walker struct {
	ratio float64 // logarithm
	seen  map[uint64]struct{}
}

func newWalk(distinct bool) *walk { return &walk{distinct, map[netip.Addr]*walker{}} }

// Shares of first contacts that succeed, of ordinary clients and of scanners, and
// the lower bound of the test (Jung et al. 2004, §5).
const (
	ordinary = 0.8
	scanning = 0.2
)

var (
	onSuccess = math.Log(scanning / ordinary)
	onFailure = math.Log((1 - scanning) / (1 - ordinary))
	lower     = math.Log((1 - 0.99) / (1 - 0.01))
)

// Observe implements Counter.
func (w *walk) Observe(q *picket.Query) (float64, Key) {
	key := Key{Source: q.Client}
	if q.Class != 1 || q.Rcode != picket.RcodeNoError && q.Rcode != picket.RcodeNXDomain {
		return 0, key
	}
	s := w.sources[q.Client]
	if s == nil {
		s = &walker{}
		w.sources[q.Client] = s
	}
	if w.distinct {
		if s.seen == nil {
			s.seen = map[uint64]struct{}{}
		}
		h := hasher.Name(q.Name)
		if _, again := s.seen[h]; again {
			return s.ratio, key
		}
		s.seen[h] = struct{}{}
	}
	if q.Rcode == picket.RcodeNXDomain {
		s.ratio += onFailure
	} else {
		s.ratio += onSuccess
	}
	if s.ratio < lower {
		s.ratio = 0 // decided for an ordinary client: the test begins anew
	}
	return s.ratio, key
}

// transfers scores every attempt, but those of the listed secondaries.
type transfers []netip.Addr

// Observe implements Counter.
func (t transfers) Observe(q *picket.Query) (float64, Key) {
	if (q.Type == lab.TypeAXFR || q.Type == lab.TypeIXFR) && !slices.Contains(t, q.Client) {
		return 1, Key{Source: q.Client}
	}
	return 0, Key{}
}
