package query

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// msPacketLine is a PACKET line of a query received, with a date and time in front.
func msPacketLine(when string) string {
	return when + " 0E24 PACKET  0000009AC98841A0 UDP Rcv 192.0.2.10      2de6   Q [0001   D   NOERROR] A      (3)www(7)example(3)com(0)"
}

func TestMSDNSSpellings(t *testing.T) {
	const at = "6/20/2017 5:36:59 PM "
	tests := []struct{ name, line, want string }{
		{"padded", at + `0E24 PACKET  0000009AC98841A0 UDP Rcv 192.0.2.10      2de6   Q [0001   D   NOERROR] SOA    (4)file(5)local(0)`,
			"2017-06-20T17:36:59Z 192.0.2.10:0> udp file.local IN SOA ? rd,flags"},
		{"collapsed", at + `0E24 PACKET 0000009AC98841A0 TCP Rcv ::1 2de6 Q [0001 D NOERROR] AAAA (4)file(5)local(0)`,
			"2017-06-20T17:36:59Z [::1]:0> tcp file.local IN AAAA ? rd,flags"},
		{"no flags", at + `0E24 PACKET  0000009AC98841A0 UDP Rcv 2001:db8::1     2de6   Q [0000       NOERROR] A      (4)FILE(5)local(0)`,
			"2017-06-20T17:36:59Z [2001:db8::1]:0> udp file.local IN A ? mixed,flags"},
		{"zone of an address", at + `0E24 PACKET  0000009AC98841A0 UDP Rcv fe80::1%12      2de6   Q [0000       NOERROR] A      (1)a(0)`,
			"2017-06-20T17:36:59Z [fe80::1]:0> udp a IN A ? flags"},
		{"AD and CD", at + `0E24 PACKET  0000009AC98841A0 UDP Rcv 192.0.2.10      2de6   Q [3001   D   NOERROR] A      (1)a(0)`,
			"2017-06-20T17:36:59Z 192.0.2.10:0> udp a IN A ? rd,cd,ad,flags"},
		{"answer alone", at + `0E24 PACKET  0000009AC98841A0 UDP Snd 192.0.2.10      2de6 R Q [8387 ATDR NXDOMAIN] A      (1)a(0)`,
			"2017-06-20T17:36:59Z 192.0.2.10:0> udp a IN A NXDOMAIN rd,response,aa,tc,flags"},
		{"rcode only in hexadecimal", at + `0E24 PACKET  0000009AC98841A0 UDP Snd 192.0.2.10      2de6 R Q [0580 A     WEIRD] A      (1)a(0)`,
			"2017-06-20T17:36:59Z 192.0.2.10:0> udp a IN A REFUSED response,flags"},
		{"update", at + `0E24 PACKET  0000009AC98841A0 UDP Snd 192.0.2.10      2de6 R U [02a8      SERVFAIL] SOA    (1)a(0)`,
			"2017-06-20T17:36:59Z 192.0.2.10:0> udp a IN SOA SERVFAIL response,flags"},
		{"older form", at + `0710 PACKET  0000000028FB94C0 UDP  Rcv 192.0.2.10    8857   Q [0000       NOERROR] A      .ns1.Example.com.`,
			"2017-06-20T17:36:59Z 192.0.2.10:0> udp ns1.example.com IN A ? mixed,flags"},
		{"oldest form", `20080125 15:10:10 5A4 PACKET  UDP Rcv 192.0.2.10     0002   Q [0001   D   NOERROR] (3)www(6)google(3)com(0)`,
			"2008-01-25T15:10:10Z 192.0.2.10:0> udp www.google.com IN TYPE0 ? rd,flags"},
		{"root", at + `0E24 PACKET  0000009AC98841A0 UDP Rcv 192.0.2.10      2de6   Q [0000       NOERROR] NS     (0)`,
			"2017-06-20T17:36:59Z 192.0.2.10:0> udp . IN NS ? flags"},
		{"older root", at + `0E24 PACKET  0000009AC98841A0 UDP Rcv 192.0.2.10      2de6   Q [0000       NOERROR] NS     .`,
			"2017-06-20T17:36:59Z 192.0.2.10:0> udp . IN NS ? flags"},
		{"ALL", at + `0E24 PACKET  0000009AC98841A0 UDP Rcv 192.0.2.10      2de6   Q [0000       NOERROR] ALL    (1)a(0)`,
			"2017-06-20T17:36:59Z 192.0.2.10:0> udp a IN ANY ? flags"},
		{"type by number", at + `0E24 PACKET  0000009AC98841A0 UDP Rcv 192.0.2.10      2de6   Q [0000       NOERROR] 65     (1)a(0)`,
			"2017-06-20T17:36:59Z 192.0.2.10:0> udp a IN HTTPS ? flags"},
		{"type in hexadecimal", at + `0E24 PACKET  0000009AC98841A0 UDP Rcv 192.0.2.10      2de6   Q [0000       NOERROR] 0x0041 (1)a(0)`,
			"2017-06-20T17:36:59Z 192.0.2.10:0> udp a IN HTTPS ? flags"},
		{"brackets and dots in a label", at + `0E24 PACKET  0000009AC98841A0 UDP Rcv 192.0.2.10      2de6   Q [0000       NOERROR] A      (6)a(3)b.(3)com(0)`,
			`2017-06-20T17:36:59Z 192.0.2.10:0> udp a\(3\)b\..com IN A ? flags`},
		{"blank in a label", at + `0E24 PACKET  0000009AC98841A0 UDP Rcv 192.0.2.10      2de6   Q [0000       NOERROR] A      (3)a b(3)com(0)`,
			`2017-06-20T17:36:59Z 192.0.2.10:0> udp a\032b.com IN A ? flags`},
		{"lengths of another name", at + `0E24 PACKET  0000009AC98841A0 UDP Rcv 192.0.2.10      2de6   Q [0000       NOERROR] A      (15)virot(2)de(0)`,
			"2017-06-20T17:36:59Z 192.0.2.10:0> udp virot.de IN A ? flags"},
		{"through syslog", `<13>Nov 23 12:00:00 dc1 dns: ` + at + `0E24 PACKET  0000009AC98841A0 UDP Rcv 192.0.2.10      2de6   Q [0000       NOERROR] A      (1)a(0)`,
			"2017-06-20T17:36:59Z 192.0.2.10:0> udp a IN A ? flags"},
		{"through RFC 5424", `<13>1 2026-11-23T12:00:00Z dc1 dns - - - ` + at + `0E24 PACKET  0000009AC98841A0 UDP Rcv 192.0.2.10      2de6   Q [0000       NOERROR] A      (1)a(0)`,
			"2017-06-20T17:36:59Z 192.0.2.10:0> udp a IN A ? flags"},
		{"behind a date and a host like a thread", `2026-11-23 12:00:00 dc1 dns ` + at + `0E24 PACKET  0000009AC98841A0 UDP Rcv 192.0.2.10      2de6   Q [0000       NOERROR] A      (1)a(0)`,
			"2017-06-20T17:36:59Z 192.0.2.10:0> udp a IN A ? flags"},
		{"an address before the identifier", at + `00DC PACKET 192.0.2.2  00000000016B80A0 UDP Rcv ::1             9ebb   Q [0001   D   NOERROR] SOA    (1)a(0)`,
			"2017-06-20T17:36:59Z [::1]:0> udp a IN SOA ? rd,flags"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _ := decodeText(t, MSDNSDebug, tt.line+"\r\n", decode.Options{})
			compare(t, got, []string{tt.want})
			if n := DetectMSDNSDebug([]byte(tt.line)); n != 95 {
				t.Errorf("detected with %d", n)
			}
		})
	}
}

