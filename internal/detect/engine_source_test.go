package detect_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/detect"
)

// TestSourceKeys says which addresses count as one source.
func TestSourceKeys(t *testing.T) {
	for _, tt := range []struct {
		name    string
		clients []string
		want    []string // prefixes of the brute-force findings
	}{
		{"one address", []string{"192.0.2.1"}, []string{"192.0.2.1/32"}},
		{"mapped IPv4 is IPv4", []string{"192.0.2.1", "::ffff:192.0.2.1"}, []string{"192.0.2.1/32"}},
		{"IPv6 by /64", []string{"2001:db8::1", "2001:db8::ffff:1", "2001:db8::1234:5678:9abc:def0"}, []string{"2001:db8::/64"}},
		{"neighbouring /64", []string{"2001:db8:0:1::1", "2001:db8:0:2::1"}, []string{"2001:db8:0:1::/64", "2001:db8:0:2::/64"}},
		{"link-local with zone", []string{"fe80::1%eth0", "fe80::2%eth1"}, []string{"fe80::/64"}},
		{"no address", []string{""}, []string{""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, 10, detect.Config{Sources: 1 << 10, Suspects: 64})
			var addrs []netip.Addr
			for _, c := range tt.clients {
				a, _ := netip.ParseAddr(c)
				addrs = append(addrs, a)
			}
			for i := range 60 {
				b.ask(time.Duration(i)*time.Second, addrs[i%len(addrs)], guess(i), 1)
			}
			got := map[string]bool{}
			for _, f := range b.finish() {
				if f.Detector == "brute-force" {
					got[f.Source.Prefix] = true
				}
			}
			if len(got) != len(tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			for _, w := range tt.want {
				if !got[w] {
					t.Errorf("got %v, want %v", got, tt.want)
				}
			}
		})
	}
}

// TestSourceKind: resolvers ask with RD=0, stubs and tools with RD=1; an input
// without flags says neither.
func TestSourceKind(t *testing.T) {
	for _, tt := range []struct {
		name      string
		flags     picket.QueryFlags
		transport picket.Transport
		kind      string
		spoofable bool
	}{
		{"resolver", picket.FlagFlags, picket.TransportUDP, picket.SourceResolver, true},
		{"stub", picket.FlagFlags | picket.FlagRD, picket.TransportUDP, picket.SourceDirect, true},
		{"plain log", 0, picket.TransportUnknown, picket.SourceUnknown, true},
		{"over TCP", picket.FlagFlags, picket.TransportTCP, picket.SourceResolver, false},
		{"with a cookie", picket.FlagFlags | picket.FlagCookie, picket.TransportUDP, picket.SourceResolver, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, 10, detect.Config{Sources: 1 << 10, Suspects: 64})
			for i := range 40 {
				b.q = picket.Query{Time: scriptStart.UnixNano() + int64(i)*1e9, Client: v4(1), Name: guess(i), Type: 1, Class: 1,
					Rcode: picket.RcodeUnknown, Flags: tt.flags, Transport: tt.transport}
				b.observe()
			}
			all := b.finish()
			if len(all) != 1 || all[0].Source.Kind != tt.kind || all[0].Source.Spoofable != tt.spoofable {
				t.Fatalf("%d findings; want one of kind %s, spoofable %t", len(all), tt.kind, tt.spoofable)
			}
		})
	}
}

// TestDeterministic: the same input gives the same findings to the last figure.
func TestDeterministic(t *testing.T) {
	run := func() []*picket.Finding {
		b := newBench(t, 50, detect.Config{Sources: 1 << 8, Suspects: 16})
		for i := range 20_000 {
			source, name := (i*7919)%97, host(i%50)
			if source%7 == 0 {
				name = guess(i % 900)
			}
			b.ask(time.Duration(i)*20*time.Millisecond, v4(source<<8), name, 1)
			b.engine.Advance(b.q.Time)
			b.drain()
		}
		return b.finish()
	}
	a, b := run(), run()
	if len(a) == 0 || len(a) != len(b) {
		t.Fatalf("%d and %d findings", len(a), len(b))
	}
	for i := range a {
		if a[i].ID != b[i].ID || brief(a[i]) != brief(b[i]) || a[i].Summary != b[i].Summary {
			t.Errorf("differ:\n%s\n%s", brief(a[i]), brief(b[i]))
		}
	}
}

// TestOwnIsInformational: what a listed scanner does is told, whatever it is.
func TestOwnIsInformational(t *testing.T) {
	cfg := detect.Config{Sources: 1 << 10, Suspects: 64, Role: func(*picket.Query) detect.Role { return detect.RoleOwn }}
	b := newBench(t, 10, cfg)
	for i := range 40 {
		b.ask(time.Duration(i)*time.Second, v4(1), guess(i), 1)
	}
	b.ask(time.Minute, v4(1), host(1), 252)
	all := b.finish()
	if len(all) < 2 {
		t.Fatalf("%d findings, want brute force and the transfer", len(all))
	}
	for _, f := range all {
		if f.Severity != picket.SeverityInformational || f.Intent != picket.IntentOwn {
			t.Errorf("%s", brief(f))
		}
	}
}

// TestSpecs: every detector names its techniques and telemetry, and can be
// switched off.
func TestSpecs(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range detect.Specs() {
		if s.Name == "" || seen[s.Name] || len(s.Techniques) == 0 || s.Levels == "" || s.On == 0 {
			t.Errorf("spec %+v", s)
		}
		seen[s.Name] = true
	}
	b := newBench(t, 10, detect.Config{Sources: 1 << 10, Suspects: 64, Disabled: detect.Names()})
	for i := range 100 {
		b.ask(time.Duration(i)*time.Second, v4(1), guess(i), 252)
	}
	if all := b.finish(); len(all) != 0 {
		t.Errorf("%d findings with everything switched off", len(all))
	}
}
