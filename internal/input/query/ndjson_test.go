package query

import (
	"bytes"
	"context"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/input/decode"
)

// everything is a query with every field set.
func everything() *picket.Query {
	return &picket.Query{
		Time: 1732357265123456789, Client: netip.MustParseAddr("2001:db8::1"), Server: netip.MustParseAddr("192.0.2.53"),
		ClientPort: 65535, Transport: picket.TransportQUIC, Opcode: 5, Type: 65280, Class: 4711, Rcode: 23, EDNSSize: 1232,
		Flags: 1<<15 - 1, Name: []byte("\x05a \"\\.\x01\x00\x07example\x00"), ClientSubnet: netip.MustParsePrefix("198.51.100.7/24"),
		Response: picket.Response{Answers: 3, Owner: dnsname.MustParse("b.example"), Authority: dnsname.MustParse("."), HasSOA: true,
			Denials: []picket.Denial{
				{Owner: dnsname.MustParse("a.example"), Next: dnsname.MustParse("c.example")},
				{NSEC3: true, Owner: []byte("01234567890123456789"), Next: []byte("98765432109876543210")},
			}},
		Sensor: "ns1 \"\\\n\té",
	}
}

func TestNDJSONRoundTrip(t *testing.T) {
	full := everything()
	for _, q := range []*picket.Query{full,
		{Rcode: picket.RcodeUnknown, Name: []byte{0}, Class: 1},
		{Rcode: picket.RcodeNoError, Name: []byte{0}, Type: 1, Class: 3, Time: 1}} {
		line := AppendNDJSON(nil, q)
		if bytes.Count(line, []byte{'\n'}) != 1 {
			t.Errorf("not one line: %s", line)
		}
		n := 0
		acct := newTally()
		err := NDJSON(context.Background(), bytes.NewReader(line), decode.Options{}, acct, picket.QuerySinkFunc(func(got *picket.Query) error {
			n++
			if !reflect.DeepEqual(got, q) {
				t.Errorf("wrote %s\ngot  %+v\nwant %+v", line, got, q)
			}
			return nil
		}))
		if err != nil || n != 1 {
			t.Errorf("%d records, %v %v of %s", n, err, acct.rejected, line)
		}
	}
	// Every field has a part in the line: a field added to Query has to be added here.
	v := reflect.ValueOf(*full)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("field %s is not covered", v.Type().Field(i).Name)
		}
	}
	for i := range flagNames {
		if full.Flags&flagNames[i].flag == 0 {
			t.Errorf("flag %s is not covered", flagNames[i].name)
		}
	}
}

func TestNDJSON(t *testing.T) {
	text := strings.Join([]string{
		`{"time":1732357265.5,"name":"WWW.Example.","type":"aaaa","client":"192.0.2.1","new":{"a":[1,"}"]}}`,
		`{"time":"2024-11-23T11:21:05+01:00","name":".","type":2,"class":"CH","rcode":3,"server":null}`,
		`{"name":"a"}`,
		`{"time":1}`,
		`{"time":"yesterday","name":"a"}`,
		`{"time":1,"name":"a..b"}`,
		`{"time":1,"name":"a","client":"x"}`,
		`{"time":1,"name":"a","client_port":65536}`,
		`{"time":1,"name":"a","type":"NOPE"}`,
		`{"time":1,"name":"a","class":"NOPE"}`,
		`{"time":1,"name":"a","rcode":"NOPE"}`,
		`{"time":1,"name":"a","flags":["nope"]}`,
		`{"time":1,"name":"a","flags":"rd"}`,
		`{"time":1,"name":"a","ecs":"192.0.2.0/33"}`,
		`{"time":1,"name":"a","transport":"pigeon"}`,
		`{"time":1,"name":"a","denials":[{"owner":"a"}]}`,
		`{"time":1,"name":"a"`,
		``,
		`{"time":2,"name":"last"}`,
	}, "\n")
	got, acct := decodeText(t, NDJSON, text, decode.Options{})
	compare(t, got, []string{
		"2024-11-23T10:21:05.5Z 192.0.2.1:0>  www.example IN AAAA ? mixed",
		"2024-11-23T10:21:05Z invalid AddrPort>  . CH NS NXDOMAIN ",
		"1970-01-01T00:00:02Z invalid AddrPort>  last IN TYPE0 ? ",
	})
	for reason, want := range map[string][2]int64{reasonNoTimeKey: {1, 3}, reasonNoName: {1, 4}, reasonKeyTime: {1, 5}, reasonKeyName: {1, 6},
		reasonKeyAddress: {1, 7}, reasonKeyNumber: {1, 8}, reasonKeyType: {1, 9}, reasonKeyClass: {1, 10}, reasonKeyRcode: {1, 11},
		reasonKeyFlags: {2, 12}, reasonKeyECS: {1, 14}, reasonKeyWay: {1, 15}, reasonKeyResponse: {1, 16}, decode.ReasonCutJSON: {1, 17}} {
		if int64(acct.rejected[reason]) != want[0] || acct.first[reason].Line != want[1] {
			t.Errorf("%s: %d at %v, want %v", reason, acct.rejected[reason], acct.first[reason], want)
		}
	}
}

// TestJSONCutting: objects are found however they are laid out.
func TestJSONCutting(t *testing.T) {
	const one, two = `{"time":1,"name":"one","x":{"y":["}{",{}]}}`, `{"time":2,"name":"two"}`
	pretty := "{\n  \"time\": 1,\n  \"name\": \"one\",\n  \"x\": {\n  }\n}"
	for _, text := range []string{one + "\n" + two, one + two, "[" + one + "," + two + "]", "[\n" + one + ",\n" + two + "\n]\n",
		pretty + "\n" + two, "[" + pretty + "," + two + "]", "\xef\xbb\xbf" + one + "\r\n" + two + "\r\n", "junk\n" + one + "\n{\"cut\":\n" + two,
		one + "\n{\"long\":\"" + strings.Repeat("x", decode.MaxLine+5) + "\"}\n" + two} {
		got, acct := decodeText(t, NDJSON, text, decode.Options{})
		if len(got) != 2 || !strings.Contains(got[0], " one ") || !strings.Contains(got[1], " two ") {
			t.Errorf("%.80q: %q (rejected %v)", text, got, acct.rejected)
		}
	}
	// An array on one line longer than any record.
	many := "[" + strings.Repeat(two+",", 60000) + one + "]"
	if got, acct := decodeText(t, NDJSON, many, decode.Options{}); len(got) != 60001 {
		t.Errorf("%d records, rejected %v", len(got), acct.rejected)
	}
}