// TestMSDNSDates reads the date and time of many Windows locales. No order is set.
func TestMSDNSDates(t *testing.T) {
	tests := []struct{ locale, when, want string }{
		{"en-US", "6/20/2017 5:36:59 AM", "2017-06-20T05:36:59Z"},
		{"en-US noon", "6/20/2017 12:00:00 PM", "2017-06-20T12:00:00Z"},
		{"en-US midnight", "6/20/2017 12:00:00 AM", "2017-06-20T00:00:00Z"},
		{"en-GB", "20/06/2017 17:36:59", "2017-06-20T17:36:59Z"},
		{"en-AU", "20/06/2017 5:36:59 p.m.", "2017-06-20T17:36:59Z"},
		{"en-CA", "2017-06-20 5:36:59 PM", "2017-06-20T17:36:59Z"},
		{"de-DE", "06.03.2020 17:15:40", "2020-03-06T17:15:40Z"},
		{"fi-FI", "6.3.2020 17.15.40", "2020-03-06T17:15:40Z"},
		{"cs-CZ", "6. 3. 2020 17:15:40", "2020-03-06T17:15:40Z"},
		{"hr-HR", "6.3.2020. 17:15:40", "2020-03-06T17:15:40Z"},
		{"hu-HU", "2020. 03. 06. 17:15:40", "2020-03-06T17:15:40Z"},
		{"bg-BG", "6.3.2020 г. 17:15:40 ч.", "2020-03-06T17:15:40Z"},
		{"sv-SE", "2020-03-06 17:15:40", "2020-03-06T17:15:40Z"},
		{"nl-NL", "26-3-2020 17:15:40", "2020-03-26T17:15:40Z"},
		{"ja-JP", "2019/08/02 11:48:27", "2019-08-02T11:48:27Z"},
		{"ja-JP with half", "2019/08/02 午後 11:48:27", "2019-08-02T23:48:27Z"},
		{"ja-JP in CP932", "2019/08/02 \x8c\xdf\x91\x4f 11:48:27", "2019-08-02T11:48:27Z"},
		{"zh-CN", "2019/8/2 下午 3:48:27", "2019-08-02T15:48:27Z"},
		{"zh-CN in CP936", "2019/8/2 \xc9\xcf\xce\xe7 3:48:27", "2019-08-02T03:48:27Z"},
		{"zh-TW in CP950", "2019/8/2 \xa4U\xa4\xc8 03:48:27", "2019-08-02T15:48:27Z"},
		{"ko-KR", "2019-08-02 오후 3:48:27", "2019-08-02T15:48:27Z"},
		{"ko-KR with dots", "2019. 8. 2. 오전 3:48:27", "2019-08-02T03:48:27Z"},
		{"ko-KR in CP949", "2019-08-02 \xbf\xc0\xc8\xc4 3:48:27", "2019-08-02T15:48:27Z"},
		{"es-MX", "20/06/2017 05:36:59 p. m.", "2017-06-20T17:36:59Z"},
		{"es-MX, no-break spaces", "20/06/2017 05:36:59\u00a0a.\u00a0m. ", "2017-06-20T05:36:59Z"},
		{"el-GR", "20/6/2017 5:36:59 μμ", "2017-06-20T17:36:59Z"},
		{"el-GR in CP1253", "20/6/2017 5:36:59 \xf0\xec", "2017-06-20T05:36:59Z"},
		{"ar-EG", "20/06/2017 05:36:59 م", "2017-06-20T17:36:59Z"},
		{"ar-AE with marks", "\u200f20\u200f/06\u200f/2017 05:36:59 ص", "2017-06-20T05:36:59Z"},
		{"fa-IR", "20/06/2017 05:36:59 ب.ظ", "2017-06-20T17:36:59Z"},
		{"vi-VN", "20/06/2017 5:36:59 CH", "2017-06-20T17:36:59Z"},
		{"tr-TR", "20.06.2017 05:36:59 ÖS", "2017-06-20T17:36:59Z"},
		{"sq-AL", "20.6.2017 5:36:59.MD", ""},
		{"sq-AL parted", "20.6.2017 5:36:59 MD", "2017-06-20T17:36:59Z"},
		{"th-TH", "20/6/2560 17:36:59", "2017-06-20T17:36:59Z"},
		{"Hijri year", "20/6/1438 17:36:59", ""},
		{"day and month alike", "6/6/2017 5:36:59 AM", "2017-06-06T05:36:59Z"},
		{"day or month", "6/5/2017 5:36:59 AM", ""},
		{"day or month with hyphens", "6-5-2017 05:36:59", ""},
		{"two-digit year, dots", "06.05.17 05:36:59", "2017-05-06T05:36:59Z"},
		{"two-digit year", "26/05/17 05:36:59", ""},
		{"no such day", "31.02.2017 05:36:59", ""},
		{"no such month", "20/20/2017 05:36:59", ""},
		{"unknown half", "6/20/2017 5:36:59 XX", ""},
		{"unknown half after noon", "6/20/2017 15:36:59 XX", "2017-06-20T15:36:59Z"},
		{"hour 24", "6/20/2017 24:36:59", ""},
	}
	for _, tt := range tests {
		t.Run(tt.locale, func(t *testing.T) {
			got, acct := decodeText(t, MSDNSDebug, msPacketLine(tt.when), decode.Options{})
			want := []string{tt.want + " 192.0.2.10:0> udp www.example.com IN A ? rd,flags"}
			if tt.want == "" {
				want = nil
			}
			compare(t, got, want)
			if acct.total() != 1 {
				t.Errorf("%+v", acct)
			}
		})
	}
}

