package pipeline_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/pipeline"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// note is what the test engine hands on about a zone.
type note struct {
	second int64
	zone   uint32
	shard  int
}

// recorder is an engine that writes down what it is given. It belongs to one
// shard, so it needs no lock; tests read it after Close.
type recorder struct {
	shard    int
	hold     chan struct{} // when set, Observe waits for it
	seen     map[netip.Addr][]uint64
	times    []int64
	advanced int64
	backward bool
	flushed  int
	findings int // findings to bring forth at the next Drain
	notes    []note
}

func (r *recorder) Observe(q *picket.Query, c *picket.NameContext, sfx *dnsname.Suffixes) {
	if r.hold != nil {
		<-r.hold
	}
	if r.seen == nil {
		r.seen = make(map[netip.Addr][]uint64)
	}
	r.seen[q.Client] = append(r.seen[q.Client], binary.BigEndian.Uint64(q.Name[1:]))
	if sfx.N != 1 || c.State != picket.StateLive {
		panic("query without its context")
	}
	r.times = append(r.times, q.Time)
	if n := len(r.notes); n == 0 || r.notes[n-1].second != q.Time/1e9 {
		r.notes = append(r.notes, note{q.Time / 1e9, 1, r.shard})
	}
}

func (r *recorder) Advance(now int64) {
	r.backward = r.backward || now < r.advanced
	r.advanced = now
}

func (r *recorder) Flush() { r.flushed++; r.findings++ }

func (r *recorder) Drain(f func(*picket.Finding, bool)) {
	for ; r.findings > 0; r.findings-- {
		f(&picket.Finding{ID: "f", Detector: "test"}, true)
	}
}

func (r *recorder) DrainSummaries(f func(*note)) {
	for i := range r.notes {
		f(&r.notes[i])
	}
	r.notes = r.notes[:0]
}

// zoneRecorder is a zone engine that writes down the order of summaries.
type zoneRecorder struct {
	got     []note
	flushed int
	open    int
}

func (z *zoneRecorder) Observe(n *note) { z.got = append(z.got, *n) }
func (z *zoneRecorder) Advance(int64)   {}
func (z *zoneRecorder) Flush()          { z.flushed++; z.open++ }
func (z *zoneRecorder) Drain(f func(*picket.Finding, bool)) {
	for ; z.open > 0; z.open-- {
		f(&picket.Finding{ID: "z", Detector: "zone"}, true)
	}
}

// namer says that every name is live.
type namer struct{}

func (namer) Lookup(_ *picket.Query, sfx *dnsname.Suffixes, nc *picket.NameContext) {
	*nc = picket.NameContext{State: picket.StateLive, Hash: sfx.Hash[0]}
}
func (namer) Hasher() dnsname.Hasher { return dnsname.Hasher{Seed: 1} }

// sink counts findings and fails as told.
type sink struct {
	n   int
	ids []string
	err error
}

func (s *sink) Finding(f *picket.Finding, closed bool) error {
	s.n++
	s.ids = append(s.ids, f.ID)
	return s.err
}

// history counts what is appended, by the number in the name.
type history struct {
	mu   sync.Mutex
	seen map[uint64]int
	err  error
	bad  int
}

func (h *history) AppendQueries(_ context.Context, qs []picket.Query, states []picket.NameState, zones []string, _ []picket.Origin) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(states) != len(qs) || len(zones) != len(qs) {
		h.bad++
	}
	for i := range qs {
		h.seen[binary.BigEndian.Uint64(qs[i].Name[1:])]++
		if states[i] != picket.StateLive {
			h.bad++
		}
	}
	return h.err
}

// setup is a pipeline of n recorders.
type setup struct {
	p     *pipeline.Pipeline[note]
	recs  []*recorder
	zones *zoneRecorder
	sink  *sink
}

func start(n int, change func(*pipeline.Config[note], []*recorder)) *setup {
	s := &setup{zones: &zoneRecorder{}, sink: &sink{}}
	cfg := pipeline.Config[note]{Zones: s.zones, Namer: namer{}, Sink: s.sink, Order: func(n *note) (int64, uint32) { return n.second, n.zone }}
	for i := range n {
		r := &recorder{shard: i}
		s.recs = append(s.recs, r)
		cfg.Shards = append(cfg.Shards, r)
	}
	if change != nil {
		change(&cfg, s.recs)
	}
	s.p = pipeline.New(cfg)
	return s
}

// query makes the query with number id; the name is one label of eight bytes.
func query(q *picket.Query, client netip.Addr, id uint64, at int64) {
	if q.Name == nil {
		q.Name = make([]byte, 10)
		q.Name[0] = 8
	}
	binary.BigEndian.PutUint64(q.Name[1:], id)
	q.Client, q.Time, q.Type, q.Class = client, at, 1, 1
}

func client(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1}) }

const second = int64(time.Second)

