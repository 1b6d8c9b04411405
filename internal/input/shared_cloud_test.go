package input

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/picket-dns/picket/internal/pickettest"
)

// TestSharedServerSamples reads query logs of Microsoft DNS and of cloud
// providers that third parties have written, with literal results.
func TestSharedServerSamples(t *testing.T) {
	noZone := "times carry no zone"
	tests := []struct {
		file, order string
		format      string
		accepted    int64
		rejected    reasons
		skipped     map[string]int64
		first, last string
		samples     []string // the first records
		notes       []string // how they begin
	}{
		{file: "msdns-debug/dnsdebugloghandler--dns-Locale-de-DE-WindowsUnknown.txt", format: "msdns-debug", accepted: 4,
			skipped: map[string]int64{"response joined to its query": 3}, first: "2020-03-06T17:15:40Z", last: "2020-03-06T17:15:41Z", notes: []string{noZone},
			samples: []string{`{"time":"2020-03-06T17:15:40Z","client":"10.200.1.222","transport":"udp","name":"test.virot.eu","type":"A","class":"IN","rcode":"NOERROR","flags":["rd","response","aa","header"]}`,
				`"name":"test.virot.eu","type":"AAAA","class":"IN","rcode":"NOERROR"`,
				`"client":"10.200.1.221","transport":"udp","name":"test2.virot.de"`}},
		{file: "msdns-debug/dnsdebugloghandler--dns-Locale_en-US-Windows2012.txt", format: "msdns-debug", accepted: 207,
			skipped: map[string]int64{"blank line": 438, "context EVENT": 2, "header line or packet detail": 27, "query sent by the server": 13,
				"response joined to its query": 204, "response received by the server": 12},
			first: "2017-06-20T05:36:59Z", last: "2017-06-20T05:46:22Z", notes: []string{noZone},
			samples: []string{`{"time":"2017-06-20T05:36:59Z","client":"::1","transport":"udp","name":"file.local","type":"SOA","class":"IN","rcode":"NOERROR","flags":["rd","response","aa","header"]}`,
				`{"time":"2017-06-20T05:36:59Z","client":"192.168.6.81","transport":"udp","opcode":5,"name":"file.local","type":"SOA","class":"IN","rcode":"SERVFAIL","flags":["response","header"]}`}},
		// Lines of two servers with dates either way round: 6/5/2013 stays open.
		{file: "msdns-debug/usiem-windns--readme.extract.log", format: "msdns-debug", accepted: 2, rejected: reasons{"ambiguous date": {1, 2}},
			skipped: map[string]int64{"query sent by the server": 2, "response joined to its query": 1, "response received by the server": 2},
			first:   "2017-04-21T07:52:03Z", last: "2021-12-22T21:46:04Z", notes: []string{noZone, "dates could be day or month first"},
			samples: []string{`{"time":"2017-04-21T07:52:03Z","client":"10.2.0.1","transport":"udp","name":"example.com","type":"A","class":"IN","rcode":"NOERROR","flags":["rd","response","header"]}`,
				`{"time":"2021-12-22T21:46:04Z","client":"10.20.0.6","transport":"udp","name":"login.live.com","type":"A","class":"IN","rcode":"NOERROR","flags":["rd","response","header"]}`}},
		{file: "msdns-debug/usiem-windns--readme.extract.log", order: "mdy", format: "msdns-debug", accepted: 2, rejected: reasons{"bad time stamp": {2, 5}},
			skipped: map[string]int64{"query sent by the server": 2, "response received by the server": 2},
			first:   "2013-06-05T10:00:32Z", last: "2017-04-21T07:52:03Z", notes: []string{noZone},
			samples: []string{`"time":"2017-04-21T07:52:03Z"`, `"time":"2013-06-05T10:00:32Z","client":"10.161.60.71","transport":"udp","name":"somecomputer.domain.com"`}},
		{file: "aws-route53-public/route53-docs--query-logs.extract.log", format: "route53-log", accepted: 5, first: "2017-12-13T08:15:50.235Z", last: "2017-12-13T08:16:05.744Z",
			samples: []string{`{"time":"2017-12-13T08:16:02.13Z","client":"192.168.1.1","transport":"udp","name":"example.com","type":"A","class":"IN","rcode":"NOERROR","flags":["response"],"sensor":"FRA6"}`,
				`{"time":"2017-12-13T08:15:50.235Z","client":"192.168.3.1","transport":"tcp","name":"example.com","type":"AAAA","class":"IN","rcode":"NOERROR","flags":["edns","response"],"ecs":"192.168.222.0/24","sensor":"IAD12"}`,
				`{"time":"2017-12-13T08:16:03.983Z","client":"2001:db8::1234","transport":"udp","name":"example.com","type":"ANY","class":"IN","rcode":"NOERROR","flags":["edns","response"],"ecs":"2001:db8:abcd::/48","sensor":"FRA6"}`}},
		{file: "aws-route53-resolver/route53-docs--resolver-v1.1.extract.json", format: "route53-resolver", accepted: 1, first: "2021-02-04T17:51:55Z", last: "2021-02-04T17:51:55Z",
			samples: []string{`{"time":"2021-02-04T17:51:55Z","client":"4.5.64.102","client_port":56067,"transport":"udp","name":"15.3.4.32.in-addr.arpa","type":"PTR","class":"IN","rcode":"NOERROR","flags":["response"],"answers":1}`}},
		{file: "gcp-dns/otel-contrib--dns_query_no_error.json", format: "gcp-dns", accepted: 1, first: "2025-11-27T13:45:55.469213028Z", last: "2025-11-27T13:45:55.469213028Z",
			samples: []string{`{"time":"2025-11-27T13:45:55.469213028Z","client":"10.132.0.43","transport":"udp","name":"logging.googleapis.com","type":"A","class":"IN","rcode":"NOERROR","flags":["response"],"answers":5}`}},
	}
	for _, tt := range tests {
		t.Run(tt.file+tt.order, func(t *testing.T) {
			f, err := os.Open(pickettest.Shared(t, "samples", tt.file))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = f.Close() }()
			opt := options()
			opt.DateOrder = tt.order
			in := Inspect(context.Background(), filepath.Base(tt.file), f, Auto, opt)
			if in.Format != tt.format || in.Accepted != tt.accepted || in.Error != "" {
				t.Errorf("format %q, accepted %d, error %q; want %q, %d", in.Format, in.Accepted, in.Error, tt.format, tt.accepted)
			}
			checkCounts(t, in, tt.rejected, tt.skipped)
			if first, last := stamp(in.FirstSeen), stamp(in.LastSeen); first != tt.first || last != tt.last {
				t.Errorf("seen %s to %s; want %s to %s", first, last, tt.first, tt.last)
			}
			for i, want := range tt.samples {
				if i >= len(in.Sample) || !strings.Contains(string(in.Sample[i]), want) {
					t.Errorf("sample %d: %s\nwant %s", i, in.Sample, want)
				}
			}
			if !slices.EqualFunc(in.Notes, tt.notes, strings.HasPrefix) {
				t.Errorf("notes %q, want %q", in.Notes, tt.notes)
			}
		})
	}
}

