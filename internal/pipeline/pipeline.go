// Package pipeline moves queries from the inputs through name context and
// detectors. It splits them by source network over shards, so that everything a
// source asks meets the same detectors in order, applies back-pressure (an input
// waits when its shard is behind), keeps the findings of all shards in one
// stream, and knows the order in which to stop.
//
// The only goroutines on the hot path are here: one per shard and one that
// collects. Queries are copied once, into batches that are reused.
package pipeline

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
)

// Namer gives a query its name context. It is called from all shards at once.
type Namer interface {
	Lookup(q *picket.Query, sfx *dnsname.Suffixes, nc *picket.NameContext)
	Hasher() dnsname.Hasher
}

// Engine runs the detectors of one shard. S is what it hands on about whole zones.
type Engine[S any] interface {
	Observe(q *picket.Query, c *picket.NameContext, sfx *dnsname.Suffixes)
	Advance(now int64)
	Flush()
	Drain(func(f *picket.Finding, closed bool))
	DrainSummaries(func(*S))
}

// ZoneEngine runs the detectors over whole zones on the summaries of all shards.
type ZoneEngine[S any] interface {
	Observe(*S)
	Advance(now int64)
	Flush()
	Drain(func(f *picket.Finding, closed bool))
}

// Order places a summary in time: the second of event time it is about, and the
// zone, to make the merged order independent of scheduling.
type Order[S any] func(*S) (second int64, zone uint32)

// Config wires a pipeline.
type Config[S any] struct {
	Shards  []Engine[S] // one goroutine each; at least one
	Zones   ZoneEngine[S]
	Order   Order[S]
	Namer   Namer
	Sink    picket.FindingSink
	History picket.QueryAppender // may be nil
	// OnError is told of errors of Sink and History; the pipeline goes on.
	OnError func(error)
}

// Batch sizes: few enough queries to stay in the processor's cache, enough to
// make the hand-over cheap.
const (
	batchQueries = 256
	batchArena   = 24 << 10
	queueBatches = 16
)

// batch is a set of queries on their way to a shard. The queries' byte slices
// point into arena.
type batch struct {
	queries []picket.Query
	arena   []byte
	denials []picket.Denial
	now     int64 // event time that the input has reached
	origin  picket.Origin
	from    *progress // of the feed it came from
}

func (b *batch) reset() {
	b.queries, b.arena, b.denials = b.queries[:0], b.arena[:0], b.denials[:0]
}

// Pipeline is running from New to Close.
type Pipeline[S any] struct {
	cfg     Config[S]
	shards  []*shard[S]
	free    chan *batch
	collect chan collected[S]
	work    sync.WaitGroup
	done    chan struct{}
	queries atomic.Int64
}

// New starts the shards and the collector.
func New[S any](cfg Config[S]) *Pipeline[S] {
	if cfg.OnError == nil {
		cfg.OnError = func(error) {}
	}
	n := len(cfg.Shards)
	p := &Pipeline[S]{
		cfg: cfg, free: make(chan *batch, n*queueBatches*2), collect: make(chan collected[S], 4*n), done: make(chan struct{}),
	}
	for i, e := range cfg.Shards {
		s := &shard[S]{p: p, id: i, engine: e, in: make(chan *batch, queueBatches)}
		p.shards = append(p.shards, s)
		p.work.Add(1)
		go s.run()
	}
	go p.gather()
	return p
}

// Close stops in order: the shards drain their queues and flush their engines,
// then the collector drains, flushes the zone engine and returns. All feeds must
// have been closed before.
func (p *Pipeline[S]) Close() error {
	for _, s := range p.shards {
		close(s.in)
	}
	p.work.Wait()
	close(p.collect)
	<-p.done
	return nil
}

// Depth returns the number of batches waiting at a shard.
func (p *Pipeline[S]) Depth(shard int) int { return len(p.shards[shard].in) }

// Shards returns the number of shards.
func (p *Pipeline[S]) Shards() int { return len(p.shards) }

// Queries returns how many queries the shards have processed.
func (p *Pipeline[S]) Queries() int64 { return p.queries.Load() }

func (p *Pipeline[S]) take() *batch {
	select {
	case b := <-p.free:
		return b
	default:
		return &batch{queries: make([]picket.Query, 0, batchQueries), arena: make([]byte, 0, batchArena)}
	}
}

func (p *Pipeline[S]) give(b *batch) {
	b.reset()
	b.origin, b.from = picket.Origin{}, nil
	select {
	case p.free <- b:
	default:
	}
}

// Feed is one input's way into the pipeline. It is a picket.QuerySink for one
// goroutine; Flush may be called from another.
type Feed[S any] struct {
	p       *Pipeline[S]
	mu      sync.Mutex
	pending []*batch
	sent    []int64 // event time each shard was last told
	origin  picket.Origin
	queries int64 // handed to the shards
	done    *progress
}

