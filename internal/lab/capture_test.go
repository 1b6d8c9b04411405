package lab_test

import (
	"bytes"
	"context"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/catalog"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/input"
	"github.com/picket-dns/picket/internal/input/decode"
	"github.com/picket-dns/picket/internal/input/query"
	"github.com/picket-dns/picket/internal/lab"
)

func capture(t testing.TB, o lab.CaptureOptions) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := lab.WriteCapture(&b, o); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestCaptureIsDeterministic(t *testing.T) {
	o := lab.CaptureOptions{Queries: 3000, Seed: 5}
	a := capture(t, o)
	if !bytes.Equal(a, capture(t, o)) {
		t.Error("the same seed gave other bytes")
	}
	o.Seed = 6
	if bytes.Equal(a, capture(t, o)) {
		t.Error("another seed gave the same bytes")
	}
}

// TestCaptureParses: the decoder finds exactly the queries asked for, each with
// its response, and the zone written beside knows the names.
func TestCaptureParses(t *testing.T) {
	for _, tt := range []struct {
		name             string
		o                lab.CaptureOptions
		missing, sources float64 // share of NXDOMAIN; distinct sources, at the least
	}{
		{"defaults", lab.CaptureOptions{Queries: 20_000}, 0.03, 2000},
		{"few sources", lab.CaptureOptions{Queries: 20_000, Sources: 10, Names: 5, Rate: 100, Zone: "a.test"}, 0.03, 10},
		{"uniform flood", lab.CaptureOptions{Queries: 20_000, Sources: 100_000, Uniform: true, Missing: 0.9}, 0.9, 17_000},
		{"one query", lab.CaptureOptions{Queries: 1, Missing: 1e-12}, 0, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cat := zoneOf(t, tt.o)
			var (
				sfx     dnsname.Suffixes
				nc      picket.NameContext
				n, nx   int
				last    int64
				sources = map[netip.Addr]bool{}
			)
			check := func(q *picket.Query) error {
				n++
				sources[q.Client] = true
				if q.Rcode == picket.RcodeNXDomain {
					nx++
				}
				cat.Hasher().Sum(q.Name, &sfx)
				cat.Lookup(q, &sfx, &nc)
				want := picket.StateLive
				if q.Rcode == picket.RcodeNXDomain {
					want = picket.StateNever
				}
				if nc.State != want || !q.Has(picket.FlagResponse|picket.FlagAA|picket.FlagEDNS) || q.Has(picket.FlagRD) ||
					q.Transport != picket.TransportUDP || q.Class != 1 || q.Time < last {
					t.Fatalf("query %d: %s %s, %+v", n, dnsname.String(q.Name), nc.State, q)
				}
				last = q.Time
				return nil
			}
			acct := input.NewCounter()
			if err := query.Pcap(context.Background(), bytes.NewReader(capture(t, tt.o)), decode.Options{}, acct, picket.QuerySinkFunc(check)); err != nil {
				t.Fatal(err)
			}
			if s := acct.Snapshot(); n != tt.o.Queries || s.Accepted != int64(n) || len(s.Rejected) != 0 {
				t.Errorf("%d queries, want %d: %+v", n, tt.o.Queries, s)
			}
			if share := float64(nx) / float64(n); math.Abs(share-tt.missing) > 0.01 {
				t.Errorf("%.3f of the names do not exist, want %.3f", share, tt.missing)
			}
			if float64(len(sources)) < tt.sources {
				t.Errorf("%d sources, want at least %.0f", len(sources), tt.sources)
			}
		})
	}
}

// zoneOf loads the zone that a capture asks.
func zoneOf(t *testing.T, o lab.CaptureOptions) *catalog.Catalog {
	t.Helper()
	var text bytes.Buffer
	if err := o.WriteZone(&text); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "zone")
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	z, err := catalog.LoadZoneFile(path, "")
	if err != nil || len(z.Problems) != 0 {
		t.Fatal(err, z.Problems)
	}
	b := catalog.NewBuilder()
	if err := b.AddZone(z); err != nil {
		t.Fatal(err)
	}
	c := catalog.New(catalog.Config{Seed: 1})
	if err := c.Replace(b); err != nil {
		t.Fatal(err)
	}
	return c
}

// full is a writer that takes n bytes and then fails.
type full struct{ n int }

func (f *full) Write(p []byte) (int, error) {
	if f.n -= len(p); f.n < 0 {
		return 0, os.ErrNoDeadline
	}
	return len(p), nil
}

func TestCaptureReportsWriteErrors(t *testing.T) {
	for _, room := range []int{0, 1 << 20} {
		if err := lab.WriteCapture(&full{room}, lab.CaptureOptions{Queries: 20_000}); err == nil {
			t.Errorf("no error from a writer that takes %d bytes", room)
		}
	}
}

func BenchmarkWriteCapture(b *testing.B) {
	for b.Loop() {
		capture(b, lab.CaptureOptions{Queries: 100_000})
	}
	b.ReportMetric(float64(b.N)*100_000/b.Elapsed().Seconds(), "queries/s")
}
