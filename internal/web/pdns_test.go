package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket"
)

// fakeSightings is a SightingQuerier in memory; the latest first.
type fakeSightings struct {
	list  []picket.Sighting
	asked []picket.SightingFilter
	err   error
}

func nameMatches(name, want string, below bool) bool {
	return name == want || below && (want == "." || strings.HasSuffix(name, "."+want))
}

func (f *fakeSightings) match(q *picket.SightingFilter) (list []picket.Sighting) {
	for _, v := range f.list {
		data := v.Data[0]
		a, _ := netip.ParseAddr(data)
		if (q.Name == "" || nameMatches(v.Name, q.Name, q.Below)) && (q.Type == "" || q.Type == v.Type) &&
			(q.Data == "" || nameMatches(data, q.Data, q.DataBelow)) && (!q.Net.IsValid() || q.Net.Contains(a)) &&
			(q.Bailiwick == "" || q.Bailiwick == v.Bailiwick) && (q.Channel == "" || q.Channel == v.Channel) &&
			!(!q.LastAfter.IsZero() && v.LastSeen.Before(q.LastAfter)) && !(!q.FirstBefore.IsZero() && v.FirstSeen.After(q.FirstBefore)) {
			list = append(list, v)
		}
	}
	return list
}

func (f *fakeSightings) Sightings(_ context.Context, q picket.SightingFilter) ([]picket.Sighting, error) {
	f.asked = append(f.asked, q)
	list := f.match(&q)
	list = list[min(q.Offset, len(list)):]
	return list[:min(q.Limit, len(list))], f.err
}

func (f *fakeSightings) CountSightings(_ context.Context, q picket.SightingFilter) (rows, count int64, err error) {
	for _, v := range f.match(&q) {
		rows++
		count += v.Count
	}
	return rows, count, f.err
}

func seen(name, typ, data string, count int64, first, last int64) picket.Sighting {
	return picket.Sighting{Name: name, Type: typ, Data: []string{data}, Count: count, FirstSeen: time.Unix(first, 0).UTC(), LastSeen: time.Unix(last, 0).UTC(),
		Bailiwick: "example.com.", Channel: picket.SightingPassiveDNS, Origin: "own", SensorID: "ns1"}
}

func someSightings() *fakeSightings {
	return &fakeSightings{list: []picket.Sighting{
		seen("www.example.com.", "CNAME", "host.example.com.", 7, 1500, 1900),
		seen("host.example.com.", "A", "192.0.2.1", 9, 1000, 1800),
		seen("host.example.com.", "AAAA", "2001:db8::1", 3, 1000, 1700),
		seen("example.com.", "MX", "10 host.example.com.", 1, 1000, 1100),
		{Name: "host.example.com.", Channel: picket.SightingCertificate, Data: []string{""}},
	}}
}

func pdnsConsole(t *testing.T, s *fakeSightings) *Console {
	return newTestConsole(t, &fake{}, func(o *Options) { o.Sightings = s })
}

const (
	lineCNAME = `{"rrname":"www.example.com.","rrtype":"CNAME","rdata":"host.example.com.","time_first":1500,"time_last":1900,"count":7,"bailiwick":"example.com.","sensor_id":"ns1","origin":"own"}` + "\n"
	lineA     = `{"rrname":"host.example.com.","rrtype":"A","rdata":"192.0.2.1","time_first":1000,"time_last":1800,"count":9,"bailiwick":"example.com.","sensor_id":"ns1","origin":"own"}` + "\n"
	lineAAAA  = `{"rrname":"host.example.com.","rrtype":"AAAA","rdata":"2001:db8::1","time_first":1000,"time_last":1700,"count":3,"bailiwick":"example.com.","sensor_id":"ns1","origin":"own"}` + "\n"
	lineMX    = `{"rrname":"example.com.","rrtype":"MX","rdata":"10 host.example.com.","time_first":1000,"time_last":1100,"count":1,"bailiwick":"example.com.","sensor_id":"ns1","origin":"own"}` + "\n"
)

