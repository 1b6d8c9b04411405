package catalog

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/picket-dns/picket/internal/dnsname"
)

func TestLoadNames(t *testing.T) {
	path := write(t, "retired.txt", "\ufeff# comment\nold.example.com\r\n\n*.wild.example.com.  # why\n"+
		"OLD2.example.com,2024-01-01\nold3.example.com\t2023-05-01 x\nhttps://old.example.com/\na..b\n.\n0/25.2.0.192.in-addr.arpa\n")
	got, problems, err := LoadNames(path)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, n := range got {
		texts = append(texts, dnsname.String(n))
	}
	want := "old.example.com. wild.example.com. old2.example.com. old3.example.com. 0/25.2.0.192.in-addr.arpa."
	if strings.Join(texts, " ") != want {
		t.Errorf("%v, want %s", texts, want)
	}
	wantProblems := []string{path + `:7: "https://old.example.com/" looks like a URL`, path + `:8: "a..b" is no domain name`, path + `:9: "." is the root`}
	if len(problems) != len(wantProblems) {
		t.Fatal(problems)
	}
	for i, p := range problems {
		if !strings.HasPrefix(p.Error(), wantProblems[i]) {
			t.Errorf("%v, want %s", p, wantProblems[i])
		}
	}
	if _, _, err := LoadNames(path + "x"); err == nil {
		t.Error("a missing list is no error")
	}
	if _, _, err := LoadNames(write(t, "x", "ok.example\n"+strings.Repeat("a", maxListLine))); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a line without end: %v", err)
	}
}

func TestLoadCanaries(t *testing.T) {
	path := write(t, "canaries.csv", "# name,channel\nc1.example.com,pdns\nc2.example.com\nc3.example.com , CT\nc4.example.com,two words\n-,\n..,x\n")
	got, problems, err := LoadCanaries(path)
	if err != nil {
		t.Fatal(err)
	}
	s := ""
	for _, c := range got {
		s += fmt.Sprintf("%s=%s ", dnsname.Text(c.Name), c.Channel)
	}
	if s != "c1.example.com=pdns c2.example.com= c3.example.com=ct -= " {
		t.Error(s)
	}
	if len(problems) != 2 || problems[0].Line != 5 || problems[1].Line != 7 {
		t.Error(problems)
	}
}

func TestSources(t *testing.T) {
	s, err := NewSources([]string{"192.0.2.1", "2001:db8:1::/48", "::ffff:198.51.100.9"}, []string{"192.0.2.0/24", "2001:db8::/32", "203.0.113.0/25"})
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]Role{
		"192.0.2.1": RoleSecondary, "192.0.2.2": RoleOwn, "::ffff:192.0.2.1": RoleSecondary, "192.0.3.1": RoleNone,
		"2001:db8:1::5": RoleSecondary, "2001:db8:2::5": RoleOwn, "2001:db9::": RoleNone, "203.0.113.128": RoleNone,
		"198.51.100.9": RoleSecondary, "2001:db8:1::5%eth0": RoleSecondary,
	} {
		if got := s.Role(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v, want %v", addr, got, want)
		}
	}
	if got := s.Role(netip.Addr{}); got != RoleNone {
		t.Error(got)
	}
	if got := (*Sources)(nil).Role(netip.MustParseAddr("192.0.2.1")); got != RoleNone {
		t.Error(got)
	}
	a := netip.MustParseAddr("2001:db8:2::5")
	if n := testing.AllocsPerRun(100, func() { s.Role(a) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	_, err = NewSources([]string{"192.0.2.7/24", "nonsense", "1.2.3.4"}, []string{"::ffff:1.2.3.0/120", "1.2.3.4/33", "1.2.3.4"})
	for _, want := range []string{`secondary "192.0.2.7/24": has bits set beyond its length: 192.0.2.0/24`, `secondary "nonsense"`,
		`own "::ffff:1.2.3.0/120": write the IPv4`, `own "1.2.3.4/33"`, `own "1.2.3.4": is listed as secondary too`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
}

func BenchmarkRole(b *testing.B) {
	s, err := NewSources([]string{"192.0.2.1", "198.51.100.0/24"}, []string{"203.0.113.0/25"})
	if err != nil {
		b.Fatal(err)
	}
	a := netip.MustParseAddr("10.0.0.1")
	b.ReportAllocs()
	for b.Loop() {
		s.Role(a)
	}
}
