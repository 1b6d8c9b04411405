package transfer_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/record"
	"github.com/picket-dns/picket/internal/pickettest"
	"github.com/picket-dns/picket/internal/transfer"
)

// The tests of this file run other people's name servers on loopback ports.

const (
	testZone   = "moving.example."
	testSecret = "c2VjcmV0IG9mIHRoZSB0ZXN0cywgMzIgYnl0ZXMgaXM="
)

func testKey(t *testing.T, name, algorithm, secret string) *transfer.Key {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(secret)
	if err != nil {
		t.Fatal(err)
	}
	k, err := transfer.NewKey(name, algorithm, raw)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// zoneText is the zone at a serial. One host moves with each.
func zoneText(serial int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "$ORIGIN %s\n$TTL 300\n@ IN SOA ns1 hostmaster %d 3600 900 1209600 300\n@ IN NS ns1\nns1 IN A 127.0.0.1\nWWW IN A 192.0.2.%d\n", testZone, serial, serial)
	b.WriteString("@ MX 10 mail.other.example.\ntext TXT \"one; two\" \"three\\200\"\n_sip._tcp SRV 1 2 5060 www\nsvc HTTPS 1 . alpn=h2\nodd TYPE65280 \\# 2 abcd\n*.wild AAAA 2001:db8::1\n")
	for i := range 400 { // more than one message
		fmt.Fprintf(&b, "host-with-a-long-name-so-that-messages-fill-%d IN TXT \"%s\"\n", i, strings.Repeat("x", 200))
	}
	return b.String()
}

// primary is a server of the tests' zone. notify is where it sends NOTIFY.
func primary(notify string) pickettest.Primary {
	return pickettest.Primary{Zone: testZone, Text: zoneText, Secret: testSecret, Notify: notify}
}

// told collects what a listener reports.
type told struct {
	notices  chan transfer.Notice
	refusals chan transfer.Refusal
}

func listen(t *testing.T, key *transfer.Key) (*told, string) {
	t.Helper()
	r := &told{make(chan transfer.Notice, 100), make(chan transfer.Refusal, 100)}
	l := &transfer.Listener{Zones: []transfer.NotifyZone{{Name: testZone, Key: key, From: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}},
		Notified: func(n transfer.Notice) { r.notices <- n }, Refused: func(x transfer.Refusal) { r.refusals <- x }}
	ctx, cancel := context.WithCancel(context.Background())
	free, _ := pickettest.FreeAddr(t) // for UDP and TCP; port 0 is free for UDP alone
	addr, done, err := l.Listen(ctx, free)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); <-done })
	return r, addr.String()
}

// fromFile is what a zone file's decoder makes of the zone at a serial.
func fromFile(t *testing.T, serial int) []string {
	t.Helper()
	var c record.Collector
	if err := record.ZoneFile(t.Context(), strings.NewReader(zoneText(serial)), decodeOptions(), ignoreAccount{}, &c); err != nil {
		t.Fatal(err)
	}
	return lines(c.Records)
}

func lines(list []picket.Record) []string {
	out := make([]string, len(list))
	for i, r := range list {
		out[i] = fmt.Sprintf("%s %s %d %s %s %s", r.Zone, r.Name, r.TTL, r.Class, r.Type, r.Data)
	}
	slices.Sort(out)
	return out
}

// TestRealPrimaries: the zone comes whole, equal to what its file says; an edit is
// notified, signed, and what it changed is here within two seconds.
func TestRealPrimaries(t *testing.T) {
	for name, start := range pickettest.Primaries() {
		t.Run(name, func(t *testing.T) {
			key := testKey(t, "picket", "hmac-sha256", testSecret)
			r, notify := listen(t, key)
			s := start(t, primary(notify))
			c := &transfer.Client{Primary: s.Addr, Key: key, Form: record.FromWire}
			got, err := c.Transfer(t.Context(), testZone, 0, false)
			if err != nil {
				t.Fatal(err)
			}
			if got.Full == nil || got.SOA.Serial != 1 || got.Full.Serial != 1 || got.Full.Records[0].Type != "SOA" {
				t.Fatalf("the first transfer is not whole: serial %d", got.SOA.Serial)
			}
			if file, wire := fromFile(t, 1), lines(got.Full.Records); !slices.Equal(file, wire) {
				t.Errorf("file and transfer differ:\n%s\n%s", missing(file, wire), missing(wire, file))
			}
			if soa, err := c.SOA(t.Context(), testZone); err != nil || soa != (transfer.SOA{Serial: 1, Refresh: time.Hour, Retry: 15 * time.Minute}) {
				t.Errorf("SOA: %v %v", soa, err)
			}
			if got, err := c.Transfer(t.Context(), testZone, 1, true); err != nil || got.SOA.Serial != 1 || got.Full != nil || len(got.Steps) > 0 {
				t.Errorf("nothing new: %+v %v", got, err)
			}
			s.Edit(2)
			for {
				var n transfer.Notice
				select {
				case n = <-r.notices:
				case x := <-r.refusals:
					t.Fatalf("refused: %+v", x)
				case <-time.After(30 * time.Second):
					t.Fatal("no NOTIFY came")
				}
				begun := time.Now()
				got, err := c.Transfer(t.Context(), testZone, 1, true)
				if err != nil {
					t.Fatal(err)
				}
				if got.SOA.Serial == 1 { // the NOTIFY of the start
					continue
				}
				if n.Zone != testZone || time.Since(begun) > 2*time.Second {
					t.Errorf("NOTIFY of %s, transferred in %s", n.Zone, time.Since(begun))
				}
				wantEdit(t, got)
				break
			}
		})
	}
}

