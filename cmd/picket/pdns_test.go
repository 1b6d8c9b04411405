package main

import (
	"encoding/binary"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/picket-dns/picket/internal/pickettest"
)

// answerAt is an authoritative answer and when it was given.
type answerAt struct {
	at      time.Time
	name    string
	typ     uint16
	records []string
}

// answersCapture is a pcap file (raw IP) of a server's answers over UDP.
func answersCapture(t *testing.T, list ...answerAt) []byte {
	t.Helper()
	be, le := binary.BigEndian, binary.LittleEndian
	var b []byte
	for _, v := range []uint32{0xa1b2c3d4, 2 | 4<<16, 0, 0, 65535, 101} {
		b = le.AppendUint32(b, v)
	}
	for i, x := range list {
		m := new(dns.Msg)
		m.SetQuestion(x.name, x.typ)
		m.Id, m.Response, m.Authoritative, m.Compress = uint16(i), true, true, true
		for _, s := range x.records {
			rr, err := dns.NewRR(s)
			if err != nil {
				t.Fatal(err)
			}
			m.Answer = append(m.Answer, rr)
		}
		ns, err := dns.NewRR("example.org. 60 IN NS ns1.example.org.")
		if err != nil {
			t.Fatal(err)
		}
		m.Ns = append(m.Ns, ns)
		msg, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		ip := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 53, 198, 51, 100, 7, 0, 53, 0x9c, 0x40, 0, 0, 0, 0}
		be.PutUint16(ip[2:], uint16(28+len(msg)))
		be.PutUint16(ip[24:], uint16(8+len(msg)))
		packet := append(ip, msg...)
		for _, v := range []uint32{uint32(x.at.Unix()), 0, uint32(len(packet)), uint32(len(packet))} {
			b = le.AppendUint32(b, v)
		}
		b = append(b, packet...)
	}
	return b
}

// importedCOF are sightings of another database, as CIRCL writes them.
const importedCOF = `{"rrname":"old.example.org","rrtype":"A","rdata":"192.0.2.99","time_first":1500000000,"time_last":1600000000,"count":5,"origin":"elsewhere"}
{"rrname":"www.example.org","rrtype":"CNAME","rdata":"host.example.org","time_first":1500000000,"time_last":1600000000,"count":5,"origin":"elsewhere"}
{"rrname":"broken
`

