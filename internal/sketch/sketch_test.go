package sketch_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/picket-dns/picket/internal/sketch"
)

// hash is a good 64-bit hash of small numbers (splitmix64), as callers provide.
func hash(i uint64) uint64 {
	i += 0x9e3779b97f4a7c15
	i = (i ^ i>>30) * 0xbf58476d1ce4e5b9
	i = (i ^ i>>27) * 0x94d049bb133111eb
	return i ^ i>>31
}

// A member is known until the filter rotates.
func TestBloomHasNoFalseNegatives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b sketch.Bloom
		members := rapid.SliceOfNDistinct(rapid.Uint64(), 1, sketch.Full, rapid.ID[uint64]).Draw(t, "members")
		for i, m := range members {
			b.Add(m)
			for _, known := range members[max(0, i-3) : i+1] {
				if b.Add(known) {
					t.Fatalf("%d forgotten after %d members", known, i+1)
				}
			}
		}
		for _, m := range members {
			if b.Add(m) {
				t.Fatalf("%d forgotten", m)
			}
		}
	})
}

func TestBloomFalsePositives(t *testing.T) {
	for _, tt := range []struct {
		members int
		most    float64
	}{{100, 0.001}, {400, 0.006}, {800, 0.03}, {1140, 0.07}} {
		wrong, trials := 0, 0
		for round := range uint64(40) {
			var b sketch.Bloom
			for i := range uint64(tt.members) {
				b.Add(hash(round<<32 | i))
			}
			for i := range uint64(50) { // few, so that they do not fill it further
				trials++
				if !b.Add(hash(round<<32 | 1<<31 | i)) {
					wrong++
				}
			}
		}
		rate := float64(wrong) / float64(trials)
		t.Logf("%d members: %.4f false positives", tt.members, rate)
		if rate > tt.most+0.01 {
			t.Errorf("%d members: false-positive rate %.4f, want at most about %.3f", tt.members, rate, tt.most)
		}
	}
}

func TestBloomRotates(t *testing.T) {
	var b sketch.Bloom
	added := 0
	for i := uint64(0); added < sketch.Full; i++ {
		if b.Add(hash(i)) {
			added++
		}
	}
	if b.Add(hash(0)) {
		t.Fatal("forgotten before it was full")
	}
	fresh := uint64(1 << 40)
	for !b.Add(hash(fresh)) {
		fresh++
	}
	if b.Add(hash(fresh)) {
		t.Error("the member that made it rotate is not in the new filter")
	}
	if !b.Add(hash(0)) {
		t.Error("an old member is known after rotation")
	}
	b.Reset()
	if !b.Add(hash(fresh)) {
		t.Error("known after Reset")
	}
}

func TestLinearError(t *testing.T) {
	for _, tt := range []struct {
		n    int
		most float64 // relative error of the mean over 50 runs, and three times that of one
	}{{0, 0}, {1, 0.001}, {10, 0.03}, {100, 0.02}, {1000, 0.02}, {1500, 0.02}, {4000, 0.04}} {
		sum, worst := 0.0, 0.0
		for round := range uint64(50) {
			var l sketch.Linear
			for i := range uint64(tt.n) {
				l.Add(hash(round<<32 | i))
				l.Add(hash(round<<32 | i))
			}
			got := l.Count()
			sum += got
			worst = max(worst, math.Abs(got-float64(tt.n)))
		}
		mean := sum / 50
		t.Logf("%d members: mean %.1f, worst off by %.1f", tt.n, mean, worst)
		if math.Abs(mean-float64(tt.n)) > tt.most*float64(tt.n)+0.001 {
			t.Errorf("%d members: mean estimate %.1f", tt.n, mean)
		}
		if tt.n >= 100 && tt.n <= 1500 && worst > 0.15*float64(tt.n) {
			t.Errorf("%d members: one estimate off by %.0f", tt.n, worst)
		}
	}
	var l sketch.Linear
	for i := range uint64(1_000_000) {
		l.Add(hash(i))
	}
	if got := l.Count(); math.IsInf(got, 0) || math.IsNaN(got) || got < 6000 {
		t.Errorf("full counter says %v", got)
	}
	l.Reset()
	if l.Count() != 0 {
		t.Error("not empty after Reset")
	}
}

// Merging counters is counting the union, in whatever order.
func TestLinearMergeIsUnion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		xs := rapid.SliceOfN(rapid.Uint64(), 0, 300).Draw(t, "xs")
		ys := rapid.SliceOfN(rapid.Uint64(), 0, 300).Draw(t, "ys")
		var x, y, both sketch.Linear
		for _, v := range xs {
			x.Add(v)
			both.Add(v)
		}
		for _, v := range ys {
			y.Add(v)
			if new1 := both.Add(v); !new1 && both.Add(v) {
				t.Fatal("a member is new twice")
			}
		}
		yx := y
		yx.Merge(&x)
		x.Merge(&y)
		if x != both || yx != both {
			t.Fatal("merged counters differ from the counter of both")
		}
	})
}