// TestOrderAndCount: every query is observed once, those of a source in order and
// by one shard, the time each shard is told never goes back, and Close drains.
func TestOrderAndCount(t *testing.T) {
	const n, clients = 100_003, 371
	s := start(4, nil)
	feed := s.p.Feed()
	var q picket.Query
	for i := range uint64(n) {
		query(&q, client(int(i*7919%clients)), i, 1_700_000_000*second+int64(i)*1e6)
		if err := feed.Query(&q); err != nil {
			t.Fatal(err)
		}
		for j := range q.Name[1:9] { // the query is the decoder's to reuse
			q.Name[1+j] = 0xff
		}
	}
	feed.Flush()
	if err := s.p.Close(); err != nil {
		t.Fatal(err)
	}
	if got := s.p.Queries(); got != n {
		t.Errorf("Queries() = %d, want %d", got, n)
	}
	total, where := 0, map[netip.Addr]int{}
	for i, r := range s.recs {
		if r.flushed != 1 || r.backward {
			t.Errorf("shard %d: flushed %d times, time went back: %t", i, r.flushed, r.backward)
		}
		if len(r.seen) == 0 {
			t.Errorf("shard %d got nothing", i)
		}
		for c, ids := range r.seen {
			total += len(ids)
			if !slices.IsSorted(ids) {
				t.Errorf("%s out of order", c)
			}
			if was, ok := where[c]; ok {
				t.Errorf("%s at shards %d and %d", c, was, i)
			}
			where[c] = i
		}
	}
	if total != n || len(where) != clients {
		t.Errorf("%d queries of %d sources observed, want %d of %d", total, len(where), n, clients)
	}
	if s.zones.flushed != 1 || s.sink.n != 5 || s.sink.ids[4] != "z" {
		t.Errorf("zone engine flushed %d times, findings %v; want the shards' four, then the zone's", s.zones.flushed, s.sink.ids)
	}
}

// TestSummariesInOrder: the zone engine gets all shards' summaries by second.
func TestSummariesInOrder(t *testing.T) {
	s := start(4, nil)
	feed := s.p.Feed()
	var q picket.Query
	for i := range uint64(40_000) {
		query(&q, client(int(i%97)), i, int64(i)*10_000_000)
		if err := feed.Query(&q); err != nil {
			t.Fatal(err)
		}
	}
	feed.Flush()
	s.p.Close()
	if !slices.IsSortedFunc(s.zones.got, func(a, b note) int { return int(a.second-b.second)*100 + a.shard - b.shard }) {
		t.Error("summaries not in order of seconds, then shards")
	}
	perShard := map[int]int{}
	for _, n := range s.zones.got {
		perShard[n.shard]++
	}
	for i := range s.recs {
		if perShard[i] < 400 {
			t.Errorf("shard %d: %d summaries of 400 seconds", i, perShard[i])
		}
	}
}

// TestBackPressure: an engine that stands still stops its feed, and nothing is
// lost when it goes on.
func TestBackPressure(t *testing.T) {
	const n = 20_000
	gate := make(chan struct{})
	s := start(1, func(_ *pipeline.Config[note], recs []*recorder) { recs[0].hold = gate })
	feed := s.p.Feed()
	var fed atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		var q picket.Query
		for i := range uint64(n) {
			query(&q, client(1), i, int64(i)*1e6)
			feed.Query(&q)
			fed.Add(1)
		}
		feed.Flush()
	}()
	var stuck int64
	for range 200 { // wait until the feed has stood still for a while
		was := fed.Load()
		time.Sleep(5 * time.Millisecond)
		if stuck = fed.Load(); stuck == was && stuck > 0 {
			break
		}
	}
	if stuck >= n {
		t.Fatal("the feed was not stopped by an engine that stands still")
	}
	if s.p.Depth(0) == 0 {
		t.Error("Depth is 0 while batches wait")
	}
	close(gate)
	<-done
	s.p.Close()
	if got := len(s.recs[0].seen[client(1)]); got != n {
		t.Errorf("%d queries observed, want %d", got, n)
	}
}

// TestManyFeeds: several inputs at once, each with its flusher, and History gets
// every query once.
func TestManyFeeds(t *testing.T) {
	const feeds, each = 6, 15_000
	h := &history{seen: make(map[uint64]int)}
	s := start(3, func(cfg *pipeline.Config[note], _ []*recorder) { cfg.History = h })
	var work sync.WaitGroup
	for f := range feeds {
		feed := s.p.Feed()
		work.Go(func() {
			var q picket.Query
			for i := range uint64(each) {
				query(&q, client(f*50+int(i%50)), uint64(f)<<32|i, int64(i)*1e6)
				feed.Query(&q)
			}
			feed.Flush()
		})
		work.Go(func() { // as the daemon does for live inputs
			for range 50 {
				feed.Flush()
				time.Sleep(100 * time.Microsecond)
			}
		})
	}
	work.Wait()
	s.p.Close()
	if got := s.p.Queries(); got != feeds*each {
		t.Errorf("Queries() = %d, want %d", got, feeds*each)
	}
	for _, r := range s.recs {
		for c, ids := range r.seen {
			if !slices.IsSorted(ids) {
				t.Errorf("%s out of order", c)
			}
		}
	}
	if len(h.seen) != feeds*each || h.bad != 0 {
		t.Errorf("history has %d queries (%d bad batches), want %d", len(h.seen), h.bad, feeds*each)
	}
	for id, n := range h.seen {
		if n != 1 {
			t.Fatalf("query %x was written %d times", id, n)
		}
	}
}

