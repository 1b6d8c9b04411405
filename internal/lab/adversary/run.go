package adversary

import (
	"container/heap"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
)

// Run is a tool at work. It is a lab.Stream of what reaches the servers, and knows
// the truth about what was asked and learned.
type Run struct {
	w     *lab.World
	zone  *lab.Zone
	tool  Tool
	o     Options
	rnd   *rand.Rand
	words []string
	cover *lab.Path // where forged questions come from
	plan  *lab.Planned
	truth truth

	begun   int      // stages that have begun
	cur     stage    // nil before a stage begins
	workers schedule // of the current stage
	crew    int      // how many they were at its begin
	clock   int64    // when the last answer so far is there
	paced   int64    // no question before this, when a rate is given
	lane    int
	rest    []int64 // Rest: when each source began its last handful
	handful int     // names that the present source was asked for
	hits    []string
	buf     []byte
	hashes  *hashing // of DoHashes
	// transferred says that the adversary has the zone.
	transferred bool
	swept       map[netip.Addr]bool // addresses that hits led to
	over        bool
}

// stage is a Stage at work.
type stage interface {
	// work does the next piece for a worker at a time, and returns when the worker is
	// free again; more is false when there was nothing left for it.
	work(worker int, now int64, out *lab.Outbox) (done int64, more bool)
}

// New lets a tool work on a world. It fails when the tool needs what is not there.
func New(w *lab.World, tool Tool, o Options) (*Run, error) {
	r := &Run{w: w, zone: w.Zone, tool: tool, o: o, rnd: lab.Rand(o.Seed, "adversary "+tool.Name), clock: o.Begin}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("adversary %s: %w", tool.Name, err)
	}
	r.truth.init()
	for _, s := range tool.Stages {
		if s.Do == DoList {
			r.words = r.list()
			if len(r.words) == 0 {
				return nil, fmt.Errorf("adversary %s: its list is empty", tool.Name)
			}
			break
		}
	}
	r.equip()
	r.plan = lab.PlanFrom(o.Begin, r.step)
	return r, nil
}

// check says what of the tool's needs is missing.
func (r *Run) check() error {
	n := &r.tool.Needs
	switch {
	case r.o.Path == nil || r.o.Path.Sources() == 0:
		return errors.New("a path with at least one source is needed")
	case n.Direct && len(r.o.Path.Resolvers) > 0:
		return errors.New("resolvers do not pass on what it asks")
	case n.Signing != lab.Unsigned && n.Signing != r.zone.Signing:
		return fmt.Errorf("the zone has to be signed with %s", n.Signing)
	case n.Reverse && r.o.Reverse == nil:
		return errors.New("a reverse zone is needed")
	case n.Reverse && n.Six != r.o.Reverse.Prefix.Addr().Is6():
		return errors.New("the reverse zone is of the wrong address family")
	case n.Retired && len(r.zone.Retired) == 0:
		return errors.New("the zone has no retired names")
	case r.o.Rate < 0 || r.o.Jitter < 0 || r.o.Jitter > 1:
		return fmt.Errorf("rate %g, jitter %g: want at least 0, and a jitter of at most 1", r.o.Rate, r.o.Jitter)
	}
	return nil
}

// equip prepares the sources that the tool makes for itself.
func (r *Run) equip() {
	for _, s := range r.tool.Stages {
		if s.Cover.Forged {
			r.cover = r.forge(s.Cover.Framed)
		}
		if s.Rest.Fresh && len(r.o.Path.Resolvers) == 0 {
			p := &lab.Path{Name: "a /64 for each handful", Trip: r.o.Path.Trip}
			site := byte(r.rnd.Uint32())
			for i := range min(len(r.words)/s.Rest.Per+1, 1<<16) {
				p.Stubs = append(p.Stubs, netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 0xf0, site, byte(i >> 8), byte(i), 15: 1}))
			}
			r.o.Path = p
		}
	}
}

