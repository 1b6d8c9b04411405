package main

import (
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"

	"github.com/picket-dns/picket"
)

// TestTransferRepeats: an IXFR, as NSD 4.6 sends it, adds what is there already, removes what is
// not, and removes and adds again what stays. None of that begins or ends a life, or is told.
func TestTransferRepeats(t *testing.T) {
	soa := func(serial int) string {
		return fmt.Sprintf("moving.example. 300 IN SOA ns1.moving.example. hostmaster.moving.example. %d 3600 900 1209600 300", serial)
	}
	const (
		mx, ns1, ns, www = "moving.example. 300 IN MX 10 mail.other.example.", "ns1.moving.example. 300 IN A 127.0.0.1", "moving.example. 300 IN NS ns1.moving.example.", "www.moving.example. 300 IN A 192.0.2."
		never            = "never.moving.example. 300 IN A 192.0.2.99"
	)
	answers := map[uint16][]string{
		dns.TypeAXFR: {soa(1), ns, ns1, mx, www + "1", soa(1)},
		dns.TypeIXFR: {soa(3),
			soa(1), www + "1", never, soa(2), www + "2", mx, mx, ns1, // mx and ns1 are there
			soa(2), www + "1", ns1, soa(3), ns1, // www is there no more, ns1 stays
			soa(3)},
	}
	var serial atomic.Int32
	serial.Store(1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{Listener: l, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		m.Authoritative = true
		list := answers[q.Question[0].Qtype]
		if q.Question[0].Qtype == dns.TypeSOA || q.Question[0].Qtype == dns.TypeIXFR && serial.Load() == 1 {
			list = []string{soa(int(serial.Load()))}
		}
		for _, text := range list {
			rr, err := dns.NewRR(text)
			if err != nil {
				t.Errorf("%s: %v", text, err)
				return
			}
			m.Answer = append(m.Answer, rr)
		}
		_ = w.WriteMsg(m)
	})}
	go func() { _ = server.ActivateAndServe() }()
	t.Cleanup(func() { _ = server.Shutdown() })

	notify := freeAddr(t)
	c := newChild(t, fmt.Sprintf("inputs:\n  - {name: moving, transfer: {primary: %q, zones: [moving.example], notify: %q}}\n", l.Addr(), notify))
	c.start()
	c.accepted("moving", 5)
	serial.Store(3)
	q := new(dns.Msg)
	q.SetNotify(movingZone)
	if a, err := dns.Exchange(q, notify); err != nil || a.Rcode != dns.RcodeSuccess {
		t.Fatalf("NOTIFY: %v %v", a, err)
	}
	c.until("serial 3 is stored", func() bool {
		text, err := c.get("/api/zones/moving.example./versions")
		return err == nil && strings.Contains(text, `"serial":3`)
	})
	c.stop()
	s := c.store()
	lives, changes := documentHistory(t, s, "moving")
	wantLines(t, "lives", lives, []string{"moving.example. MX 10 mail.other.example. ", "moving.example. NS ns1.moving.example. ", "ns1.moving.example. A 127.0.0.1 ",
		"www.moving.example. A 192.0.2.1  gone", "www.moving.example. A 192.0.2.2 "})
	wantLines(t, "changes", changes, []string{`www.moving.example. A ["192.0.2.1"] > ["192.0.2.2"]`})
	list, err := s.ZoneVersions(t.Context(), movingZone, 0)
	var got []string
	for _, v := range list {
		got = append(got, fmt.Sprintf("%d %d +%d -%d first %t", v.Serial, v.Records, v.Added, v.Removed, v.First))
	}
	wantLines(t, "versions", got, []string{"3 5 +0 -0 first false", "2 5 +1 -1 first false", "1 5 +0 -0 first true"})
	if err != nil || len(list) == 3 && list[0].Method != picket.MethodTransfer {
		t.Errorf("%+v %v", list, err)
	}
}