func TestRecentRemembersSixteen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// The top half of the hash is what counts, and its lowest bit does not.
		ids := rapid.SliceOfN(rapid.Uint64Range(0, 40), 1, 200).Draw(t, "ids")
		var r sketch.Recent
		var model []uint64 // newest last, at most 16, in order of first being added
		for _, id := range ids {
			want := false
			for _, m := range model {
				want = want || m == id
			}
			if got := r.Add(id << 40); got != want {
				t.Fatalf("Add(%d) = %t with %v", id, got, model)
			}
			if !want {
				model = append(model, id)
				if len(model) > 16 {
					model = model[1:]
				}
			}
		}
	})
}

// The sum never falls below the floor, so credit is bounded: from any past, the
// same evidence crosses a threshold after a bounded number of steps.
func TestSequentialFloor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		floor := rapid.Float64Range(-10, 0).Draw(t, "floor")
		steps := rapid.SliceOf(rapid.Float64Range(-5, 5)).Draw(t, "steps")
		var s sketch.Sequential
		top := 0.0
		for _, x := range steps {
			before := s.Sum
			left := s.Step(x, floor)
			if s.Sum < floor {
				t.Fatalf("sum %v below floor %v", s.Sum, floor)
			}
			if left != (before <= 0 && s.Sum > 0) {
				t.Fatalf("left = %t going from %v to %v", left, before, s.Sum)
			}
			top = max(top, s.Sum)
			if s.Max != top {
				t.Fatalf("Max = %v, want %v", s.Max, top)
			}
		}
		n := 0
		for s.Sum < 13.8 {
			s.Step(1.5, floor)
			n++
		}
		if most := int(math.Ceil((13.8 - floor) / 1.5)); n > most {
			t.Fatalf("took %d steps, want at most %d", n, most)
		}
	})
}

func TestSignTest(t *testing.T) {
	for _, tt := range []struct {
		k, n int
		z    float64
	}{{0, 0, 0}, {50, 100, 0}, {100, 100, 10}, {0, 100, -10}, {60, 100, 2}} {
		if got := sketch.SignTest(tt.k, tt.n); math.Abs(got-tt.z) > 1e-9 {
			t.Errorf("SignTest(%d, %d) = %v, want %v", tt.k, tt.n, got, tt.z)
		}
	}
}

// On values in random order AscentZ has mean zero and variance one; sorted values
// are far outside.
func TestAscentZ(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{5, 24, 96, 400} {
		const trials = 4000
		sum, squares, over := 0.0, 0.0, 0
		for range trials {
			p := r.Perm(n)
			ascents := 0
			for i := 1; i < n; i++ {
				if p[i] > p[i-1] {
					ascents++
				}
			}
			z := sketch.AscentZ(ascents, n)
			sum += z
			squares += z * z
			if z > 6 {
				over++
			}
		}
		mean, variance := sum/trials, squares/trials
		t.Logf("n=%d: mean %.3f, variance %.3f", n, mean, variance)
		if math.Abs(mean) > 0.08 || math.Abs(variance-1) > 0.12 || over != 0 {
			t.Errorf("n=%d: mean %.3f, variance %.3f, %d above 6", n, mean, variance, over)
		}
	}
	if z := sketch.AscentZ(23, 24); z < 7.9 || z > 8 {
		t.Errorf("24 sorted values: z = %v", z)
	}
	if sketch.AscentZ(0, 0) != 0 || sketch.AscentZ(0, 1) != 0 {
		t.Error("too few values are no evidence")
	}
}

func TestNoAllocations(t *testing.T) {
	var (
		b sketch.Bloom
		l sketch.Linear
		r sketch.Recent
		s sketch.Sequential
		i uint64
	)
	if n := testing.AllocsPerRun(10_000, func() {
		i++
		h := hash(i)
		b.Add(h)
		l.Add(h)
		r.Add(h)
		s.Step(0.1, -1)
		l.Count()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkBloomAdd(b *testing.B) {
	var f sketch.Bloom
	for i := range b.N {
		f.Add(hash(uint64(i)))
	}
}

func BenchmarkLinear(b *testing.B) {
	b.Run("Add", func(b *testing.B) {
		var l sketch.Linear
		for i := range b.N {
			l.Add(hash(uint64(i)))
		}
	})
	b.Run("Count", func(b *testing.B) {
		var l sketch.Linear
		for i := range uint64(500) {
			l.Add(hash(i))
		}
		for range b.N {
			l.Count()
		}
	})
}

func BenchmarkRecentAdd(b *testing.B) {
	var r sketch.Recent
	for i := range b.N {
		r.Add(hash(uint64(i)))
	}
}