// forge is the path on which forged questions come.
func (r *Run) forge(framed bool) *lab.Path {
	p := &lab.Path{Name: "forged"}
	if framed && r.w.Fleet != nil {
		for i := range min(framedSources, len(r.w.Fleet.Resolvers)) {
			if a := &r.w.Fleet.Resolvers[i]; a.Addr.IsValid() {
				p.Stubs = append(p.Stubs, a.Addr)
			}
		}
	}
	for len(p.Stubs) == 0 || !framed && len(p.Stubs) < forgedSources {
		p.Stubs = append(p.Stubs, netip.AddrFrom4([4]byte{10, 224 + byte(r.rnd.Uint32N(16)), byte(r.rnd.Uint32()), byte(r.rnd.Uint32())}))
	}
	return p
}

// framedSources is how many resolvers a forger frames.
const framedSources = 6

// forgedSources is from how many addresses an evader forges questions.
const forgedSources = 4096

// Next implements lab.Stream.
func (r *Run) Next() *picket.Query { return r.plan.Next() }

// step lets the worker that is free first do its next piece.
func (r *Run) step(out *lab.Outbox) (next int64, ok bool) {
	for {
		if r.cur == nil && !r.begin() {
			return 0, false
		}
		w := &r.workers[0]
		before := r.truth.questions + r.truth.covers
		done, more := r.cur.work(w.id, w.at, out)
		if n := r.truth.questions + r.truth.covers - before; r.o.Rate == 0 {
			done = max(done, w.at+int64(n*r.crew)*(sendGap/2+r.rnd.Int64N(sendGap)))
		}
		r.clock = max(r.clock, done)
		if more {
			w.at = max(done, w.at)
			heap.Fix(&r.workers, 0)
		} else {
			heap.Pop(&r.workers)
		}
		if len(r.workers) == 0 {
			r.cur = nil
		}
		switch {
		case r.over:
			return 0, false
		case r.cur == nil && r.begun == len(r.tool.Stages):
			return 0, false
		case r.cur == nil:
			return r.clock, true
		case more:
			return r.workers[0].at, true
		}
	}
}

// begin starts the next stage, false when there is none.
func (r *Run) begin() bool {
	if r.begun == len(r.tool.Stages) {
		return false
	}
	s := &r.tool.Stages[r.begun]
	r.begun++
	r.cur = r.open(s)
	r.workers = r.workers[:0]
	r.crew = max(s.Workers, 1)
	for i := range r.crew {
		at := r.clock + int64(i)*startGap
		if s.Pause > 0 && r.crew > 1 { // else all would begin together
			at += r.rnd.Int64N(s.Pause)
		}
		r.workers = append(r.workers, worker{at: at, id: i})
	}
	heap.Init(&r.workers)
	return true
}

const (
	// sendGap is what one question costs its sender, in nanoseconds: about 20,000 a
	// second leave one machine, however many it has in flight.
	sendGap = 50_000
	// startGap is how long after each other the workers of a stage begin.
	startGap = 10_000
)

// worker is one that has a question in flight until a time.
type worker struct {
	at int64
	id int
}

type schedule []worker

func (s schedule) Len() int { return len(s) }
func (s schedule) Less(i, j int) bool {
	if s[i].at != s[j].at {
		return s[i].at < s[j].at
	}
	return s[i].id < s[j].id
}
func (s schedule) Swap(i, j int) { s[i], s[j] = s[j], s[i] }
func (s *schedule) Push(x any)   { *s = append(*s, x.(worker)) }
func (s *schedule) Pop() any {
	last := len(*s) - 1
	x := (*s)[last]
	*s = (*s)[:last]
	return x
}

// how is the way one question is asked, beyond the tool's habits.
type how struct {
	lane   int
	server int // 0: as the tool's habits are
	class  uint16
	opcode uint8
	stream bool
	flags  picket.QueryFlags
	quiet  bool // without RD
	cover  bool // not a real question: the truth does not count it
	forged bool // from an address of somebody else, so that the answer is never seen
}