// Feed returns a new way in.
func (p *Pipeline[S]) Feed() *Feed[S] {
	return &Feed[S]{p: p, pending: make([]*batch, len(p.shards)), sent: make([]int64, len(p.shards)), done: newProgress()}
}

// Query copies q into the batch of its shard. It waits while the shard is behind.
func (f *Feed[S]) Query(q *picket.Query) error {
	f.mu.Lock()
	i := 0
	if len(f.pending) > 1 {
		i = int(network(q.Client) % uint64(len(f.pending)))
	}
	b := f.pending[i]
	need := len(q.Name) + len(q.Response.Owner) + len(q.Response.Authority)
	for j := range q.Response.Denials {
		need += len(q.Response.Denials[j].Owner) + len(q.Response.Denials[j].Next)
	}
	if b != nil && len(b.arena)+need > cap(b.arena) {
		f.send(i, q.Time)
		b = nil
	}
	if b == nil {
		b = f.p.take()
		f.pending[i] = b
	}
	b.add(q)
	if len(b.queries) == cap(b.queries) {
		f.send(i, q.Time)
		f.tick(q.Time)
	}
	f.mu.Unlock()
	return nil
}

// tick sends every shard what is pending once a second of event time, so that
// none is behind the others in time.
func (f *Feed[S]) tick(now int64) {
	for i, at := range f.sent {
		if now-at > 1e9 {
			f.send(i, now)
		}
	}
}

func (f *Feed[S]) send(i int, now int64) {
	b := f.pending[i]
	if b == nil {
		b = f.p.take()
	}
	b.now, b.origin, b.from = now, f.origin, f.done
	f.queries += int64(len(b.queries))
	f.sent[i] = now
	f.pending[i] = nil
	f.p.shards[i].in <- b
}

// Flush sends what is pending. Call it now and then for live inputs, and at the end.
func (f *Feed[S]) Flush() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, b := range f.pending {
		if b != nil && len(b.queries) > 0 {
			f.send(i, b.queries[len(b.queries)-1].Time)
		}
	}
}

// add copies a query into the batch. The arena has room.
func (b *batch) add(q *picket.Query) {
	n := len(b.queries)
	b.queries = b.queries[:n+1]
	d := &b.queries[n]
	*d = *q
	d.Name = b.keep(q.Name)
	d.Response.Message, d.Response.Told = nil, nil
	if len(q.Response.Owner) > 0 {
		d.Response.Owner = b.keep(q.Response.Owner)
	}
	if len(q.Response.Authority) > 0 {
		d.Response.Authority = b.keep(q.Response.Authority)
	}
	if len(q.Response.Denials) > 0 {
		from := len(b.denials)
		for _, x := range q.Response.Denials {
			b.denials = append(b.denials, picket.Denial{NSEC3: x.NSEC3, Owner: b.keep(x.Owner), Next: b.keep(x.Next)})
		}
		d.Response.Denials = b.denials[from:len(b.denials):len(b.denials)]
	}
}

func (b *batch) keep(x []byte) []byte {
	at := len(b.arena)
	b.arena = append(b.arena, x...)
	return b.arena[at:len(b.arena):len(b.arena)]
}

// network hashes a source's network: /24 of IPv4, /48 of IPv6.
func network(a netip.Addr) uint64 {
	var x uint64
	if a.Is4() || a.Is4In6() {
		b := a.As4()
		x = uint64(binary.LittleEndian.Uint32(b[:]) & (1<<24 - 1))
	} else {
		b := a.As16()
		x = binary.LittleEndian.Uint64(b[:8]) & (1<<48 - 1)
	}
	return x * 0x9e3779b97f4a7c15 >> 33
}

// shard is one goroutine with its detectors.
type shard[S any] struct {
	p      *Pipeline[S]
	id     int
	engine Engine[S]
	in     chan *batch

	// What waits to be written to the history: queries (their bytes in held) with
	// the states and zones found.
	queries []picket.Query
	states  []picket.NameState
	zones   []string
	origins []picket.Origin
	held    []*batch
	passed  []passed // done with, to be told when the collector has what came of it
}

// historyRows is how many queries are written to the history at once when there
// is more to do; stores are faster with more.
const historyRows = 8192

