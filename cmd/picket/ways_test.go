package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// The ways in that make their own content, and so are not in the matrix.

// TestCapture asks a name server of this test on loopback, and Picket listens in.
func TestCapture(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("capturing takes CAP_NET_RAW, and this is not root")
	}
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		m := new(dns.Msg)
		m.SetRcode(r, dns.RcodeNameError)
		m.Authoritative = true
		_ = w.WriteMsg(m)
	})}
	go func() { _ = srv.ActivateAndServe() }()
	defer func() { _ = srv.Shutdown() }()
	port := pc.LocalAddr().(*net.UDPAddr).Port
	c := newChild(t, fmt.Sprintf("user: nobody\ninputs:\n  - {name: wire, capture: {interface: lo, ports: [%d]}}\n", port))
	if err := os.Chmod(c.dir, 0o755); err != nil { // nobody has to get at the data directory
		t.Fatal(err)
	}
	if err := c.startOr(); err != nil {
		t.Skipf("capturing is not possible here: %v", err)
	}
	const n = 200
	client := dns.Client{Timeout: 2 * time.Second}
	for i := range n {
		m := new(dns.Msg)
		m.SetQuestion(fmt.Sprintf("n%d.example.org.", i), dns.TypeA)
		if _, _, err := client.Exchange(m, pc.LocalAddr().String()); err != nil {
			t.Fatal(err)
		}
	}
	c.accepted("wire", n)
	if v, _ := c.metric(`picket_input_received_total{input="wire"}`); v != n {
		t.Errorf("received %v, want %d", v, n)
	}
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", c.cmd.Process.Pid))
	if err != nil || len(tasks) < 2 {
		t.Fatalf("threads %v, %v", tasks, err)
	}
	for _, task := range tasks {
		status, err := os.ReadFile(task)
		if err == nil && (!bytes.Contains(status, []byte("CapEff:\t0000000000000000")) || bytes.Contains(status, []byte("Uid:\t0\t"))) {
			t.Errorf("%s still has rights:\n%s", task, status)
		}
	}
	c.stop()
	checkRows(t, c.path("data"), n)
}

// startOr is start for what may not be possible on a machine.
func (c *child) startOr() error {
	cmd := exec.Command("picket", "check", "-c", c.config())
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	c.start()
	return nil
}

