package main

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/catalog"
	"github.com/picket-dns/picket/internal/duckdb"
)

// TestFailingInput: an input that has not worked for a minute has one finding until it
// works again; a short trouble has none, and the next long one is another episode.
func TestFailingInput(t *testing.T) {
	sink := &newestFindings{}
	ops, since := newOperational(sink), map[string]time.Time{}
	at := func(s int, errText string) {
		t.Helper()
		now := feedDay.Add(time.Duration(s) * time.Second)
		inputs := []picket.SourceStatus{{Name: "kafka", Error: errText}, {Name: "fine"}}
		if err := ops.hold(now, inputError, failingInputs(now, inputs, since)); err != nil {
			t.Fatal(err)
		}
	}
	at(0, "connection refused")
	at(30, "")
	at(40, "connection refused")
	at(99, "connection refused")
	if len(sink.newest) != 0 {
		t.Fatalf("raised before a minute has passed: %+v", sink.newest)
	}
	at(100, "connection refused")
	at(400, "no route to host")
	f, closed := sink.only(t)
	if closed || sink.said != 1 || f.Detector != "input-error" || f.Class != picket.FindingOperational || f.Severity != picket.SeverityMedium ||
		!f.FirstSeen.Equal(feedDay.Add(40*time.Second)) || f.Summary != "Input kafka has been failing for 1m0s: connection refused" || f.Limits == "" {
		t.Errorf("closed %v, said %d times, %+v", closed, sink.said, f)
	}
	at(410, "")
	if f, closed = sink.only(t); !closed || !f.LastSeen.Equal(feedDay.Add(410*time.Second)) {
		t.Errorf("closed %v, %+v", closed, f)
	}
	at(500, "connection refused")
	at(560, "connection refused")
	if len(sink.newest) != 2 {
		t.Errorf("%d findings, want a second one for the second episode", len(sink.newest))
	}
}

// recordVersions stores versions of example.com as transfers bring them.
func recordVersions(t *testing.T, s *duckdb.Store, serials ...uint32) {
	t.Helper()
	in, err := s.OpenInput(t.Context(), "moving", true)
	if err != nil {
		t.Fatal(err)
	}
	last := uint32(0)
	for i, serial := range serials {
		at := picket.Origin{Input: in.ID, Delivery: s.LastDelivery() + int64(i) + 1}
		rows := []picket.Record{{Zone: "example.com.", Name: "www.example.com.", Type: "A", Class: "IN", TTL: 60, Data: fmt.Sprintf("192.0.2.%d", serial), Change: picket.ChangePresent}}
		if err := s.AppendRecords(t.Context(), at, rows); err != nil {
			t.Fatal(err)
		}
		err := s.CommitIntake(t.Context(), &picket.IntakeCommit{Input: in.ID, Delivery: at.Delivery, Closed: at.Delivery, Add: picket.InputCounts{Accepted: 1},
			Records: &picket.RecordObservation{Source: "moving", Zone: "example.com.", Method: picket.MethodTransfer, Whole: true, HasSerial: true, SerialFrom: last, SerialTo: serial,
				Time: feedDay.Add(time.Duration(i) * time.Minute)}})
		if err != nil {
			t.Fatal(err)
		}
		last = serial
	}
}

// TestLaggingServer asks two servers for the serials of a zone, of which one lacks two
// versions: it has a finding until it has caught up.
func TestLaggingServer(t *testing.T) {
	serve := func(serial *uint32) string {
		return parentServer(t, func(q *dns.Msg, _ bool) *dns.Msg {
			r := new(dns.Msg)
			r.SetReply(q)
			r.Authoritative = true
			r.Answer = []dns.RR{&dns.SOA{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 60}, Ns: "ns1.example.com.", Mbox: "h.example.com.", Serial: *serial}}
			return r
		})
	}
	newest, old := uint32(7), uint32(5)
	store, err := duckdb.Open(t.Context(), duckdb.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	d := &daemon{store: store, log: slog.New(slog.DiscardHandler), know: &knowledge{catalog: catalog.New(catalog.Config{Seed: 1})}}
	for name, at := range map[string]string{"ns1.example.com": serve(&newest), "NS2.example.com": serve(&old)} {
		d.cfg.Servers = append(d.cfg.Servers, serverConfig{Name: name, Addresses: []string{at}, Serials: true, Zones: []string{"example.com"}})
	}
	recordVersions(t, d.store, 5, 6, 7)
	sink := &newestFindings{}
	ops := newOperational(sink)
	look := func(at time.Time) {
		t.Helper()
		d.askSerials(t.Context())
		lags := d.serverLags()
		if len(lags) != 2 {
			t.Fatalf("%+v", lags)
		}
		for _, l := range lags {
			if l.Error != "" {
				t.Fatal(l.Error)
			}
		}
		if err := ops.hold(at, serverLag, laggingServers(at, lags)); err != nil {
			t.Fatal(err)
		}
	}
	look(feedDay)
	f, closed := sink.only(t)
	if closed || f.Detector != "server-lag" || f.Class != picket.FindingOperational || f.Zone != "example.com." || f.Source.Prefix != "127.0.0.1/32" ||
		f.Summary != "ns2.example.com. serves serial 5 of example.com. and lacks 2 versions: the newest known is 7." {
		t.Errorf("closed %v, %+v", closed, f)
	}
	old = 6 // one behind is normal while a change makes its way
	look(feedDay.Add(time.Minute))
	if _, closed = sink.only(t); !closed {
		t.Error("not closed although it lacks one version only")
	}
}