// TestMSDNSOrder: what tells the order of day and month, and what does not.
func TestMSDNSOrder(t *testing.T) {
	may, june := "2017-05-06T05:36:59Z", "2017-06-05T05:36:59Z"
	ambiguous := msPacketLine("6/5/2017 5:36:59 AM")
	tests := []struct {
		name, before, after, order, want, reason string
	}{
		{name: "nothing", reason: reasonAmbiguousDate},
		{name: "set to month first", order: "mdy", want: june},
		{name: "set to day first", order: "dmy", want: may},
		{name: "set to year first", order: "ymd", reason: decode.ReasonTime},
		{name: "set against the content", before: msPacketLine("6/20/2017 5:36:58 AM"), order: "dmy", want: may},
		{name: "header", before: "DNS Server log file creation at 6/20/2017 5:36:58 AM", want: june},
		{name: "event", before: "20/6/2017 5:36:58 0DF4 EVENT   The DNS server has started.", want: may},
		{name: "another packet", before: msPacketLine("6/13/2017 5:36:58 AM"), want: june},
		{name: "later in the first 64 KiB", after: msPacketLine("13/6/2017 5:36:58"), want: may},
		{name: "beyond the first 64 KiB", after: strings.Repeat(strings.Repeat(" ", 1000)+"\n", 70) + msPacketLine("13/6/2017 5:36:58"), reason: reasonAmbiguousDate},
		{name: "both ways", before: msPacketLine("6/13/2017 5:36:58 AM") + "\n" + msPacketLine("13/6/2017 5:36:58"), reason: reasonAmbiguousDate},
		{name: "nonsense", before: msPacketLine("31/31/2017 5:36:58 AM"), reason: reasonAmbiguousDate},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var notes []string
			opt := decode.Options{DateOrder: tt.order, Location: time.UTC, Note: func(s string) { notes = append(notes, s) }}
			got, acct := decodeText(t, MSDNSDebug, tt.before+"\n"+ambiguous+"\n"+ambiguous+"\n"+tt.after, opt)
			found := 0
			for _, g := range got {
				if tt.want != "" && strings.HasPrefix(g, tt.want) {
					found++
				}
			}
			if tt.want != "" && found != 2 {
				t.Errorf("%q, want two at %s; %v", got, tt.want, acct.rejected)
			}
			if tt.reason != "" && acct.rejected[tt.reason] < 2 {
				t.Errorf("rejected %v, want %q", acct.rejected, tt.reason)
			}
			if wantNote := tt.reason == reasonAmbiguousDate; (len(notes) == 1 && notes[0] == noteDateOrder) != wantNote || len(notes) > 1 {
				t.Errorf("notes %q", notes)
			}
		})
	}
}

