package adversary

import (
	"slices"

	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
)

// truth is what really happened.
type truth struct {
	questions int
	covers    int
	names     map[uint64]struct{} // asked, with their zones
	known     map[uint64]struct{} // existing ones that were learned
	times     []int64             // when each name was asked first
	gains     []gain
	sorted    bool
	begin     int64
	end       int64
	hasher    dnsname.Hasher
}

// gain is that names became known.
type gain struct {
	at    int64
	names int
}

func (t *truth) init() { t.names, t.known = map[uint64]struct{}{}, map[uint64]struct{}{} }

func (t *truth) asked(z *lab.Zone, name []byte, at int64, cover bool) {
	if t.questions+t.covers == 0 {
		t.begin = at
	}
	t.end = max(t.end, at)
	if cover {
		t.covers++
		return
	}
	t.questions++
	if !dnsname.IsSubdomain(name, z.Apex) {
		return
	}
	h := t.hasher.Name(name)
	if _, again := t.names[h]; !again {
		t.names[h] = struct{}{}
		t.times, t.sorted = append(t.times, at), false
	}
}

func (t *truth) learned(z *lab.Zone, name []byte, at int64) {
	h := t.hasher.Name(name)
	if _, again := t.known[h]; !again && len(name) > len(z.Apex) {
		t.known[h] = struct{}{}
		t.gains, t.sorted = append(t.gains, gain{at, 1}), false
	}
}

func (t *truth) transfer(z *lab.Zone, at int64) {
	n := 0
	for i := range z.Owners {
		h := t.hasher.Name(z.Owners[i].Name)
		if _, again := t.known[h]; !again && i > 0 {
			t.known[h] = struct{}{}
			n++
		}
	}
	t.gains, t.sorted = append(t.gains, gain{at, n}), false
}

func (t *truth) sort() {
	if !t.sorted {
		slices.Sort(t.times)
		slices.SortFunc(t.gains, func(a, b gain) int { return int(max(min(a.at-b.at, 1), -1)) })
		t.sorted = true
	}
}

// Tool is what is at work.
func (r *Run) Tool() Tool { return r.tool }

// Sources is how many addresses the servers can see, forged ones left out.
func (r *Run) Sources() int { return r.o.Path.Sources() }

// ListLength is how many names the list has, 0 without a list.
func (r *Run) ListLength() int { return len(r.words) }

// Names is how many different names of the zones were asked up to now.
func (r *Run) Names() int { return len(r.truth.names) }

// Asked is how many different names had been asked at a time.
func (r *Run) Asked(at int64) int {
	r.truth.sort()
	i, _ := slices.BinarySearch(r.truth.times, at+1)
	return i
}

// Disclosed is how many existing names, apexes left out, the adversary had learned at
// a time: answered, transferred, or disclosed by a denial.
func (r *Run) Disclosed(at int64) int {
	r.truth.sort()
	n := 0
	for _, g := range r.truth.gains {
		if g.at > at {
			break
		}
		n += g.names
	}
	return n
}

// Cost is what the run has cost the adversary up to now: questions that it needed,
// questions that were cover, and the time from the first to the last in nanoseconds.
func (r *Run) Cost() (questions, cover int, span int64) {
	return r.truth.questions, r.truth.covers, r.truth.end - r.truth.begin
}
