package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/catalog"
	"github.com/picket-dns/picket/internal/duckdb"
)

const (
	movingZone     = "moving.example."
	movingSecret   = "c2VjcmV0IG9mIHRoZSB0ZXN0cywgMzIgYnl0ZXMgaXM="
	strangerSecret = "b3RoZXIgc2VjcmV0IG9mIHRoZSBzYW1lIGxlbmd0aCE="
)

// movingBIND is BIND with a zone of six records, whose www moves with the serial.
type movingBIND struct {
	t    *testing.T
	dir  string
	addr string
	cmd  *exec.Cmd
}

func startMovingBIND(t *testing.T, serial int, notify string) *movingBIND {
	t.Helper()
	b := &movingBIND{t: t, dir: shortDir(t), addr: freeAddr(t)}
	_, port, _ := net.SplitHostPort(b.addr)
	also := ""
	if notify != "" {
		_, p, _ := net.SplitHostPort(notify)
		also = `also-notify { 127.0.0.1 port ` + p + ` key "picket."; };`
	}
	b.zone(serial)
	conf := fmt.Sprintf(`key "picket." { algorithm hmac-sha256; secret %q; };
options {
	directory %q; pid-file none; session-keyfile none; managed-keys-directory %q; listen-on port %s { 127.0.0.1; }; listen-on-v6 { none; };
	recursion no; dnssec-validation no; notify explicit; notify-delay 0; allow-transfer { key "picket."; };
};
controls { };
zone %q { type primary; file "zone"; ixfr-from-differences yes; max-ixfr-ratio unlimited; %s };
`, movingSecret, b.dir, b.dir, port, movingZone, also)
	if err := os.WriteFile(b.dir+"/named.conf", []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	log := new(syncBuffer)
	b.cmd = exec.Command(findCommand("named"), "-g", "-n", "1", "-c", b.dir+"/named.conf")
	b.cmd.Stdout, b.cmd.Stderr = log, log
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = b.cmd.Process.Kill()
		_ = b.cmd.Wait()
		if t.Failed() {
			t.Logf("named said:\n%s", log)
		}
	})
	q := new(dns.Msg)
	q.SetQuestion(movingZone, dns.TypeSOA)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if a, _, err := (&dns.Client{Timeout: time.Second}).Exchange(q, b.addr); err == nil && len(a.Answer) == 1 {
			return b
		}
		if time.Now().After(end) {
			t.Fatalf("named does not answer:\n%s", log)
		}
	}
}

func (b *movingBIND) zone(serial int) {
	b.t.Helper()
	text := fmt.Sprintf("$TTL 300\n@ IN SOA ns1 hostmaster %d 3600 900 1209600 300\n@ IN NS ns1\nns1 IN A 127.0.0.1\nwww IN A 192.0.2.%d\n@ MX 10 mail\nmail A 192.0.2.200\n", serial, serial)
	if err := os.WriteFile(b.dir+"/zone", []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
	later := time.Now().Add(time.Duration(serial) * 2 * time.Second) // it tells by seconds whether the file is newer
	if err := os.Chtimes(b.dir+"/zone", later, later); err != nil {
		b.t.Fatal(err)
	}
}

func (b *movingBIND) edit(serial int) {
	b.t.Helper()
	b.zone(serial)
	if err := b.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		b.t.Fatal(err)
	}
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

// TestRealTransfer has a daemon follow a zone of BIND: its first state, an edit
// within two seconds of NOTIFY, another one made while the daemon was killed, and a
// NOTIFY that is signed wrongly. Afterwards the history has it all, and a server that
// has seen none of it is two serials behind.
func TestRealTransfer(t *testing.T) {
	need(t, map[string]string{"named": "bind9"})
	notify := freeAddr(t)
	primary := startMovingBIND(t, 1, notify)
	c := newChild(t, fmt.Sprintf("inputs:\n  - {name: moving, transfer: {primary: %q, zones: [Moving.Example], key_file: picket.key, notify: %q}}\n", primary.addr, notify))
	key := fmt.Sprintf("key \"picket\" {\n\talgorithm hmac-sha256;\n\tsecret %q;\n};\n", movingSecret)
	if err := os.WriteFile(c.path("picket.key"), []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	c.start()
	c.accepted("moving", 6)

	primary.edit(2)
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
	primary.edit(3)
	c.start()
	c.accepted("moving", 6+4+4)
	notifyAs(t, notify, movingSecret, dns.RcodeSuccess) // nothing new
	c.stop()

	cfg, err := parseConfig(c.config(), []byte(fmt.Sprintf("data_dir: data\nservers:\n  - {name: ns1.moving.example, addresses: [%q], serials: true, zones: [moving.example]}\n  - {name: ns2.moving.example, addresses: [%q], serials: true, zones: [moving.example]}\n",
		primary.addr, startMovingBIND(t, 1, "").addr)))
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