// TestGitHistory: what commits did to records comes in once, with who and why, and
// goes on after a restart.
func TestGitHistory(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	c := newChild(t, "inputs:\n  - {name: code, git: {repository: zones, files: ['*.zone'], poll: 1s}}\n")
	repo := c.path("zones")
	if err := os.Mkdir(repo, 0o755); err != nil {
		t.Fatal(err)
	}
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", repo, "-c", "user.name=Ann", "-c", "user.email=ann@example.com"}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	commit := func(zone, message string) {
		t.Helper()
		if err := os.WriteFile(repo+"/example.com.zone", []byte("$ORIGIN example.com.\n@ 300 IN SOA ns1 host 1 2 3 4 5\n"+zone), 0o644); err != nil {
			t.Fatal(err)
		}
		git("add", ".")
		git("commit", "-q", "-m", message)
	}
	git("init", "-q")
	commit("www 300 IN A 192.0.2.80\n", "begin")
	commit("www 300 IN A 192.0.2.81\n", "www: move\n\nTicket: DNS-17")
	c.start()
	c.accepted("code", 2+2)
	if err := c.signal(os.Kill); err == nil {
		t.Fatal("SIGKILL ended the daemon without an error")
	}
	commit("www 300 IN A 192.0.2.81\nvpn 300 IN A 192.0.2.90\n", "vpn: add")
	c.start()
	c.accepted("code", 2+2+1)
	time.Sleep(1500 * time.Millisecond) // another look brings nothing
	if v, _ := c.metric(`picket_input_accepted_total{input="code"}`); v != 5 {
		t.Errorf("accepted %v, want 5", v)
	}
	c.stop()

	s := c.store()
	list, err := s.Inputs(t.Context())
	if err != nil || len(list) != 1 || list[0].Counts.Accepted != 5 {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestBrokenFile: what can be read of a broken file counts, its end is one rejected
// record, and a restart changes neither.
func TestBrokenFile(t *testing.T) {
	i := slices.IndexFunc(samples(t), func(s *sample) bool { return s.format.Name == "pcap" })
	s := samples(t)[i]
	c := newChild(t, "inputs:\n  - {name: broken, file: broken.pcap}\n  - {name: zone, file: bad.zone, format: octodns, origin: example.com}\n")
	if err := os.WriteFile(c.path("broken.pcap"), append(slices.Clone(s.bytes), bytes.Repeat([]byte{0xff}, 64)...), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.path("bad.zone"), []byte("www: {type: A, value: 192.0.2.1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		c.start()
		c.accepted("broken", int(s.Accepted))
		for input, want := range map[string]int64{"broken": s.Accepted + s.Rejected + 1, "zone": 1} {
			c.until("the end is counted", func() bool {
				v, _ := c.metric(fmt.Sprintf("picket_input_received_total{input=%q}", input))
				return int64(v) == want
			})
		}
		c.stop()
	}
	checkRows(t, c.path("data"), int(s.Accepted))
	// A mended document is read, and counts.
	if err := os.WriteFile(c.path("bad.zone"), []byte("www: {type: A, value: 192.0.2.1}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c.start()
	c.accepted("zone", 1)
	c.stop()
}

// TestSyslogAfterGarbage: a message of no known format is dropped and counted, and
// does not end the input; JSON comes without the header of its messages.
func TestSyslogAfterGarbage(t *testing.T) {
	udp, tcp := freeAddr(t), freeAddr(t)
	c := newChild(t, fmt.Sprintf("inputs:\n  - {name: udp, syslog_udp: %q}\n  - {name: tcp, syslog_tcp: %q}\n", udp, tcp))
	c.start()
	for name, conn := range map[string]net.Conn{"udp": c.dial("udp", udp), "tcp": c.dial("tcp", tcp)} {
		write(t, conn, []byte("<134>1 2026-03-02T10:00:00Z h a 1 - - hello there, this is no telemetry at all and long enough\n"))
		c.until("the garbage is dropped", func() bool {
			v, _ := c.metric(fmt.Sprintf(`picket_input_dropped_total{input=%q,reason="unreadable as a whole"}`, name))
			return v == 1
		})
		for i := range 3 {
			write(t, conn, fmt.Appendf(nil, `<134>1 2026-03-02T10:00:00Z h a 1 - - {"time":"2026-03-02T10:00:0%dZ","client":"198.51.100.7","name":"www.example.org","type":"A"}`+"\n", i))
		}
		c.accepted(name, 3)
	}
	c.stop()
}

// TestStdin: what comes slowly on standard input is seen while it comes, and the
// daemon ends though standard input does not.
func TestStdin(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	c := newChild(t, "inputs:\n  - {name: in, file: \"-\"}\n")
	c.in = r
	c.start()
	for i := range 3 {
		write(t, w, fmt.Appendf(nil, `{"time":"2026-03-02T10:00:0%dZ","client":"198.51.100.7","name":"www.example.org","type":"A"}`+"\n", i))
		c.accepted("in", i+1)
	}
	c.stop()
	checkRowCount(t, c.path("data"), 3)
}

// TestFollowedGzip: a compressed file that is followed is read as far as it goes
// while it is there, and counts once however often it is read again.
func TestFollowedGzip(t *testing.T) {
	c := newChild(t, "inputs:\n  - {name: in, file: '*.ndjson.gz'}\n")
	member := func(from, n int) {
		t.Helper()
		var text, packed bytes.Buffer
		for i := range n {
			fmt.Fprintf(&text, `{"time":"2026-03-02T10:00:%02dZ","client":"198.51.100.7","name":"n%d.example.org","type":"A"}`+"\n", from+i, from+i)
		}
		z := gzip.NewWriter(&packed)
		_, _ = z.Write(text.Bytes())
		_ = z.Close()
		f, err := os.OpenFile(c.path("log.ndjson.gz"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		write(t, f, packed.Bytes())
		f.Close()
	}
	member(0, 3)
	c.start()
	c.accepted("in", 3)
	c.until("the detectors have them", func() bool { v, _ := c.metric("picket_queries_total"); return v == 3 })
	c.stop()
	c.start()
	member(3, 4)
	c.accepted("in", 7)
	c.until("the detectors have the new ones", func() bool { v, _ := c.metric("picket_queries_total"); return v == 4 })
	if err := c.signal(os.Kill); err == nil {
		t.Fatal("SIGKILL ended the daemon without an error")
	}
	c.start()
	time.Sleep(1500 * time.Millisecond)
	if v, _ := c.metric(`picket_input_received_total{input="in"}`); v != 7 {
		t.Errorf("received %v, want 7", v)
	}
	c.stop()
	checkRows(t, c.path("data"), 7)
}
