package query

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/input/decode"
)

// tally is the simplest Accounting.
type tally struct {
	accepted          int
	rejected, skipped map[string]int
	first             map[string]picket.Position
}

func newTally() *tally {
	return &tally{rejected: map[string]int{}, skipped: map[string]int{}, first: map[string]picket.Position{}}
}

func (a *tally) Accept(int64) { a.accepted++ }
func (a *tally) Reject(reason string, at picket.Position) {
	if a.rejected[reason]++; a.rejected[reason] == 1 {
		a.first[reason] = at
	}
}
func (a *tally) Skip(reason string) { a.skipped[reason]++ }

func (a *tally) total() int {
	n := a.accepted
	for _, v := range a.rejected {
		n += v
	}
	for _, v := range a.skipped {
		n += v
	}
	return n
}

// decodeText runs a decoder over text and returns the queries as NDJSON lines.
func decodeText(t *testing.T, d Decode, text string, opt decode.Options) ([]string, *tally) {
	t.Helper()
	acct := newTally()
	var out []string
	err := d(context.Background(), strings.NewReader(text), opt, acct, picket.QuerySinkFunc(func(q *picket.Query) error {
		if err := dnsname.Check(q.Name); err != nil {
			t.Errorf("name %q: %v", q.Name, err)
		}
		out = append(out, brief(q))
		return nil
	}))
	if err != nil {
		t.Fatalf("decode: %v", err)
	}
	if acct.accepted != len(out) {
		t.Errorf("accepted %d, sink got %d", acct.accepted, len(out))
	}
	return out, acct
}

var flagLetters = []struct {
	f picket.QueryFlags
	s string
}{
	{picket.FlagRD, "rd"}, {picket.FlagCD, "cd"}, {picket.FlagAD, "ad"}, {picket.FlagEDNS, "edns"}, {picket.FlagDO, "do"},
	{picket.FlagCookie, "cookie"}, {picket.FlagTSIG, "tsig"}, {picket.FlagMixed, "mixed"}, {picket.FlagNSID, "nsid"},
	{picket.FlagBadEDNS, "badedns"}, {picket.FlagResponse, "response"}, {picket.FlagAA, "aa"}, {picket.FlagTC, "tc"},
	{picket.FlagFlags, "flags"}, {picket.FlagReferral, "referral"},
}

// brief writes a query in one line for comparison.
func brief(q *picket.Query) string {
	var b strings.Builder
	b.WriteString(time.Unix(0, q.Time).UTC().Format(time.RFC3339Nano))
	b.WriteString(" " + netip.AddrPortFrom(q.Client, q.ClientPort).String() + ">")
	if q.Server.IsValid() {
		b.WriteString(q.Server.String())
	}
	b.WriteString(" " + q.Transport.String() + " " + dnsname.Text(q.Name) + " ")
	b.Write(decode.AppendClassName(nil, q.Class))
	b.WriteByte(' ')
	b.Write(decode.AppendTypeName(nil, q.Type))
	b.WriteByte(' ')
	if q.Rcode == picket.RcodeUnknown {
		b.WriteByte('?')
	} else {
		b.Write(decode.AppendRcodeName(nil, q.Rcode))
	}
	b.WriteByte(' ')
	for i, sep := 0, ""; i < len(flagLetters); i++ {
		if q.Has(flagLetters[i].f) {
			b.WriteString(sep + flagLetters[i].s)
			sep = ","
		}
	}
	if q.ClientSubnet.IsValid() {
		b.WriteString(" ecs=" + q.ClientSubnet.String())
	}
	return b.String()
}