func TestMSDNSPairs(t *testing.T) {
	const q, r = "   Q [0001   D   NOERROR] ", " R Q [8385 A DR NXDOMAIN] "
	line := func(sec int, way, addr, xid, mid, typ, name string) string {
		return fmt.Sprintf("20.06.2017 05:%02d:%02d 0E24 PACKET  0000009AC98841A0 %s %s %s%s%s    %s", sec/60, sec%60, way, addr, xid, mid, typ, name)
	}
	text := strings.Join([]string{
		line(1, "UDP Rcv", "192.0.2.1", "0001", q, "A", "(1)a(0)"),
		line(1, "UDP Rcv", "192.0.2.2", "0001", q, "A", "(1)a(0)"), // the same id of another client
		line(1, "UDP Snd", "198.51.100.1", "0001", q, "A", "(1)a(0)"),
		line(1, "UDP Rcv", "198.51.100.1", "0001", r, "A", "(1)a(0)"),
		line(2, "UDP Snd", "192.0.2.2", "0001", r, "A", "(1)A(0)"),
		line(2, "UDP Snd", "192.0.2.1", "0001", r, "AAAA", "(1)a(0)"), // no such question
		line(2, "TCP Rcv", "192.0.2.1", "0002", q, "A", "(1)b(0)"),
		line(2, "UDP Snd", "192.0.2.1", "0002", r, "A", "(1)b(0)"), // over another transport
		line(2, "UDP Snd", "192.0.2.1", "0001", r, "A", "(1)a(0)"),
		line(3, "UDP Rcv", "192.0.2.9", "0009", q, "A", "(4)slow(0)"),
		line(20, "UDP Rcv", "192.0.2.9", "000a", q, "A", "(4)next(0)"),
		line(21, "UDP Snd", "192.0.2.9", "0009", r, "A", "(4)slow(0)"), // too late
	}, "\n")
	got, acct := decodeText(t, MSDNSDebug, text, decode.Options{})
	compare(t, got, []string{
		"2017-06-20T05:00:01Z 192.0.2.1:0> udp a IN A NXDOMAIN rd,response,aa,flags",
		"2017-06-20T05:00:01Z 192.0.2.2:0> udp a IN A NXDOMAIN rd,response,aa,flags",
		"2017-06-20T05:00:02Z 192.0.2.1:0> udp a IN AAAA NXDOMAIN rd,response,aa,flags",
		"2017-06-20T05:00:02Z 192.0.2.1:0> tcp b IN A ? rd,flags",
		"2017-06-20T05:00:02Z 192.0.2.1:0> udp b IN A NXDOMAIN rd,response,aa,flags",
		"2017-06-20T05:00:03Z 192.0.2.9:0> udp slow IN A ? rd,flags",
		"2017-06-20T05:00:20Z 192.0.2.9:0> udp next IN A ? rd,flags",
	})
	for reason, n := range map[string]int{skipMSAnswer: 2, skipMSUpstream: 1, skipMSForwards: 1, skipMSLate: 1} {
		if acct.skipped[reason] != n {
			t.Errorf("skipped %v", acct.skipped)
		}
	}
	if acct.total() != 12 {
		t.Errorf("%+v", acct)
	}
}

