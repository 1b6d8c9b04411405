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
	// Entries is how many different answers are held at once; 0 means 131,072. Each
	// takes a few hundred octets.
	Entries int
	// NewPerZone is how many answers not held yet are taken of one zone between two
	// flushes; 0 means 2000. Names that a wildcard makes up are without end: who asks
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
	Zone       int64 // more new ones of one zone between two flushes than NewPerZone
	Full       int64 // all entries taken
	Unreadable int64 // RDATA malformed, or longer than is kept
}

// shards divide the entries, so that streams seldom wait for one another.
const shards = 16

// Collector gathers answers. Use New. Its methods may be called by several
// goroutines at once.
type Collector struct {
	cfg     Config
	seed    maphash.Seed
	scratch sync.Pool // of *[]byte: keys under construction
	full    chan struct{}

	zones struct {
		sync.Mutex
		fresh map[string]int // new entries since the last flush, by zone
	}
	held       atomic.Int64
	zoneOut    atomic.Int64
	fullOut    atomic.Int64
	unreadable atomic.Int64

	shard [shards]struct {
		sync.Mutex
		entries map[string]*entry
	}
}

// entry is one answer as one sensor saw it. What it is of is its key.
type entry struct {
	count       int64 // since the last flush
	first, last int64 // likewise; Unix nanoseconds
	zone        uint8 // octets at the end of the owner that are the zone, 0 when not known
}

// New returns an empty Collector.
func New(cfg Config) *Collector {
	if cfg.Entries <= 0 {
		cfg.Entries = DefaultEntries
	}
	if cfg.NewPerZone <= 0 {
		cfg.NewPerZone = DefaultNewPerZone
	}
	c := &Collector{cfg: cfg, seed: maphash.MakeSeed(), full: make(chan struct{}, 1)}
	c.scratch.New = func() any { b := make([]byte, 0, 2*maxData); return &b }
	c.zones.fresh = map[string]int{}
	for i := range c.shard {
		c.shard[i].entries = map[string]*entry{}
	}
	return c
}

// Full is sent to when no entry is left: time for a flush.
func (c *Collector) Full() <-chan struct{} { return c.full }

// LeftOut returns what was seen and not gathered.
func (c *Collector) LeftOut() LeftOut {
	return LeftOut{Zone: c.zoneOut.Load(), Full: c.fullOut.Load(), Unreadable: c.unreadable.Load()}
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

// Observe takes in the answers to q as sensor saw them. Nothing of q is kept.
func (c *Collector) Observe(q *picket.Query, sensor string) {
	if len(q.Response.Message) == 0 && len(q.Response.Told) == 0 || !authoritative(q) {
		return
	}
	buf := c.scratch.Get().(*[]byte)
	key := (*buf)[:0]
	if len(sensor) > maxSensor {
		sensor = sensor[:maxSensor]
	}
	key = append(append(key, byte(len(sensor))), sensor...)
	if len(q.Response.Message) > 0 {
		key = c.message(q, key)
	} else {
		key = c.told(q, key)
	}
	*buf = key
	c.scratch.Put(buf)
}

// A key is the sensor with its length in front, the type, one octet that says how
// the RDATA is written, the owner in wire form, and the RDATA.
const (
	maxSensor = 255
	dataWire  = 0
	dataText  = 1
	keyFixed  = 3 // octets between sensor and owner
)

// message takes in the answer section of a message. key has the sensor.
func (c *Collector) message(q *picket.Query, key []byte) []byte {
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
			c.unreadable.Add(1)
			continue
		}
		c.take(key, key[n+keyFixed:end], q)
	}
}

// told takes in answers that came as text. key has the sensor.
func (c *Collector) told(q *picket.Query, key []byte) []byte {
	n := len(key)
	for i := range q.Response.Told {
		t := &q.Response.Told[i]
		if !sighted(t.Type) {
			continue
		}
		owner := t.Name
		if owner == nil {
			owner = q.Name
		}
		if len(t.Data) == 0 || len(t.Data) > maxData || dnsname.Check(owner) != nil {
			c.unreadable.Add(1)
			continue
		}
		key = append(key[:n], byte(t.Type>>8), byte(t.Type), dataText)
		key = append(append(key, owner...), t.Data...)
		c.take(key, owner, q)
	}
	return key
}

// take counts the answer with this key.
func (c *Collector) take(key, owner []byte, q *picket.Query) {
	s := &c.shard[maphash.Bytes(c.seed, key)%shards]
	s.Lock()
	defer s.Unlock()
	e := s.entries[string(key)]
	if e == nil {
		zone := zoneOf(owner, q.Response.Authority)
		if !c.admit(zone, owner) {
			return
		}
		e = &entry{zone: uint8(len(zone))}
		s.entries[string(key)] = e
	}
	if e.count == 0 || q.Time < e.first {
		e.first = q.Time
	}
	if e.count == 0 || q.Time > e.last {
		e.last = q.Time
	}
	e.count++
}

// admit reports whether one more answer may be held, and counts it if not.
func (c *Collector) admit(zone, owner []byte) bool {
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
	c.zones.Lock()
	defer c.zones.Unlock()
	if c.zones.fresh[string(zone)] >= c.cfg.NewPerZone {
		c.zoneOut.Add(1)
		return false
	}
	c.zones.fresh[string(zone)]++
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
