package catalog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
)

// fakePast is a picket.ZonePast in memory.
type fakePast struct {
	living [][3]string
	past   []string
	last   map[string]time.Time
	err    error
}

func (f *fakePast) HistoryRevision(context.Context) (int64, error) { return 1, f.err }

func (f *fakePast) EachLiving(_ context.Context, each func(zone, name, rrtype string) error) error {
	for _, r := range f.living {
		if err := each(r[0], r[1], r[2]); err != nil {
			return err
		}
	}
	return f.err
}

func (f *fakePast) EachPast(_ context.Context, each func(name string, last time.Time) error) error {
	for _, n := range f.past {
		if err := each(n, f.last[n]); err != nil {
			return err
		}
	}
	return f.err
}

// living makes records of "name TYPE" lines of one zone.
func living(zone string, lines ...string) (out [][3]string) {
	for _, l := range lines {
		name, typ, _ := strings.Cut(l, " ")
		out = append(out, [3]string{zone, name, typ})
	}
	return out
}

func state(c *Catalog, name string) picket.NameState {
	q := &picket.Query{Name: dnsname.MustParse(name), Type: 1, Class: 1, Rcode: picket.RcodeUnknown}
	var sfx dnsname.Suffixes
	var nc picket.NameContext
	h := c.Hasher()
	h.Sum(q.Name, &sfx)
	c.Lookup(q, &sfx, &nc)
	return nc.State
}

var now = time.Date(2026, 3, 17, 0, 0, 0, 0, time.UTC)

const nsec3Owner = "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom" // RFC 5155 appendix A

