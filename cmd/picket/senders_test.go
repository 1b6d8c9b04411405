package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/pickettest"
)

// The tests of this file start other people's name servers on loopback addresses
// with high ports, have them log by their own means into a daemon that runs, and
// hold three numbers against each other: what was asked, what the server's own
// counters say, and what Picket accepted.

// asked counts questions to a server. Transfers are among those over TCP.
type asked struct{ UDP, TCP, Transfers int }

func (a asked) all() int { return a.UDP + a.TCP }

// sender is a real server and its telemetry.
type sender struct {
	name     string
	programs map[string]string // what it takes, and the Debian packages that have it
	modules  map[string]string // likewise patterns of files that it loads
	// files are its configuration; lab.fill replaces words in them, and in what follows.
	files map[string]string
	run   []string // the server's command; words are replaced, too
	// inputs are Picket's.
	inputs string
	// accepts are the questions that each input should accept.
	accepts map[string]func(asked) int
	// pace is waited before each question. The dnstap library of C hands over what it
	// holds once a second, and drops what is more than 512 messages until then; where
	// that can be configured to be more there is no need to wait.
	pace time.Duration
	// output takes the server's standard output and standard error; left out, they
	// are only shown when the test fails.
	output func(l *senderLab, line string)
	// mainAddress: the server only listens at addresses that an interface has.
	mainAddress bool
	// backend is the server behind it, if any.
	backend *sender
	// counted asks the server for its own counters. What it does not count is -1.
	counted func(l *senderLab) asked
}

// everyQuestion and theTransfers are what inputs accept.
func everyQuestion(a asked) int { return a.all() }
func theTransfers(a asked) int  { return a.Transfers }

// senderZone is the zone that all of them serve.
const senderZone = "sender.example"

// TestRealSenders runs each server that there is.
func TestRealSenders(t *testing.T) {
	for i, s := range senders() {
		t.Run(s.name, func(t *testing.T) {
			if s.run[0] == "coredns" && coreDNS() == "" {
				t.Skip("CoreDNS is not built: scripts/need builds it where its modules can be had")
			}
			need(t, s.programs)
			for file, pkg := range s.modules {
				if found, _ := filepath.Glob(file); len(found) == 0 {
					pickettest.Unavailable(t, fmt.Sprintf("%s is not there; it is in the Debian package %s", file, pkg))
				}
			}
			if s.backend != nil {
				need(t, s.backend.programs)
			}
			s.test(t, i)
		})
	}
}

func (s *sender) test(t *testing.T, n int) {
	c := newChild(t, "zones:\n  - {file: zone, origin: "+senderZone+"}\n")
	pid := os.Getpid()
	ip := func(i int) string { return fmt.Sprintf("127.%d.%d.%d", 64|pid>>8&63, pid&255, 100+i) }
	l := &senderLab{t: t, c: c, dir: c.dir, ip: ip(2 * n), port: "5300", controlPort: "5301", inputPort: "5302", backIP: ip(2*n + 1)}
	if s.mainAddress {
		l.ip = "127.0.0.1"
		for _, p := range []*string{&l.port, &l.controlPort, &l.inputPort} {
			_, *p, _ = net.SplitHostPort(freeAddr(t))
		}
	}
	l.write("zone", zoneText(senderZone))
	yaml, err := os.ReadFile(c.config())
	if err != nil {
		t.Fatal(err)
	}
	l.write("picket.yaml", string(yaml)+"inputs:\n"+l.fill(s.inputs))
	c.start()
	if s.backend != nil {
		l.serve(s.backend)
		new(asker).ready(l, l.backIP)
	}
	stop := l.serve(s)
	ask := new(asker)
	ask.ready(l, l.ip)
	ask.pace = s.pace
	ask.mix(l)

	// The server is asked while it runs, and ended so that it sends what it holds.
	own := s.counted(l)
	for name, want := range s.accepts {
		l.settle(name, want(ask.sent))
	}
	stop()
	time.Sleep(600 * time.Millisecond) // a file is looked at four times a second
	t.Logf("asked %+v; the server counted %+v", ask.sent, own)
	if own.Transfers < 0 {
		own.Transfers = ask.sent.Transfers
	}
	if own != ask.sent {
		t.Errorf("asked %+v, the server counted %+v", ask.sent, own)
	}
	if ask.sent.all() < 300 || ask.sent.Transfers == 0 {
		t.Errorf("asked only %+v", ask.sent)
	}
	l.hold(s, ask.sent)
	c.stop()
}