func TestBindLogSpellings(t *testing.T) {
	now := func() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }
	tests := []struct{ name, line, want string }{
		{"local time, pointer", `20-Sep-2024 10:20:26.751 client @0x7f264c465b08 10.10.10.10#56256 (google.com): query: google.com IN A + (10.10.10.11)`,
			"2024-09-20T10:20:26.751Z 10.10.10.10:56256>10.10.10.11 udp google.com IN A ? rd,flags"},
		{"no pointer, no qname, category and severity", `20-Sep-2024 10:20:26.751 queries: info: client 10.10.10.10#56256: query: Google.COM IN A -E(0)DC (10.10.10.11)`,
			"2024-09-20T10:20:26.751Z 10.10.10.10:56256>10.10.10.11 udp google.com IN A ? cd,edns,do,mixed,flags"},
		{"view", `2024-09-20T10:20:26.751Z queries: client @0x1 ::1#5 (a.example): view external: query: a.example IN AAAA -SE(1)TV (::1)`,
			"2024-09-20T10:20:26.751Z [::1]:5>::1 tcp a.example IN AAAA ? edns,cookie,tsig,badedns,flags"},
		{"key and ECS", `2024-09-20T10:20:26.751+02:00 info: client @0x1 192.0.2.1#5/key x.y (a.example): query: a.example IN TYPE65280 -E(0)K (192.0.2.2) [ECS 198.51.100.0/24/0]`,
			"2024-09-20T08:20:26.751Z 192.0.2.1:5>192.0.2.2 udp a.example IN TYPE65280 ? edns,tsig,flags ecs=198.51.100.0/24"},
		{"class by number, escapes", `2024-09-20T10:20:26 client @0x1 192.0.2.1#5 (a\032b\.c.example): query: a\032b\.c.example CLASS3 TXT - (192.0.2.2)`,
			`2024-09-20T10:20:26Z 192.0.2.1:5>192.0.2.2 udp a\032b\.c.example CH TXT ? flags`},
		{"syslog without own time", `Sep  2 15:50:26 ns1 named[16]: client @0x1 192.0.2.1#5 (.): query: . IN NS - (192.0.2.2)`,
			"2025-09-02T15:50:26Z 192.0.2.1:5>192.0.2.2 udp . IN NS ? flags"},
		{"syslog, priority, two stamps", `<158>Sep 20 15:50:26 ns1 named[16]: 2024-09-20T10:20:26.751Z queries: info: client @0x1 192.0.2.1#5 (a): query: a IN NS - (192.0.2.2)`,
			"2024-09-20T10:20:26.751Z 192.0.2.1:5>192.0.2.2 udp a IN NS ? flags"},
		{"RFC 5424", `<158>1 2024-09-20T15:50:26.123456+02:00 ns1 named 16 - [x@1 a="b"] queries: info: client @0x1 192.0.2.1#5 (a): query: a IN NS - (192.0.2.2)`,
			"2024-09-20T13:50:26.123456Z 192.0.2.1:5>192.0.2.2 udp a IN NS ? flags"},
		{"host named client", `Mar  2 11:59:59 client named[16]: client 192.0.2.1#5: query: a IN NS - (192.0.2.2)`,
			"2026-03-02T11:59:59Z 192.0.2.1:5>192.0.2.2 udp a IN NS ? flags"},
		{"more than a day ahead is last year", `Mar  2 12:00:01 ns1 named[16]: client 192.0.2.1#5: query: a IN NS - (192.0.2.2)`,
			"2025-03-02T12:00:01Z 192.0.2.1:5>192.0.2.2 udp a IN NS ? flags"},
		{"leap day", `Feb 29 12:00:01 ns1 named[16]: client 192.0.2.1#5: query: a IN NS - (192.0.2.2)`,
			"2024-02-29T12:00:01Z 192.0.2.1:5>192.0.2.2 udp a IN NS ? flags"},
		{"denied AXFR", `11-Aug-2013 03:36:11.372 error: client 1.2.3.4#52115: zone transfer 'Domain.com/AXFR/IN' denied`,
			"2013-08-11T03:36:11.372Z 1.2.3.4:52115> tcp domain.com IN AXFR REFUSED mixed,response"},
		{"NOTAUTH AXFR", `11-Aug-2013 03:36:11.372 client @0x1 1.2.3.4#52115 (x): bad zone transfer request: 'domain.com/IN': non-authoritative zone (NOTAUTH)`,
			"2013-08-11T03:36:11.372Z 1.2.3.4:52115> tcp domain.com IN AXFR NOTAUTH response"},
		{"BIND 8", `Mar 1 11:52:03 arcane named[15025]: denied AXFR from [205.166.226.38].1421 for "atfantasy.com" (acl)`,
			"2026-03-01T11:52:03Z 205.166.226.38:1421> tcp atfantasy.com IN AXFR REFUSED response"},
		{"xfer-out alone", `16-Apr-2026 12:09:11.650 client @0x7ffffa436000 127.0.0.1#55256 (.): transfer of './IN': AXFR started (serial 2026041600)`,
			"2026-04-16T12:09:11.65Z 127.0.0.1:55256> tcp . IN AXFR NOERROR response"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, acct := decodeText(t, BindLog, tt.line, decode.Options{Now: now})
			if len(got) != 1 || got[0] != tt.want {
				t.Errorf("got  %q\nwant %q (rejected %v, skipped %v)", got, tt.want, acct.rejected, acct.skipped)
			}
		})
	}
}