// TestMSDNSDetails: the lines of a detailed packet belong to the line above them.
func TestMSDNSDetails(t *testing.T) {
	text := "DNS Server log file creation at 01/21/2024 07:10:00 PM\r\n\r\nMessage logging key (for packets - other items use a subset of these fields):\r\n" +
		"\tField #  Information         Values\r\n" +
		msPacketLine("01/21/2024 07:12:26 PM") + "\r\n" +
		"UDP question info at 00000000016B80A0\r\n  Socket = 336\r\n  Remote addr 192.0.2.10, port 64329\r\n  Message:\r\n    XID       0x2de6\r\n" +
		"    QUESTION SECTION:\r\n    Name      \"(3)www(7)example(3)com(0)\"\r\n      QTYPE   A (1)\r\n\r\n" +
		"01/21/2024 07:12:27 PM 03B4 EVENT   A text\r\nover two lines\r\n" +
		"01/21/2024 07:12:27 PM 03B4 DSPOLL  polling\r\n" + "01/21/2024 07:12:27 PM 03B4 weird  context\r\n"
	got, acct := decodeText(t, MSDNSDebug, text, decode.Options{})
	compare(t, got, []string{"2024-01-21T19:12:26Z 192.0.2.10:0> udp www.example.com IN A ? rd,flags"})
	want := map[string]int{decode.SkipBlank: 2, skipMSDetail: 12, "context EVENT": 1, "context DSPOLL": 1, skipMSContext: 1}
	for reason, n := range want {
		if acct.skipped[reason] != n {
			t.Errorf("skipped %v, want %v", acct.skipped, want)
			break
		}
	}
	if acct.total() != 18 {
		t.Errorf("%+v", acct)
	}
}

