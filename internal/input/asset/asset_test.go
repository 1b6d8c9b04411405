package asset

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
	"github.com/picket-dns/picket/internal/pickettest"
)

// decoder is a function of this package.
type decoder = func(context.Context, io.Reader, decode.Options, picket.Accounting, picket.AssetSink) error

// tally keeps account and what it gets.
type tally struct {
	pickettest.Ledger
	got []*picket.Asset
}

func (a *tally) Asset(s *picket.Asset) error { a.got = append(a.got, s); return nil }

func read(t *testing.T, d decoder, text string, opt decode.Options) *tally {
	t.Helper()
	a := new(tally)
	if err := d(context.Background(), strings.NewReader(text), opt, a, a); err != nil {
		t.Fatal(err)
	}
	return a
}

// want compares assets as JSON, and what else became of the records.
func (a *tally) want(t *testing.T, assets []string, rejected, skipped map[string]int) {
	t.Helper()
	for i, s := range a.got {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(s); err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(b.String()); i >= len(assets) || got != assets[i] {
			t.Errorf("asset %d is\n%s", i, got)
			if i < len(assets) {
				t.Errorf("want\n%s", assets[i])
			}
		}
	}
	if len(a.got) != len(assets) {
		t.Errorf("%d assets, want %d", len(a.got), len(assets))
	}
	a.Want(t, len(assets), rejected, skipped)
}

// fuzz runs a decoder over anything: what it hands over is bounded, is well-formed,
// and does not depend on how the bytes arrive.
func fuzz(f *testing.F, d decoder, opt decode.Options, seeds ...string) {
	pickettest.FuzzDecoder(f, seeds, func(r io.Reader, acct *pickettest.Ledger) ([]*picket.Asset, error) {
		var a tally
		err := d(context.Background(), r, opt, acct, &a)
		return a.got, err
	}, wellFormed)
}

func wellFormed(t *testing.T, s *picket.Asset) {
	t.Helper()
	if s.Tool == "" || (s.Name == "" && len(s.Addrs) == 0) {
		t.Fatalf("says nothing: %+v", s)
	}
	if len(s.Addrs) > maxAddrs+1 || len(s.Records) > maxRecords || len(s.Tags) > 40*maxLabelValues || len(s.Title) > 4100 {
		t.Fatalf("not bounded: %+v", s)
	}
	pickettest.CanonicalNames(t, s.Name)
	for _, r := range s.Records {
		if pickettest.CanonicalNames(t, r.Name); r.Name == "" || r.Type == "" {
			t.Fatalf("record %+v", r)
		}
	}
}

