package detect

import (
	"fmt"
	"math/bits"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
)

// Start thresholds of reverse-sweep.
const (
	sweepMin      = 32     // distinct addresses of one /24
	sweepWindow   = 3600e9 // within this
	sweepMissing  = 0.4    // share without a name, or
	sweepAdjacent = 0.5    // share asked right after a neighbour, or
	sweepBroad    = 96     // this many addresses of the /24
	treeSiblings  = 12     // of the 16 children of a node of ip6.arpa
	treeLevels    = 3
)

var reverseSweepSpec = Spec{
	Name: "reverse-sweep", Techniques: []string{"T1590.005", "T1590.002"}, Levels: "QR",
	On:  OnReverse,
	New: func(e *Engine) Detector { return &reverseSweep{e: e, det: len(e.specs) - 1} },
}

// reverseSweep sees one source ask for the names of a whole address range: many
// addresses of an IPv4 /24, or the nibble tree of ip6.arpa child by child.
// Mail and log servers ask for scattered addresses, mostly of hosts that exist.
type reverseSweep struct {
	e   *Engine
	det int
}

// span is one /24 (or one /120 of IPv6) as far as one source asked it.
type span struct {
	key      uint64
	start    int64
	bits     [4]uint64
	n        int
	missing  int
	adjacent int
	last     int
}

// node is the lowest-level parent below which children are asked, per depth.
type node struct {
	parent uint64
	asked  uint16
	full   bool
}

type sweepState struct {
	mark   Mark
	spans  [4]span
	nodes  [34]node
	levels int
	best   int
	total  int
	miss   int
}

func (s *sweepState) Reset() { *s = sweepState{} }

func (d *reverseSweep) NewState() State { return &sweepState{} }

func (d *reverseSweep) Observe(ev *Event, st State) {
	s := st.(*sweepState)
	if ev.C.Zone == nil || !ev.First {
		return
	}
	labels := dnsname.Labels(ev.Q.Name)
	v4 := isV4(ev.Q.Name)
	found := false
	switch {
	case v4 && labels == 6:
		if v, ok := octet(firstLabel(ev.Q.Name)); ok {
			found = s.host(ev, int(v))
		}
	case !v4 && labels == 34:
		lo, ok1 := nibble(firstLabel(ev.Q.Name))
		hi, ok2 := nibble(firstLabel(dnsname.Parent(ev.Q.Name)))
		if ok1 && ok2 {
			found = s.host(ev, hi<<4|lo)
		}
		found = s.child(ev, labels) || found
	case !v4 && labels > 2 && labels < 34:
		found = s.child(ev, labels)
	}
	if found {
		d.e.raise(ev, d.det, s.mark)
	}
}

// host notes one address of a /24 (or of the last byte of an IPv6 address).
func (s *sweepState) host(ev *Event, v int) bool {
	key := ev.Sfx.Hash[1]
	if labels := ev.Sfx.N; labels == 34 {
		key = ev.Sfx.Hash[2]
	}
	sp := &s.spans[0]
	for i := range s.spans {
		c := &s.spans[i]
		if c.key == key {
			sp = c
			break
		}
		if c.start < sp.start {
			sp = c
		}
	}
	if sp.key != key || ev.Q.Time-sp.start > sweepWindow {
		*sp = span{key: key, start: ev.Q.Time, last: -2}
		if s.total == 0 || !s.mark.set {
			ev.mark(&s.mark)
		}
	}
	m := uint64(1) << (v & 63)
	if sp.bits[v>>6]&m != 0 {
		return false
	}
	if diff := v - sp.last; diff >= -2 && diff <= 2 {
		sp.adjacent++
	}
	sp.last = v
	sp.bits[v>>6] |= m
	sp.n++
	s.total++
	if ev.C.NX || ev.Missing {
		sp.missing++
		s.miss++
	}
	s.best = max(s.best, sp.n)
	n := float64(sp.n)
	return sp.n >= sweepMin && (float64(sp.missing) >= sweepMissing*n || float64(sp.adjacent) >= sweepAdjacent*n || sp.n >= sweepBroad)
}

// child notes one node of the ip6.arpa tree: a walk asks the children of each
// node one by one and goes down where there is something, where a resolver that
// minimises names goes down one path.
func (s *sweepState) child(ev *Event, depth int) bool {
	v, ok := nibble(firstLabel(ev.Q.Name))
	if !ok {
		return false
	}
	nd := &s.nodes[depth-1]
	parent := ev.Sfx.Hash[1]
	if nd.parent != parent {
		nd.parent, nd.asked = parent, 0
	}
	ev.markOnce(&s.mark)
	nd.asked |= 1 << v
	s.total++
	if ev.C.NX || ev.Missing {
		s.miss++
	}
	if bits.OnesCount16(nd.asked) >= treeSiblings && !nd.full {
		nd.full = true
		s.levels++
	}
	return s.levels >= treeLevels
}

func isV4(name []byte) bool {
	const tail = "\x07in-addr\x04arpa\x00"
	return len(name) > len(tail) && string(name[len(name)-len(tail):]) == tail
}

func octet(label []byte) (int, bool) {
	if len(label) == 0 || len(label) > 3 {
		return 0, false
	}
	v := 0
	for _, c := range label {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + int(c-'0')
	}
	return v, v < 256
}

func nibble(label []byte) (int, bool) {
	if len(label) != 1 {
		return 0, false
	}
	switch c := label[0]; {
	case c >= '0' && c <= '9':
		return int(c - '0'), true
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10, true
	}
	return 0, false
}

func (d *reverseSweep) Describe(ep *Episode, st State) {
	s := st.(*sweepState)
	ep.Severity, ep.Confidence = picket.SeverityMedium, 0.88
	if s.levels >= treeLevels {
		ep.Summary = fmt.Sprintf("One source went down the tree of %s child by child (%d levels, %d names): it looks for the IPv6 addresses that have names.", ep.Zone.Name, s.levels, s.total)
	} else {
		ep.Summary = fmt.Sprintf("One source asked for the names of %d addresses in %s, %d of them of one range of 256: it sweeps the range.", s.total, ep.Zone.Name, s.best)
	}
	ep.Limits = "Reverse names are public; log analysis and inventory jobs sweep ranges too, and mail servers ask for scattered addresses."
	ep.Features = append(ep.Features,
		picket.Feature{Name: "addresses of one range of 256", Value: float64(s.best), Threshold: sweepMin},
		picket.Feature{Name: "names asked that do not exist", Value: float64(s.miss)},
		picket.Feature{Name: "levels of the ip6.arpa tree tried child by child", Value: float64(s.levels), Threshold: treeLevels},
	)
}
