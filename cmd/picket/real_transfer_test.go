package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/catalog"
	"github.com/picket-dns/picket/internal/duckdb"
	"github.com/picket-dns/picket/internal/pickettest"
)

const (
	movingZone     = "moving.example."
	movingSecret   = "c2VjcmV0IG9mIHRoZSB0ZXN0cywgMzIgYnl0ZXMgaXM="
	strangerSecret = "b3RoZXIgc2VjcmV0IG9mIHRoZSBzYW1lIGxlbmd0aCE="
)

// movingText is a zone of six records, whose www moves with the serial.
func movingText(serial int) string {
	return fmt.Sprintf("$TTL 300\n@ IN SOA ns1 hostmaster %d 3600 900 1209600 300\n@ IN NS ns1\nns1 IN A 127.0.0.1\nwww IN A 192.0.2.%d\n@ MX 10 mail\nmail A 192.0.2.200\n", serial, serial)
}

// movingPrimary serves it. notify gets NOTIFY, unless it is "".
func movingPrimary(notify string) pickettest.Primary {
	return pickettest.Primary{Zone: movingZone, Text: movingText, Secret: movingSecret, Notify: notify}
}

// notified is when the daemon logged the last NOTIFY.
func (c *child) notified() time.Time {
	c.t.Helper()
	list := regexp.MustCompile(`time=(\S+) level=INFO msg=NOTIFY `).FindAllStringSubmatch(c.log.String(), -1)
	if len(list) == 0 {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339Nano, list[len(list)-1][1])
	if err != nil {
		c.t.Fatal(err)
	}
	return at
}

// TestRealTransfer has a daemon follow a zone of BIND, NSD and Knot DNS: its first state,
// an edit within two seconds of NOTIFY, another one made while the daemon was killed, and a
// NOTIFY that is signed wrongly. Afterwards the history has it all, and a server that
// has seen none of it is two serials behind.
func TestRealTransfer(t *testing.T) {
	for name, start := range pickettest.Primaries() {
		t.Run(name, func(t *testing.T) { testRealTransfer(t, start) })
	}
}