// ask asks one question and returns when the answer is there and its code.
func (r *Run) ask(now int64, name []byte, qtype uint16, h how, out *lab.Outbox) (done int64, rcode picket.Rcode) {
	if r.o.Most > 0 && r.truth.questions >= r.o.Most {
		r.over = true
		return now, picket.RcodeUnknown
	}
	path := r.o.Path
	if h.forged {
		path = r.cover
	} else if !h.cover || r.o.Rate > 0 {
		now = r.pace(now)
	}
	z := r.zone
	if !dnsname.IsSubdomain(name, z.Apex) || h.class > 1 {
		switch v := r.o.Reverse; {
		case v != nil && dnsname.IsSubdomain(name, v.Apex):
			z = v.Zone
		case len(path.Resolvers) > 0:
			return now + 1e6, picket.RcodeUnknown // goes to other servers
		}
	}
	habits := &r.tool.Habits
	server := h.server
	if server == 0 {
		server = habits.Server
	}
	done, rcode = path.Ask(now, z, r.rnd, name, qtype, lab.Options{Lane: h.lane, RD: habits.RD && !h.quiet, DO: habits.DO, EDNSSize: habits.EDNSSize,
		Class: h.class, Server: server, Stream: h.stream, Opcode: h.opcode, Flags: habits.Flags | h.flags}, out)
	r.truth.asked(z, name, now, h.cover)
	if !h.cover && rcode == picket.RcodeNoError && h.class <= 1 {
		switch {
		case qtype == lab.TypeAXFR:
			r.transferred = z == r.zone || r.transferred
			r.truth.transfer(z, done)
		case z.Find(name) >= 0:
			r.truth.learned(z, name, done)
		}
	}
	return done, rcode
}

// pace is when the next question may be asked at the rate that was given.
func (r *Run) pace(now int64) int64 {
	if r.o.Rate <= 0 {
		return now
	}
	now = max(now, r.paced)
	gap := 1e9 / r.o.Rate * (1 + r.o.Jitter*(2*r.rnd.Float64()-1))
	if r.begun > 0 && r.tool.Stages[r.begun-1].Hide.Pace {
		gap *= uneven(r.rnd)
	}
	r.paced = now + int64(gap)
	return now
}

// uneven is a factor of mean 1 that is mostly small and at times large (lognormal).
func uneven(r *rand.Rand) float64 {
	const sigma = 1.2
	return math.Exp(sigma*r.NormFloat64() - sigma*sigma/2)
}

// pause draws the time that a stage waits after a question.
func (r *Run) pause(s *Stage) int64 {
	switch {
	case s.Pause == 0 || r.o.Rate > 0:
		return 0
	case s.Exact:
		return s.Pause
	case s.Hide.Pace:
		return int64(float64(s.Pause) * uneven(r.rnd))
	}
	return int64(float64(s.Pause) * (0.5 + r.rnd.Float64()))
}

// slack is when a worker that is free at a time comes to ask: threads of a slow
// language wait for each other.
func (r *Run) slack(now int64, s *Stage) int64 {
	if s.Slack == 0 || r.o.Rate > 0 {
		return now
	}
	return now + int64(r.rnd.ExpFloat64()*float64(s.Slack))
}

// source picks the source of the next name and says when it may be used.
func (r *Run) source(now int64, rest Rest) (lane int, at int64) {
	n := r.o.Path.Sources()
	if rest.Per == 0 {
		if r.tool.Habits.Spread == SpreadRandom {
			return r.rnd.IntN(n), now
		}
		r.lane = (r.lane + 1) % n
		return r.lane, now
	}
	if r.rest == nil {
		r.rest = slices.Repeat([]int64{math.MinInt64 / 2}, n)
		r.lane = -1
	}
	if r.lane < 0 || r.handful == rest.Per {
		r.lane, r.handful = (r.lane+1)%n, 0
		if rest.Every > 0 {
			now = max(now, r.rest[r.lane]+rest.Every)
		}
	}
	r.handful++
	r.rest[r.lane] = now
	return r.lane, now
}

// name makes a name of labels below the apex; it is valid until the next call. Nil
// when they are none.
func (r *Run) name(labels string) []byte {
	if labels == "" {
		return r.zone.Apex
	}
	wire, err := dnsname.AppendText(r.buf[:0], labels)
	if err != nil || len(wire)-1+len(r.zone.Apex) > dnsname.MaxLen {
		return nil
	}
	r.buf = append(wire[:len(wire)-1], r.zone.Apex...)
	return r.buf
}
