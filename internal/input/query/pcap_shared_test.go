package query

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/pickettest"
)

// ledger is an Accounting and a QuerySink that keeps everything.
type ledger struct {
	queries  []picket.Query
	accepted int
	rejected map[string]int
	skipped  map[string]int
	first    map[string]int64 // reason → offset of the first rejection
}

func newLedger() *ledger {
	return &ledger{rejected: map[string]int{}, skipped: map[string]int{}, first: map[string]int64{}}
}

func (l *ledger) Accept(int64) { l.accepted++ }

func (l *ledger) Reject(reason string, at picket.Position) {
	if l.rejected[reason]++; l.rejected[reason] == 1 {
		l.first[reason] = at.Offset
	}
}

func (l *ledger) Skip(reason string) { l.skipped[reason]++ }

func (l *ledger) Query(q *picket.Query) error {
	c := *q
	c.Name = bytes.Clone(q.Name)
	c.Response.Owner = bytes.Clone(q.Response.Owner)
	c.Response.Authority = bytes.Clone(q.Response.Authority)
	c.Response.Denials = nil
	for _, d := range q.Response.Denials {
		c.Response.Denials = append(c.Response.Denials, picket.Denial{NSEC3: d.NSEC3, Owner: bytes.Clone(d.Owner), Next: bytes.Clone(d.Next)})
	}
	l.queries = append(l.queries, c)
	return nil
}

func (l *ledger) String() string {
	var b strings.Builder
	answered := 0
	for _, q := range l.queries {
		if q.Has(picket.FlagResponse) {
			answered++
		}
	}
	fmt.Fprintf(&b, "queries %d answered %d rejected %v skipped %v", len(l.queries), answered, l.rejected, l.skipped)
	return b.String()
}

// readSample returns a shared sample, decompressed.
func readSample(t testing.TB, elem ...string) []byte {
	t.Helper()
	path := pickettest.Shared(t, elem...)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var r io.Reader = bytes.NewReader(raw)
	switch {
	case strings.HasSuffix(path, ".gz"):
		if r, err = gzip.NewReader(r); err != nil {
			t.Fatal(err)
		}
	case strings.HasSuffix(path, ".xz"):
		if r, err = xz.NewReader(r); err != nil {
			t.Fatal(err)
		}
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("read %s: %v", path, err)
	}
	return b
}

// decode runs Pcap over b and fails the test on an error.
func decode(t testing.TB, b []byte, opt Options) *ledger {
	t.Helper()
	l := newLedger()
	if err := Pcap(context.Background(), bytes.NewReader(b), opt, l, l); err != nil {
		t.Fatalf("Pcap: %v", err)
	}
	if l.accepted != len(l.queries) {
		t.Errorf("accepted %d of %d queries", l.accepted, len(l.queries))
	}
	return l
}

func TestExplore(t *testing.T) {
	dir := pickettest.Shared(t, "samples", "pcap")
	es, _ := os.ReadDir(dir)
	for _, e := range es {
		b := readSample(t, "samples", "pcap", e.Name())
		l := decode(t, b, Options{})
		fmt.Println(e.Name(), l)
		if len(l.queries) < 12 {
			for _, q := range l.queries {
				fmt.Println("   ", dnsname.String(q.Name), q.Type, q.Transport, q.Rcode, fmt.Sprintf("%#x", q.Flags), q.Response.Answers, dnsname.String(q.Response.Authority), len(q.Response.Denials))
			}
		}
	}
}
