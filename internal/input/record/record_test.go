package record

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// decoder is what all formats of this package have.
type decoder func(context.Context, io.Reader, decode.Options, picket.Accounting, picket.RecordSink) error

// tally keeps account in a form that tests compare.
type tally struct {
	accepted int
	rejected []string // reason@line
	skipped  []string
	reject   []string // the bytes of what was rejected
}

func (a *tally) Accept(int64) { a.accepted++ }
func (a *tally) Reject(reason string, at picket.Position) {
	a.rejected = append(a.rejected, fmt.Sprintf("%s@%d", reason, at.Line))
	a.reject = append(a.reject, string(at.Record))
}
func (a *tally) Skip(reason string) { a.skipped = append(a.skipped, reason) }

// show is a record on one line.
func show(r *picket.Record) string {
	s := fmt.Sprintf("%s|%s %d %s %s", r.Zone, r.Name, r.TTL, r.Type, r.Data)
	if r.Class != "IN" {
		s += " class " + r.Class
	}
	if r.Change != "" {
		s = string(r.Change) + " " + s
	}
	if r.Comment != "" {
		s += " # " + r.Comment
	}
	return s
}

// run decodes a text.
func run(t testing.TB, d decoder, text string, opt decode.Options) (lines []string, acct *tally, err error) {
	t.Helper()
	acct = &tally{}
	var sink Collector
	err = d(context.Background(), strings.NewReader(text), opt, acct, &sink)
	for i := range sink.Records {
		lines = append(lines, show(&sink.Records[i]))
	}
	if len(lines) != acct.accepted {
		t.Errorf("%d records, %d accepted", len(lines), acct.accepted)
	}
	return lines, acct, err
}

// vector is one input with everything that becomes of it.
type vector struct {
	what     string
	text     string
	opt      decode.Options
	want     []string
	rejected []string
	skipped  []string
	err      string
}

func check(t *testing.T, d decoder, vectors []vector) {
	t.Helper()
	for _, v := range vectors {
		t.Run(v.what, func(t *testing.T) {
			lines, acct, err := run(t, d, v.text, v.opt)
			if (err == nil) != (v.err == "") || (err != nil && !strings.Contains(err.Error(), v.err)) {
				t.Errorf("error %v, want %q", err, v.err)
			}
			if !slices.Equal(lines, v.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(v.want, "\n"))
			}
			if !slices.Equal(acct.rejected, v.rejected) || !slices.Equal(acct.skipped, v.skipped) {
				t.Errorf("rejected %q, want %q; skipped %q, want %q", acct.rejected, v.rejected, acct.skipped, v.skipped)
			}
		})
	}
}