// settle waits, at most ten seconds, until an input has accepted n; hold tells.
func (l *senderLab) settle(input string, n int) {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if v, _ := l.c.metric(fmt.Sprintf("picket_input_accepted_total{input=%q}", input)); int(v) >= n {
			return
		}
	}
}

// hold compares the accounts of Picket's inputs with what was asked.
func (l *senderLab) hold(s *sender, sent asked) {
	l.t.Helper()
	text, err := l.c.get("/api/watched")
	if err != nil {
		l.t.Fatal(err)
	}
	var w picket.Watched
	if err := json.Unmarshal([]byte(text), &w); err != nil {
		l.t.Fatal(err)
	}
	if len(w.Inputs) != len(s.accepts) {
		l.t.Errorf("%d inputs, want %d", len(w.Inputs), len(s.accepts))
	}
	for _, in := range w.Inputs {
		want := int64(s.accepts[in.Name](sent))
		l.t.Logf("input %s, %s by %s: accepted %d of %d, skipped %v", in.Name, in.Format, in.Transport, in.Accepted, want, in.Skipped)
		if in.Accepted != want || in.Received != want || len(in.Rejected) > 0 || len(in.Dropped) > 0 || in.Error != "" {
			l.t.Errorf("input %s: received %d, accepted %d, want %d; rejected %v, dropped %v, error %q",
				in.Name, in.Received, in.Accepted, want, in.Rejected, in.Dropped, in.Error)
		}
	}
}

// senderLab is where one server runs.
type senderLab struct {
	t      *testing.T
	c      *child
	dir    string
	ip     string // a loopback address of its own, so that its ports are free
	port   string // of the server, UDP and TCP
	backIP string // of the server behind it, at the same port
	// controlPort is for the server's counters, inputPort for Picket.
	controlPort, inputPort string
}

// fill replaces words in configuration.
func (l *senderLab) fill(text string) string {
	return strings.NewReplacer("DIR", l.dir, "BACKIP", l.backIP, "IP", l.ip, "DNSPORT", l.port, "CONTROLPORT", l.controlPort,
		"INPUTPORT", l.inputPort, "ZONE", senderZone).Replace(text)
}

func (l *senderLab) write(name, text string) {
	l.t.Helper()
	if err := os.WriteFile(filepath.Join(l.dir, name), []byte(text), 0o600); err != nil {
		l.t.Fatal(err)
	}
}

// command prepares a command of a server.
func (l *senderLab) command(ctx context.Context, args ...string) *exec.Cmd {
	for i := range args {
		args[i] = l.fill(args[i])
	}
	path := pickettest.FindProgram(args[0])
	if args[0] == "coredns" {
		path = coreDNS()
	}
	cmd := exec.CommandContext(ctx, path, args[1:]...)
	cmd.Dir = l.dir
	cmd.Env = append(os.Environ(), "TZ=UTC")
	return cmd
}

// ask runs a command that asks a server for its counters.
func (l *senderLab) ask(args ...string) string {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), 20*time.Second)
	defer cancel()
	out, err := l.command(ctx, args...).CombinedOutput()
	if err != nil {
		l.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// serve starts a server; stop ends it and waits.
func (l *senderLab) serve(s *sender) (stop func()) {
	l.t.Helper()
	for name, text := range s.files {
		l.write(name, l.fill(text))
	}
	cmd := l.command(context.Background(), slices.Clone(s.run)...)
	log := new(pickettest.Output)
	out := io.Writer(log)
	if s.output != nil {
		out = &lineCutter{each: func(line string) {
			fmt.Fprintln(log, line)
			s.output(l, line)
		}}
	}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			l.t.Errorf("%s still runs 10 s after SIGTERM", s.name)
			_ = cmd.Process.Kill()
			<-done
		}
	}
	l.t.Cleanup(func() {
		select {
		case <-done:
		default:
			stop()
		}
		if l.t.Failed() {
			l.t.Logf("%s said:\n%s", s.name, log)
		}
	})
	return stop
}

// lineCutter hands on whole lines. The two outputs of a command that have the same
// writer are written by one goroutine.
type lineCutter struct {
	part []byte
	each func(line string)
}

func (w *lineCutter) Write(b []byte) (int, error) {
	w.part = append(w.part, b...)
	for {
		line, rest, whole := strings.Cut(string(w.part), "\n")
		if !whole {
			return len(b), nil
		}
		w.part = []byte(rest)
		w.each(line)
	}
}