func TestPDNSQuery(t *testing.T) {
	c := pdnsConsole(t, someSightings())
	for path, want := range map[string]string{
		"WWW.example.com":              lineCNAME,
		"host.example.com":             lineA + lineAAAA + lineCNAME, // as owner, then as RDATA
		"%2A.host.example.com.":        lineA + lineAAAA + lineCNAME,
		"*.example.com":                lineCNAME + lineA + lineAAAA + lineMX, // each once
		"192.0.2.1":                    lineA,
		"192.0.2.0,24":                 lineA,
		"192.0.2.0/24":                 lineA,
		"2001%3Adb8%3A%3A,32":          lineAAAA,
		"198.51.100.1":                 "",
		"nothing.example.com":          "",
		"*.example.com?limit=2":        lineCNAME + lineA,
		"*.example.com?offset=2":       lineAAAA + lineMX,
		"host.example.com?offset=2":    lineCNAME,
		"host.example.com?limit=3":     lineA + lineAAAA + lineCNAME,
		"%2A.?time_last_after=1850":    lineCNAME,
		"%2A.?time_first_before=1000":  lineA + lineAAAA + lineMX,
		"%2A.?time_last_after=-100000": "",
	} {
		w := get(t, c, "/pdns/query/"+path)
		if w.Code != http.StatusOK || w.Body.String() != want || w.Header().Get("Content-Type") != "application/x-ndjson" {
			t.Errorf("%s: %d %v\n%swant\n%s", path, w.Code, w.Header(), w.Body, want)
		}
	}
	for path, limited := range map[string]string{"*.example.com?limit=2": "2", "*.example.com?limit=4": ""} {
		if got := get(t, c, "/pdns/query/"+path).Header().Get("Picket-Limited"); got != limited {
			t.Errorf("%s: Picket-Limited %q, want %q", path, got, limited)
		}
	}
}

func TestPDNSRefuses(t *testing.T) {
	c := pdnsConsole(t, someSightings())
	for path, want := range map[string]string{
		"/pdns/query/a..b": "not a DNS name; want one such as www.example.com or *.example.com, an address or a prefix\n",
		"/pdns/query/" + url.PathEscape("<script>..<"):         "not a DNS name; want one such as www.example.com or *.example.com, an address or a prefix\n",
		"/pdns/query/example.com?limit=x":                      "limit: want a number from 0\n",
		"/pdns/query/example.com?time_last_after=yesterday":    "time_last_after: want seconds since 1970, or negative ones before now\n",
		"/dnsdb/v2/lookup/rrset/raw/00":                        "want rrset/name/NAME, rdata/name/NAME or rdata/ip/ADDRESS\n",
		"/dnsdb/v2/lookup/rdata/ip/example":                    "neither an address nor a prefix; want 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32\n",
		"/dnsdb/v2/lookup/rrset/name/example.com/%3Cscript%3E": "not a record type; want one such as MX or TYPE65280\n",
	} {
		w := get(t, c, path)
		if w.Code != http.StatusBadRequest || w.Body.String() != want || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("%s: %d %q, want %q", path, w.Code, w.Body, want)
		}
	}
	if w := get(t, newTestConsole(t, &fake{}), "/pdns/query/example.com"); w.Code != http.StatusNotFound {
		t.Errorf("without passive DNS: %d", w.Code)
	}
	broken := someSightings()
	broken.err = errors.New("disk on fire")
	if w := get(t, pdnsConsole(t, broken), "/pdns/query/example.com"); w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "fire") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestPDNSHostile: what is in the store cannot make two lines of one, nor write
// control characters.
func TestPDNSHostile(t *testing.T) {
	s := &fakeSightings{list: []picket.Sighting{seen("x.example.com.", "TXT", "\"\x1b[2J\n{\"rrname\":\"evil\"}\u202e\"", 1, 1, 2)}}
	body := get(t, pdnsConsole(t, s), "/pdns/query/x.example.com").Body.String()
	if strings.Count(body, "\n") != 1 || strings.ContainsFunc(body[:len(body)-1], func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Errorf("%q", body)
	}
	var v struct{ RData string }
	if err := json.Unmarshal([]byte(body), &v); err != nil || v.RData != s.list[0].Data[0] {
		t.Errorf("%q: %v", v.RData, err)
	}
}