// wantEdit: from serial 1 to 2 one host moved, and the SOA changed with it.
func wantEdit(t *testing.T, got *transfer.Result) {
	t.Helper()
	if got.SOA.Serial != 2 {
		t.Fatalf("serial %d", got.SOA.Serial)
	}
	if got.Full != nil { // a server may send the whole zone instead
		t.Log("the server answered IXFR with the whole zone")
		if file, wire := fromFile(t, 2), lines(got.Full.Records); !slices.Equal(file, wire) {
			t.Errorf("file and transfer differ:\n%s\n%s", missing(file, wire), missing(wire, file))
		}
		return
	}
	soa := testZone + " " + testZone + " 300 IN SOA ns1." + testZone + " hostmaster." + testZone
	www := testZone + " www." + testZone + " 300 IN A 192.0.2."
	before := fromFile(t, 1)
	for i := range got.Steps { // NSD 4.6 adds again some of what is there already: names in the data that lie outside the zone
		got.Steps[i].Added = slices.DeleteFunc(got.Steps[i].Added, func(r picket.Record) bool {
			return r.Type == "MX" && slices.Contains(before, lines([]picket.Record{r})[0])
		})
	}
	if len(got.Steps) != 1 || got.Steps[0].From != 1 || got.Steps[0].To != 2 ||
		!slices.Equal(lines(got.Steps[0].Removed), []string{soa + " 1 3600 900 1209600 300", www + "1"}) ||
		!slices.Equal(lines(got.Steps[0].Added), []string{soa + " 2 3600 900 1209600 300", www + "2"}) {
		t.Errorf("steps %+v", got.Steps)
	}
}

// missing are the lines of a that b has not.
func missing(a, b []string) string {
	var out []string
	for _, l := range a {
		if !slices.Contains(b, l) {
			out = append(out, l)
		}
	}
	return strings.Join(out, "\n")
}

// TestRealWrongKey: each server refuses what is signed wrongly, and the error names
// the key and what is wrong with it.
func TestRealWrongKey(t *testing.T) {
	for name, start := range pickettest.Primaries() {
		t.Run(name, func(t *testing.T) {
			_, notify := listen(t, nil)
			s := start(t, primary(notify))
			for _, x := range []struct {
				key  *transfer.Key
				want []string // of which one
			}{
				{testKey(t, "picket", "hmac-sha256", "b3RoZXIgc2VjcmV0IG9mIHRoZSBzYW1lIGxlbmd0aCE="), []string{"BADSIG): key picket. has another secret there"}},
				{testKey(t, "stranger", "hmac-sha256", testSecret), []string{"BADKEY): it does not know key stranger.,"}},
				{nil, []string{"REFUSED: it may want a TSIG key", "NOTAUTH"}},
			} {
				c := &transfer.Client{Primary: s.Addr, Key: x.key, Form: record.FromWire}
				_, err := c.Transfer(t.Context(), testZone, 0, false)
				var said *transfer.ServerError
				if !errors.As(err, &said) || !slices.ContainsFunc(x.want, func(w string) bool { return strings.Contains(err.Error(), w) }) {
					t.Errorf("key %v: %v", x.key, err)
				}
			}
		})
	}
}