func TestZoneFile(t *testing.T) {
	const soa = "@ 300 IN SOA ns1 h 1 2 3 4 5\n"
	const soaLine = "example.com.|example.com. 300 SOA ns1.example.com. h.example.com. 1 2 3 4 5"
	com := decode.Options{Origin: "Example.COM"}
	check(t, ZoneFile, []vector{
		{what: "TTLs", text: "$ORIGIN example.com.\na A 192.0.2.1\nb 60 A 192.0.2.1\nc A 192.0.2.1\n$TTL 1h30m\nd A 192.0.2.1\ne 1w A 192.0.2.1\nf A 192.0.2.1\n",
			want: []string{"example.com.|a.example.com. 0 A 192.0.2.1", "example.com.|b.example.com. 60 A 192.0.2.1", "example.com.|c.example.com. 60 A 192.0.2.1",
				"example.com.|d.example.com. 5400 A 192.0.2.1", "example.com.|e.example.com. 604800 A 192.0.2.1", "example.com.|f.example.com. 5400 A 192.0.2.1"},
			skipped: []string{skipDirective, skipDirective}},
		{what: "zone of the SOA, not of $ORIGIN", text: "$ORIGIN com.\na.example A 192.0.2.1\nexample SOA ns h 1 2 3 4 5\n",
			want:    []string{"example.com.|a.example.com. 0 A 192.0.2.1", "example.com.|example.com. 0 SOA ns.com. h.com. 1 2 3 4 5"},
			skipped: []string{skipDirective}},
		{what: "zone of the file's name", text: "a.example.com. A 192.0.2.1\n", opt: decode.Options{Name: "db.example.com"}, want: []string{"example.com.|a.example.com. 0 A 192.0.2.1"}},
		{what: "not that name", text: "a.example.net. A 192.0.2.1\n", opt: decode.Options{Name: "db.example.com"}, want: []string{"|a.example.net. 0 A 192.0.2.1"}},
		{what: "case and origin", text: soa + "WWW cname EDGE.Example.NET.\nMX MX 10 Mail\nnaptr NAPTR 1 2 \"U\" \"E2U+sip\" \"!^.*$!sip:x!\" Sip\n", opt: com,
			want: []string{soaLine, "example.com.|www.example.com. 300 CNAME edge.example.net.", "example.com.|mx.example.com. 300 MX 10 mail.example.com.",
				`example.com.|naptr.example.com. 300 NAPTR 1 2 "U" "E2U+sip" "!^.*$!sip:x!" sip.example.com.`}},
		{what: "hostile bytes", text: soa + "a\x07 TXT \"\x1b[31m\" \"\\127\xff\"\n\\000b A 192.0.2.1\n", opt: com,
			want: []string{soaLine, `example.com.|a\007.example.com. 300 TXT "\027[31m" "\127\255"`, `example.com.|\000b.example.com. 300 A 192.0.2.1`}},
		{what: "bad lines", text: soa + "a A 1.2.3\nb BOGUS x\n..c A 192.0.2.1\nd TXT (\nwww.example.net. A 192.0.2.1\n$INCLUDE other\n$FOO\ne A 192.0.2.1\n", opt: com,
			want: []string{soaLine, "example.com.|e.example.com. 300 A 192.0.2.1"},
			rejected: []string{"unknown record type@3", "bad name@4", "quote or parenthesis not closed@5", "$INCLUDE not followed@7", "bad directive@8",
				"bad record data@2", "name outside the zone@6"}},
		{what: "generated", text: soa + "$GENERATE 1-3/2 h-$ 60 A 192.0.2.$\n$GENERATE 1-99999 x$ A 192.0.2.1\n", opt: com,
			want:     []string{soaLine, "example.com.|h-1.example.com. 60 A 192.0.2.1", "example.com.|h-3.example.com. 60 A 192.0.2.3"},
			rejected: []string{"bad $GENERATE@3"}, skipped: []string{skipDirective}},
		{what: "classes", text: "$ORIGIN bind.\n@ CH SOA ns h 1 2 3 4 5\nversion TXT \"9\"\n", want: []string{"bind.|bind. 0 SOA ns.bind. h.bind. 1 2 3 4 5 class CH", `bind.|version.bind. 0 TXT "9" class CH`},
			skipped: []string{skipDirective}},
		{what: "unknown types and data", text: soa + "a TYPE65280 \\# 2 abcd\nb TYPE1 \\# 4 C0000201\nc NSAP 0x47\nd CLASS1 TYPE53 \\# 0\n", opt: com,
			want: []string{soaLine, "example.com.|a.example.com. 300 TYPE65280 \\# 2 ABCD", "example.com.|b.example.com. 300 A 192.0.2.1", "example.com.|c.example.com. 300 NSAP 0x47",
				"example.com.|d.example.com. 300 SMIMEA 0 0 0"}},
		{what: "blank and CRLF", text: "\ufeff; words\r\n\r\n" + strings.ReplaceAll(soa, "\n", "\r\n") + "\tNS ns1\r\n", opt: com,
			want: []string{soaLine, "example.com.|example.com. 300 NS ns1.example.com."}},
		{what: "bad origin", text: soa, opt: decode.Options{Origin: "a..b"}, err: `origin "a..b"`},
	})
}

func TestZoneFileReject(t *testing.T) {
	_, acct, _ := run(t, ZoneFile, "$ORIGIN example.com.\n$TTL 60\na A 1.2.3\nb..c A 192.0.2.1\n", decode.Options{})
	if len(acct.reject) != 2 || acct.reject[1] != "$ORIGIN example.com.\na.example.com. 60 CLASS1 A  1.2.3\n" || acct.reject[0] != "b..c A 192.0.2.1" {
		t.Errorf("%q", acct.reject)
	}
	_, again, _ := run(t, ZoneFile, acct.reject[1], decode.Options{})
	if len(again.rejected) != 1 || again.rejected[0] != "bad record data@2" {
		t.Errorf("%v", again.rejected)
	}
}

