package transfer

import (
	"errors"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/picket-dns/picket"
)

// plainForm is a Form for tests.
func plainForm(rr dns.RR) (picket.Record, error) {
	h := rr.Header()
	return picket.Record{Name: dns.CanonicalName(h.Name), Type: dns.TypeToString[h.Rrtype], Data: strings.TrimPrefix(rr.String(), h.String())}, nil
}

func rrs(t *testing.T, text string) (list []dns.RR) {
	t.Helper()
	text = strings.NewReplacer("SOA", "z.example. 60 IN SOA ns. host.", "END", "60 60 60 60").Replace(text)
	for line := range strings.SplitSeq(text, "|") {
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, rr)
	}
	return list
}

// TestStream: what makes a transfer, and what does not. Lines are apart by |.
func TestStream(t *testing.T) {
	for _, x := range []struct {
		name, text string
		ixfr       bool // asked from serial 1
		done       bool
		err        string
		full       int // records of the whole zone
		steps      []uint32
	}{
		{name: "whole", text: "SOA 5 END|a.z.example. A 192.0.2.1|SOA 5 END", done: true, full: 2},
		{name: "whole instead of IXFR", text: "SOA 5 END|a.z.example. A 192.0.2.1|SOA 5 END", ixfr: true, done: true, full: 2},
		{name: "nothing but a SOA", text: "SOA 5 END|SOA 5 END", ixfr: true, done: true, full: 1},
		{name: "nothing new", text: "SOA 1 END", ixfr: true, done: true},
		{name: "server behind", text: "SOA 0 END", ixfr: true, done: true},
		{name: "serial turned over", text: "SOA 4294967295 END", ixfr: true, done: true},
		{name: "step", text: "SOA 2 END|SOA 1 END|a.z.example. A 192.0.2.1|SOA 2 END|a.z.example. A 192.0.2.2|SOA 2 END", ixfr: true, done: true, steps: []uint32{1, 2}},
		{name: "steps", text: "SOA 4 END|SOA 1 END|a.z.example. A 192.0.2.1|SOA 3 END|SOA 3 END|SOA 4 END|a.z.example. A 192.0.2.2|SOA 4 END", ixfr: true, done: true, steps: []uint32{1, 3, 3, 4}},
		{name: "no end", text: "SOA 5 END|a.z.example. A 192.0.2.1"},
		{name: "no SOA first", text: "a.z.example. A 192.0.2.1|SOA 5 END", err: "begins with a.z.example. A, not with the zone's SOA"},
		{name: "SOA of another zone first", text: "y.example. 60 IN TYPE6 \\# 22 00 00 00000005 0000003c 0000003c 0000003c 0000003c", err: "record of another zone: y.example."},
		{name: "SOA below", text: "SOA 5 END|b.z.example. 60 IN TYPE6 \\# 22 00 00 00000005 0000003c 0000003c 0000003c 0000003c", err: "a SOA of b.z.example."},
		{name: "another zone's record", text: "SOA 5 END|a.y.example. A 192.0.2.1", err: "record of another zone: a.y.example."},
		{name: "a name that only ends so", text: "SOA 5 END|xz.example. A 192.0.2.1", err: "record of another zone: xz.example."},
		{name: "another class", text: "SOA 5 END|a.z.example. CH TXT x", err: "class 3"},
		{name: "another end", text: "SOA 5 END|a.z.example. A 192.0.2.1|SOA 6 END", err: "ends with serial 6, it began with 5"},
		{name: "behind the end", text: "SOA 5 END|SOA 5 END|a.z.example. A 192.0.2.1", err: "goes on behind its end"},
		{name: "IXFR from elsewhere", text: "SOA 5 END|SOA 2 END", ixfr: true, err: "begins at serial 2, asked for was 1"},
		{name: "IXFR backwards", text: "SOA 5 END|SOA 1 END|SOA 0 END", ixfr: true, err: "a step from serial 1 to 0"},
		{name: "IXFR beyond", text: "SOA 5 END|SOA 1 END|SOA 6 END", ixfr: true, err: "a step from serial 1 to 6"},
		{name: "IXFR with a gap", text: "SOA 5 END|SOA 1 END|SOA 3 END|SOA 4 END", ixfr: true, err: "serial 4 follows 3"},
		{name: "too many", text: "SOA 5 END" + strings.Repeat("|a.z.example. A 192.0.2.1", 100), err: "more than 100 records: raise max_records"},
	} {
		t.Run(x.name, func(t *testing.T) {
			s := &stream{zone: "z.example.", known: 1, ixfr: x.ixfr, form: plainForm, room: 100}
			var err error
			for _, rr := range rrs(t, x.text) {
				if err = s.add(rr); err != nil {
					break
				}
			}
			if x.err != "" {
				if err == nil || !strings.Contains(err.Error(), x.err) {
					t.Fatalf("error %v, want %q", err, x.err)
				}
				if strings.HasPrefix(x.name, "IXFR") != errors.Is(err, errIncremental) {
					t.Errorf("may be asked whole: %v", err)
				}
				return
			}
			if err != nil || s.done != x.done {
				t.Fatalf("error %v, done %v", err, s.done)
			}
			if x.done && len(s.full.Records) != x.full {
				t.Errorf("%d records", len(s.full.Records))
			}
			var steps []uint32
			for _, st := range s.steps {
				steps = append(steps, st.From, st.To)
			}
			if len(steps) != len(x.steps) {
				t.Fatalf("steps %v, want %v", steps, x.steps)
			}
			for i := range steps {
				if steps[i] != x.steps[i] {
					t.Errorf("steps %v, want %v", steps, x.steps)
				}
			}
		})
	}
}

func TestNewer(t *testing.T) { // RFC 1982 §5.2, for 32 bits
	for _, x := range []struct {
		a, b uint32
		want bool
	}{{1, 0, true}, {0, 1, false}, {0, 4294967295, true}, {4294967295, 0, false}, {2147483647, 0, true}, {2147483648, 0, false}, {0, 2147483648, false}, {7, 7, false}} {
		if got := Newer(x.a, x.b); got != x.want {
			t.Errorf("Newer(%d, %d) = %v", x.a, x.b, got)
		}
	}
}

func TestLagCounts(t *testing.T) {
	v := func(list ...uint32) (out []picket.ZoneVersion) {
		for _, s := range list {
			out = append(out, picket.ZoneVersion{Zone: "z.example.", HasSerial: true, Serial: s})
		}
		return append(out, picket.ZoneVersion{Zone: "other.example.", HasSerial: true, Serial: 99}, picket.ZoneVersion{Zone: "z.example."})
	}
	for _, x := range []struct {
		versions []picket.ZoneVersion
		newest   uint32
		has      bool
		serial   uint32
		want     picket.ServerLag
	}{
		{v(5, 4, 4, 3), 0, false, 3, picket.ServerLag{Serial: 3, Newest: 5, Behind: 2}},
		{v(5, 4, 3), 6, true, 3, picket.ServerLag{Serial: 3, Newest: 6, Behind: 3}},
		{nil, 6, true, 3, picket.ServerLag{Serial: 3, Newest: 6, Behind: 1}},
		{v(5, 4, 3), 5, true, 7, picket.ServerLag{Serial: 7, Newest: 7}},
		{v(1, 0, 4294967295), 0, false, 4294967295, picket.ServerLag{Serial: 4294967295, Newest: 1, Behind: 2}},
	} {
		x.want.Zone = "z.example."
		if got := Lag("z.example.", x.versions, x.newest, x.has, x.serial); got != x.want {
			t.Errorf("%+v, want %+v", got, x.want)
		}
	}
}