func TestDNSDBLookup(t *testing.T) {
	c := pdnsConsole(t, someSightings())
	saf := func(end string, lines ...string) string {
		b := `{"cond":"begin"}` + "\n"
		for _, l := range lines {
			b += `{"obj":` + strings.TrimSuffix(l, "\n") + "}\n"
		}
		return b + end + "\n"
	}
	const done, more = `{"cond":"succeeded"}`, `{"cond":"limited","msg":"there may be more"}`
	list := func(l, data string) string { return strings.Replace(l, `"`+data+`"`, `["`+data+`"]`, 1) }
	for path, want := range map[string]string{
		"rrset/name/host.example.com/A?swclient=dnsdbq&version=2.6.4":    saf(done, list(lineA, "192.0.2.1")),
		"rrset/name/host.example.com/ANY/example.com":                    saf(done, list(lineA, "192.0.2.1"), list(lineAAAA, "2001:db8::1")),
		"rrset/name/host.example.com/ANY/example.org":                    saf(done),
		"rrset/name/*.example.com?limit=1":                               saf(more, list(lineCNAME, "host.example.com.")),
		"rdata/name/host.example.com":                                    saf(done, lineCNAME),
		"rdata/ip/192.0.2.0,24?time_last_after=1000&time_last_before=99": saf(done, lineA),
	} {
		for _, at := range []string{"/dnsdb/v2/lookup/", "/pdns/dnsdb/v2/lookup/"} {
			if w := get(t, c, at+path); w.Code != http.StatusOK || w.Body.String() != want {
				t.Errorf("%s: %d\n%swant\n%s", path, w.Code, w.Body, want)
			}
		}
	}
}

func TestAPISightings(t *testing.T) {
	s := someSightings()
	c := pdnsConsole(t, s)
	w := get(t, c, "/api/sightings?name=host.EXAMPLE.com&type=a&net=192.0.2.0/24&bailiwick=example.com&channel=passive-dns&last_after=1970-01-01T00:10:00Z&limit=5&offset=0")
	if want := `{"sightings":[{"rrname":"host.example.com.","rrtype":"A","rdata":["192.0.2.1"],"count":9,"time_first":"1970-01-01T00:16:40Z","time_last":"1970-01-01T00:30:00Z",` +
		`"bailiwick":"example.com.","channel":"passive-dns","origin":"own","sensor_id":"ns1"}],"limit":5,"offset":0}` + "\n"; w.Body.String() != want {
		t.Errorf("%d\n%s\nwant\n%s", w.Code, w.Body, want)
	}
	if want := (picket.SightingFilter{Name: "host.example.com.", Type: "A", Net: netip.MustParsePrefix("192.0.2.0/24"), Bailiwick: "example.com.",
		Channel: "passive-dns", LastAfter: time.Unix(600, 0).UTC(), Limit: 5}); len(s.asked) != 1 || s.asked[0] != want {
		t.Errorf("asked for %+v, want %+v", s.asked, want)
	}
	if w := get(t, c, "/api/sightings/count?name=*.example.com&channel=passive-dns"); w.Body.String() != `{"rows":4,"count":20}`+"\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, q := range []string{"name=a..b", "type=%3C", "net=300", "channel=rumour", "limit=0", "what=1"} {
		if w := get(t, c, "/api/sightings?"+q); w.Code != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d %s", q, w.Code, w.Body)
		}
	}
	for data, want := range map[string]picket.SightingFilter{
		"HOST.example.com": {Data: "host.example.com."},
		"*.example.com":    {Data: "example.com.", DataBelow: true},
		"10 host.example.": {Data: "10 host.example."},
		"2001:DB8:0::1":    {Data: "2001:db8::1"},
		`"v=spf1 -all"`:    {Data: `"v=spf1 -all"`},
	} {
		s.asked = nil
		get(t, c, "/api/sightings?data="+url.QueryEscape(data))
		want.Limit = 1000
		if !slices.Equal(s.asked, []picket.SightingFilter{want}) {
			t.Errorf("%s: asked for %+v", data, s.asked)
		}
	}
}