const (
	amassV3 = `{"name":"WWW.example.com","domain":"example.com","addresses":[{"ip":"192.0.2.80","cidr":"192.0.2.0/24","asn":64496,"desc":"EXAMPLE-NET"},{"ip":"2001:db8::80","cidr":"2001:db8::/32","asn":64497,"desc":"OTHER"}],"tag":"cert","sources":["Crtsh","CertSpotter"]}`
	amassV4 = "example.com (FQDN) --> ns_record --> ns1.example.com (FQDN)\n" +
		"example.com (FQDN) --> mx_record --> mail.example.com (FQDN)\n" +
		"example.com (FQDN) --> node --> \x1b[32mwww.example.com\x1b[0m (FQDN)\n" +
		"www.example.com (FQDN) --> a_record --> 192.0.2.80 (IPAddress)\n" +
		"www.example.com (FQDN) --> aaaa_record --> 2001:db8::80 (IPAddress)\n" +
		"192.0.2.0/24 (Netblock) --> contains --> 192.0.2.80 (IPAddress)\n" +
		"64496 (ASN) --> announces --> 192.0.2.0/24 (Netblock)\n\n"
	nucleiDNS = `{"template-id":"mx-fingerprint","info":{"name":"MX Record","tags":"dns,mx","severity":"info"},"type":"dns","host":"https://example.com:8443","matched-at":"example.com","extracted-results":["10 mail.example.com."],"response":";; opcode: QUERY\n\n;; ANSWER SECTION:\nexample.com.\t3600\tIN\tMX\t10 Mail.example.com.\nexample.com.\t60\tIN\tTXT\t\"a  b\"\n\n;; AUTHORITY SECTION:\nexample.com.\t60\tIN\tNS\tns1.example.com.\n","timestamp":"2026-11-20T09:15:31Z","matcher-status":true}`
	zdnsV1    = `{"name":"www.example.com","class":"IN","status":"NOERROR","timestamp":"2026-11-20T10:15:30Z","data":{"answers":[{"answer":"web.example.com.","class":"IN","name":"www.example.com","ttl":300,"type":"CNAME"},{"answer":"192.0.2.80","class":"IN","name":"web.example.com","ttl":300,"type":"A"},{"answer":"192.0.2.99","name":"other.example.com","ttl":300,"type":"A"}],"protocol":"udp"}}`
	zdnsV2    = `{"results":{"MX":{"data":{"answers":[{"answer":"mail.example.com.","name":"example.com","preference":10,"ttl":3600,"type":"MX"},{"type":"CAA","name":"example.com","flag":0,"tag":"issue","value":"ca.example.net"},{"type":"TXT","name":"example.com","answer":"v=\"spf\" \\"}]},"status":"NOERROR","timestamp":"2026-11-20T10:15:31Z"},"AAAA":{"data":{},"status":"NOERROR","timestamp":"2026-11-20T10:15:32Z"}},"name":"example.com"}`
	nmapHead  = `<?xml version="1.0"?><nmaprun scanner="nmap" start="1763633000">`
	nmapUp    = `<host starttime="1763633001" endtime="1763633060"><status state="up"/><address addr="192.0.2.80" addrtype="ipv4"/><hostnames><hostname name="www.example.com" type="user"/><hostname name="web1.example.com" type="PTR"/></hostnames><ports><port protocol="tcp" portid="22"><state state="open"/><service name="ssh" product="OpenSSH" version="9.7"/></port><port protocol="tcp" portid="8080"><state state="closed"/></port></ports></host>`
)

func TestSubfinder(t *testing.T) {
	read(t, Subfinder, `{"host":"dev.example.com","input":"example.com","sources":["crtsh","a"]}{"host":"x.example.com","ip":"2001:db8::1","source":"b"}
{"host":"a b","source":"b"}{"host":"x.example.com","ip":"192.0.2.300"}{"input":"example.com"}{"host":"x"`, decode.Options{}).want(t, []string{
		`{"name":"dev.example.com.","tool":"subfinder","details":{"input":"example.com","sources":"crtsh, a"}}`,
		`{"name":"x.example.com.","addrs":["2001:db8::1"],"tool":"subfinder","details":{"sources":"b"}}`,
	}, map[string]int{decode.ReasonBadName: 1, decode.ReasonAddress: 1, reasonNothing: 1, decode.ReasonCutJSON: 1}, nil)
}

func TestNaabu(t *testing.T) {
	read(t, Naabu, strings.Join([]string{
		`{"host":"www.example.com","ip":"192.0.2.80","timestamp":"2026-11-20T10:15:30.5Z","port":443,"protocol":"tcp","tls":true,"cdn":true,"cdn-name":"examplecdn"}`,
		`{"host":"192.0.2.80","ip":"192.0.2.80","timestamp":"2026-11-20T10:15:31+01:00","port":{"Port":53,"Protocol":1,"TLS":false}}`,
		`{"ip":"2001:db8::25","port":25}`,
		`{"ip":"192.0.2.80","port":0}`, `{"ip":"192.0.2.80","port":"x"}`, `{"ip":"x","port":1}`, `{"port":1}`, `{"ip":"192.0.2.80","port":1,"timestamp":"now"}`,
	}, "\n"), decode.Options{Sensor: "s"}).want(t, []string{
		`{"time":"2026-11-20T10:15:30.5Z","name":"www.example.com.","addrs":["192.0.2.80"],"port":443,"protocol":"tcp","tool":"naabu","details":{"cdn":"examplecdn"},"sensor":"s"}`,
		`{"time":"2026-11-20T09:15:31Z","addrs":["192.0.2.80"],"port":53,"protocol":"udp","tool":"naabu","sensor":"s"}`,
		`{"addrs":["2001:db8::25"],"port":25,"protocol":"tcp","tool":"naabu","sensor":"s"}`,
	}, map[string]int{reasonPort: 2, decode.ReasonAddress: 1, reasonNothing: 1, decode.ReasonTime: 1}, nil)
}

