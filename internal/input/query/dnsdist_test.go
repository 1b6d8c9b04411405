package query

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/picket-dns/picket/internal/input/decode"
)

// TestDnsdistRecorded reads what dnsdist 1.7.3 sent for nine questions, among them
// one answered from its cache and a zone transfer that its server refused. The
// recording of dnstap has no rule for answers from the cache.
func TestDnsdistRecorded(t *testing.T) {
	tests := []struct {
		file   string
		d      Decode
		paired int
		want   []string
	}{
		{"remote.bin", PowerDNS, 8, []string{
			"127.0.0.1>127.0.0.1 udp www.example.com IN A NOERROR response",
			"127.0.0.1>127.0.0.1 udp www.example.com IN AAAA NOERROR mixed,response",
			"127.0.0.1>127.0.0.1 tcp nx.example.com IN A NXDOMAIN response",
			"[::1]>::1 udp alias.example.com IN A NOERROR response",
			"127.0.0.1>127.0.0.1 udp www.example.com IN A NOERROR response",
			"127.0.0.1>127.0.0.1 udp a.sub.example.com IN MX NOERROR response",
			`127.0.0.1>127.0.0.1 udp a\032b\.c.example.com IN TXT NXDOMAIN response`,
			"127.0.0.1>127.0.0.1 udp other.test IN A REFUSED response",
			"127.0.0.1>127.0.0.1 tcp example.com IN AXFR ? ",
		}},
		{"remote-dnstap.bin", DnstapMessage, 7, []string{
			"127.0.0.1>127.0.0.1 udp www.example.com IN A NOERROR ad,edns,response,aa,flags",
			"127.0.0.1>127.0.0.1 udp www.example.com IN AAAA NOERROR rd,ad,mixed,response,aa,flags",
			"127.0.0.1>127.0.0.1 tcp nx.example.com IN A NXDOMAIN ad,edns,response,aa,flags",
			"[::1]>::1 udp alias.example.com IN A NOERROR rd,ad,edns,response,aa,flags",
			"127.0.0.1>127.0.0.1 udp www.example.com IN A ? ad,edns,flags",
			"127.0.0.1>127.0.0.1 udp a.sub.example.com IN MX NOERROR rd,ad,edns,response,flags,referral ecs=198.51.100.0/24",
			`127.0.0.1>127.0.0.1 udp a\032b\.c.example.com IN TXT NXDOMAIN rd,ad,edns,response,aa,flags`,
			"127.0.0.1>127.0.0.1 udp other.test IN A REFUSED rd,ad,edns,response,flags",
			"127.0.0.1>127.0.0.1 tcp example.com IN AXFR ? ad,edns,flags",
		}},
	}
	for _, tt := range tests {
		b, err := os.ReadFile(filepath.Join("testdata", "dnsdist", tt.file))
		if err != nil {
			t.Fatal(err)
		}
		got, acct := decodeText(t, tt.d, string(b), decode.Options{Client: true})
		for i, g := range got { // times and ports are of the recording
			when, rest, _ := strings.Cut(g, " ")
			if !strings.HasPrefix(when, "2026-11-23T16:15:") {
				t.Errorf("time %s", when)
			}
			from, to := strings.LastIndexByte(rest[:strings.IndexByte(rest, '>')], ':'), strings.IndexByte(rest, '>')
			got[i] = rest[:from] + rest[to:]
		}
		compare(t, got, tt.want)
		if acct.skipped[skipTapPaired] != tt.paired || acct.total() != acct.accepted+tt.paired || len(acct.rejected) > 0 {
			t.Errorf("%s: accepted %d, skipped %v, rejected %v", tt.file, acct.accepted, acct.skipped, acct.rejected)
		}
		// Without the leave to count a front end's messages.
		_, acct = decodeText(t, DnstapMessage, string(b), decode.Options{})
		if tt.file == "remote-dnstap.bin" && (acct.skipped["CLIENT_QUERY"] != 9 || acct.skipped["CLIENT_RESPONSE"] != 7 || acct.total() != 16) {
			t.Errorf("%s: %d accepted, skipped %v", tt.file, acct.accepted, acct.skipped)
		}
	}
}