func TestOctoDNS(t *testing.T) {
	com := decode.Options{Name: "example.com.yaml"}
	check(t, OctoDNS, []vector{
		{what: "no zone", text: "a:\n  type: A\n  value: 192.0.2.1\n", err: "the zone is not known"},
		{what: "no zone in name", text: "a:\n  type: A\n  value: 192.0.2.1\n", opt: decode.Options{Name: "zone.yaml"}, err: "the zone is not known"},
		{what: "types", opt: com, text: `---
'': {type: SPF, value: v=spf1 -all}
a.b: {type: A, values: [192.0.2.1, 192.0.2.2], ttl: 60}
'*': {type: DNAME, value: example.net.}
ds: {type: DS, value: {key_tag: 1, algorithm: 8, digest_type: 2, digest: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef}}
tlsa: {type: TLSA, value: {certificate_usage: 3, selector: 1, matching_type: 1, certificate_association_data: abcd}}
loc: {type: LOC, value: {lat_degrees: 31, lat_minutes: 58, lat_seconds: 52.1, lat_direction: S, long_degrees: 115, long_minutes: 49, long_seconds: 11.7, long_direction: E, altitude: 20, size: 10, precision_horz: 10, precision_vert: 2}}
svcb: {type: SVCB, value: {svcpriority: 1, targetname: svc.example.net., svcparams: {alpn: [h2, h3], port: 8443, no-default-alpn: }}}
alias: {type: Route53Provider/ALIAS, value: {name: lb.example.net., type: AAAA, hosted-zone-id: Z0}}
fwd: {type: URLFWD, value: {code: 301, masking: 2, path: /, query: 0, target: 'https://example.net'}}
txt: {type: TXT, value: 'semi\; "quoted" back\\slash'}
num: {type: TXT, value: 1.10}
bücher: {type: CNAME, value: Straße.example.}
`, want: []string{
			`example.com.|example.com. 0 SPF "v=spf1 -all"`, "example.com.|a.b.example.com. 60 A 192.0.2.1", "example.com.|a.b.example.com. 60 A 192.0.2.2",
			"example.com.|*.example.com. 0 DNAME example.net.",
			"example.com.|ds.example.com. 0 DS 1 8 2 0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF",
			"example.com.|tlsa.example.com. 0 TLSA 3 1 1 abcd", "example.com.|loc.example.com. 0 LOC 31 58 52.100 S 115 49 11.700 E 20m 10m 10m 2m",
			`example.com.|svcb.example.com. 0 SVCB 1 svc.example.net. alpn="h2,h3" no-default-alpn="" port="8443"`,
			"example.com.|alias.example.com. 0 ALIAS AAAA lb.example.net.", "example.com.|fwd.example.com. 0 URLFWD 301 2 0 / https://example.net",
			`example.com.|txt.example.com. 0 TXT "semi; \"quoted\" back\\slash"`, `example.com.|num.example.com. 0 TXT "1.10"`,
			"example.com.|xn--bcher-kva.example.com. 0 CNAME xn--strae-oqa.example."}},
		{what: "pools and places", opt: com, text: `www:
  type: CNAME
  value: default.example.net.
  dynamic: {pools: {eu: {values: [{value: eu.example.net., weight: 2}, {value: default.example.net.}]}, us: us.example.net., as: [as.example.net.]}, rules: [{pool: eu}]}
`, want: []string{"example.com.|www.example.com. 0 CNAME default.example.net.", "example.com.|www.example.com. 0 CNAME as.example.net. # pool as",
			"example.com.|www.example.com. 0 CNAME eu.example.net. # pool eu", "example.com.|www.example.com. 0 CNAME us.example.net. # pool us"}},
		{what: "metadata", opt: com, text: "a:\n  octodns: {excluded: [route53], included: [cf, ns1]}\n  type: A\n  value: 192.0.2.1\nb:\n  octodns:\n    ignored: true\n  type: A\n  value: 192.0.2.1\n",
			want: []string{"example.com.|a.example.com. 0 A 192.0.2.1 # included: cf, ns1; excluded: route53"}, skipped: []string{skipIgnored}},
		{what: "anchors and merges", opt: com, text: "a: &one\n  type: A\n  ttl: 60\n  value: 192.0.2.1\nb: *one\nc:\n  <<: *one\n  value: 192.0.2.2\n",
			want: []string{"example.com.|a.example.com. 60 A 192.0.2.1", "example.com.|b.example.com. 60 A 192.0.2.1", "example.com.|c.example.com. 60 A 192.0.2.2"}},
		{what: "bad ones", opt: com, text: "a: 5\nb:\n  type: A\nc:\n  value: 192.0.2.1\nd..e: {type: A, value: 192.0.2.1}\nf: {type: MX, value: {preference: 10}}\ng: !include x.yaml\nh: {type: A, value: '192.0.2.1'}\n",
			want:     []string{"example.com.|h.example.com. 0 A 192.0.2.1"},
			rejected: []string{"not a record@1", "record without data@2", "record without type@4", "bad name@6", "bad record data@7", "not a record@8"}},
		{what: "not a mapping", opt: com, text: "- a\n- b\n", rejected: []string{"not a record@1", "not a record@2"}},
		{what: "syntax", opt: com, text: "a: [\nb:\n  type: A\n  value: 192.0.2.1\n", want: []string{"example.com.|b.example.com. 0 A 192.0.2.1"}, rejected: []string{"broken YAML@1"}},
		{what: "injected line", opt: com, text: "a: {type: A, value: \"192.0.2.1\\nb 60 IN A 192.0.2.2\"}\nb: {type: TXT, value: \"x\\ny\"}\n",
			want: []string{`example.com.|b.example.com. 0 TXT "x\010y"`}, rejected: []string{"bad record data@1"}},
		{what: "deep", opt: com, text: "a: " + strings.Repeat("[", 5000), rejected: []string{"YAML nested too deep@1"}},
		{what: "deep list", opt: com, text: strings.Repeat("- ", 5000), rejected: []string{"YAML nested too deep@1"}},
		{what: "large", opt: com, text: "# a\n\na: {type: TXT, value: " + strings.Repeat("x", 1<<16) + "}\n", rejected: []string{"YAML entry too large@3"}},
	})
	if _, _, err := run(t, OctoDNS, laughs(), com); err == nil || !strings.Contains(err.Error(), "aliases stand for more") {
		t.Errorf("aliases of aliases: %v", err)
	}
}