func TestAmass(t *testing.T) {
	read(t, Amass, amassV3+`{"name":"x.example.com","addresses":[{"ip":"nowhere"},{"ip":"192.0.2.1"}]}`, decode.Options{}).want(t, []string{
		`{"name":"www.example.com.","addrs":["192.0.2.80","2001:db8::80"],"tool":"amass","tags":["cert"],"details":{"asn":"64496","cidr":"192.0.2.0/24","desc":"EXAMPLE-NET","domain":"example.com","sources":"Crtsh, CertSpotter"}}`,
	}, map[string]int{decode.ReasonAddress: 1}, nil)
	read(t, Amass, amassV4+"no arrows\n-- (FQDN) --> a_record --> nowhere (IPAddress)\n", decode.Options{}).want(t, []string{
		`{"name":"example.com.","tool":"amass","records":[{"name":"example.com.","type":"NS","data":"ns1.example.com."}]}`,
		`{"name":"example.com.","tool":"amass","details":{"mx":"mail.example.com."}}`,
		`{"name":"www.example.com.","tool":"amass"}`,
		`{"name":"www.example.com.","addrs":["192.0.2.80"],"tool":"amass","records":[{"name":"www.example.com.","type":"A","data":"192.0.2.80"}]}`,
		`{"name":"www.example.com.","addrs":["2001:db8::80"],"tool":"amass","records":[{"name":"www.example.com.","type":"AAAA","data":"2001:db8::80"}]}`,
	}, map[string]int{reasonNoEdge: 1, decode.ReasonAddress: 1}, map[string]int{skipNetwork: 2, decode.SkipBlank: 1})
}

func TestNuclei(t *testing.T) {
	read(t, Nuclei, "["+strings.Join([]string{
		nucleiDNS,
		`{"templateID":"old","info":{"name":"Old","severity":"low"},"type":"http","host":"http://[2001:db8::80]:8080/x","matched":"http://[2001:db8::80]:8080/x?y"}`,
		`{"template-id":"p","info":{"name":"Port","severity":"info"},"type":"tcp","host":"www.example.com","port":"22","ip":"192.0.2.80","matched-at":"www.example.com:22","timestamp":"2026-11-20T09:15:31Z"}`,
		`{"template-id":"n","info":{},"host":"x.example.com","matcher-status":false}`,
		`{"template-id":"n","info":{},"host":"bad name","matched-at":"x"}`,
		`{"template-id":"n","info":{},"host":"x.example.com","ip":"1.2.3"}`,
		`{"template-id":"n","info":{},"host":"x.example.com","timestamp":"x"}`,
		`{"template-id":"n","info":[]}`,
	}, ",\n")+"]", decode.Options{}).want(t, []string{
		`{"time":"2026-11-20T09:15:31Z","name":"example.com.","title":"MX Record","severity":"info","tool":"nuclei","tags":["dns","mx"],"records":[{"name":"example.com.","type":"MX","class":"IN","ttl":3600,"data":"10 mail.example.com."},{"name":"example.com.","type":"TXT","class":"IN","ttl":60,"data":"\"a  b\""}],"details":{"extracted":"10 mail.example.com.","matched_at":"example.com","template":"mx-fingerprint","type":"dns"}}`,
		`{"addrs":["2001:db8::80"],"port":8080,"protocol":"tcp","service":"http","title":"Old","severity":"low","tool":"nuclei","details":{"matched_at":"http://[2001:db8::80]:8080/x?y","template":"old","type":"http"}}`,
		`{"time":"2026-11-20T09:15:31Z","name":"www.example.com.","addrs":["192.0.2.80"],"port":22,"protocol":"tcp","title":"Port","severity":"info","tool":"nuclei","details":{"matched_at":"www.example.com:22","template":"p","type":"tcp"}}`,
	}, map[string]int{decode.ReasonBadName: 1, decode.ReasonAddress: 1, decode.ReasonTime: 1, reasonNothing: 1}, map[string]int{skipNotMatched: 1})
}