func TestZoneAndRetiredNamesFromThePast(t *testing.T) {
	past := &fakePast{
		living: append(living("example.com.", "example.com. SOA", "example.com. NS", "example.com. DNSKEY", "www.example.com. A", "www.example.com. RRSIG",
			"a.b.example.com. A", "sub.example.com. NS", "ns.sub.example.com. A", "*.apps.example.com. A",
			nsec3Owner+".example.com. NSEC3", "signed.example.com. RRSIG", "elsewhere.example.net. A"),
			living("example.org.", "example.org. SOA", "www.example.org. ALIAS")...),
		past: []string{"www.example.com.", "old.example.com.", "vpn.old.example.com.", "b.example.com.", "old.sub.example.com.", "made-up.apps.example.com.",
			nsec3Owner + ".example.com.", "_acme-challenge.www.example.com.", "x._acme-challenge-7.example.com.", "_" + strings.Repeat("0a", 16) + ".example.com.",
			"*.gone.example.com.", "old.example.org.", "old.example.net.", "a..b.example.com.", strings.Repeat("a.", 200) + "example.com.", ".", "",
			`\000\255.example.com.`, "old.example.com.", "meant.example.com.", "meant.example.com."},
		last: map[string]time.Time{"meant.example.com.": now, "old.example.org.": now.Add(-1)},
	}
	b := NewBuilder()
	st, err := b.AddPast(t.Context(), past, now)
	if err != nil {
		t.Fatal(err)
	}
	if want := (PastStats{Zones: 2, Names: 10, Alive: 2, Left: 9, Refused: 1}); !reflect.DeepEqual(st, want) {
		t.Errorf("taken %+v, want %+v", st, want)
	}
	c := New(Config{})
	if err := c.Replace(b); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]picket.NameState{
		"www.example.com": picket.StateLive, "old.example.com": picket.StateRetired, "vpn.old.example.com": picket.StateRetired,
		"b.example.com": picket.StateRetired, "sub.example.com": picket.StateDelegated, "old.sub.example.com": picket.StateDelegated,
		"made-up.apps.example.com": picket.StateWildcard, nsec3Owner + ".example.com": picket.StateNever, "_acme-challenge.www.example.com": picket.StateNever,
		"signed.example.com": picket.StateNever, "www.example.org": picket.StateLive, "old.example.org": picket.StateRetired,
		"old.example.net": picket.StateOutOfZone, "never.example.com": picket.StateNever, "meant.example.com": picket.StateNever, `\000\255.example.com`: picket.StateRetired,
	} {
		if got := state(c, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	z := c.Zones()
	if len(z) != 2 || z[0].Name != "example.com." || z[0].Retired != 4 || !z[0].Signed || !z[0].NSEC3 || z[0].Inferred || z[1].Retired != 1 {
		t.Errorf("zones %+v %+v", z[0], z[1])
	}
}

func TestZoneFileWinsOverThePast(t *testing.T) {
	path := write(t, "example.com.zone", "$ORIGIN example.com.\n$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.2\n")
	written := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	if err := os.Chtimes(path, written, written); err != nil {
		t.Fatal(err)
	}
	z, err := LoadZoneFile(path, "")
	if err != nil {
		t.Fatal(err)
	}
	base := NewBuilder()
	addZones(t, base, z, zoneOf(t, "example.net.", "example.net. SOA", "www.example.net. A"))
	past := &fakePast{
		living: living("example.com.", "www.example.com. A", "new.example.com. A", "moved.example.com. A"),
		past:   []string{"www.example.com.", "new.example.com.", "seen-since.example.com.", "old.example.com.", "old.example.net."},
		last: map[string]time.Time{"old.example.com.": written.Add(-time.Hour), "seen-since.example.com.": written.Add(time.Hour),
			"www.example.com.": written.Add(-time.Hour), "old.example.net.": written.Add(time.Hour)},
	}
	c := New(Config{})
	for range 2 { // a rebuild gives the same
		b := base.Clone()
		st, err := b.AddPast(t.Context(), past, now)
		if err != nil {
			t.Fatal(err)
		}
		if want := (PastStats{Shadowed: []Shadowed{{"example.com.", path}}, Names: 2, Alive: 3}); !reflect.DeepEqual(st, want) {
			t.Errorf("taken %+v, want %+v", st, want)
		}
		if err := c.Replace(b); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]picket.NameState{
			"www.example.com": picket.StateLive, "old.example.com": picket.StateRetired, "old.example.net": picket.StateRetired,
			// The file is older than these: it cannot say that they are gone.
			"new.example.com": picket.StateNever, "seen-since.example.com": picket.StateNever,
		} {
			if got := state(c, name); got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
	}
	if len(base.zones) != 2 || base.pastNames != 0 {
		t.Error("a clone's past reached the original")
	}
	// What is gone from the past is gone from the catalog.
	if err := c.Replace(base); err != nil {
		t.Fatal(err)
	}
	if got := state(c, "old.example.com"); got != picket.StateNever {
		t.Errorf("without the past: %v", got)
	}
}

func TestPastIsBounded(t *testing.T) {
	b := NewBuilder()
	b.maxPast = 10
	past := &fakePast{living: living("example.com.", "example.com. SOA")}
	for i := range 25 {
		past.past = append(past.past, fmt.Sprintf("n%d.example.com.", i))
	}
	st, err := b.AddPast(t.Context(), past, now)
	if err != nil || st.Names != 10 || st.Left != 15 {
		t.Errorf("%+v, %v", st, err)
	}
	past.err = errors.New("store is gone")
	if _, err := NewBuilder().AddPast(t.Context(), past, now); err == nil || err.Error() != "read the zones that were recorded: store is gone" {
		t.Errorf("error %v", err)
	}
}

// BenchmarkPast builds a catalog of a zone of 100,000 names that has had a million others.
func BenchmarkPast(b *testing.B) {
	past := &fakePast{living: living("example.com.", "example.com. SOA")}
	for i := range 100_000 {
		past.living = append(past.living, [3]string{"example.com.", fmt.Sprintf("host-%d.site%d.example.com.", i, i%50), "A"})
	}
	for i := range 1_000_000 {
		past.past = append(past.past, fmt.Sprintf("old-%d.site%d.example.com.", i, i%50))
	}
	b.ReportAllocs()
	for b.Loop() {
		builder := NewBuilder()
		if _, err := builder.AddPast(b.Context(), past, now); err != nil {
			b.Fatal(err)
		}
		c := New(Config{})
		if err := c.Replace(builder); err != nil {
			b.Fatal(err)
		}
		if st := c.Stats(); st.Retired != 1_000_000 || st.Live != 100_001 {
			b.Fatalf("%+v", st)
		}
		b.ReportMetric(float64(c.Stats().Bytes)/1e6, "MB-table")
	}
}