// TestSharedFeed: one feed used by several goroutines loses nothing either.
func TestSharedFeed(t *testing.T) {
	s := start(2, nil)
	feed := s.p.Feed()
	var work sync.WaitGroup
	for g := range 4 {
		work.Go(func() {
			var q picket.Query
			for i := range uint64(10_000) {
				query(&q, client(g), i, int64(i)*1e6)
				feed.Query(&q)
			}
		})
	}
	work.Wait()
	feed.Flush()
	s.p.Close()
	for g := range 4 {
		n := 0
		for _, r := range s.recs {
			ids := r.seen[client(g)]
			n += len(ids)
			if !slices.IsSorted(ids) {
				t.Errorf("goroutine %d out of order", g)
			}
		}
		if n != 10_000 {
			t.Errorf("goroutine %d: %d queries, want 10000", g, n)
		}
	}
}

// TestErrorsAreSurvived: Sink and History fail all the time; both are told of and
// the pipeline goes on.
func TestErrorsAreSurvived(t *testing.T) {
	full, down := errors.New("disk full"), errors.New("store down")
	h := &history{seen: make(map[uint64]int), err: full}
	var mu sync.Mutex
	var errs []error
	s := start(2, func(cfg *pipeline.Config[note], _ []*recorder) {
		cfg.History = h
		cfg.Sink = &sink{err: down}
		cfg.OnError = func(err error) {
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		}
	})
	feed := s.p.Feed()
	var q picket.Query
	for i := range uint64(5000) {
		query(&q, client(int(i%20)), i, int64(i)*1e6)
		feed.Query(&q)
	}
	feed.Flush()
	s.p.Close()
	if s.p.Queries() != 5000 || len(h.seen) != 5000 {
		t.Errorf("%d processed, %d offered to history, want 5000", s.p.Queries(), len(h.seen))
	}
	var nFull, nDown int
	for _, err := range errs {
		if errors.Is(err, full) {
			nFull++
		}
		if errors.Is(err, down) {
			nDown++
		}
	}
	if nFull == 0 || nDown != 3 || nFull+nDown != len(errs) {
		t.Errorf("%d history errors, %d sink errors (want 3) of %d", nFull, nDown, len(errs))
	}
}

// TestDeepCopy: everything that a query points to is kept apart from the decoder's
// buffers, in batches however full.
func TestDeepCopy(t *testing.T) {
	rec := &deep{}
	p := pipeline.New(pipeline.Config[note]{Shards: []pipeline.Engine[note]{rec}, Zones: &zoneRecorder{}, Namer: namer{}, Sink: &sink{},
		Order: func(*note) (int64, uint32) { return 0, 0 }})
	feed := p.Feed()
	name := append([]byte{63}, slices.Concat(slices.Repeat([]byte("x"), 63), []byte{0})...)
	for i := range 2000 {
		b := byte(i)
		name[1] = b
		den := []picket.Denial{{Owner: slices.Repeat([]byte{b}, 200), Next: []byte{b, 1}}, {NSEC3: true, Owner: []byte{b, 2}, Next: []byte{b, 3}}}
		q := picket.Query{Time: int64(i), Name: name, Response: picket.Response{Owner: []byte{b, 4}, Authority: []byte{b, 5}, Denials: den[:1+i%2]}}
		feed.Query(&q)
		clear(den[0].Owner)
		clear(q.Response.Owner)
		clear(q.Response.Authority)
		den[1].Next[0] = 0xee
	}
	feed.Flush()
	p.Close()
	if rec.n != 2000 || rec.bad != 0 {
		t.Errorf("%d queries, %d of them with another's bytes", rec.n, rec.bad)
	}
}

// deep checks the bytes that TestDeepCopy wrote.
type deep struct {
	recorder
	n, bad int
}

func (d *deep) Observe(q *picket.Query, _ *picket.NameContext, _ *dnsname.Suffixes) {
	b := byte(d.n)
	r := &q.Response
	ok := q.Name[1] == b && r.Owner[0] == b && r.Owner[1] == 4 && r.Authority[0] == b && len(r.Denials) == 1+d.n%2 &&
		len(r.Denials[0].Owner) == 200 && r.Denials[0].Owner[199] == b && r.Denials[0].Next[0] == b
	if ok && len(r.Denials) == 2 {
		ok = r.Denials[1].NSEC3 && r.Denials[1].Owner[0] == b && r.Denials[1].Next[0] == b
	}
	if !ok {
		d.bad++
	}
	d.n++
}
