package dnsname

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// drawName draws a canonical wire name: any bytes, but few of them, so that
// names share labels and suffixes.
func drawName(t *rapid.T, what string) []byte {
	label := rapid.OneOf(
		rapid.SliceOfN(rapid.SampledFrom([]byte("ab.\x00\\")), 1, 4),
		rapid.SliceOfN(rapid.Byte(), 1, MaxLabel),
	)
	labels := rapid.SliceOfN(label, 0, 12).Draw(t, what)
	var name []byte
	for _, l := range labels {
		if len(name)+len(l)+2 > MaxLen {
			break
		}
		name = append(name, byte(len(l)))
		for _, c := range l {
			name = append(name, Lower(c))
		}
	}
	return append(name, 0)
}

func TestTextRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := drawName(t, "name")
		got, err := Parse(String(name))
		if err != nil || !bytes.Equal(got, name) {
			t.Fatalf("%q reads back as %q, %v", name, got, err)
		}
		wire, next, mixed, err := AppendWire(nil, name, 0)
		if err != nil || next != len(name) || mixed || !bytes.Equal(wire, name) {
			t.Fatalf("%q as wire: %q %d %v %v", name, wire, next, mixed, err)
		}
	})
}

func TestHasher(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := Hasher{Seed: rapid.Uint64().Draw(t, "seed")}
		a, b := drawName(t, "a"), drawName(t, "b")
		if got, equal := h.Name(a) == h.Name(bytes.Clone(b)), bytes.Equal(a, b); got != equal {
			t.Fatalf("%q and %q: equal hashes %v", a, b, got)
		}
		var s Suffixes
		h.Sum(a, &s)
		if s.N != Labels(a) || s.Hash[0] != h.Name(a) {
			t.Fatalf("%q: %d suffixes for %d labels", a, s.N, Labels(a))
		}
		seen := map[uint64]bool{}
		suffix := a
		for i := 0; i <= s.N; i++ {
			at := a[s.At[i]:]
			if !bytes.Equal(at, suffix) {
				t.Fatalf("%q: suffix %d is at %d", a, i, s.At[i])
			}
			if s.Hash[i] != h.Name(at) {
				t.Fatalf("%q: hash of suffix %d is not that of the name %q", a, i, at)
			}
			if i < s.N && s.Labels[i] != h.Label(First(at)) {
				t.Fatalf("%q: hash of label %d", a, i)
			}
			if seen[s.Hash[i]] {
				t.Fatalf("%q: two suffixes have one hash", a)
			}
			seen[s.Hash[i]] = true
			suffix = Parent(suffix)
		}
	})
}

// TestHasherSpread holds hashes of similar names apart: none may be equal, and
// their low bits, which tables use, must fill buckets evenly.
func TestHasherSpread(t *testing.T) {
	const n, buckets = 200_000, 1024
	h := Hasher{Seed: 42}
	seen := make(map[uint64]bool, n)
	var low, high [buckets]int
	name := MustParse("h000000.example.com")
	for i := range n {
		for k, v := 7, i; k > 1; k, v = k-1, v/10 {
			name[k] = '0' + byte(v%10)
		}
		x := h.Name(name)
		if seen[x] {
			t.Fatalf("%s: hash seen before", String(name))
		}
		seen[x] = true
		low[x%buckets]++
		high[x>>54]++
	}
	const mean = n / buckets // 195, standard deviation 14
	for i := range buckets {
		if low[i] < mean-100 || low[i] > mean+100 || high[i] < mean-100 || high[i] > mean+100 {
			t.Errorf("bucket %d holds %d by low bits, %d by high, want about %d", i, low[i], high[i], mean)
		}
	}
}

func TestCompareIsAnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := drawName(t, "a"), drawName(t, "b"), drawName(t, "c")
		if Compare(a, b) != -Compare(b, a) || (Compare(a, b) == 0) != bytes.Equal(a, b) {
			t.Fatalf("Compare(%q, %q)", a, b)
		}
		if Compare(a, b) < 0 && Compare(b, c) < 0 && Compare(a, c) >= 0 {
			t.Fatalf("%q < %q < %q", a, b, c)
		}
		if IsSubdomain(a, b) && Compare(a, b) < 0 {
			t.Fatalf("%q sorts before its ancestor %q", a, b)
		}
		if r := Registered(a); r != nil && !IsSubdomain(a, r) {
			t.Fatalf("Registered(%q) = %q", a, r)
		}
	})
}