// pdnsChild is a daemon that has seen answers, and other databases' sightings before.
func pdnsChild(t *testing.T) *child {
	t.Helper()
	c := newChild(t, "inputs:\n  - {name: ns1, format: pcap, file: answers.pcap}\n")
	first := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	www := []string{"WWW.example.org. 60 IN CNAME host.example.org.", "host.example.org. 60 IN A 192.0.2.1"}
	capture := answersCapture(t,
		answerAt{first, "www.example.org.", dns.TypeA, www},
		answerAt{first.Add(time.Hour), "www.example.org.", dns.TypeA, www},
		answerAt{first.Add(2 * time.Hour), "host.example.org.", dns.TypeAAAA, []string{"host.example.org. 60 IN AAAA 2001:db8::1"}},
		answerAt{first.Add(3 * time.Hour), "example.org.", dns.TypeMX, []string{"example.org. 60 IN MX 10 host.example.org."}})
	for name, b := range map[string][]byte{"answers.pcap": capture, "elsewhere.json": []byte(importedCOF)} {
		if err := os.WriteFile(c.path(name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	code, out, errs := picketCommand("pdns", "import", "-c", c.config(), c.path("elsewhere.json"))
	if code != exitOK || !strings.HasSuffix(out, ": pdns-cof: 2 sightings, 1 records rejected\n") || !strings.Contains(errs, "first at line 3") {
		t.Fatalf("import: %d\n%s%s", code, out, errs)
	}
	c.start()
	c.accepted("ns1", 4)
	c.until("answers are stored", func() bool {
		body, err := c.get("/pdns/query/example.org")
		return err == nil && strings.Contains(body, `"MX"`)
	})
	return c
}

// TestRealDnsdbq asks the console by Debian's dnsdbq as it is, in its CIRCL mode and
// in its own.
func TestRealDnsdbq(t *testing.T) {
	need(t, map[string]string{"dnsdbq": "dnsdbq"})
	c := pdnsChild(t)
	conf := c.path("dnsdbq.conf")
	text := "CIRCL_AUTH=\"user:password\"\nCIRCL_SERVER=\"http://" + c.addr + "/pdns/query\"\nDNSDB_SERVER=\"http://" + c.addr + "\"\nAPIKEY=\"none\"\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ask := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(pickettest.FindProgram("dnsdbq"), args...)
		cmd.Env = []string{"DNSDBQ_CONFIG_FILE=" + conf, "HOME=" + c.dir, "DNSDBQ_TIME_FORMAT=iso"}
		var errs strings.Builder
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("dnsdbq %v: %v\n%s", args, err, errs.String())
		}
		return string(out)
	}
	const (
		a    = `{"rrname":"host.example.org.","rrtype":"A","rdata":"192.0.2.1","time_first":1772366400,"time_last":1772370000,"count":2,"bailiwick":"example.org.","sensor_id":"ns1","origin":"own"}`
		aaaa = `{"rrname":"host.example.org.","rrtype":"AAAA","rdata":"2001:db8::1","time_first":1772373600,"time_last":1772373600,"count":1,"bailiwick":"example.org.","sensor_id":"ns1","origin":"own"}`
		mx   = `{"rrname":"example.org.","rrtype":"MX","rdata":"10 host.example.org.","time_first":1772377200,"time_last":1772377200,"count":1,"bailiwick":"example.org.","sensor_id":"ns1","origin":"own"}`
		old  = `{"rrname":"old.example.org.","rrtype":"A","rdata":"192.0.2.99","time_first":1500000000,"time_last":1600000000,"count":5,"origin":"elsewhere"}`
	)
	for _, x := range []struct {
		args []string
		want []string // of each line, how it begins
	}{
		{[]string{"-r", "old.example.org"}, []string{old}},
		{[]string{"-r", "*.example.org"}, []string{mx, aaaa, a, `{"rrname":"www.example.org.",`, old}},
		{[]string{"-n", "host.example.org"}, []string{aaaa, a, mx, `{"rrname":"www.example.org.",`}},
		{[]string{"-i", "192.0.2.99"}, []string{old}},
		{[]string{"-i", "192.0.2.0/25"}, []string{a, old}},
		{[]string{"-i", "2001:db8::/32"}, []string{aaaa}},
		{[]string{"-r", "*.example.org", "-l", "2"}, []string{mx, aaaa}},
		{[]string{"-r", "nothing.example.org"}, nil},
	} {
		got := strings.Split(strings.TrimSuffix(ask(append([]string{"-u", "circl", "-j"}, x.args...)...), "\n"), "\n")
		if got[0] == "" {
			got = nil
		}
		ok := len(got) == len(x.want)
		for i := range got {
			ok = ok && strings.HasPrefix(got[i], x.want[i])
		}
		if !ok {
			t.Errorf("dnsdbq -u circl -j %v:\n%s\nwant\n%s", x.args, strings.Join(got, "\n"), strings.Join(x.want, "\n"))
		}
	}
	// What two databases have seen of one answer is one: the earliest, the latest, both counts.
	if got := ask("-u", "circl", "-j", "-r", "www.example.org"); !strings.HasPrefix(got, `{"rrname":"www.example.org.","rrtype":"CNAME","rdata":"host.example.org.","time_first":1500000000,"time_last":1772370000,"count":7,`) {
		t.Errorf("two databases: %s", got)
	}
	if got, want := ask("-u", "circl", "-r", "host.example.org", "-s", "-k", "first"), ";; count: 2; bailiwick: example.org.\nhost.example.org.  A  192.0.2.1\n"; !strings.Contains(got, want) {
		t.Errorf("text:\n%s\nwant\n%s", got, want)
	}
	// In its own mode it sends types and fences too.
	if got, want := ask("-u", "dnsdb2", "-j", "-r", "*.example.org", "-c", "-A", "2015-01-01", "-B", "2021-01-01"), old+"\n"; strings.ReplaceAll(strings.ReplaceAll(got, "[", ""), "]", "") != want {
		t.Errorf("dnsdb2, seen before 2021 only:\n%s\nwant\n%s", got, want)
	}
	if got, want := ask("-u", "dnsdb2", "-j", "-r", "host.example.org/AAAA/example.org", "-A", "2026-01-01", "-l", "5"), strings.Replace(aaaa, `"2001:db8::1"`, `["2001:db8::1"]`, 1)+"\n"; got != want {
		t.Errorf("dnsdb2:\n%s\nwant\n%s", got, want)
	}
}

// TestPDNSCommand: the command asks the daemon while it runs and the store when not.
func TestPDNSCommand(t *testing.T) {
	c := pdnsChild(t)
	ask := func(args ...string) string {
		t.Helper()
		code, out, errs := picketCommand(append([]string{"pdns", "-c", c.config()}, args...)...)
		if code != exitOK {
			t.Fatalf("pdns %v: %d\n%s", args, code, errs)
		}
		return out
	}
	code, _, errs := picketCommand("pdns", "import", "-c", c.config(), c.path("elsewhere.json"))
	if code != exitSome || !strings.Contains(errs, "name the files as an input in its configuration instead:\n  inputs:\n    - file: ") {
		t.Errorf("import while the daemon runs: %d %s", code, errs)
	}
	for _, when := range []string{"running", "stopped"} {
		if when == "stopped" {
			c.stop()
		}
		const table = `NAME               TYPE  RDATA                 FIRST SEEN            LAST SEEN             COUNT  BY
example.org.       MX    10 host.example.org.  2026-03-01T15:00:00Z  2026-03-01T15:00:00Z  1      own ns1
host.example.org.  AAAA  2001:db8::1           2026-03-01T14:00:00Z  2026-03-01T14:00:00Z  1      own ns1
host.example.org.  A     192.0.2.1             2026-03-01T12:00:00Z  2026-03-01T13:00:00Z  2      own ns1
`
		if got := ask("*.example.org", "--first-after", "2026-01-01T00:00:00Z"); got != table {
			t.Errorf("%s:\n%s\nwant\n%s", when, got, table)
		}
		const cof = `{"rrname":"old.example.org.","rrtype":"A","rdata":"192.0.2.99","time_first":1500000000,"time_last":1600000000,"count":5,"origin":"elsewhere"}` + "\n"
		for _, args := range [][]string{{"192.0.2.64/26", "-o", "cof"}, {"--net", "192.0.2.99", "-o", "cof"}, {"--data", "192.0.2.99", "-o", "cof"},
			{"OLD.example.org", "--type", "a", "-o", "cof"}, {"*.example.org", "--last-before", "2021-01-01T00:00:00Z", "-o", "cof"}} {
			if got := ask(args...); got != cof {
				t.Errorf("%s: %v:\n%s", when, args, got)
			}
		}
		if got := ask("--data", "*.host.example.org", "--count"); got != "sightings  2\nseen       8\n" {
			t.Errorf("%s: count: %q", when, got)
		}
	}
}

func TestPDNSUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"a", "b"}, {"a", "-o", "xml"}, {"a", "--limit", "0"}, {"192.0.2.1", "--net", "192.0.2.2"},
		{"a", "--since", "yesterday"}, {"a", "--since", "2026-01-01T00:00:00Z", "--last-after", "2026-01-01T00:00:00Z"}, {"import"}} {
		if code, _, errs := picketCommand(append([]string{"pdns"}, args...)...); code != exitUsage || !strings.HasPrefix(errs, "picket: ") {
			t.Errorf("%v: %d %s", args, code, errs)
		}
	}
	if !isNet(netip.MustParsePrefix("2001:db8::/32").String()) || isNet("host.example.org") {
		t.Error("isNet")
	}
}
