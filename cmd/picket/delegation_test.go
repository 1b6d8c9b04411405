package main

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/miekg/dns"

	"github.com/picket-dns/picket"
)

// parentServer answers for a parent zone as told, over UDP and TCP, and counts the questions.
func parentServer(t *testing.T, answer func(q *dns.Msg, tcp bool) *dns.Msg) string {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", pc.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*dns.Server{
		{PacketConn: pc, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) { _ = w.WriteMsg(answer(q, false)) })},
		{Listener: l, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) { _ = w.WriteMsg(answer(q, true)) })},
	} {
		started, ended := make(chan struct{}), make(chan error, 1)
		s.NotifyStartedFunc = func() { close(started) }
		go func() { ended <- s.ActivateAndServe() }()
		<-started
		t.Cleanup(func() {
			if err := s.Shutdown(); err != nil {
				t.Error(err)
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
	return pc.LocalAddr().String()
}

func parseRR(t *testing.T, s string) dns.RR {
	t.Helper()
	rr, err := dns.NewRR(s)
	if err != nil {
		t.Fatal(err)
	}
	return rr
}

func TestAskDelegation(t *testing.T) {
	for name, x := range map[string]struct {
		answer, authority []string
		rcode             int
		truncated         bool
		want              []string
	}{
		"referral":                 {authority: []string{"Example.COM. NS NS2.example.net.", "example.com. NS ns1.example.com.", "example.com. NS ns1.example.com."}, want: []string{"ns1.example.com.", "ns2.example.net."}},
		"answer":                   {answer: []string{"example.com. NS ns1.example.com."}, want: []string{"ns1.example.com."}},
		"over TCP":                 {answer: []string{"example.com. NS ns1.example.com."}, truncated: true, want: []string{"ns1.example.com."}},
		"referral of another zone": {authority: []string{"com. NS a.gtld-servers.net."}},
		"no data":                  {authority: []string{"com. SOA a. b. 1 2 3 4 5"}},
		"refused":                  {rcode: dns.RcodeRefused},
	} {
		t.Run(name, func(t *testing.T) {
			at := parentServer(t, func(q *dns.Msg, tcp bool) *dns.Msg {
				if q.RecursionDesired || q.Question[0].Name != "example.com." || q.Question[0].Qtype != dns.TypeNS {
					t.Errorf("asked %v", q)
				}
				r := new(dns.Msg)
				r.SetRcode(q, x.rcode)
				if r.Truncated = x.truncated && !tcp; r.Truncated {
					return r
				}
				for _, s := range x.answer {
					r.Answer = append(r.Answer, parseRR(t, s))
				}
				for _, s := range x.authority {
					r.Ns = append(r.Ns, parseRR(t, s))
				}
				return r
			})
			got, _, err := askDelegation(t.Context(), at, "example.com.")
			if !reflect.DeepEqual(got, x.want) || (err == nil) != (x.want != nil) {
				t.Errorf("%q, %v; want %q", got, err, x.want)
			}
		})
	}
}

// livesOf answers with records of recorded zones. It implements picket.ZoneHistory.
type livesOf struct {
	picket.ZoneHistory
	list []picket.RecordLife
}

func (l livesOf) HistoryRevision(context.Context) (int64, error) { return int64(len(l.list)), nil }

func (l livesOf) Lives(_ context.Context, f picket.HistoryFilter) (list []picket.RecordLife, total int64, err error) {
	for _, x := range l.list {
		if (f.Zone == "" || x.Zone == f.Zone) && x.Name == f.Name && x.Type == f.Type {
			list = append(list, x)
		}
	}
	return list, int64(len(list)), nil
}

func TestDelegationSources(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	asked := parentServer(t, func(q *dns.Msg, _ bool) *dns.Msg {
		r := new(dns.Msg)
		r.SetReply(q)
		r.Ns = []dns.RR{parseRR(t, "asked.example. NS ns.parent.example.")}
		r.Extra = []dns.RR{parseRR(t, "NS.parent.example. A 192.0.2.6"), parseRR(t, "ns.parent.example. AAAA 2001:db8::6"), parseRR(t, "other.example. A 192.0.2.66")}
		return r
	})
	g := newDelegations([]zoneConfig{
		{File: file("example.com.zone", "$ORIGIN example.com.\n@ 300 SOA ns1 h 1 2 3 4 5\n@ NS ns1\n@ NS ns2.example.net.\nsub NS NS.sub\nns.sub A 192.0.2.5 ; glue\n"+
			"NS1 A 192.0.2.1\nns1 AAAA 2001:DB8::1\nwww A 192.0.2.80\n")},
		{File: file("sub.zone", "@ 300 SOA ns h 1 2 3 4 5\n@ NS other\n"), Origin: "sub.example.com"},
		{File: file("asked.zone", "@ 300 SOA ns h 1 2 3 4 5\n@ NS own\n"), Origin: "asked.example", Parent: asked},
		{File: filepath.Join(dir, "none.zone"), Origin: "none.example"},
	}, livesOf{list: []picket.RecordLife{
		{Zone: "moved.example.", Name: "moved.example.", Type: "NS", Data: "NS1.moved.example.", Method: picket.MethodTransfer},
		{Zone: "moved.example.", Name: "moved.example.", Type: "NS", Data: "planned.example.", Method: picket.MethodGit},
		{Zone: "moved.example.", Name: "ns1.moved.example.", Type: "A", Data: "192.0.2.7", Method: picket.MethodTransfer},
		{Zone: "example.net.", Name: "ns2.example.net.", Type: "AAAA", Data: "2001:db8::2", Method: picket.MethodFile},
	}}, slog.New(slog.DiscardHandler))
	g.refresh(t.Context())
	configured := []picket.SetupServer{{Name: "ns1.example.com.", Addresses: []string{"198.51.100.1"}, Provider: "Example"}, {Name: "hidden.example.com.", Addresses: []string{"198.51.100.2"}}}
	got, servers := g.of(t.Context(), []string{"example.com.", "sub.example.com.", "asked.example.", "moved.example.", "none.example."}, configured)
	want := []picket.SetupZone{
		{Name: "example.com.", Delegation: []string{"ns1.example.com.", "ns2.example.net."}},
		{Name: "sub.example.com.", Delegation: []string{"ns.sub.example.com."}, Parent: "zone example.com."},
		{Name: "asked.example.", Delegation: []string{"ns.parent.example."}, Parent: "name server " + asked},
		{Name: "moved.example.", Delegation: []string{"ns1.moved.example."}},
		{Name: "none.example."},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("delegations\n%+v\nwant\n%+v", got, want)
	}
	// What is configured stays first; addresses come from the zones' own records, glue,
	// what the parent's server adds and recorded zones.
	wantServers := []picket.SetupServer{
		{Name: "ns1.example.com.", Addresses: []string{"198.51.100.1", "192.0.2.1", "2001:db8::1"}, Provider: "Example"},
		{Name: "hidden.example.com.", Addresses: []string{"198.51.100.2"}},
		{Name: "ns.parent.example.", Addresses: []string{"192.0.2.6", "2001:db8::6"}, Zones: []string{"asked.example."}},
		{Name: "ns.sub.example.com.", Addresses: []string{"192.0.2.5"}, Zones: []string{"sub.example.com."}},
		{Name: "ns1.moved.example.", Addresses: []string{"192.0.2.7"}, Zones: []string{"moved.example."}},
		{Name: "ns2.example.net.", Addresses: []string{"2001:db8::2"}, Zones: []string{"example.com."}},
	}
	if !reflect.DeepEqual(servers, wantServers) {
		t.Errorf("servers\n%+v\nwant\n%+v", servers, wantServers)
	}
}