func TestZDNS(t *testing.T) {
	read(t, ZDNS, strings.Join([]string{
		zdnsV1, zdnsV2,
		`{"name":"example.com","results":{"ALOOKUP":{"data":{"ipv4_addresses":["192.0.2.80"],"ipv6_addresses":["2001:db8::80"]},"status":"NOERROR"}}}`,
		`{"data":{"exchanges":[{"name":"mail.example.com","preference":10,"ipv4_addresses":["192.0.2.25"]}]},"name":"example.com","status":"NOERROR"}`,
		`{"name":"nothere.example.com","status":"NXDOMAIN","data":{}}`,
		`{"name":"x.example.com","status":"TIMEOUT"}`,
		`{"name":"x.example.com","data":{"answers":[{"name":"x.example.com","type":"A","answer":"192.0.2.300"}]}}`,
		`{"name":"x.example.com","data":{"answers":[{"name":"x..example.com","type":"A","answer":"192.0.2.3"}]}}`,
		`{"name":"x.example.com","data":{"answers":[{"name":"x.example.com","type":"WHAT","answer":"192.0.2.3"}]}}`,
		`{"name":"x.example.com","timestamp":"soon","data":{"answers":[]}}`,
	}, "\n"), decode.Options{}).want(t, []string{
		`{"time":"2026-11-20T10:15:30Z","name":"www.example.com.","addrs":["192.0.2.80"],"tool":"zdns","records":[{"name":"www.example.com.","type":"CNAME","class":"IN","ttl":300,"data":"web.example.com."},{"name":"web.example.com.","type":"A","class":"IN","ttl":300,"data":"192.0.2.80"},{"name":"other.example.com.","type":"A","class":"IN","ttl":300,"data":"192.0.2.99"}]}`,
		`{"time":"2026-11-20T10:15:32Z","name":"example.com.","tool":"zdns","records":[{"name":"example.com.","type":"MX","class":"IN","ttl":3600,"data":"10 mail.example.com."},{"name":"example.com.","type":"CAA","class":"IN","data":"0 issue \"ca.example.net\""},{"name":"example.com.","type":"TXT","class":"IN","data":"\"v=\\\"spf\\\" \\\\\""}],"details":{"modules":"MX, AAAA"}}`,
		`{"name":"example.com.","addrs":["192.0.2.80","2001:db8::80"],"tool":"zdns","details":{"modules":"ALOOKUP"}}`,
		`{"name":"example.com.","tool":"zdns","records":[{"name":"example.com.","type":"MX","class":"IN","data":"10 mail.example.com."},{"name":"mail.example.com.","type":"A","class":"IN","data":"192.0.2.25"}]}`,
	}, map[string]int{decode.ReasonAddress: 1, decode.ReasonBadName: 1, decode.ReasonType: 1, decode.ReasonTime: 1}, map[string]int{skipNoSuchName: 1, skipNoAnswer: 1})
}

