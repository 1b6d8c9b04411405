package main

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/transfer"
)

// newestFindings keeps the newest state of each finding and how often it was said, as a sink.
type newestFindings struct {
	newest map[string]*picket.Finding
	closed map[string]bool
	said   int
}

func (l *newestFindings) Finding(f *picket.Finding, closed bool) error {
	if l.newest == nil {
		l.newest, l.closed = map[string]*picket.Finding{}, map[string]bool{}
	}
	l.newest[f.ID], l.closed[f.ID] = f, closed
	l.said++
	return nil
}

func (l *newestFindings) only(t *testing.T) (*picket.Finding, bool) {
	t.Helper()
	if len(l.newest) != 1 {
		t.Fatalf("%d findings, want 1: %+v", len(l.newest), l.newest)
	}
	for id, f := range l.newest {
		return f, l.closed[id]
	}
	return nil, false
}

func asIs(a netip.Addr) netip.Addr { return a }

// TestForgedNotifies: a flood of NOTIFYs with made-up senders, zones and keys makes
// one finding for a zone and kind, which is said a few times, names a few senders
// and counts the rest.
func TestForgedNotifies(t *testing.T) {
	r, sink := newRefusals(asIs), &newestFindings{}
	ops := newOperational(sink)
	hold := func(now time.Time) {
		t.Helper()
		if err := ops.hold(now, notifyRefused, r.refusedNotices(now)); err != nil {
			t.Fatal(err)
		}
	}
	const flood = 20_000
	now := feedDay
	for i := range flood {
		now = now.Add(200 * time.Millisecond)
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), uint16(i))
		r.notice(now, "moving", "example.com.", transfer.Refusal{Zone: "EXAMPLE.com.", From: from, Reason: transfer.RefusedTSIG, Key: fmt.Sprint("k", i), More: 10})
		if i%5 == 0 {
			hold(now)
		}
	}
	f, closed := sink.only(t)
	if closed || sink.said > 60 {
		t.Errorf("closed %v, said %d times", closed, sink.said)
	}
	if f.Detector != "notify-refused" || f.Class != picket.FindingOperational || f.Zone != "example.com." || f.Source.Prefix != "" || f.Source.Kind != picket.SourceUnknown {
		t.Errorf("finding %+v", f)
	}
	if len(f.Evidence.Telemetry) != 1+refusedSenders+1 || f.Evidence.Telemetry[1] != "sender 198.18.0.0: 1 time" || !strings.HasPrefix(f.Evidence.Telemetry[9], "other senders: ") {
		t.Errorf("evidence %q", f.Evidence.Telemetry)
	}
	hold(now.Add(refusedQuiet - time.Second))
	hold(now.Add(refusedQuiet))
	f, closed = sink.only(t)
	if want := "Input moving has refused 20000 NOTIFYs for example.com. since 2026-03-17 14:00:00 UTC: bad TSIG. In the same time came 200000 more of any kind that were not told apart."; !closed || f.Summary != want ||
		!f.LastSeen.Equal(now) {
		t.Errorf("closed %v, last %s\n got %s\nwant %s", closed, f.LastSeen, f.Summary, want)
	}
	if len(r.notices) != 0 {
		t.Errorf("%d kinds are kept after they are over", len(r.notices))
	}
}

// TestOneRefusedNotify: a single one names its sender, and another kind or zone is a
// finding of its own.
func TestOneRefusedNotify(t *testing.T) {
	r, sink := newRefusals(func(netip.Addr) netip.Addr { return netip.MustParseAddr("203.0.113.9") }), &newestFindings{}
	one := transfer.Refusal{From: netip.MustParseAddrPort("192.0.2.1:53"), Reason: transfer.RefusedUnsigned}
	r.notice(feedDay, "moving", "example.com.", one)
	if err := newOperational(sink).hold(feedDay, notifyRefused, r.refusedNotices(feedDay)); err != nil {
		t.Fatal(err)
	}
	f, _ := sink.only(t)
	if f.Source.Prefix != "203.0.113.9/32" || f.Summary != "Input moving has refused 1 NOTIFY for example.com. since 2026-03-17 14:00:00 UTC: not signed." {
		t.Errorf("%s %s", f.Source.Prefix, f.Summary)
	}
	one.Reason = transfer.RefusedZone
	r.notice(feedDay, "moving", "", one)
	if list := r.refusedNotices(feedDay); len(list) != 2 || list[0].zone != "" || !strings.Contains(list[0].summary, "for zones that are not configured since") {
		t.Errorf("%+v", list)
	}
}

// TestDaemonRefused sends a running daemon NOTIFYs that it must not take, while its
// primary refuses the transfer.
func TestDaemonRefused(t *testing.T) {
	primary := parentServer(t, func(q *dns.Msg, _ bool) *dns.Msg {
		r := new(dns.Msg)
		r.SetRcode(q, dns.RcodeRefused)
		return r
	})
	notify := freeAddr(t)
	c := newChild(t, fmt.Sprintf("inputs:\n  - {name: moving, transfer: {primary: %q, zones: [moving.example], key_file: picket.key, notify: %q}}\n", primary, notify))
	key := fmt.Sprintf("key \"picket\" {\n\talgorithm hmac-sha256;\n\tsecret %q;\n};\n", movingSecret)
	if err := os.WriteFile(c.path("picket.key"), []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	c.start()
	for range 3 {
		notifyAs(t, notify, strangerSecret, dns.RcodeNotAuth)
	}
	unsigned := func(zone string) {
		t.Helper()
		q := new(dns.Msg)
		q.SetNotify(zone)
		if a, err := dns.Exchange(q, notify); err != nil || a.Rcode == dns.RcodeSuccess {
			t.Fatalf("NOTIFY: %v %v", a, err)
		}
	}
	unsigned(movingZone)
	unsigned(movingZone)
	time.Sleep(1100 * time.Millisecond) // five a second are told one by one
	unsigned("x\\\"<b>.example.")
	unsigned("y.example.")
	want := []string{
		"Input moving has refused 2 NOTIFYs for moving.example. ", "Input moving has refused 2 NOTIFYs for zones that are not configured ",
		"Input moving has refused 3 NOTIFYs for moving.example. ", "Input moving is refused the transfer of moving.example.: ",
	}
	seen := map[string]bool{}
	var list []picket.StoredFinding
	c.until("all refusals are raised", func() bool {
		list = nil
		for _, d := range []string{notifyRefused, transferRefused} {
			l, err := c.findings(url.Values{"detector": {d}})
			if err != nil {
				return false
			}
			list = append(list, l...)
		}
		clear(seen)
		for _, f := range list {
			for _, w := range want {
				if strings.HasPrefix(f.Summary, w) && f.Open && f.Class == picket.FindingOperational {
					seen[w] = true
				}
			}
		}
		return len(seen) == len(want)
	})
	if len(list) != len(want) {
		t.Errorf("%d findings, want %d: %+v", len(list), len(want), slices.Sorted(maps.Keys(seen)))
	}
}