func (s *shard[S]) run() {
	defer s.p.work.Done()
	namer := s.p.cfg.Namer
	hasher := namer.Hasher()
	var sfx dnsname.Suffixes
	var nc picket.NameContext
	history := s.p.cfg.History != nil
	var now int64
	for b := range s.in {
		for i := range b.queries {
			q := &b.queries[i]
			hasher.Sum(q.Name, &sfx)
			namer.Lookup(q, &sfx, &nc)
			s.engine.Observe(q, &nc, &sfx)
			if history {
				s.states = append(s.states, nc.State)
				s.zones = append(s.zones, zoneName(nc.Zone))
				s.origins = append(s.origins, b.origin)
			}
		}
		now = b.now
		s.engine.Advance(now)
		if history {
			s.queries = append(s.queries, b.queries...)
			s.held = append(s.held, b)
			if len(s.in) == 0 || len(s.queries) >= historyRows {
				s.write()
			}
		} else {
			s.p.queries.Add(int64(len(b.queries)))
			s.pass(b, nil)
		}
		s.hand(now)
	}
	if history {
		s.write()
	}
	s.engine.Flush()
	s.hand(now)
}

// write appends what waits to the history. It is not cancelled by a shutdown: what
// was accepted is written.
func (s *shard[S]) write() {
	var err error
	if len(s.queries) > 0 {
		if err = s.p.cfg.History.AppendQueries(context.Background(), s.queries, s.states, s.zones, s.origins); err != nil {
			err = fmt.Errorf("write query history: %w", err)
			s.p.cfg.OnError(err)
		}
	}
	s.p.queries.Add(int64(len(s.queries)))
	for _, b := range s.held {
		s.pass(b, err)
	}
	clear(s.held)
	s.queries, s.states, s.zones, s.origins, s.held = s.queries[:0], s.states[:0], s.zones[:0], s.origins[:0], s.held[:0]
}

// pass notes a batch that is done with and gives it back.
func (s *shard[S]) pass(b *batch, err error) {
	if len(b.queries) > 0 {
		s.passed = append(s.passed, passed{b.from, int64(len(b.queries)), err})
	}
	s.p.give(b)
}

func zoneName(z *picket.Zone) string {
	if z == nil {
		return ""
	}
	return z.Name
}

// hand gives the collector what the engine has brought forth.
func (s *shard[S]) hand(now int64) {
	c := collected[S]{shard: s.id, now: now, passed: s.passed}
	s.passed = nil
	s.engine.Drain(func(f *picket.Finding, closed bool) { c.findings = append(c.findings, found{f, closed}) })
	s.engine.DrainSummaries(func(x *S) { s := *x; c.summaries = append(c.summaries, &s) })
	s.p.collect <- c
}

type found struct {
	finding *picket.Finding
	closed  bool
}

// collected is what one batch brought forth at one shard.
type collected[S any] struct {
	shard     int
	now       int64
	findings  []found
	summaries []*S
	passed    []passed
}

// pending is a summary that waits for the other shards. The shard settles the
// order of those of one second and zone, so that scheduling does not.
type pending[S any] struct {
	shard   int
	summary *S
}

// gather merges what the shards bring forth: findings go straight to the sink,
// summaries wait until all shards have passed their second.
func (p *Pipeline[S]) gather() {
	defer close(p.done)
	reached := make([]int64, len(p.shards))
	var waiting []pending[S]
	for c := range p.collect {
		for _, f := range c.findings {
			p.emit(f.finding, f.closed)
		}
		reached[c.shard] = c.now
		for _, s := range c.summaries {
			waiting = append(waiting, pending[S]{c.shard, s})
		}
		low := slices.Min(reached)
		waiting = p.judge(waiting, low/1e9)
		p.cfg.Zones.Advance(low)
		p.cfg.Zones.Drain(p.emit)
		for _, d := range c.passed {
			d.to.add(d.queries, d.err)
		}
	}
	p.judge(waiting, 1<<62)
	p.cfg.Zones.Flush()
	p.cfg.Zones.Drain(p.emit)
}

// judge hands the zone engine all summaries of seconds before limit, in order,
// and returns the rest.
func (p *Pipeline[S]) judge(waiting []pending[S], limit int64) []pending[S] {
	if !slices.ContainsFunc(waiting, func(w pending[S]) bool { second, _ := p.cfg.Order(w.summary); return second < limit }) {
		return waiting
	}
	slices.SortStableFunc(waiting, func(a, b pending[S]) int {
		sa, za := p.cfg.Order(a.summary)
		sb, zb := p.cfg.Order(b.summary)
		return cmp.Or(cmp.Compare(sa, sb), cmp.Compare(za, zb), cmp.Compare(a.shard, b.shard))
	})
	n := 0
	for n < len(waiting) {
		if second, _ := p.cfg.Order(waiting[n].summary); second >= limit {
			break
		}
		p.cfg.Zones.Observe(waiting[n].summary)
		n++
	}
	return slices.Delete(waiting, 0, n)
}

func (p *Pipeline[S]) emit(f *picket.Finding, closed bool) {
	if err := p.cfg.Sink.Finding(f, closed); err != nil {
		p.cfg.OnError(fmt.Errorf("store finding %s: %w", f.ID, err))
	}
}