func TestNmapXML(t *testing.T) {
	read(t, NmapXML, nmapHead+nmapUp+`<host><status state="up"/><address addr="2001:db8::53" addrtype="ipv6"/></host>`+
		`<host><status state="down"/><address addr="192.0.2.81" addrtype="ipv4"/></host>`+
		`<host><status state="up"/><address addr="x" addrtype="ipv4"/></host>`+
		`<host><status state="up"/><address addr="192.0.2.82" addrtype="ipv4"/><hostnames><hostname name="a b"/></hostnames></host>`+
		`<host starttime="soon"><status state="up"/></host>`+
		`<host><status state="up"/></host></nmaprun>`, decode.Options{}).want(t, []string{
		`{"time":"2025-11-20T10:04:20Z","name":"www.example.com.","addrs":["192.0.2.80"],"port":22,"protocol":"tcp","service":"ssh","title":"OpenSSH 9.7","tool":"nmap","records":[{"name":"80.2.0.192.in-addr.arpa.","type":"PTR","class":"IN","data":"web1.example.com."}]}`,
		`{"addrs":["2001:db8::53"],"tool":"nmap"}`,
	}, map[string]int{decode.ReasonAddress: 1, decode.ReasonBadName: 1, reasonXMLHost: 1, reasonNothing: 1}, map[string]int{skipHostDown: 1, skipNotOpen: 1})

	// A report that was cut off gives what was complete, and an error.
	for _, tt := range []struct {
		text, err string
		accepted  int
	}{
		{nmapHead + nmapUp + nmapUp[:200], "nmap report broken or cut off", 1},
		{nmapHead + nmapUp, "nmap report broken or cut off", 1},
		{nmapHead + nmapUp + "<host></port>", "nmap report broken or cut off", 1},
		{"<other/>", "no nmaprun element", 0},
		{"", "no nmaprun element", 0},
		{nmapHead + strings.Repeat("<a>", 100), "elements within elements", 0},
		{nmapHead + "<host>" + strings.Repeat("x", 17<<20), "host element larger than 16 MiB", 0},
	} {
		a := new(tally)
		err := NmapXML(context.Background(), strings.NewReader(tt.text), decode.Options{}, a, a)
		if err == nil || !strings.Contains(err.Error(), tt.err) || a.Accepted != tt.accepted {
			t.Errorf("%.80s…: %v, %d accepted; want %q, %d", tt.text, err, a.Accepted, tt.err, tt.accepted)
		}
	}
}