func TestBindLogLocation(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no time zone data on this system")
	}
	const line = " client 192.0.2.1#5: query: a IN NS - (192.0.2.2)\n"
	got, _ := decodeText(t, BindLog, "20-Jul-2024 10:20:26.751"+line+"20-Dec-2024 10:20:26.751"+line+"20-Dec-2024 10:20:27.751"+line, decode.Options{Location: berlin})
	for i, want := range []string{"2024-07-20T08:20:26.751Z", "2024-12-20T09:20:26.751Z", "2024-12-20T09:20:27.751Z"} {
		if !strings.HasPrefix(got[i], want+" ") {
			t.Errorf("line %d: %s, want %s", i, got[i], want)
		}
	}
}

// TestBindLogAttachesResults shows that what BIND writes after a query line
// becomes part of the query, in whatever order its threads write.
func TestBindLogAttachesResults(t *testing.T) {
	const text = `2026-11-23T11:02:17.932Z queries: info: client @0x1 10.66.0.54#33512 (TA.com): query: TA.com IN A +T (10.53.0.1)
2026-11-23T11:02:17.932Z queries: info: client @0x2 10.66.0.99#1 (x.example): query: x.example IN A - (10.53.0.1)
2026-11-23T11:02:17.932Z query-errors: info: client @0x1 10.66.0.54#33512 (TA.com): query failed (REFUSED) for TA.com/IN/A at query.c:5708
2026-11-23T11:02:17.940Z queries: info: client @0x1 10.66.0.54#33534 (corp-a.example): query: corp-a.example IN AXFR -T (10.53.0.1)
2026-11-23T11:02:17.940Z xfer-out: info: client @0x1 10.66.0.54#33534 (corp-a.example): transfer of 'corp-a.example/IN': AXFR started (serial 2026111501)
2026-11-23T11:02:17.940Z xfer-out: info: client @0x1 10.66.0.54#33534 (corp-a.example): transfer of 'corp-a.example/IN': AXFR ended: 1 messages, 365 records, 10789 bytes, 0.001 secs (10789000 bytes/sec) (serial 2026111501)
2026-11-23T11:02:18.000Z queries: info: client @0x3 10.66.0.54#33600 (corp-a.example): query: corp-a.example IN IXFR -T (10.53.0.1)
2026-11-23T11:02:18.000Z xfer-out: info: client @0x3 10.66.0.54#33600 (corp-a.example): transfer of 'corp-a.example/IN': IXFR version not in journal, falling back to AXFR
2026-11-23T11:02:18.000Z xfer-out: info: client @0x3 10.66.0.54#33600 (corp-a.example): transfer of 'corp-a.example/IN': AXFR-style IXFR started (serial 2026111501)
2026-11-23T11:02:18.100Z queries: info: client @0x4 10.66.0.54#33700 (secret.example): query: secret.example IN AXFR -T (10.53.0.1)
2026-11-23T11:02:18.100Z security: error: client @0x4 10.66.0.54#33700 (secret.example): zone transfer 'secret.example/AXFR/IN' denied
2026-11-23T11:02:18.100Z query-errors: info: client @0x4 10.66.0.54#33700 (secret.example): query failed (REFUSED) for secret.example/IN/AXFR at query.c:5708
2026-11-23T11:02:18.200Z query-errors: info: client @0x9 10.66.0.54#1 (nobody.example): query failed (SERVFAIL) for nobody.example/IN/A at query.c:5708
`
	got, acct := decodeText(t, BindLog, text, decode.Options{})
	want := []string{
		"2026-11-23T11:02:17.932Z 10.66.0.54:33512>10.53.0.1 tcp ta.com IN A REFUSED rd,mixed,response,flags",
		"2026-11-23T11:02:17.932Z 10.66.0.99:1>10.53.0.1 udp x.example IN A ? flags",
		"2026-11-23T11:02:17.94Z 10.66.0.54:33534>10.53.0.1 tcp corp-a.example IN AXFR NOERROR response,flags",
		"2026-11-23T11:02:18Z 10.66.0.54:33600>10.53.0.1 tcp corp-a.example IN IXFR NOERROR response,flags",
		"2026-11-23T11:02:18.1Z 10.66.0.54:33700>10.53.0.1 tcp secret.example IN AXFR REFUSED response,flags",
	}
	compare(t, got, want)
	if acct.total() != 13 || acct.skipped[skipBindFailed] != 3 || acct.skipped[skipBindDenied] != 1 || acct.skipped[skipBindXfrStart] != 2 || acct.skipped[skipBindXfr] != 2 {
		t.Errorf("skipped %v, total %d", acct.skipped, acct.total())
	}
}

