package pickettest

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket"
)

// HistoryStore is what the conformance tests of zone history need of a store.
type HistoryStore interface {
	picket.IntakeKeeper
	picket.ZoneHistory
	picket.ZonePast
}

// history is a store with an input, whose observations are told as lines such as
// "www.example.org. 300 A 192.0.2.1", with +, - or = before what is added, removed, or takes the place of its RRset.
type history[S HistoryStore] struct {
	t        *testing.T
	s        S
	input    uint32
	delivery int64
}

// day is a time of an observation.
func day(n int) time.Time { return base.AddDate(0, 0, n) }

func parseRecord(line string) (r picket.Record) {
	switch line[0] {
	case '+':
		r.Change, line = picket.ChangeAdd, line[1:]
	case '-':
		r.Change, line = picket.ChangeRemove, line[1:]
	case '=':
		r.Change, line = picket.ChangeReplace, line[1:]
	}
	f := strings.SplitN(line, " ", 4)
	r.Name, r.Type, r.Class, r.Data = f[0], f[2], "IN", f[3]
	_, _ = fmt.Sscan(f[1], &r.TTL) // the tests' own lines
	return r
}

func (h *history[S]) stage(zone string, lines ...string) {
	h.t.Helper()
	h.delivery++
	rows := make([]picket.Record, len(lines))
	for i, l := range lines {
		rows[i] = parseRecord(l)
		rows[i].Zone = zone
	}
	if err := h.s.AppendRecords(h.t.Context(), picket.Origin{Input: h.input, Delivery: h.delivery}, rows); err != nil {
		h.t.Fatal(err)
	}
}

func (h *history[S]) commit(o *picket.RecordObservation) {
	h.t.Helper()
	k := &picket.IntakeCommit{Input: h.input, Delivery: h.delivery, Closed: h.delivery, Records: o}
	if err := h.s.CommitIntake(h.t.Context(), k); err != nil {
		h.t.Fatal(err)
	}
}

// observe stages and commits.
func (h *history[S]) observe(o picket.RecordObservation, lines ...string) {
	h.t.Helper()
	h.stage("", lines...)
	h.commit(&o)
}

// wantLives compares lives, each as "name ttl type data since[~]-until source/scope" in
// days; ~ when it did not begin then.
func (h *history[S]) wantLives(f picket.HistoryFilter, want ...string) {
	h.t.Helper()
	list, total, err := h.s.Lives(h.t.Context(), f)
	if err != nil {
		h.t.Fatal(err)
	}
	got := make([]string, len(list))
	for i, l := range list {
		since, until := inDays(l.Since), ""
		if !l.Began {
			since += "~"
		}
		if !l.Until.IsZero() {
			until = inDays(l.Until)
		}
		got[i] = fmt.Sprintf("%s %d %s %s %s-%s %s/%s", l.Name, l.TTL, l.Type, l.Data, since, until, l.Source, l.Scope)
	}
	h.same("lives", got, want)
	if f.Limit == 0 && f.Offset == 0 && total != int64(len(want)) {
		h.t.Errorf("%d lives in all, want %d", total, len(want))
	}
}

// wantChanges compares changes, each as "day name type [old] ttl > [new] ttl".
func (h *history[S]) wantChanges(f picket.HistoryFilter, want ...string) {
	h.t.Helper()
	list, total, err := h.s.Changes(h.t.Context(), f)
	if err != nil {
		h.t.Fatal(err)
	}
	got := make([]string, len(list))
	for i, c := range list {
		got[i] = fmt.Sprintf("%s %s %s %q %d > %q %d", inDays(c.Time), c.Name, c.Type, c.Old, c.OldTTL, c.New, c.NewTTL)
	}
	h.same("changes", got, want)
	if f.Limit == 0 && f.Offset == 0 && total != int64(len(want)) {
		h.t.Errorf("%d changes in all, want %d", total, len(want))
	}
}