func testRealTransfer(t *testing.T, start func(testing.TB, pickettest.Primary) *pickettest.NameServer) {
	notify := freeAddr(t)
	primary := start(t, movingPrimary(notify))
	c := newChild(t, fmt.Sprintf("inputs:\n  - {name: moving, transfer: {primary: %q, zones: [Moving.Example], key_file: picket.key, notify: %q}}\n", primary.Addr, notify))
	key := fmt.Sprintf("key \"picket\" {\n\talgorithm hmac-sha256;\n\tsecret %q;\n};\n", movingSecret)
	if err := os.WriteFile(c.path("picket.key"), []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	c.start()
	c.accepted("moving", 6)

	primary.Edit(2)
	c.accepted("moving", 6+4) // the SOA and www, before and after
	if at := c.notified(); at.IsZero() || time.Since(at) > 2*time.Second {
		t.Errorf("NOTIFY came at %s, and the change was stored after %s", at, time.Since(at))
	}
	notifyAs(t, notify, strangerSecret, dns.RcodeNotAuth)
	c.until("the refusal is counted", func() bool {
		text, err := c.get("/api/watched")
		return err == nil && strings.Contains(text, `"NOTIFY refused: bad TSIG":1`) && strings.Contains(text, "NOTIFY refused: bad TSIG: zone")
	})
	if err := c.signal(os.Kill); err == nil {
		t.Fatal("SIGKILL ended the daemon without an error")
	}
	primary.Edit(3)
	c.start()
	c.accepted("moving", 6+4+4)
	notifyAs(t, notify, movingSecret, dns.RcodeSuccess) // nothing new
	c.stop()

	cfg, err := parseConfig(c.config(), []byte(fmt.Sprintf("data_dir: data\nservers:\n  - {name: ns1.moving.example, addresses: [%q], serials: true, zones: [moving.example]}\n  - {name: ns2.moving.example, addresses: [%q], serials: true, zones: [moving.example]}\n",
		primary.Addr, start(t, movingPrimary("")).Addr)))
	if err != nil {
		t.Fatal(err)
	}
	s, err := duckdb.Open(t.Context(), duckdb.Options{Dir: cfg.DataDir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	wantMoves(t, s)
	d := &daemon{cfg: cfg, store: s, log: slog.New(slog.NewTextHandler(io.Discard, nil)), know: &knowledge{catalog: catalog.New(catalog.Config{})}}
	d.askSerials(t.Context())
	lags := d.serverLags()
	if len(lags) != 2 || lags[0].Server != "ns1.moving.example." || lags[0].Behind != 0 || lags[0].Serial != 3 || lags[0].Error != "" ||
		lags[1].Server != "ns2.moving.example." || lags[1].Behind != 2 || lags[1].Serial != 1 || lags[1].Newest != 3 || lags[1].Since.IsZero() {
		t.Errorf("lags %+v", lags)
	}
}

// wantMoves: www has moved twice, each with what was before and after.
func wantMoves(t *testing.T, h picket.ZoneHistory) {
	t.Helper()
	list, total, err := h.Changes(t.Context(), picket.HistoryFilter{Zone: movingZone, Name: "www." + movingZone})
	if err != nil || total != 2 || len(list) != 2 {
		t.Fatalf("%d changes: %+v %v", total, list, err)
	}
	for i, want := range []struct {
		old, now string
		from, to uint32
	}{{"192.0.2.2", "192.0.2.3", 2, 3}, {"192.0.2.1", "192.0.2.2", 1, 2}} {
		x := list[i]
		if !slices.Equal(x.Old, []string{want.old}) || !slices.Equal(x.New, []string{want.now}) || !x.HasSerial || x.SerialFrom != want.from || x.SerialTo != want.to ||
			x.Method != picket.MethodTransfer || x.Source != "moving" {
			t.Errorf("change %d: %+v", i, x)
		}
	}
}

// notifyAs sends NOTIFY signed with a secret.
func notifyAs(t *testing.T, addr, secret string, rcode int) {
	t.Helper()
	q := new(dns.Msg)
	q.SetNotify(movingZone)
	q.SetTsig("picket.", dns.HmacSHA256, 300, time.Now().Unix())
	a, _, err := (&dns.Client{Timeout: 5 * time.Second, TsigSecret: map[string]string{"picket.": secret}}).Exchange(q, addr)
	if a == nil || a.Rcode != rcode {
		t.Fatalf("NOTIFY: %v %v", a, err)
	}
}

// TestTransferConfig: what may be configured, and what would be right instead.
func TestTransferConfig(t *testing.T) {
	for _, x := range []struct{ entry, want string }{
		{"{primary: 192.0.2.1, zones: [a.example], key_file: k, notify: '127.0.0.1:5300'}", ""},
		{"{primary: 192.0.2.1, zones: [a.example], notify: '127.0.0.1:5300'}", ""},
		{"{primary: '[2001:db8::1]:5300', zones: [a.example], tls: {}, refresh: 5m}", ""},
		{"{primary: 192.0.2.1}", "want primary, such as 192.0.2.53, and zones"},
		{"{primary: 192.0.2.1, zones: [a.example, A.Example.]}", "A.Example. is there twice"},
		{"{primary: 192.0.2.1, zones: [a.example], key_name: k, key_file: k, key_algorithm: hmac-md5}", `"hmac-md5" is not used: it is too weak`},
		{"{primary: 192.0.2.1, zones: [a.example], key_name: k}", "need key_file"},
		{"{primary: ns1.example, zones: [a.example], notify: '127.0.0.1:5300'}", "want notify_from"},
		{"{primary: ns1.example, zones: [a.example], notify_from: [x], notify: '127.0.0.1:5300'}", "want an address or a prefix"},
		{"{primary: 192.0.2.1, zones: [a.example], refresh: 10s}", "refresh: 10s is too short; at least 1m"},
	} {
		cfg, err := parseConfig("x.yaml", []byte("inputs:\n  - {transfer: "+x.entry+"}\n"))
		switch {
		case x.want == "" && err != nil:
			t.Errorf("%s: %v", x.entry, err)
		case x.want != "" && (err == nil || !strings.Contains(err.Error(), x.want)):
			t.Errorf("%s: error %v, want %q", x.entry, err, x.want)
		}
		_ = cfg
	}
	for primary, want := range map[string]string{"192.0.2.1": "192.0.2.1:53", "2001:db8::1": "[2001:db8::1]:53", "ns1.example:5300": "ns1.example:5300"} {
		if got := (&transferConfig{Primary: primary}).primary(); got != want {
			t.Errorf("%s: %s, want %s", primary, got, want)
		}
	}
	if got := (&transferConfig{Primary: "ns1.example", TLS: &transferTLSConfig{}}).primary(); got != "ns1.example:853" {
		t.Error(got)
	}
}