// laughs is a small file whose aliases stand for 10^9 values.
func laughs() string {
	var b strings.Builder
	b.WriteString("a: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 9; i++ {
		fmt.Fprintf(&b, "b%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	b.WriteString("z:\n  type: A\n  values: *a8\n")
	return b.String()
}

func TestDiff(t *testing.T) {
	rec := func(name, data string, ttl int64, source string) picket.Record {
		return picket.Record{Name: name, Type: "A", Class: "IN", TTL: ttl, Data: data, Source: source}
	}
	old := []picket.Record{rec("a.", "192.0.2.1", 60, "z:1"), rec("b.", "192.0.2.2", 60, "z:2"), rec("b.", "192.0.2.2", 60, "z:3"), rec("c.", "192.0.2.3", 60, "z:4")}
	now := []picket.Record{rec("new.", "192.0.2.9", 60, "z:1"), rec("a.", "192.0.2.1", 60, "z:9"), rec("b.", "192.0.2.2", 60, "z:3"), rec("c.", "192.0.2.3", 61, "z:4")}
	var got []string
	for _, r := range Diff(old, now) {
		got = append(got, show(&r))
	}
	want := []string{"remove |b. 60 A 192.0.2.2", "remove |c. 60 A 192.0.2.3", "add |new. 60 A 192.0.2.9", "add |c. 61 A 192.0.2.3"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if old[1].Change != "" || now[0].Change != "" {
		t.Error("the versions themselves were written to")
	}
	if len(Diff(old, old)) != 0 || len(Diff(nil, nil)) != 0 {
		t.Error("no difference is one")
	}
	c := Collector{Limit: 1}
	if err := c.Record(&old[0]); err != nil {
		t.Error(err)
	}
	if err := c.Record(&old[0]); err != ErrTooMany {
		t.Error(err)
	}
}

// discard drops records.
type discard struct{}

func (discard) Record(*picket.Record) error { return nil }
