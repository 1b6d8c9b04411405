package passivedns

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
)

// Config bounds a Collector. Zero values take the defaults.
type Config struct {
	// Entries is how many different answers are held at once, by all tallies together;
	// 0 means 131,072. Each takes a few hundred octets.
	Entries int
	// NewPerZone is how many answers not held yet are taken of one zone between two
	// turns; 0 means 2000. Names that a wildcard makes up are without end: who asks
	// for random ones must not fill the store.
	NewPerZone int
}

// Defaults of Config.
const (
	DefaultEntries    = 1 << 17
	DefaultNewPerZone = 2000
)

// LeftOut counts answers that were seen and not gathered, since the Collector began.
type LeftOut struct {
	Zone       int64 // more new ones of one zone between two turns than NewPerZone
	Full       int64 // all entries taken
	Unreadable int64 // RDATA malformed, or longer than is kept
}

// Collector keeps the bounds that its tallies share. Use New. Its methods may be
// called by several goroutines at once.
type Collector struct {
	cfg  Config
	seed maphash.Seed
	full chan struct{}

	held       atomic.Int64 // entries of all tallies
	zoneOut    atomic.Int64
	fullOut    atomic.Int64
	unreadable atomic.Int64

	mu    sync.Mutex
	fresh map[string]int   // entries new since the last turn, by zone
	known map[uint64]int32 // hash of a key: how many tallies hold it
	all   map[*Tally]struct{}
	free  []*Tally // closed ones, with what they know
}

// Tally counts the answers of one stream. What it has counted since the last Drain
// is the stream's own: it counts with the stream's commit, or not at all. Observe,
// Drain, Discard and Close are called by one goroutine.
type Tally struct {
	c       *Collector
	scratch []byte // a key under construction

	mu      sync.Mutex // for Turn, which forgets what is idle
	entries map[string]*entry
	touched []*entry // count > 0
}

// entry is one answer as one sensor saw it.
type entry struct {
	key         string
	count       int64 // since the last Drain
	first, last int64 // likewise; Unix nanoseconds
	name        string
	data        []string // RDATA in presentation form, nil until it is first asked for
	zone        uint8    // octets at the end of the owner that are the zone, 0 when not known
	idle        bool     // not seen for a turn
}

// New returns an empty Collector.
func New(cfg Config) *Collector {
	if cfg.Entries <= 0 {
		cfg.Entries = DefaultEntries
	}
	if cfg.NewPerZone <= 0 {
		cfg.NewPerZone = DefaultNewPerZone
	}
	return &Collector{cfg: cfg, seed: maphash.MakeSeed(), full: make(chan struct{}, 1),
		fresh: map[string]int{}, known: map[uint64]int32{}, all: map[*Tally]struct{}{}}
}

// Tally returns a tally for one stream; Close it when the stream ends. It may be one
// that was closed before: what that knew need not be learnt again.
func (c *Collector) Tally() *Tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.free); n > 0 {
		t := c.free[n-1]
		c.free = c.free[:n-1]
		return t
	}
	t := &Tally{c: c, scratch: make([]byte, 0, 2*maxData), entries: map[string]*entry{}}
	c.all[t] = struct{}{}
	return t
}

// Full is sent to when no entry is left: time for a turn.
func (c *Collector) Full() <-chan struct{} { return c.full }

// LeftOut returns what was seen and not gathered.
func (c *Collector) LeftOut() LeftOut {
	return LeftOut{Zone: c.zoneOut.Load(), Full: c.fullOut.Load(), Unreadable: c.unreadable.Load()}
}

// maxFree is how many closed tallies are kept from turn to turn.
const maxFree = 64

// Turn is called every ten seconds, say, and when Full asks for it: zones may have as
// many new answers again. Once more than half of the entries are taken, those that
// have not been seen since the last turn are forgotten; they are new when seen again.
func (c *Collector) Turn() {
	c.mu.Lock()
	clear(c.fresh)
	all := make([]*Tally, 0, len(c.all))
	for i, t := range c.free {
		if i >= maxFree {
			delete(c.all, t) // and its entries are forgotten below
		}
	}
	gone := c.free[min(len(c.free), maxFree):]
	c.free = c.free[:len(c.free)-len(gone)]
	for t := range c.all {
		all = append(all, t)
	}
	c.mu.Unlock()
	for _, t := range gone {
		t.forget(func(*entry) bool { return true })
	}
	forget := c.held.Load() > int64(c.cfg.Entries)/2
	for _, t := range all {
		t.forget(func(e *entry) bool {
			was := e.idle
			e.idle = true
			return was && forget
		})
	}
}

// forget drops the entries that were not seen since the last Drain and for which f is
// true.
func (t *Tally) forget(f func(*entry) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, e := range t.entries {
		if e.count == 0 && f(e) {
			delete(t.entries, key)
			t.c.release(key)
		}
	}
}

// release gives an entry's place back.
func (c *Collector) release(key string) {
	h := maphash.String(c.seed, key)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held.Add(-1)
	if c.known[h]--; c.known[h] <= 0 {
		delete(c.known, h)
	}
}

// Close ends a tally. What it has counted since the last Drain is given up.
func (t *Tally) Close() {
	t.Discard()
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	t.c.free = append(t.c.free, t)
}

// Discard gives up what was counted since the last Drain.
func (t *Tally) Discard() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.touched {
		e.count = 0
	}
	clear(t.touched)
	t.touched = t.touched[:0]
}