func TestCSV(t *testing.T) {
	// Plain headers need no mapping.
	read(t, CSV, "\ufeffHostname,IP Address,Port,Environment,Tags,Remark,Last Seen\r\nwww.example.com,192.0.2.80,443/tcp,prod,\"web, public\",x,2026-11-20T10:15:30Z\r\nhttps://app.example.com:8443/login,,,,,,\r\n192.0.2.7,,,,,,\r\n,,,,,,\r\nx.example.com,300.1.1.1\r\n1.2.3,,\r\nx.example.com,,https\r\n", decode.Options{}).want(t, []string{
		`{"time":"2026-11-20T10:15:30Z","name":"www.example.com.","addrs":["192.0.2.80"],"port":443,"protocol":"tcp","tool":"inventory","environment":"prod","tags":["web","public"]}`,
		`{"name":"app.example.com.","port":8443,"tool":"inventory"}`,
		`{"addrs":["192.0.2.7"],"tool":"inventory"}`,
	}, map[string]int{reasonNothing: 1, decode.ReasonAddress: 1, decode.ReasonBadName: 1, reasonPort: 1}, map[string]int{decode.SkipHeader: 1})
	for text, want := range map[string]string{
		"a,b\n1,2\n": "no column of the header is known, and there is no mapping",
	} {
		a := new(tally)
		if err := CSV(context.Background(), strings.NewReader(text), decode.Options{}, a, a); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	m := &decode.Mapping{Fields: map[string]string{"name": "fqdn", "owner": "team"}}
	a := new(tally)
	if err := CSV(context.Background(), strings.NewReader("Host,Team\nx,y\n"), decode.Options{Mapping: m}, a, a); err == nil || err.Error() != `header lacks columns that the mapping names: "fqdn"; it has "Host", "Team"` {
		t.Errorf("missing column: %v", err)
	}
}

func TestJSON(t *testing.T) {
	m := &decode.Mapping{Fields: map[string]string{"name": "host", "addrs": "ips", "tags": "labels[].name", "details.id": "meta.id"}, Constants: map[string]string{"tool": "cmdb", "owner": "nobody"}}
	read(t, JSON, `[{"host":"www.example.com","ips":["192.0.2.80","2001:db8::80"],"labels":[{"name":"a"},{"name":"b,c"}],"meta":"{\"id\":7}"},{"host":"x.example.com","ips":"192.0.2.1;192.0.2.2"},{"ips":[]},{"host":"x.example.com","ips":["x"]}]`, decode.Options{Mapping: m}).want(t, []string{
		`{"name":"www.example.com.","addrs":["192.0.2.80","2001:db8::80"],"tool":"cmdb","owner":"nobody","tags":["a","b","c"],"details":{"id":"7"}}`,
		`{"name":"x.example.com.","addrs":["192.0.2.1","192.0.2.2"],"tool":"cmdb","owner":"nobody"}`,
	}, map[string]int{reasonNothing: 1, decode.ReasonAddress: 1}, nil)
	if err := JSON(context.Background(), strings.NewReader("{}"), decode.Options{}, new(tally), new(tally)); err == nil || err.Error() != decode.ErrNoMapping.Error() {
		t.Errorf("without mapping: %v", err)
	}
}

func TestParseTarget(t *testing.T) {
	for in, want := range map[string]string{
		"www.example.com":                     "www.example.com. invalid IP 0",
		"WWW.example.com.:443":                "www.example.com. invalid IP 443",
		"https://u:p@www.example.com/x?y":     "www.example.com. invalid IP 443",
		"http://[2001:db8::1]:8080/":          " 2001:db8::1 8080",
		"2001:db8::1":                         " 2001:db8::1 0",
		"192.0.2.1:53":                        " 192.0.2.1 53",
		"192.0.2.0/24":                        " 192.0.2.0 0",
		"*.example.com":                       "*.example.com. invalid IP 0",
		"1.2.3.999":                           "no",
		"a b":                                 "no",
		"www.example.com:http":                "no",
		"[2001:db8::1":                        "no",
		"":                                    "no",
		strings.Repeat("a", 64) + ".example.": "no",
	} {
		got := "no"
		if r, ok := parseTarget([]byte(in)); ok {
			got = strings.Join([]string{r.name, r.addr.String(), itoa(r.port)}, " ")
		}
		if got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func itoa(n uint16) string { b, _ := json.Marshal(n); return string(b) }

// TestMemoryBounded: endless input does not make a decoder grow.
func TestMemoryBounded(t *testing.T) {
	for name, c := range map[string]struct {
		d    decoder
		lead string
	}{
		"amass": {Amass, `{"name":"`}, "amass 4": {Amass, "a (FQDN) --> "}, "subfinder": {Subfinder, `{"host":"`}, "naabu": {Naabu, `{"ip":"`},
		"nuclei": {Nuclei, `{"host":"`}, "zdns": {ZDNS, `{"data":{"answers":[`}, "asset-csv": {CSV, "host\n\""},
	} {
		pickettest.Bounded(t, name, c.lead, func(r io.Reader) {
			a := new(tally)
			_ = c.d(context.Background(), r, decode.Options{}, a, a)
		})
	}
}

func FuzzSubfinder(f *testing.F) {
	fuzz(f, Subfinder, decode.Options{}, `{"host":"dev.example.com","input":"example.com","sources":["crtsh","a"]}`)
}
func FuzzNaabu(f *testing.F) {
	fuzz(f, Naabu, decode.Options{}, `{"host":"h","ip":"192.0.2.80","timestamp":"2026-11-20T10:15:30.5Z","port":{"Port":53,"Protocol":1}}`)
}
func FuzzAmass(f *testing.F) { fuzz(f, Amass, decode.Options{}, amassV3, amassV4) }
func FuzzNuclei(f *testing.F) {
	fuzz(f, Nuclei, decode.Options{}, nucleiDNS, `{"info":{"tags":["a,b",1]},"type":"ssl","host":"h:1","ip":"::1"}`, `{"type":"dns","host":"a","response":";; ANSWER SECTION:\na 1 IN A 1.2.3.4\nb x"}`)
}
func FuzzZDNS(f *testing.F) {
	fuzz(f, ZDNS, decode.Options{}, zdnsV1, zdnsV2, `{"data":{"servers":[{"records":[{"name":"a","type":"SOA","ns":"b","mbox":"c"}]}]}}`,
		`{"name":"1.2.3.4","data":{"exchanges":[{"name":"m","preference":1,"ipv6_addresses":["::1"]}]}}`, `{"name":"a","status":"NXDOMAIN"}`)
}
func FuzzNmapXML(f *testing.F) {
	fuzz(f, NmapXML, decode.Options{}, nmapHead+nmapUp+"</nmaprun>", nmapHead+`<host><address addr="::1"/></host></nmaprun>`, `<nmaprun><host starttime="x"/>`, nmapHead+nmapUp[:100])
}
func FuzzCSV(f *testing.F) {
	fuzz(f, CSV, decode.Options{}, "host,ip,port\na.example,192.0.2.1,5\n\"b\n.example\",,\n\"open,,\n")
}
func FuzzJSON(f *testing.F) {
	m := &decode.Mapping{Records: "r", Fields: map[string]string{"name": "host", "addrs": "ips", "tags": "labels[].name", "details.id": "meta[1].id", "time": "t"}}
	fuzz(f, JSON, decode.Options{Mapping: m}, `{"r":[{"host":"a","ips":["1.2.3.4"],"labels":[{"name":"x"}],"meta":"[0,{\"id\":1}]","t":1}]}`)
}

func BenchmarkZDNS(b *testing.B)   { bench(b, ZDNS, zdnsV1) }
func BenchmarkNuclei(b *testing.B) { bench(b, Nuclei, nucleiDNS) }
func BenchmarkAmass(b *testing.B)  { bench(b, Amass, amassV3) }
func BenchmarkSubfinder(b *testing.B) {
	bench(b, Subfinder, `{"host":"dev.example.com","input":"example.com","source":"crtsh"}`)
}
func BenchmarkNaabu(b *testing.B) {
	bench(b, Naabu, `{"host":"www.example.com","ip":"192.0.2.80","timestamp":"2026-11-20T10:15:30.5Z","port":443,"protocol":"tcp","tls":true}`)
}

// bench decodes a line again and again; a line is an op.
func bench(b *testing.B, d decoder, line string) {
	b.Helper()
	text := strings.Repeat(line+"\n", b.N)
	c := new(counting)
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	b.ResetTimer()
	if err := d(context.Background(), strings.NewReader(text), decode.Options{Location: time.UTC}, c, c); err != nil || c.Accepted != b.N {
		b.Fatalf("%v, %d accepted", err, c.Accepted)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}

// counting is also a sink that costs next to nothing.
type counting struct{ pickettest.Counter }

func (c *counting) Asset(*picket.Asset) error { return nil }

func FuzzDetect(f *testing.F) {
	for _, s := range []string{amassV3, amassV4, nucleiDNS, zdnsV1, zdnsV2, nmapHead} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, detect := range []func([]byte) int{DetectAmass, DetectSubfinder, DetectNmapXML, DetectNaabu, DetectNuclei, DetectZDNS} {
			if n := detect(b); n < 0 || n > 100 {
				t.Fatal(n)
			}
		}
	})
}

// TestDetect: each record is told by one detector alone.
func TestDetect(t *testing.T) {
	detectors := map[string]func([]byte) int{"amass": DetectAmass, "subfinder": DetectSubfinder, "nmap-xml": DetectNmapXML, "naabu": DetectNaabu, "nuclei": DetectNuclei, "zdns": DetectZDNS}
	for text, want := range map[string]string{
		amassV3: "amass", amassV4: "amass", nucleiDNS: "nuclei", zdnsV1: "zdns", zdnsV2: "zdns", nmapHead: "nmap-xml", "<!-- by hand -->\n" + nmapHead: "nmap-xml",
		`{"host":"a.example.com","input":"example.com","source":"x"}`: "subfinder", `{"ip":"192.0.2.1","port":1,"timestamp":"x"}`: "naabu",
		`{"host":"a","message":"b"}`: "", `{"ip":"192.0.2.1","port":1,"user":"x"}`: "", `{"name":"a","data":{"x":1}}`: "", "see <nmaprun> in the manual": "",
		`{"name":"a","type":"A","data":"192.0.2.1"}`: "", `{"results":[{"name":"a"}]}`: "", "": "",
	} {
		for name, detect := range detectors {
			if n := detect([]byte(text)); (n > 0) != (name == want) {
				t.Errorf("%s gives %d for %.60q", name, n, text)
			}
		}
	}
}