// serverFormats are the formats above with the folder of samples that is theirs.
var serverFormats = map[string]string{"msdns-debug": "msdns-debug", "route53-log": "aws-route53-public", "route53-resolver": "aws-route53-resolver",
	"cloudflare-dns": "", "gcp-dns": "gcp-dns", "azure-dns": ""}

// TestServerFormatsAlone: no third party's file of another kind is taken for one
// of these formats, and none that describes other tools' output for any.
func TestServerFormatsAlone(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(pickettest.Shared(t, "samples"), "*", "*"))
	if err != nil || len(files) < 50 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		head, _, _, err := Reader(f)
		_ = f.Close()
		if err != nil {
			continue // broken compression
		}
		dir := filepath.Base(filepath.Dir(file))
		for name, own := range serverFormats {
			format, _ := ByName(name)
			sure := format.Detect(head)
			if yaml := strings.HasSuffix(file, ".yml"); dir == own && !yaml && sure < 90 || (dir != own || yaml) && sure > 0 {
				t.Errorf("%s/%s: %s is sure by %d", dir, filepath.Base(file), name, sure)
			}
		}
		if dir != "output-schema" {
			continue
		}
		if in := inspectFile(t, file); in.Format != "" || in.Error == "" || in.Accepted+in.Rejected != 0 {
			t.Errorf("%s: read as %q, error %q", file, in.Format, in.Error)
		}
	}
}