// authoritative reports whether a response's answers are those of its server's zones.
// Where the input carries no flags at all, who names answers is believed.
func authoritative(q *picket.Query) bool {
	if !q.Has(picket.FlagResponse) || q.Rcode != picket.RcodeNoError || q.Class != classIN || q.Opcode != 0 ||
		q.Type == typeAXFR || q.Type == typeIXFR {
		return false
	}
	return q.Has(picket.FlagAA) || q.Flags&picket.FlagFlags == 0 && len(q.Response.Told) > 0
}

// Observe takes in the answers to q as sensor saw them. Nothing of q is kept. It
// reports whether entries are short and a Drain would give some back.
func (t *Tally) Observe(q *picket.Query, sensor string) (drain bool) {
	if len(q.Response.Message) == 0 && len(q.Response.Told) == 0 || !authoritative(q) {
		return false
	}
	if len(sensor) > maxSensor {
		sensor = sensor[:maxSensor]
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	key := append(append(t.scratch[:0], byte(len(sensor))), sensor...)
	if len(q.Response.Message) > 0 {
		key = t.message(q, key)
	} else {
		key = t.told(q, key)
	}
	t.scratch = key
	return len(t.touched) >= t.c.cfg.Entries/8 && t.c.short()
}

// short reports whether more than three quarters of the entries are taken.
func (c *Collector) short() bool { return c.held.Load() > int64(c.cfg.Entries)/4*3 }

// A key is the sensor with its length in front, the type, one octet that says how
// the RDATA is written, the owner in wire form, and the RDATA.
const (
	maxSensor = 255
	dataWire  = 0
	dataText  = 1
	keyFixed  = 3 // octets between sensor and owner
)

// message takes in the answer section of a message. key has the sensor.
func (t *Tally) message(q *picket.Query, key []byte) []byte {
	n := len(key)
	for a := section(q.Response.Message); ; {
		key = append(key[:n], 0, 0, dataWire)
		owner, r, more := a.next(key)
		if !more {
			return owner
		}
		key = owner
		if r.class != classIN || !sighted(r.typ) {
			continue
		}
		binary.BigEndian.PutUint16(key[n:], r.typ)
		end, ok := len(key), false
		if key, ok = appendData(key, a.msg, r.typ, r.at, r.end); !ok || r.typ == typeA && r.end-r.at != 4 || r.typ == typeAAAA && r.end-r.at != 16 {
			t.c.unreadable.Add(1)
			continue
		}
		t.take(key, key[n+keyFixed:end], q)
	}
}

// told takes in answers that came as text. key has the sensor.
func (t *Tally) told(q *picket.Query, key []byte) []byte {
	n := len(key)
	for i := range q.Response.Told {
		a := &q.Response.Told[i]
		if !sighted(a.Type) {
			continue
		}
		owner := a.Name
		if owner == nil {
			owner = q.Name
		}
		if len(a.Data) == 0 || len(a.Data) > maxData || dnsname.Check(owner) != nil {
			t.c.unreadable.Add(1)
			continue
		}
		key = append(key[:n], byte(a.Type>>8), byte(a.Type), dataText)
		key = append(append(key, owner...), a.Data...)
		t.take(key, owner, q)
	}
	return key
}

// take counts the answer with this key.
func (t *Tally) take(key, owner []byte, q *picket.Query) {
	e := t.entries[string(key)]
	if e == nil {
		zone := zoneOf(owner, q.Response.Authority)
		if !t.c.admit(key, zone, owner) {
			return
		}
		e = &entry{key: string(key), zone: uint8(len(zone))}
		t.entries[e.key] = e
	}
	if e.count == 0 {
		e.first, e.last, e.idle = q.Time, q.Time, false
		t.touched = append(t.touched, e)
	}
	e.first, e.last = min(e.first, q.Time), max(e.last, q.Time)
	e.count++
}

// admit reports whether one more answer may be held, and counts it if not.
func (c *Collector) admit(key, zone, owner []byte) bool {
	if c.held.Load() >= int64(c.cfg.Entries) {
		c.fullOut.Add(1)
		select {
		case c.full <- struct{}{}:
		default:
		}
		return false
	}
	if zone == nil {
		zone = lastLabels(owner)
	}
	h := maphash.Bytes(c.seed, key)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known[h] == 0 { // else another stream has it, and it is not new
		if c.fresh[string(zone)] >= c.cfg.NewPerZone {
			c.zoneOut.Add(1)
			return false
		}
		c.fresh[string(zone)]++
	}
	c.known[h]++
	c.held.Add(1)
	return true
}

// zoneOf returns the zone that a response names in its authority section when the
// owner is in it.
func zoneOf(owner, authority []byte) []byte {
	if len(authority) == 0 || !dnsname.IsSubdomain(owner, authority) || bytes.Equal(authority, dnsname.Root()) {
		return nil
	}
	return authority
}

// lastLabels stands for the zone of a name where the response does not tell it: its
// last two labels, four of reverse names.
func lastLabels(name []byte) []byte {
	keep := 2
	if bytes.HasSuffix(name, []byte(arpa)) {
		keep = 4
	}
	for dnsname.Labels(name) > keep {
		name = dnsname.Parent(name)
	}
	return name
}

const arpa = "\x04arpa\x00"
