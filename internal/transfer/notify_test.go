package transfer_test

import (
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/picket-dns/picket/internal/transfer"
)

// TestNotify: what is taken, what is refused and how it is reported, on UDP and TCP.
func TestNotify(t *testing.T) {
	const other = "b3RoZXIgc2VjcmV0IG9mIHRoZSBzYW1lIGxlbmd0aCE="
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			r, addr := listen(t, testKey(t, "picket", "hmac-sha256", testSecret))
			for _, x := range []struct {
				name, zone, key, algorithm, secret string
				at                                 int64 // seconds from now
				rcode                              int
				tsig                               uint16
				reason                             string
			}{
				{name: "signed", zone: testZone, key: "picket.", algorithm: dns.HmacSHA256, secret: testSecret},
				{name: "unsigned", zone: testZone, rcode: dns.RcodeRefused, reason: transfer.RefusedUnsigned},
				{name: "another secret", zone: testZone, key: "picket.", algorithm: dns.HmacSHA256, secret: other, rcode: dns.RcodeNotAuth, tsig: dns.RcodeBadSig, reason: transfer.RefusedTSIG},
				{name: "another key", zone: testZone, key: "stranger.", algorithm: dns.HmacSHA256, secret: testSecret, rcode: dns.RcodeNotAuth, tsig: dns.RcodeBadKey, reason: transfer.RefusedTSIG},
				{name: "another algorithm", zone: testZone, key: "picket.", algorithm: dns.HmacSHA512, secret: testSecret, rcode: dns.RcodeNotAuth, tsig: dns.RcodeBadKey, reason: transfer.RefusedTSIG},
				{name: "old", zone: testZone, key: "picket.", algorithm: dns.HmacSHA256, secret: testSecret, at: -1000, rcode: dns.RcodeNotAuth, tsig: dns.RcodeBadTime, reason: transfer.RefusedTSIG},
			} {
				q := new(dns.Msg)
				q.SetNotify(x.zone)
				q.Answer = []dns.RR{&dns.SOA{Hdr: dns.RR_Header{Name: x.zone, Rrtype: dns.TypeSOA, Class: dns.ClassINET}, Ns: ".", Mbox: ".", Serial: 7}}
				c := &dns.Client{Net: network, Timeout: 10 * time.Second}
				if x.key != "" {
					q.SetTsig(x.key, x.algorithm, 300, time.Now().Unix()+x.at)
					c.TsigSecret = map[string]string{x.key: x.secret}
				}
				a, _, err := c.Exchange(q, addr)
				if a == nil {
					t.Fatalf("%s: %v", x.name, err)
				}
				var tsig uint16
				if ts := a.IsTsig(); ts != nil {
					tsig = ts.Error
				}
				if a.Rcode != x.rcode || tsig != x.tsig || a.Opcode != dns.OpcodeNotify || (x.rcode == 0 && err != nil) {
					t.Errorf("%s: answered %s, TSIG error %d, %v", x.name, dns.RcodeToString[a.Rcode], tsig, err)
				}
				if x.reason == "" {
					if n := <-r.notices; n.Zone != testZone || !n.HasSerial || n.Serial != 7 || !n.From.Addr().IsLoopback() {
						t.Errorf("%s: %+v", x.name, n)
					}
				} else if f := <-r.refusals; f.Reason != x.reason || f.Zone != x.zone || f.Key != x.key || !f.From.Addr().IsLoopback() {
					t.Errorf("%s: %+v", x.name, f)
				}
				time.Sleep(210 * time.Millisecond) // within the rate of reports
			}
		})
	}
}

// TestNotifyStranger: other zones and other questions are refused, and a flood of
// them is not reported one by one.
func TestNotifyStranger(t *testing.T) {
	r, addr := listen(t, nil)
	c := &dns.Client{Timeout: 10 * time.Second}
	q := new(dns.Msg)
	q.SetQuestion(testZone, dns.TypeSOA)
	if a, _, err := c.Exchange(q, addr); err != nil || a.Rcode != dns.RcodeRefused {
		t.Errorf("a query: %v %v", a, err)
	}
	for range 200 {
		q := new(dns.Msg)
		q.SetNotify("Other.Example.")
		if a, _, err := c.Exchange(q, addr); err != nil || a.Rcode != dns.RcodeNotAuth {
			t.Fatalf("another zone: %v %v", a, err)
		}
	}
	if f := <-r.refusals; f.Reason != transfer.RefusedZone || f.Zone != "Other.Example." {
		t.Errorf("%+v", f)
	}
	if n := len(r.refusals); n > 20 {
		t.Errorf("%d of 200 refusals were reported at once", n+1)
	}
}

func TestParseKey(t *testing.T) {
	for _, x := range []struct{ name, text, key, algorithm, err string }{
		{name: "base64", text: testSecret + "\n", key: "picket"},
		{name: "base64, SHA-512", text: testSecret, key: "picket", algorithm: "hmac-sha512"},
		{name: "BIND", text: "# made by tsig-keygen\nkey \"picket\" {\n\talgorithm hmac-sha384;\n\tsecret \"" + testSecret + "\";\n};\n"},
		{name: "BIND, contradicted", text: "key \"other\" {\n\talgorithm hmac-sha384;\n\tsecret \"" + testSecret + "\";\n};\n", key: "picket", err: `the file holds key "other", not "picket"`},
		{name: "BIND, MD5", text: "key picket { algorithm hmac-md5; secret \"" + testSecret + "\"; };", err: `"hmac-md5" is not used: it is too weak`},
		{name: "SHA-1", text: testSecret, key: "picket", algorithm: "hmac-sha1", err: "want one of hmac-sha256, hmac-sha384, hmac-sha512"},
		{name: "unknown", text: testSecret, key: "picket", algorithm: "rot13", err: `"rot13" is unknown`},
		{name: "no name", text: testSecret, err: "want a domain name"},
		{name: "short", text: "c2hvcnQ=", key: "picket", err: "the secret has 5 bytes"},
		{name: "nonsense", text: "päßwort!", key: "picket", err: "neither a secret in base64"},
	} {
		k, err := transfer.ParseKey([]byte(x.text), x.key, x.algorithm)
		switch {
		case x.err == "" && (err != nil || k.Name() != "picket."):
			t.Errorf("%s: %v %v", x.name, k, err)
		case x.err != "" && (err == nil || !strings.Contains(err.Error(), x.err)):
			t.Errorf("%s: error %v, want %q", x.name, err, x.err)
		}
		if err != nil && strings.Contains(err.Error(), testSecret[:8]) {
			t.Errorf("%s: the error shows the secret: %v", x.name, err)
		}
	}
}
