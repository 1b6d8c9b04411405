//go:build unix

package input

import (
	"bytes"
	"context"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// benchBlock is about how much text is decoded at once, in bytes: more than the
// processor caches, and enough for the reader's buffers not to matter.
const benchBlock = 8 << 20

// BenchmarkFormats measures each format on what is in its sample, one processor,
// with the real account and a sink that drops everything.
//
// Text is one stream of many copies of the sample: what stands before the first
// record comes once, what is rejected is left out, and the names www.… differ from
// copy to copy. Other formats are as many streams as there are copies unless
// their samples can be put one after the other. records/s are those accepted, and
// lines/s (of text) all lines, passed over or not. cpu-s/M is the processor time
// of the process, user and system, garbage collection included, for a million
// lines of text or else a million records; unlike the wall time it does not grow
// while other programs run. allocs/record and B/record are what is allocated.
func BenchmarkFormats(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, f := range Formats() {
		var in *benchInput // made for the first of several runs
		b.Run(f.Name, func(b *testing.B) {
			s := sampleOf(b, f.Name)
			if in == nil {
				in = newBenchInput(b, f, s)
			}
			benchFormat(b, f, s.options(b), in)
		})
	}
}

func benchFormat(b *testing.B, f Format, opt decode.Options, in *benchInput) {
	b.SetBytes(int64(in.streams * len(in.text)))
	runtime.GC()
	var before, after runtime.MemStats
	acct := NewCounter()
	runtime.ReadMemStats(&before)
	cpu := cpuTime(b)
	b.ResetTimer()
	for range b.N {
		for range in.streams {
			if err := f.Decode(context.Background(), bytes.NewReader(in.text), opt, acct, drop{}); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.StopTimer()
	cpu = cpuTime(b) - cpu
	runtime.ReadMemStats(&after)
	records := float64(acct.Snapshot().Accepted)
	if want := float64(b.N * in.streams * in.accepted); records != want {
		b.Fatalf("%.0f records accepted, want %.0f", records, want)
	}
	unit := records
	if f.text() {
		unit = float64(b.N * bytes.Count(in.text, []byte{'\n'}))
		b.ReportMetric(unit/b.Elapsed().Seconds(), "lines/s")
	}
	b.ReportMetric(records/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(cpu.Seconds()/unit*1e6, "cpu-s/M")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/records, "allocs/record")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/records, "B/record")
	b.ReportMetric(0, "ns/op") // an op is a block
}

// text reports whether a format is read by lines.
func (f Format) text() bool { return f.Shape == ShapeLines || f.Shape == ShapeText }

// benchInput is what an op decodes: text, streams times over.
type benchInput struct {
	text     []byte
	streams  int
	accepted int // in each stream
}

func newBenchInput(b *testing.B, f Format, s *formatSample) *benchInput {
	head, body := []byte(nil), s.bytes
	if f.text() {
		head, body = benchText(b, f, s)
	}
	all := func(copies int) []byte {
		text := bytes.Clone(head)
		for i := range copies {
			text = append(text, body...)
			if f.text() {
				vary(text[len(text)-len(body):], i)
			}
		}
		return text
	}
	one, _ := benchCount(b, f, s, all(1))
	copies := max(1, (benchBlock-len(head))/len(body))
	if f.text() {
		return &benchInput{all(copies), 1, copies * one}
	}
	if n, _ := benchCount(b, f, s, all(2)); n == 2*one && f.Shape == ShapeBinary {
		return &benchInput{all(copies), 1, copies * one}
	}
	return &benchInput{all(1), min(copies, 1000), one}
}

// benchText cuts a sample of lines in two: what comes before the first record, and
// the records without those that are rejected.
func benchText(b *testing.B, f Format, s *formatSample) (head, body []byte) {
	lines := bytes.SplitAfter(s.bytes, []byte{'\n'})
	if last := len(lines) - 1; len(lines[last]) == 0 {
		lines = lines[:last]
	} else {
		lines[last] = append(bytes.Clone(lines[last]), '\n')
	}
	first := 0
	for first+1 < len(lines) {
		if n, faults := benchCount(b, f, s, bytes.Join(lines[:first+1], nil)); n+len(faults) > 0 {
			break
		}
		first++
	}
	want, faults := benchCount(b, f, s, s.bytes)
	bad := map[int64]bool{}
	for _, at := range faults {
		bad[at-1] = true
	}
	var good [][]byte
	for i, line := range lines[first:] {
		if !bad[int64(first+i)] {
			good = append(good, line)
		}
	}
	head, body = bytes.Join(lines[:first], nil), bytes.Join(good, nil)
	if n, left := benchCount(b, f, s, append(bytes.Clone(head), body...)); n != want || len(left) > 0 {
		b.Fatalf("without the rejected lines: %d records and %d faults, with them %d records", n, len(left), want)
	}
	return head, body
}

// benchCount decodes text and returns how many records it has, and the lines of
// those that are rejected.
func benchCount(b *testing.B, f Format, s *formatSample, text []byte) (accepted int, faults []int64) {
	acct := &faultLines{Counter: NewCounter()}
	// A part of a sample may lack what ends it; what counts is what was read.
	_ = f.Decode(context.Background(), bytes.NewReader(text), s.options(b), acct, drop{})
	return int(acct.Snapshot().Accepted), acct.lines
}

type faultLines struct {
	*Counter
	lines []int64
}

// Reject implements picket.Accounting.
func (f *faultLines) Reject(reason string, at picket.Position) {
	f.lines = append(f.lines, at.Line)
	f.Counter.Reject(reason, at)
}

// vary writes three letters that tell of n over each www.
func vary(text []byte, n int) {
	const letters = "abcdefghijklmnopqrstuvwxyz234567"
	for {
		i := bytes.Index(text, []byte("www."))
		if i < 0 {
			return
		}
		text[i], text[i+1], text[i+2] = letters[n>>10&31], letters[n>>5&31], letters[n&31]
		text = text[i+4:]
	}
}

// cpuTime is the processor time that the process has used.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// drop is a sink that keeps nothing.
type drop struct{}

func (drop) Query(*picket.Query) error           { return nil }
func (drop) Record(*picket.Record) error         { return nil }
func (drop) Sighting(*picket.Sighting) error     { return nil }
func (drop) AdminEvent(*picket.AdminEvent) error { return nil }
func (drop) Asset(*picket.Asset) error           { return nil }
func (drop) Signal(*picket.Signal) error         { return nil }