func TestMSDNSRejects(t *testing.T) {
	const at = "6/20/2017 5:36:59 AM 0E24 PACKET  0000009AC98841A0 "
	tests := []struct{ line, reason string }{
		{at + "UDP Rcv 192.0.2.300     2de6   Q [0001   D   NOERROR] A      (1)a(0)", decode.ReasonAddress},
		{at + "UDP Rcv 192.0.2.3     2de6   Q [00zz   D   NOERROR] A      (1)a(0)", decode.ReasonFlags},
		{at + "UDP Rcv 192.0.2.3     2de6   Q [   D   NOERROR] A      (1)a(0)", decode.ReasonFlags},
		{at + "UDP Rcv 192.0.2.3     xide6   Q [0001   D   NOERROR] A      (1)a(0)", decode.ReasonTruncated},
		{at + "UDP Rcv 192.0.2.3     2de6   Q [0001   D   NOERROR] NOPE   (1)a(0)", decode.ReasonType},
		{at + "UDP Rcv 192.0.2.3     2de6   Q [0001   D   NOERROR] A      (1)a", decode.ReasonBadName},
		{at + "UDP Rcv 192.0.2.3     2de6   Q [0001   D   NOERROR] A      (70)" + strings.Repeat("a", 70) + "(0)", decode.ReasonBadName},
		{at + "UDP Rcv 192.0.2.3     2de6   Q [0001   D   NOERROR] A      " + strings.Repeat("(63)"+strings.Repeat("a", 63), 4) + "(0)", decode.ReasonBadName},
		{at + "UDP Rcv 192.0.2.3     2de6   Q [0001   D   NOERROR] A      .a..b.", decode.ReasonBadName},
		{at + "UDP Rcv 192.0.2.3     2de6   Q [0001   D   NOERROR] A", decode.ReasonTruncated},
		{at + "UDP Rcv 192.0.2.3     2de6   Q [0001   D", decode.ReasonTruncated},
		{at + "UDP Rcv 192.0.2.3", decode.ReasonTruncated},
		{at + "SCTP Rcv 192.0.2.3     2de6   Q [0001   D   NOERROR] A      (1)a(0)", decode.ReasonTruncated},
		{at + "UDP Got 192.0.2.3     2de6   Q [0001   D   NOERROR] A      (1)a(0)", decode.ReasonTruncated},
		{"16:07:41 5A4 PACKET UDP Rcv 192.0.2.3 0002   Q [0001   D   NOERROR] (1)a(0)", decode.ReasonTime},
		{msPacketLine("6/20/2017 13:36:59 XX"), ""},
		{msPacketLine("6/20/2017 1:36:59 XX"), reasonDayHalf},
	}
	for _, tt := range tests {
		_, acct := decodeText(t, MSDNSDebug, tt.line, decode.Options{})
		if tt.reason != "" && acct.rejected[tt.reason] != 1 || acct.total() != 1 {
			t.Errorf("%s\n%+v, want %q", tt.line, acct, tt.reason)
		}
		if at := acct.first[tt.reason]; tt.reason != "" && (string(at.Record) != tt.line || at.Line != 1) {
			t.Errorf("record %q at %d", at.Record, at.Line)
		}
	}
}

func TestMSDNSZone(t *testing.T) {
	loc, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	got, _ := decodeText(t, MSDNSDebug, msPacketLine("06.07.2020 00:15:40"), decode.Options{Location: loc, Sensor: "dc1"})
	compare(t, got, []string{"2020-07-05T22:15:40Z 192.0.2.10:0> udp www.example.com IN A ? rd,flags"})
}