// appendFile adds to a file that Picket follows.
func (l *senderLab) appendFile(name, text string) {
	f, err := os.OpenFile(filepath.Join(l.dir, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(text)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		l.t.Error(err)
	}
}

// asker asks a server and counts.
type asker struct {
	sent asked
	pace time.Duration
}

// ready waits until a server answers for the zone. What it answers is counted.
func (a *asker) ready(l *senderLab, ip string) {
	l.t.Helper()
	client := &dns.Client{Net: "tcp", Timeout: 15 * time.Second}
	var last error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		conn, err := client.Dial(net.JoinHostPort(ip, l.port))
		if last = err; err != nil {
			continue
		}
		m := question(senderZone, dns.TypeSOA)
		r, _, err := client.ExchangeWithConn(m, conn)
		conn.Close()
		if err != nil {
			l.t.Fatalf("%s takes a question but does not answer: %v", ip, err)
		}
		a.sent.TCP++
		if r.Rcode == dns.RcodeSuccess {
			return
		}
		last = fmt.Errorf("it answers %s", dns.RcodeToString[r.Rcode])
	}
	l.t.Fatalf("%s does not answer: %v", ip, last)
}

func question(name string, qtype uint16) *dns.Msg {
	m := new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype)
	m.RecursionDesired = false
	return m
}

// mix asks what resolvers and reconnaissance tools ask: names that are there and
// names that are not, other zones, other classes, with and without EDNS, by UDP and
// by TCP, and zone transfers.
func (a *asker) mix(l *senderLab) {
	l.t.Helper()
	udp, tcp := &dns.Client{Net: "udp", Timeout: 10 * time.Second}, &dns.Client{Net: "tcp", Timeout: 10 * time.Second}
	server := net.JoinHostPort(l.ip, l.port)
	hosts := strings.Fields("alpha bravo charlie delta echo foxtrot golf hotel")
	chaos := question("version.bind", dns.TypeTXT) // BIND answers this three times a second
	chaos.Question[0].Qclass = dns.ClassCHAOS
	for range 3 {
		a.exchange(l, udp, chaos, server)
		a.sent.UDP++
	}
	for i := range 40 {
		edns := question("www."+senderZone, dns.TypeAAAA)
		edns.SetEdns0(1232, true)
		desired := question(fmt.Sprintf("guess%d.%s", i, senderZone), dns.TypeA)
		desired.RecursionDesired = true
		for _, m := range []*dns.Msg{
			question(hosts[i%len(hosts)]+"."+senderZone, dns.TypeA), edns, desired, question("SeNdEr.ExAmPlE", dns.TypeMX),
			question(fmt.Sprintf("a\\.b\\ %d.%s", i, senderZone), dns.TypeTXT), question("www.elsewhere.example", dns.TypeA),
		} {
			a.exchange(l, udp, m, server)
			a.sent.UDP++
		}
		for _, m := range []*dns.Msg{question("www."+senderZone, dns.TypeANY), question(fmt.Sprintf("deep.guess%d.%s", i, senderZone), dns.TypeHTTPS)} {
			a.exchange(l, tcp, m, server)
			a.sent.TCP++
		}
	}
	for range 5 {
		a.transfer(l, server)
		a.sent.TCP++
		a.sent.Transfers++
	}
}

func (a *asker) exchange(l *senderLab, client *dns.Client, m *dns.Msg, server string) {
	l.t.Helper()
	time.Sleep(a.pace)
	if _, _, err := client.ExchangeContext(l.t.Context(), m, server); err != nil {
		l.t.Fatalf("after %+v: %s over %s: %v", a.sent, m.Question[0].String(), client.Net, err)
	}
}

// transfer asks for the zone and takes it, or the refusal.
func (a *asker) transfer(l *senderLab, server string) {
	l.t.Helper()
	x := &dns.Transfer{DialTimeout: 10 * time.Second, ReadTimeout: 10 * time.Second}
	list, err := x.In(new(dns.Msg).SetAxfr(dns.Fqdn(senderZone)), server)
	if err != nil {
		l.t.Fatal(err)
	}
	for e := range list {
		if e.Error != nil && !strings.Contains(e.Error.Error(), "bad xfr rcode") {
			l.t.Fatalf("zone transfer: %v", e.Error)
		}
	}
}