func compare(t *testing.T, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		g, w := "", ""
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Errorf("%d:\n got %s\nwant %s", i, g, w)
		}
	}
}

// TestBindLogLateResult: a result that comes after its query went out is not
// taken for another query.
func TestBindLogLateResult(t *testing.T) {
	var b strings.Builder
	b.WriteString("2026-11-23T11:02:17Z client @0x1 10.0.0.1#7 (z.example): query: z.example IN AXFR -T (10.53.0.1)\n")
	for range bindHeld + 3 {
		b.WriteString("2026-11-23T11:02:17Z client @0x2 10.0.0.2#8 (a): query: a IN A - (10.53.0.1)\n")
	}
	b.WriteString("2026-11-23T11:02:17Z client @0x1 10.0.0.1#7 (z.example): zone transfer 'z.example/AXFR/IN' denied\n")
	got, acct := decodeText(t, BindLog, b.String(), decode.Options{})
	if len(got) != bindHeld+4 || acct.skipped[skipBindDenied] != 1 {
		t.Errorf("%d queries, skipped %v", len(got), acct.skipped)
	}
}

func TestBindLogRejects(t *testing.T) {
	const pre = "2026-11-23T11:02:17Z "
	long := strings.Repeat("x", decode.MaxLine+10)
	text := strings.Join([]string{
		"client @0x7f91b8005490 127.0.0.1#62536 (www.example.com): query: www.example.com IN AAAA +E(0)K (127.0.0.1)",
		pre + "client 300.0.2.1#5: query: a IN NS - (192.0.2.2)",
		pre + "client 192.0.2.1#5: query: a IN NS",
		pre + "client 192.0.2.1#5: query: a..b IN NS - (192.0.2.2)",
		pre + "client 192.0.2.1#5: query: a IN NONSENSE - (192.0.2.2)",
		pre + "client 192.0.2.1#5: query: a XX NS - (192.0.2.2)",
		pre + "client 192.0.2.1#5: query: a IN NS ? (192.0.2.2)",
		long,
		"",
		"# remark",
		pre + "zone a/IN: loaded serial 1",
		pre + "client 192.0.2.1#5: received notify for zone 'a'",
		pre + "client 192.0.2.1#5: query: ok IN NS - (192.0.2.2)",
	}, "\n")
	got, acct := decodeText(t, BindLog, text, decode.Options{})
	compare(t, got, []string{"2026-11-23T11:02:17Z 192.0.2.1:5>192.0.2.2 udp ok IN NS ? flags"})
	for line, reason := range map[int64]string{1: decode.ReasonNoTime, 2: decode.ReasonAddress, 3: decode.ReasonTruncated, 4: decode.ReasonBadName,
		5: decode.ReasonType, 6: decode.ReasonClass, 7: decode.ReasonFlags, 8: decode.ReasonLineTooLong} {
		if acct.rejected[reason] != 1 || acct.first[reason].Line != line {
			t.Errorf("%s: %d at %+v, want 1 at line %d", reason, acct.rejected[reason], acct.first[reason], line)
		}
	}
	if acct.total() != 13 {
		t.Errorf("total %d of 13 lines: %v %v", acct.total(), acct.rejected, acct.skipped)
	}
}