// TestMSDNSUnicode: files in UTF-16 of either order, as some versions write them.
func TestMSDNSUnicode(t *testing.T) {
	text := "DNS Server log file creation at 2019/08/02 午後 3:48:27\r\n" + msPacketLine("2019/08/02 午後 3:48:27") + "\r\n" + msPacketLine("2019/08/02 午後 3:48:28") + "\r\n"
	for name, order := range map[string]binary.AppendByteOrder{"little": binary.LittleEndian, "big": binary.BigEndian} {
		b := order.AppendUint16(nil, 0xfeff)
		for _, u := range utf16.Encode([]rune(text)) {
			b = order.AppendUint16(b, u)
		}
		got, acct := decodeText(t, MSDNSDebug, string(b), decode.Options{})
		if len(got) != 2 || acct.skipped[skipMSDetail] != 1 || !strings.HasPrefix(got[1], "2019-08-02T15:48:28Z") {
			t.Errorf("%s: %q %+v", name, got, acct)
		}
		if n := DetectMSDNSDebug(b); n != 95 {
			t.Errorf("%s: detected with %d", name, n)
		}
	}
}

func TestMSDNSDetect(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "6/20/2017 5:36:59 AM something else entirely\n": 0,
		"DNS Server log file creation at 6/20/2017 5:36:58 AM\n": 95,
		"\xff\xfe": 0, "a PACKET b\n": 0, bindBenchLine: 0,
		strings.Repeat("1 noise\n", 5) + msPacketLine("6/20/2017 5:36:59 AM"): 60,
	} {
		if got := DetectMSDNSDebug([]byte(text)); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

// TestMSDNSLive: queries go out when live input falls silent.
func TestMSDNSLive(t *testing.T) {
	r := &silent{text: msPacketLine("06.07.2020 00:15:40") + "\n"}
	n := 0
	err := MSDNSDebug(context.Background(), r, decode.Options{}, newTally(), picket.QuerySinkFunc(func(*picket.Query) error {
		n++
		return io.ErrClosedPipe
	}))
	if n != 1 || err != io.ErrClosedPipe { //nolint:errorlint // the sink's own error
		t.Errorf("%d queries, %v", n, err)
	}
}

// silent delivers text and then nothing until its deadline.
type silent struct {
	text  string
	until time.Time
}

func (s *silent) SetReadDeadline(t time.Time) error {
	s.until = t
	return nil
}

func (s *silent) Read(b []byte) (int, error) {
	if s.text == "" {
		if s.until.IsZero() {
			return 0, io.ErrUnexpectedEOF // would hang
		}
		return 0, errDeadline{}
	}
	n := copy(b, s.text)
	s.text = s.text[n:]
	return n, nil
}

type errDeadline struct{}

func (errDeadline) Error() string        { return "deadline" }
func (errDeadline) Is(target error) bool { return target.Error() == "i/o timeout" }

func FuzzMSDNSDebug(f *testing.F) {
	fuzzDecoder(f, MSDNSDebug, msPacketLine("6/20/2017 5:36:59 AM")+"\n"+strings.Replace(msPacketLine("6/20/2017 5:36:59 AM"), "Rcv", "Snd", 1),
		msPacketLine("2019. 8. 2. 오전 3:48:27"), msPacketLine("6-5-2017 05:36:59"), "DNS Server log file creation at 6/20/2017 5:36:58 AM\r\n",
		"20080125 15:10:10 5A4 PACKET  UDP Snd 192.0.2.10     0002 R Q [8001   D   NOERROR] (3)www(6)google(3)com(0)\n",
		"\xff\xfe6\x00/\x00", "<13>Nov 23 12:00:00 dc1 dns: "+msPacketLine("22.6.2017 5:36:59"),
		strings.Replace(msPacketLine("22.6.2017 5:36:59"), "(3)www(7)example(3)com(0)", ".a.b.", 1))
}

func BenchmarkMSDNSDebug(b *testing.B) {
	q := msPacketLine("6/20/2017 5:36:59 AM") + "\r\n"
	r := strings.Replace(strings.Replace(q, "Rcv", "Snd", 1), "  Q [0001   D   NOERROR]", "R Q [8385 A DR NXDOMAIN]", 1)
	benchDecode(b, MSDNSDebug, bytes.Repeat([]byte(q+r), 50), 100)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}
