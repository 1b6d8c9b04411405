package dnsname

import "testing"

var (
	benchName = MustParse("host-0001234.branch.example.com")
	benchMsg  = []byte("\x0chost-0001234\x06branch\x07Example\x03COM\x00")
)

func BenchmarkSum(b *testing.B) {
	h := Hasher{Seed: 42}
	var s Suffixes
	b.ReportAllocs()
	for b.Loop() {
		h.Sum(benchName, &s)
	}
}

func BenchmarkAppendWire(b *testing.B) {
	buf := make([]byte, 0, MaxLen)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, _, err := AppendWire(buf, benchMsg, 0); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendText(b *testing.B) {
	buf := make([]byte, 0, MaxLen)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := AppendText(buf, "host-0001234.branch.Example.COM"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendString(b *testing.B) {
	buf := make([]byte, 0, 4*MaxLen)
	b.ReportAllocs()
	for b.Loop() {
		AppendString(buf, benchName)
	}
}

func BenchmarkCompare(b *testing.B) {
	other := MustParse("host-0001235.branch.example.com")
	b.ReportAllocs()
	for b.Loop() {
		Compare(benchName, other)
	}
}

func BenchmarkRegistered(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Registered(benchName)
	}
}

// TestNoAllocations holds the functions of the hot path to none.
func TestNoAllocations(t *testing.T) {
	buf := make([]byte, 0, 4*MaxLen)
	var s Suffixes
	for what, f := range map[string]func(){
		"Sum":          func() { Hasher{Seed: 42}.Sum(benchName, &s) },
		"Name":         func() { Hasher{Seed: 42}.Name(benchName) },
		"AppendWire":   func() { AppendWire(buf, benchMsg, 0) },
		"AppendText":   func() { AppendText(buf, "host.Example.COM") },
		"AppendString": func() { AppendString(buf, benchName) },
		"Compare":      func() { Compare(benchName, benchMsg) },
		"IsSubdomain":  func() { IsSubdomain(benchName, benchName[13:]) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
}
