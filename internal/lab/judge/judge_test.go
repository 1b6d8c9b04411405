package judge_test

import (
	"fmt"
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
	"github.com/picket-dns/picket/internal/lab/judge"
	"github.com/picket-dns/picket/internal/lab/rules"
)

func TestShare(t *testing.T) {
	lo, hi := judge.Share{K: 20, N: 20}.Interval()
	if math.Abs(lo-0.8389) > 0.0005 || hi != 1 {
		t.Errorf("20 of 20: %.4f to %.4f, want 0.8389 to 1", lo, hi)
	}
	lo, hi = judge.Share{K: 8, N: 10}.Interval()
	if math.Abs(lo-0.4902) > 0.0005 || math.Abs(hi-0.9433) > 0.0005 {
		t.Errorf("8 of 10: %.4f to %.4f, want 0.4902 to 0.9433", lo, hi)
	}
}

func TestRateBound(t *testing.T) {
	for _, c := range []struct {
		k    int
		want float64
	}{{0, 2.9957}, {1, 4.7439}, {10, 16.9622}} {
		if got := judge.RateBound(c.k, 1); math.Abs(got-c.want) > 0.001 {
			t.Errorf("%d events: at most %.4f, want %.4f", c.k, got, c.want)
		}
	}
}

// scripted asks every second, from one address.
func scripted(begin int64, n int, from, name string, rcode picket.Rcode) lab.Stream {
	var q picket.Query
	i := 0
	return lab.StreamFunc(func() *picket.Query {
		if i >= n {
			return nil
		}
		q = picket.Query{Time: begin + int64(i)*lab.Second, Client: netip.MustParseAddr(from), Class: 1, Type: lab.TypeA, Rcode: rcode,
			Name: dnsname.MustParse(fmt.Sprintf(name, i))}
		i++
		return &q
	})
}

// raiser is a subject that raises at chosen queries.
type raiser struct {
	sink picket.FindingSink
	n    int
	at   map[int]picket.Finding
}

func (r *raiser) Query(q *picket.Query) error {
	r.n++
	if f, ok := r.at[r.n]; ok {
		f.ID, f.LastSeen, f.Severity = fmt.Sprint(r.n), time.Unix(0, q.Time).UTC(), picket.SeverityMedium
		return r.sink.Finding(&f, false)
	}
	return nil
}
func (r *raiser) Finish() error { return nil }

// TestRun: what is raised is credited to the actor only by its source, after it
// began, and as found only in its class.
func TestRun(t *testing.T) {
	begin := time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC).UnixNano()
	src := func(p string) picket.Source { return picket.Source{Prefix: p} }
	e := &judge.Experiment{Cell: judge.Cell{Class: "brute-force"}, Label: judge.Recon, World: &lab.World{Begin: begin},
		Background: scripted(begin, 1000, "192.0.2.1", "www%d.corp.example", 0), Actor: scripted(begin+10*lab.Second+1, 100, "192.0.2.7", "n%d.corp.example", picket.RcodeNXDomain), Tail: time.Minute}
	// Queries 1 to 11 are the background's; from then on they alternate, the actor's are the even ones.
	subject := &raiser{at: map[int]picket.Finding{
		2:  {Detector: "brute-force", Source: src("192.0.2.7/32")}, // before the actor began
		13: {Detector: "brute-force", Source: src("192.0.2.1/32")}, // another's address
		14: {Detector: "record-survey", Source: src("192.0.2.7/32")},
		20: {Detector: "ordered-names", Source: src("192.0.2.7/32")},
		30: {Detector: "brute-force", Source: src("192.0.2.7/32")},
	}}
	list, err := judge.Run(e, func(_ *judge.Experiment, _ bool, sink picket.FindingSink) (judge.Subject, error) {
		subject.sink = sink
		return subject, nil
	}, []bool{false}, rules.All())
	if err != nil {
		t.Fatal(err)
	}
	o := list[0]
	if !o.Found || o.AtQuery != 5 || fmt.Sprint(o.False) != "[brute-force brute-force]" || fmt.Sprint(o.Raised) != "[record-survey ordered-names brute-force]" ||
		!o.Attributed || o.ActorQueries != 100 || o.Queries != 270 {
		t.Errorf("%+v", o)
	}
	for _, o := range list[1:] {
		// The actor's 31st and 51st name or failure of 100, one a second.
		want := map[string]int64{"kql-distinct-names": 31, "escu-failures": 51, "trw": 4, "trw-distinct": 4}[o.Judged]
		if o.AtQuery != want || o.Found != (want > 0) {
			t.Errorf("%s found at %d, want %d", o.Judged, o.AtQuery, want)
		}
		// The background's source asks for 170 names, more than 30 in an hour.
		if got := len(o.False) > 0; got != (o.Judged == "kql-distinct-names") {
			t.Errorf("%s: false alarms %v", o.Judged, o.False)
		}
	}
	var tally judge.Tally
	tally.Add(list)
	s := tally.Sum(judge.Picket, nil)
	if s.Found != (judge.Share{K: 1, N: 1}) || s.Right != (judge.Share{K: 2, N: 3}) || s.False != 2 {
		t.Errorf("%+v", s)
	}
}

// TestAtEqualAlarms: a rule's threshold is moved to where it raises as often as asked.
func TestAtEqualAlarms(t *testing.T) {
	var tally judge.Tally
	tally.Add([]judge.Outcome{{Judged: "r", Label: judge.Benign, ScoresElsewhere: []float64{5, 90, 40, 70}}})
	for _, top := range []float64{30, 80, 95} {
		tally.Add([]judge.Outcome{{Judged: "r", Label: judge.Recon, Top: top}})
	}
	for alarms, want := range []struct {
		threshold float64
		found     judge.Share
	}{{90, judge.Share{K: 1, N: 3}}, {70, judge.Share{K: 2, N: 3}}, {40, judge.Share{K: 2, N: 3}}, {5, judge.Share{K: 3, N: 3}}} {
		if threshold, found := tally.AtEqualAlarms("r", alarms, 2, nil); threshold != want.threshold || found != want.found {
			t.Errorf("%d alarms: threshold %v, found %v, want %+v", alarms, threshold, found, want)
		}
	}
}

// TestBelow: a floor speaks when a share is below it, and says nothing about what
// was not run.
func TestBelow(t *testing.T) {
	cell := judge.Cell{Block: judge.BlockTools, Class: "brute-force", Path: "direct"}
	outcomes := func(found, missed int, falseAlarms int) *judge.Tally {
		tally := &judge.Tally{}
		for i := range found + missed {
			tally.Add([]judge.Outcome{{Judged: judge.PicketBehavior, Label: judge.Recon, Cell: cell, Found: i < found}})
		}
		tally.Add([]judge.Outcome{{Judged: judge.PicketBehavior, Label: judge.Benign, Cell: judge.Cell{Block: judge.BlockBulk}, Queries: 2_000_000, False: make([]string, falseAlarms)}})
		return tally
	}
	for _, c := range []struct {
		found, missed, alarms int
		want                  string
	}{
		{99, 1, 2, "[]"},
		{90, 10, 2, "[tools that guess, on all paths: 90 of 100, want at least 0.97]"},
		{99, 1, 3, "[false alarms on background: 3 in 2000000 queries, want at most 1 in a million: map[:3]]"},
	} {
		if got := fmt.Sprint(judge.Below(outcomes(c.found, c.missed, c.alarms))); got != c.want {
			t.Errorf("%d found, %d missed, %d alarms: %s, want %s", c.found, c.missed, c.alarms, got, c.want)
		}
	}
}