// TestRealTLS: BIND and NSD transfer over TLS (RFC 9103), whole and what has changed. Knot DNS
// 3.2 cannot. A certificate of a stranger or for somebody else is refused, and the error says
// which name and which authority it is about.
func TestRealTLS(t *testing.T) {
	for _, name := range []string{"bind", "nsd"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			roots := pickettest.Certificate(t, dir)
			p := primary("")
			var tlsAddr string
			tlsAddr, p.TLSPort = pickettest.FreeAddr(t)
			p.TLSDir = dir
			s := pickettest.Primaries()[name](t, p)
			key := testKey(t, "picket", "hmac-sha256", testSecret)
			c := &transfer.Client{Primary: tlsAddr, Key: key, Form: record.FromWire, TLS: &tls.Config{RootCAs: roots}}
			got, err := c.Transfer(t.Context(), testZone, 0, false)
			if err != nil {
				t.Fatal(err)
			}
			if got.Full == nil || !slices.Equal(fromFile(t, 1), lines(got.Full.Records)) {
				t.Errorf("file and transfer over TLS differ")
			}
			s.Edit(2)
			for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
				got, err = c.Transfer(t.Context(), testZone, 1, true)
				// A server that reads its zones anew resets what is connected just then.
				if err != nil && !errors.Is(err, syscall.ECONNRESET) {
					t.Fatal(err)
				}
				if err == nil && got.SOA.Serial == 2 {
					wantEdit(t, got)
					break
				}
				if time.Now().After(end) {
					t.Fatalf("the edit does not come: %v", err)
				}
			}
			if name == "bind" { // NSD allows by address and key alone
				if _, err := (&transfer.Client{Primary: s.Addr, Key: key, Form: record.FromWire}).Transfer(t.Context(), testZone, 0, false); err == nil || !strings.Contains(err.Error(), "REFUSED") {
					t.Errorf("without TLS: %v", err)
				}
			}
			for _, x := range []struct {
				what, want string
				cfg        *tls.Config
			}{
				{"another authority", "AXFR of moving.example. from " + tlsAddr + ": TLS: the certificate is of an authority that is not trusted: issued by \"test authority\"", &tls.Config{RootCAs: x509.NewCertPool()}},
				{"another name", "AXFR of moving.example. from " + tlsAddr + ": TLS: the certificate is not for elsewhere.example but for 127.0.0.1", &tls.Config{RootCAs: roots, ServerName: "elsewhere.example"}},
				{"another address", "AXFR of moving.example. from " + tlsAddr + ": TLS: the certificate is not for 127.0.0.9 but for 127.0.0.1", &tls.Config{RootCAs: roots, ServerName: "127.0.0.9"}},
			} {
				c.TLS = x.cfg
				if got, err := c.Transfer(t.Context(), testZone, 0, false); err == nil || got != nil || !strings.HasPrefix(err.Error(), x.want) {
					t.Errorf("with %s: %v", x.what, err)
				}
			}
		})
	}
}

// TestRealLag: a secondary that nobody notifies stays two serials behind.
func TestRealLag(t *testing.T) {
	path := pickettest.Program(t, "named", "bind9")
	key := testKey(t, "picket", "hmac-sha256", testSecret)
	_, notify := listen(t, key)
	first := pickettest.StartBIND(t, primary(notify))
	dir := t.TempDir()
	addr, port := pickettest.FreeAddr(t)
	_, primaryPort, _ := net.SplitHostPort(first.Addr)
	if err := os.WriteFile(dir+"/named.conf", fmt.Appendf(nil, pickettest.BINDKey(testSecret)+`options {
	directory %q; pid-file none; session-keyfile none; managed-keys-directory %q; listen-on port %s { 127.0.0.1; }; listen-on-v6 { none; };
	recursion no; dnssec-validation no; notify no; allow-notify { none; };
};
controls { };
zone %q { type secondary; file "copy"; primaries { 127.0.0.1 port %s key "picket."; }; };
`, dir, dir, port, testZone, primaryPort), 0o644); err != nil {
		t.Fatal(err)
	}
	pickettest.RunNameServer(t, testZone, dir, addr, path, "-g", "-n", "1", "-c", dir+"/named.conf")

	c := &transfer.Client{Primary: first.Addr, Key: key, Form: record.FromWire}
	versions := []picket.ZoneVersion{{Zone: testZone, HasSerial: true, Serial: 1, Time: time.Unix(1000, 0)}}
	for serial := 2; serial <= 3; serial++ {
		first.Edit(serial)
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			soa, err := c.SOA(t.Context(), testZone)
			if err == nil && soa.Serial == uint32(serial) {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("the primary does not come to serial %d: %v %v", serial, soa, err)
			}
		}
		versions = append([]picket.ZoneVersion{{Zone: testZone, HasSerial: true, Serial: uint32(serial), Time: time.Unix(1000*int64(serial), 0)}}, versions...)
	}
	serial, err := transfer.Serial(t.Context(), netip.MustParseAddrPort(addr), testZone)
	if err != nil {
		t.Fatal(err)
	}
	want := picket.ServerLag{Zone: testZone, Serial: 1, Newest: 3, Behind: 2, Since: time.Unix(2000, 0)}
	if lag := transfer.Lag(testZone, versions, 3, true, serial); lag != want {
		t.Errorf("the secondary: %+v, want %+v", lag, want)
	}
	if lag := transfer.Lag(testZone, versions, 3, true, 3); lag.Behind != 0 || lag.Newest != 3 {
		t.Errorf("the primary: %+v", lag)
	}
}