// wantVersions compares versions, each as "day zone source/scope serial records +added -removed ~churn" with what else there is.
func (h *history[S]) wantVersions(zone string, want ...string) {
	h.t.Helper()
	list, err := h.s.ZoneVersions(h.t.Context(), zone, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	got := make([]string, len(list))
	for i, v := range list {
		got[i] = fmt.Sprintf("%s %s %s/%s %d %d +%d -%d ~%d", inDays(v.Time), v.Zone, v.Source, v.Scope, v.Serial, v.Records, v.Added, v.Removed, v.Churn)
		if v.First {
			got[i] += " first"
		}
		if v.Partial {
			got[i] += " partial"
		}
		if v.HasSerial != (v.Serial != 0) || v.Received.IsZero() {
			h.t.Errorf("version %+v", v)
		}
	}
	h.same("versions", got, want)
}

func inDays(t time.Time) string { return fmt.Sprint(t.Sub(base).Hours() / 24) }

func (h *history[S]) same(what string, got, want []string) {
	h.t.Helper()
	if !slices.Equal(got, want) {
		h.t.Errorf("%s:\n\t%s\nwant\n\t%s", what, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// soa is one of example.org. with a serial.
func soa(serial int) string {
	return fmt.Sprintf("example.org. 3600 SOA ns1.example.org. root.example.org. %d 7200 3600 1209600 300", serial)
}

// ZoneHistory tests what becomes of the records of zones. open opens an empty
// store; reopen closes it, by a crash as far as that can be done in process, and
// opens it again.
func ZoneHistory[S HistoryStore](t *testing.T, open func(*testing.T) S, reopen func(*testing.T, S) S) {
	file := picket.RecordObservation{Source: "zones", Scope: "org.zone", Method: picket.MethodFile, Whole: true}
	at := func(o picket.RecordObservation, n int) picket.RecordObservation {
		o.Time = day(n)
		return o
	}
	all, none := picket.HistoryFilter{Churn: true}, picket.HistoryFilter{}
	for _, test := range []struct {
		name string
		run  func(t *testing.T, h *history[S])
	}{
		{"a document read again", func(t *testing.T, h *history[S]) {
			const www1, www2, mail = "www.example.org. 300 A 192.0.2.1", "www.example.org. 300 A 192.0.2.2", "mail.example.org. 300 A 192.0.2.3"
			h.observe(at(file, 1), soa(1), www1, www1, mail) // one of them twice
			h.wantChanges(all)
			h.wantVersions("example.org.", "1 example.org. zones/org.zone 1 3 +0 -0 ~0 first")
			h.observe(at(file, 2), soa(1), www1, mail) // nothing new
			h.wantVersions("example.org.", "1 example.org. zones/org.zone 1 3 +0 -0 ~0 first")
			before, err := h.s.HistoryRevision(t.Context())
			if err != nil || before == 0 {
				t.Errorf("revision %d, %v", before, err)
			}
			h.observe(at(file, 3), soa(2), www1, www2)
			if after, err := h.s.HistoryRevision(t.Context()); err != nil || after <= before {
				t.Errorf("revision %d after %d, %v", after, before, err)
			}
			h.wantLives(none,
				"mail.example.org. 300 A 192.0.2.3 1~-3 zones/org.zone",
				"www.example.org. 300 A 192.0.2.1 1~- zones/org.zone",
				"www.example.org. 300 A 192.0.2.2 3- zones/org.zone")
			h.wantChanges(none,
				`3 www.example.org. A ["192.0.2.1"] 300 > ["192.0.2.1" "192.0.2.2"] 300`,
				`3 mail.example.org. A ["192.0.2.3"] 300 > [] 0`)
			h.wantChanges(picket.HistoryFilter{Churn: true, Type: "SOA"},
				`3 example.org. SOA ["ns1.example.org. root.example.org. 1 7200 3600 1209600 300"] 3600 > ["ns1.example.org. root.example.org. 2 7200 3600 1209600 300"] 3600`)
			h.wantVersions("example.org.", "3 example.org. zones/org.zone 2 3 +1 -1 ~2", "1 example.org. zones/org.zone 1 3 +0 -0 ~0 first")
			list, _, err := h.s.Changes(t.Context(), picket.HistoryFilter{Name: "mail.example.org."})
			if err != nil || len(list) != 1 || !list[0].HasSerial || list[0].SerialFrom != 1 || list[0].SerialTo != 2 || list[0].Zone != "example.org." ||
				list[0].Method != picket.MethodFile || list[0].Class != "IN" || list[0].Received.IsZero() {
				t.Errorf("%+v, %v", list, err)
			}
			// It comes back: a second life.
			h.observe(at(file, 4), soa(3), www1, www2, mail)
			h.wantLives(picket.HistoryFilter{Name: "mail.example.org."},
				"mail.example.org. 300 A 192.0.2.3 1~-3 zones/org.zone",
				"mail.example.org. 300 A 192.0.2.3 4- zones/org.zone")
		}},
		{"TTL", func(t *testing.T, h *history[S]) {
			h.observe(at(file, 1), soa(1), "www.example.org. 300 A 192.0.2.1")
			h.observe(at(file, 2), soa(1), "www.example.org. 60 A 192.0.2.1")
			h.wantLives(none, "www.example.org. 60 A 192.0.2.1 1~- zones/org.zone")
			h.wantChanges(none, `2 www.example.org. A ["192.0.2.1"] 300 > ["192.0.2.1"] 60`)
			h.wantVersions("example.org.", "2 example.org. zones/org.zone 1 2 +0 -0 ~0", "1 example.org. zones/org.zone 1 2 +0 -0 ~0 first")
		}},
		{"partial", func(t *testing.T, h *history[S]) {
			h.observe(at(file, 1), soa(1), "a.example.org. 300 A 192.0.2.1", "b.example.org. 300 A 192.0.2.2")
			o := at(file, 2)
			o.Partial = true
			h.observe(o, soa(1), "a.example.org. 300 A 192.0.2.1", "c.example.org. 300 A 192.0.2.3")
			h.wantLives(none, "a.example.org. 300 A 192.0.2.1 1~- zones/org.zone", "b.example.org. 300 A 192.0.2.2 1~- zones/org.zone", "c.example.org. 300 A 192.0.2.3 2- zones/org.zone")
			h.wantVersions("example.org.", "2 example.org. zones/org.zone 1 4 +1 -0 ~0 partial", "1 example.org. zones/org.zone 1 3 +0 -0 ~0 first")
		}},
		{"two sources of one zone", func(t *testing.T, h *history[S]) {
			axfr := picket.RecordObservation{Source: "primary", Zone: "example.org.", Method: picket.MethodTransfer, Whole: true}
			h.observe(at(file, 1), soa(1), "a.example.org. 300 A 192.0.2.1")
			h.observe(at(axfr, 2), soa(2), "a.example.org. 300 A 192.0.2.1", "b.example.org. 300 A 192.0.2.2")
			h.observe(at(file, 3), soa(2), "b.example.org. 300 A 192.0.2.2")
			h.wantLives(none, "a.example.org. 300 A 192.0.2.1 1~-3 zones/org.zone", "a.example.org. 300 A 192.0.2.1 2~- primary/",
				"b.example.org. 300 A 192.0.2.2 2~- primary/", "b.example.org. 300 A 192.0.2.2 3- zones/org.zone")
			h.wantLives(picket.HistoryFilter{Source: "primary", Living: true, Name: "a.example.org."}, "a.example.org. 300 A 192.0.2.1 2~- primary/")
			h.wantVersions("", "2 example.org. primary/ 2 3 +0 -0 ~0 first", "3 example.org. zones/org.zone 2 2 +1 -1 ~2")
			git := picket.RecordObservation{Source: "repo", Method: picket.MethodGit}
			h.observe(at(git, 4), "+c.example.org. 300 A 192.0.2.3")
			var living []string
			if err := h.s.EachLiving(t.Context(), func(zone, name, rrtype string) error {
				living = append(living, zone+" "+name+" "+rrtype)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			slices.Sort(living)
			h.same("living", living, []string{"example.org. a.example.org. A", "example.org. b.example.org. A", "example.org. example.org. SOA"})
			past := map[string]bool{}
			if err := h.s.EachPast(t.Context(), func(name string, last time.Time) error {
				past[name] = !last.Before(day(3))
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if want := map[string]bool{"a.example.org.": true, "b.example.org.": true, "c.example.org.": true, "example.org.": true}; !reflect.DeepEqual(past, want) {
				t.Errorf("past %v", past)
			}
		}},
		{"steps of an incremental transfer", func(t *testing.T, h *history[S]) {
			ixfr := picket.RecordObservation{Source: "primary", Zone: "example.org.", Method: picket.MethodTransfer, Whole: true, HasSerial: true, SerialTo: 7}
			h.observe(at(ixfr, 1), soa(7), "a.example.org. 300 A 192.0.2.1", "b.example.org. 300 A 192.0.2.2")
			ixfr.Whole, ixfr.SerialFrom, ixfr.SerialTo = false, 7, 8
			h.observe(at(ixfr, 2), "-"+soa(7), "-a.example.org. 300 A 192.0.2.1", "-b.example.org. 300 A 192.0.2.2", "+"+soa(8), "+a.example.org. 300 A 192.0.2.9", "+b.example.org. 60 A 192.0.2.2")
			ixfr.SerialFrom, ixfr.SerialTo = 8, 9
			h.observe(at(ixfr, 3), "-"+soa(8), "-x.example.org. 300 TXT \"never heard of\"", "+"+soa(9))
			h.wantLives(none, "a.example.org. 300 A 192.0.2.1 1~-2 primary/", "a.example.org. 300 A 192.0.2.9 2- primary/", "b.example.org. 60 A 192.0.2.2 1~- primary/")
			h.wantChanges(none, `2 b.example.org. A ["192.0.2.2"] 300 > ["192.0.2.2"] 60`, `2 a.example.org. A ["192.0.2.1"] 300 > ["192.0.2.9"] 300`)
			h.wantVersions("example.org.", "3 example.org. primary/ 9 3 +0 -0 ~2", "2 example.org. primary/ 8 3 +1 -1 ~2", "1 example.org. primary/ 7 3 +0 -0 ~0 first")
			lives, _, err := h.s.Lives(t.Context(), picket.HistoryFilter{Name: "a.example.org."})
			if err != nil || len(lives) != 2 || lives[0].SinceSerial != 7 || lives[0].UntilSerial != 8 || lives[1].SinceSerial != 8 || lives[1].UntilSerial != 0 {
				t.Errorf("%+v, %v", lives, err)
			}
			// Up to date, and nothing else: a new serial alone is a version.
			ixfr.SerialFrom, ixfr.SerialTo = 9, 10
			h.observe(at(ixfr, 4))
			h.stage("", "a.example.org. 300 A 192.0.2.9")
			h.commit(&ixfr)
			if v, err := h.s.ZoneVersions(t.Context(), "example.org.", 1); err != nil || len(v) != 1 || v[0].Serial != 10 {
				t.Errorf("%+v, %v", v, err)
			}
		}},
		{"steps that say again what is known", func(t *testing.T, h *history[S]) {
			const a, mx, gone = "a.example.org. 300 A 192.0.2.1", "example.org. 300 MX 10 mail.example.net.", "never.example.org. 300 A 192.0.2.7"
			ixfr := picket.RecordObservation{Source: "primary", Zone: "example.org.", Method: picket.MethodTransfer, Whole: true, HasSerial: true, SerialTo: 1}
			h.observe(at(ixfr, 1), soa(1), a, mx)
			ixfr.Whole, ixfr.SerialFrom, ixfr.SerialTo = false, 1, 2
			// The MX lives and is added, as NSD does; what never was is removed.
			h.observe(at(ixfr, 2), "-"+soa(1), "-"+gone, "+"+soa(2), "+"+mx, "+b.example.org. 300 A 192.0.2.2")
			h.wantLives(none, "a.example.org. 300 A 192.0.2.1 1~- primary/", "b.example.org. 300 A 192.0.2.2 2- primary/", "example.org. 300 MX 10 mail.example.net. 1~- primary/")
			h.wantChanges(none, `2 b.example.org. A [] 0 > ["192.0.2.2"] 300`)
			// Removed and added again in one step: the same life.
			ixfr.SerialFrom, ixfr.SerialTo = 2, 3
			h.observe(at(ixfr, 3), "-"+soa(2), "-"+a, "+"+soa(3), "+"+a)
			// Removed twice: gone once.
			ixfr.SerialFrom, ixfr.SerialTo = 3, 4
			h.observe(at(ixfr, 4), "-"+soa(3), "-"+a, "-"+a, "+"+soa(4))
			ixfr.SerialFrom, ixfr.SerialTo = 4, 5
			h.observe(at(ixfr, 5), "-"+soa(4), "-"+a, "+"+soa(5))
			h.wantLives(none, "a.example.org. 300 A 192.0.2.1 1~-4 primary/", "b.example.org. 300 A 192.0.2.2 2- primary/", "example.org. 300 MX 10 mail.example.net. 1~- primary/")
			h.wantChanges(none, `4 a.example.org. A ["192.0.2.1"] 300 > [] 0`, `2 b.example.org. A [] 0 > ["192.0.2.2"] 300`)
			h.wantVersions("example.org.", "5 example.org. primary/ 5 3 +0 -0 ~2", "4 example.org. primary/ 4 3 +0 -1 ~2", "3 example.org. primary/ 3 4 +0 -0 ~2",
				"2 example.org. primary/ 2 4 +1 -0 ~2", "1 example.org. primary/ 1 3 +0 -0 ~0 first")
		}},
		{"RRsets replaced", func(t *testing.T, h *history[S]) {
			push := picket.RecordObservation{Source: "export", Scope: "org", Method: picket.MethodPush, Whole: true}
			h.observe(at(push, 1), soa(1), "www.example.org. 300 A 192.0.2.1", "www.example.org. 300 A 192.0.2.2", "www.example.org. 300 AAAA 2001:db8::1", "lb.example.org. 300 A 192.0.2.3", "lb.example.org. 0 ALIAS AAAA lb.example.net.")
			push.Whole = false
			h.observe(at(push, 2), "=www.example.org. 60 A 192.0.2.2", "=www.example.org. 60 A 192.0.2.9", "=lb.example.org. 0 ALIAS A lb.example.net.", "=new.example.org. 300 A 192.0.2.4", "-www.example.org. 300 AAAA 2001:db8::1")
			h.observe(at(push, 3), "=new.example.org. 300 A 192.0.2.4") // as it was
			h.wantChanges(none,
				`2 www.example.org. AAAA ["2001:db8::1"] 300 > [] 0`,
				`2 www.example.org. A ["192.0.2.1" "192.0.2.2"] 300 > ["192.0.2.2" "192.0.2.9"] 60`,
				`2 new.example.org. A [] 0 > ["192.0.2.4"] 300`,
				`2 lb.example.org. ALIAS ["AAAA lb.example.net."] 0 > ["A lb.example.net." "AAAA lb.example.net."] 0`,
				`2 lb.example.org. A ["192.0.2.3"] 300 > [] 0`)
			h.wantLives(picket.HistoryFilter{Name: "www.example.org.", Type: "A"}, "www.example.org. 300 A 192.0.2.1 1~-2 export/org", "www.example.org. 60 A 192.0.2.2 1~- export/org", "www.example.org. 60 A 192.0.2.9 2- export/org")
			h.wantLives(picket.HistoryFilter{Name: "lb.example.org.", Living: true}, "lb.example.org. 0 ALIAS A lb.example.net. 2- export/org", "lb.example.org. 0 ALIAS AAAA lb.example.net. 1~- export/org")
			// Of another scope nothing is replaced.
			h.observe(at(picket.RecordObservation{Source: "other", Method: picket.MethodPush}, 4), "=www.example.org. 60 A 192.0.2.77")
			h.wantLives(picket.HistoryFilter{Name: "www.example.org.", Type: "A", Source: "export", Living: true}, "www.example.org. 60 A 192.0.2.2 1~- export/org", "www.example.org. 60 A 192.0.2.9 2- export/org")
		}},
		{"records told one by one", func(t *testing.T, h *history[S]) {
			h.observe(picket.RecordObservation{Source: "line", Method: picket.MethodPush, Time: day(1)}, "a.example.org. 300 A 192.0.2.1")
			h.observe(picket.RecordObservation{Source: "line", Method: picket.MethodPush, Time: day(2)}, "b.example.org. 300 A 192.0.2.1")
			h.wantLives(none, "a.example.org. 300 A 192.0.2.1 1~- line/", "b.example.org. 300 A 192.0.2.1 2~- line/")
			h.wantChanges(none)
			// Without a word of what they mean, they are there; the source is the input.
			h.stage("example.org.", "c.example.org. 300 A 192.0.2.1")
			h.commit(nil)
			lives, _, err := h.s.Lives(t.Context(), picket.HistoryFilter{Name: "c.example.org."})
			if err != nil || len(lives) != 1 || lives[0].Source != "in" || lives[0].Method != picket.MethodPush || lives[0].Began || lives[0].Zone != "example.org." {
				t.Errorf("%+v, %v", lives, err)
			}
		}},
		{"history of a repository", func(t *testing.T, h *history[S]) {
			step := func(n int, lines ...string) {
				h.delivery++
				rows := make([]picket.Record, len(lines))
				for i, l := range lines {
					rows[i] = parseRecord(l)
					rows[i].Zone, rows[i].Time, rows[i].Author, rows[i].Commit, rows[i].Comment = "example.org.", day(n), "A. Uthor", fmt.Sprint("c", n), "why"
				}
				if err := h.s.AppendRecords(t.Context(), picket.Origin{Input: h.input, Delivery: h.delivery}, rows); err != nil {
					t.Fatal(err)
				}
				h.commit(&picket.RecordObservation{Source: "repo", Scope: "main", Method: picket.MethodGit, Time: day(100)})
			}
			step(1, "+a.example.org. 300 A 192.0.2.1", "+b.example.org. 300 A 192.0.2.1")
			step(5, "-a.example.org. 300 A 192.0.2.1", "+a.example.org. 300 A 192.0.2.5")
			h.wantLives(none, "a.example.org. 300 A 192.0.2.1 1-5 repo/main", "a.example.org. 300 A 192.0.2.5 5- repo/main", "b.example.org. 300 A 192.0.2.1 1- repo/main")
			h.wantChanges(none, `5 a.example.org. A ["192.0.2.1"] 300 > ["192.0.2.5"] 300`,
				`1 b.example.org. A [] 0 > ["192.0.2.1"] 300`, `1 a.example.org. A [] 0 > ["192.0.2.1"] 300`)
			list, _, err := h.s.Changes(t.Context(), picket.HistoryFilter{Limit: 1})
			if err != nil || list[0].Author != "A. Uthor" || list[0].Commit != "c5" || list[0].Comment != "why" || list[0].HasSerial {
				t.Errorf("%+v, %v", list, err)
			}
			// Undone at a commit that says it is older.
			step(3, "-a.example.org. 300 A 192.0.2.5", "+a.example.org. 300 A 192.0.2.1")
			h.wantLives(picket.HistoryFilter{Name: "a.example.org."},
				"a.example.org. 300 A 192.0.2.1 1-5 repo/main", "a.example.org. 300 A 192.0.2.1 5- repo/main", "a.example.org. 300 A 192.0.2.5 5-5 repo/main")
		}},
		{"an older document after a newer one", func(t *testing.T, h *history[S]) {
			h.observe(at(file, 5), soa(5), "a.example.org. 300 A 192.0.2.1")
			h.observe(at(file, 2), soa(2), "b.example.org. 300 A 192.0.2.1")
			h.wantLives(none, "a.example.org. 300 A 192.0.2.1 5~-5 zones/org.zone", "b.example.org. 300 A 192.0.2.1 2- zones/org.zone")
			h.observe(at(file, 4), soa(2), "a.example.org. 300 A 192.0.2.1")
			h.wantLives(picket.HistoryFilter{Name: "a.example.org."}, "a.example.org. 300 A 192.0.2.1 5~-5 zones/org.zone", "a.example.org. 300 A 192.0.2.1 5- zones/org.zone")
		}},
		{"zones of names", func(t *testing.T, h *history[S]) {
			o := picket.RecordObservation{Source: "export", Method: picket.MethodPush, Whole: true, Time: day(1)}
			h.observe(o, soa(1), "sub."+soa(2), "www.example.org. 300 A 192.0.2.1", "www.sub.example.org. 300 A 192.0.2.1", `a\.sub.example.org. 300 A 192.0.2.1`,
				`b\\.sub.example.org. 300 A 192.0.2.1`, "www.sub.example.net. 300 A 192.0.2.1")
			h.observe(picket.RecordObservation{Source: "line", Method: picket.MethodPush, Time: day(2)}, "ftp.sub.example.org. 300 A 192.0.2.1", "ftp.example.com. 300 A 192.0.2.1")
			lives, _, err := h.s.Lives(t.Context(), none)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for _, l := range lives {
				got[l.Name] = l.Zone
			}
			want := map[string]string{"www.example.org.": "example.org.", "www.sub.example.org.": "sub.example.org.", `a\.sub.example.org.`: "example.org.",
				`b\\.sub.example.org.`: "sub.example.org.", "www.sub.example.net.": "", "ftp.sub.example.org.": "sub.example.org.", "ftp.example.com.": ""}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("zones %v", got)
			}
			h.wantLives(picket.HistoryFilter{Name: "sub.example.org.", Below: true, Source: "export"},
				`b\\.sub.example.org. 300 A 192.0.2.1 1~- export/`, "www.sub.example.org. 300 A 192.0.2.1 1~- export/")
			// Without a scope, only the zones that it has are whole.
			o.Time = day(3)
			h.observe(o, "sub."+soa(2))
			h.wantLives(picket.HistoryFilter{Source: "export", Living: true, Zone: "example.org."},
				`a\.sub.example.org. 300 A 192.0.2.1 1~- export/`, "www.example.org. 300 A 192.0.2.1 1~- export/")
			h.wantLives(picket.HistoryFilter{Source: "export", Living: true, Zone: "sub.example.org."})
		}},
		{"nothing left in a document", func(t *testing.T, h *history[S]) {
			h.observe(at(file, 1), soa(1), "a.example.org. 300 A 192.0.2.1")
			o := at(file, 2)
			if err := h.s.CommitIntake(t.Context(), &picket.IntakeCommit{Input: h.input, Closed: h.delivery, Records: &o}); err != nil {
				t.Fatal(err)
			}
			h.wantLives(none, "a.example.org. 300 A 192.0.2.1 1~-2 zones/org.zone")
			h.wantVersions("example.org.", "2 example.org. zones/org.zone 0 0 +0 -1 ~1", "1 example.org. zones/org.zone 1 2 +0 -0 ~0 first")
		}},
		{"churn", func(t *testing.T, h *history[S]) {
			sig := func(n int) string {
				return fmt.Sprintf("a.example.org. 300 RRSIG A 13 3 300 2026040%d000000 20260301000000 1 example.org. eA==", n)
			}
			h.observe(at(file, 1), soa(1), "a.example.org. 300 A 192.0.2.1", sig(1), "a.example.org. 300 NSEC example.org. A", "example.org. 300 DNSKEY 257 3 13 eA==")
			h.observe(at(file, 2), soa(2), "a.example.org. 300 A 192.0.2.1", sig(2), "a.example.org. 300 NSEC b.example.org. A", "example.org. 300 DNSKEY 257 3 13 eQ==")
			h.wantChanges(none, `2 example.org. DNSKEY ["257 3 13 eA=="] 300 > ["257 3 13 eQ=="] 300`)
			if _, n, err := h.s.Changes(t.Context(), all); n != 4 || err != nil {
				t.Errorf("%d changes with churn, %v", n, err)
			}
			h.wantLives(picket.HistoryFilter{Type: "RRSIG"})
			if l, n, err := h.s.Lives(t.Context(), picket.HistoryFilter{Type: "RRSIG", Churn: true}); n != 2 || err != nil || !l[0].Churn {
				t.Errorf("%d lives of signatures, %v", n, err)
			}
			h.wantVersions("example.org.", "2 example.org. zones/org.zone 2 5 +1 -1 ~6", "1 example.org. zones/org.zone 1 5 +0 -0 ~0 first")
		}},
		{"filters", func(t *testing.T, h *history[S]) {
			for i := range 5 {
				lines := []string{soa(i + 1)}
				for j := range i {
					lines = append(lines, fmt.Sprintf("n%d.example.org. 300 A 192.0.2.1", j))
				}
				h.observe(at(file, i+1), lines...)
			}
			h.wantChanges(picket.HistoryFilter{Since: day(3), Until: day(5)}, `4 n2.example.org. A [] 0 > ["192.0.2.1"] 300`, `3 n1.example.org. A [] 0 > ["192.0.2.1"] 300`)
			h.wantChanges(picket.HistoryFilter{Limit: 1, Offset: 1}, `4 n2.example.org. A [] 0 > ["192.0.2.1"] 300`)
			h.wantLives(picket.HistoryFilter{Until: day(3)}, "n0.example.org. 300 A 192.0.2.1 2- zones/org.zone", "n1.example.org. 300 A 192.0.2.1 3- zones/org.zone")
			h.wantLives(picket.HistoryFilter{Zone: "example.net."})
			h.wantLives(picket.HistoryFilter{Name: "' OR true --"})
		}},
		{"hostile text", func(t *testing.T, h *history[S]) {
			h.observe(at(file, 1), soa(1))
			h.observe(at(file, 2), soa(1), `x'); DROP TABLE record_lives; --.example.org. 300 TXT "x"`, "y\xff:zone$1.example.org. 300 TXT \"\x00\"")
			if _, n, err := h.s.Lives(t.Context(), none); n != 2 || err != nil {
				t.Errorf("%d lives, %v", n, err)
			}
		}},
		{"crash", func(t *testing.T, h *history[S]) {
			h.observe(at(file, 1), soa(1))
			h.stage("", "a.example.org. 300 A 192.0.2.1") // never committed; comes again
			once := openInput(t, h.s, "once", false)
			if err := h.s.AppendRecords(t.Context(), picket.Origin{Input: once.ID, Delivery: h.delivery + 1}, []picket.Record{{Name: "b.example.org.", Type: "A", Data: "192.0.2.2"}}); err != nil {
				t.Fatal(err)
			}
			h.delivery++
			h.s = reopen(t, h.s)
			if n := h.s.LastDelivery(); n != h.delivery {
				t.Errorf("last delivery %d, want %d", n, h.delivery)
			}
			h.commit(ptr(at(file, 3))) // nothing is left under a delivery's number
			lives, _, err := h.s.Lives(t.Context(), none)
			if err != nil || len(lives) != 1 || lives[0].Source != "once" || lives[0].Zone != "example.org." || lives[0].Name != "b.example.org." {
				t.Errorf("%+v, %v", lives, err)
			}
			if st := openInput(t, h.s, "once", false); st.Counts.Accepted != 1 {
				t.Errorf("accepted %d", st.Counts.Accepted)
			}
			// Withdrawn rows are gone, too.
			h.stage("", "c.example.org. 300 A 192.0.2.1")
			if err := h.s.Withdraw(t.Context(), picket.Origin{Input: h.input, Delivery: h.delivery}); err != nil {
				t.Fatal(err)
			}
			h.commit(nil)
			h.wantLives(picket.HistoryFilter{Name: "c.example.org."})
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := &history[S]{t: t, s: open(t)}
			h.input = openInput(t, h.s, "in", true).ID
			test.run(t, h)
		})
	}
	t.Run("many at once", func(t *testing.T) { sideBySide(t, open(t)) })
}

func ptr[T any](v T) *T { return &v }

// sideBySide: observations of several sources at once keep apart.
func sideBySide[S HistoryStore](t *testing.T, s S) {
	in := openInput(t, s, "in", true)
	done := make(chan error)
	for i := range 8 {
		go func() {
			done <- func() error {
				for round := range 3 {
					d := int64(i*3 + round + 1)
					r := []picket.Record{{Zone: "example.org.", Name: "example.org.", Type: "TXT", Data: fmt.Sprint(i, round)}}
					if err := s.AppendRecords(context.Background(), picket.Origin{Input: in.ID, Delivery: d}, r); err != nil {
						return err
					}
					o := &picket.RecordObservation{Source: fmt.Sprint("s", i), Zone: "example.org.", Method: picket.MethodTransfer, Time: day(round), Whole: true}
					if err := s.CommitIntake(context.Background(), &picket.IntakeCommit{Input: in.ID, Delivery: d, Records: o}); err != nil {
						return err
					}
				}
				return nil
			}()
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	_, lives, err := s.Lives(t.Context(), picket.HistoryFilter{})
	_, changes, cerr := s.Changes(t.Context(), picket.HistoryFilter{})
	_, living, lerr := s.Lives(t.Context(), picket.HistoryFilter{Living: true})
	if err != nil || cerr != nil || lerr != nil || lives != 24 || changes != 16 || living != 8 {
		t.Errorf("%d lives, %d of them living, %d changes; %v, %v, %v", lives, living, changes, err, cerr, lerr)
	}
}
