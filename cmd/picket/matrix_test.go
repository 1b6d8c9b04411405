package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input"
	"github.com/picket-dns/picket/internal/input/decode"
)

// sample is what internal/input/testdata/formats holds of a format.
type sample struct {
	Accepted int64           `json:"accepted"`
	Rejected int64           `json:"rejected"`
	Skipped  int64           `json:"skipped"`
	Timezone string          `json:"timezone"`
	Origin   string          `json:"origin"`
	Mapping  *decode.Mapping `json:"mapping"`
	// Syslog are the counts when each line comes as a syslog message with a time.
	Syslog *struct{ Accepted, Rejected int64 } `json:"syslog"`

	format input.Format
	name   string
	bytes  []byte
}

// samples returns one for every format there is.
func samples(t *testing.T) (list []*sample) {
	t.Helper()
	for _, f := range input.Formats() {
		dir := filepath.Join("..", "..", "internal", "input", "testdata", "formats", f.Name)
		files, _ := filepath.Glob(filepath.Join(dir, "sample*"))
		if len(files) != 1 {
			t.Fatalf("format %s has %d samples", f.Name, len(files))
		}
		s := &sample{format: f, name: filepath.Base(files[0])}
		want, err := os.ReadFile(filepath.Join(dir, "want.json"))
		if err == nil {
			err = json.Unmarshal(want, s)
		}
		if err == nil {
			s.bytes, err = os.ReadFile(files[0])
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	return list
}

// entry is an input's configuration as a line of YAML.
func (s *sample) entry(t *testing.T, way string) string {
	t.Helper()
	b, err := json.Marshal(map[string]any{"timezone": s.Timezone, "origin": s.Origin, "mapping": s.Mapping})
	if err != nil {
		t.Fatal(err)
	}
	var extra map[string]any
	if err := json.Unmarshal(b, &extra); err != nil {
		t.Fatal(err)
	}
	line := fmt.Sprintf("  - {name: %s, format: %s, %s", s.format.Name, s.format.Name, way)
	for _, key := range []string{"timezone", "origin", "mapping"} {
		if v := extra[key]; v != nil && v != "" {
			text, _ := json.Marshal(v)
			line += fmt.Sprintf(", %s: %s", key, text)
		}
	}
	return line + "}\n"
}

// carrier is a way in, as the matrix tries it.
type carrier struct {
	key string // of the configuration
	// entry is what the input's configuration says of the way; it may prepare things.
	entry func(t *testing.T, m *matrix, s *sample) string
	// send brings the sample, to a daemon that runs.
	send func(t *testing.T, m *matrix, s *sample)
	// takes reports whether the way can carry the format at all.
	takes func(f input.Format) bool
}

// matrix is one daemon with an input of each format, all in the same way.
type matrix struct {
	c     *child
	ip    string            // a loopback address of its own, so that its ports are
	addrs map[string]string // by format
	kafka *kfake.Cluster
	s3    *s3Store
}

func anything(input.Format) bool    { return true }
func textLines(f input.Format) bool { return f.Shape == input.ShapeLines || f.Shape == input.ShapeText }

// carriers are all ways in but those that make their own content: capture and git.
func carriers() []carrier {
	return []carrier{
		{key: "file", takes: anything, entry: entryFile, send: func(*testing.T, *matrix, *sample) {}},
		{key: "unix", takes: anything, entry: func(_ *testing.T, _ *matrix, s *sample) string { return "unix: " + s.format.Name + ".sock" }, send: func(t *testing.T, m *matrix, s *sample) {
			sendStream(t, m.c.dial("unix", m.c.path(s.format.Name+".sock")), s.bytes)
		}},
		{key: "tcp", takes: anything, entry: entryAddr("tcp: %q"), send: func(t *testing.T, m *matrix, s *sample) {
			sendStream(t, m.c.dial("tcp", m.addrs[s.format.Name]), s.bytes)
		}},
		{key: "syslog_udp", takes: textLines, entry: entryAddr("syslog_udp: %q"), send: func(t *testing.T, m *matrix, s *sample) {
			conn := m.c.dial("udp", m.addrs[s.format.Name])
			for line := range syslogLines(s.bytes) {
				write(t, conn, line)
				time.Sleep(time.Millisecond)
			}
		}},
		{key: "syslog_tcp", takes: textLines, entry: entryAddr("syslog_tcp: %q"), send: func(t *testing.T, m *matrix, s *sample) {
			conn := m.c.dial("tcp", m.addrs[s.format.Name])
			for line := range syslogLines(s.bytes) {
				write(t, conn, fmt.Appendf(nil, "%d %s", len(line), line))
			}
			conn.Close()
		}},
		{key: "syslog_tls", takes: textLines, entry: entryTLS("syslog_tls: %q"), send: func(t *testing.T, m *matrix, s *sample) {
			conn := tls.Client(m.c.dial("tcp", m.addrs[s.format.Name]), &tls.Config{InsecureSkipVerify: true}) // the test's own certificate
			for line := range syslogLines(s.bytes) {
				write(t, conn, fmt.Appendf(nil, "%d %s", len(line), line))
			}
			conn.Close()
		}},
		{key: "http", takes: anything, entry: entryAddr("http: {address: %q}"), send: sendHTTP},
		{key: "kafka", takes: anything, entry: entryKafka, send: sendKafka},
		{key: "bucket", takes: anything, entry: entryBucket, send: func(t *testing.T, m *matrix, s *sample) {
			if err := m.s3.put("dns", s.format.Name+"/"+s.name, s.bytes); err != nil {
				t.Fatal(err)
			}
		}},
	}
}

// TestMatrix brings the sample of every format by every way in, and holds the
// counts against those that the sample says.
func TestMatrix(t *testing.T) {
	list := samples(t)
	for n, w := range carriers() {
		t.Run(w.key, func(t *testing.T) {
			t.Parallel()
			pid := os.Getpid()
			m := &matrix{c: newChild(t, ""), ip: fmt.Sprintf("127.%d.%d.%d", 64|pid>>8&63, pid&255, n+1), addrs: map[string]string{}}
			var yaml strings.Builder
			var taken []*sample
			for _, s := range list {
				entry := s.entry(t, w.entry(t, m, s))
				if !w.takes(s.format) {
					if _, err := parseConfig("x.yaml", []byte("inputs:\n"+entry)); err == nil || !strings.Contains(err.Error(), s.format.Name) {
						t.Errorf("%s by %s: want a refusal that names the format, got %v", s.format.Name, w.key, err)
					}
					continue
				}
				yaml.WriteString(entry)
				if s.Syslog != nil && strings.HasPrefix(w.key, "syslog") {
					timed := *s
					timed.Accepted, timed.Rejected = s.Syslog.Accepted, s.Syslog.Rejected
					s = &timed
				}
				taken = append(taken, s)
			}
			text, err := os.ReadFile(m.c.config())
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(m.c.config(), append(text, "inputs:\n"+yaml.String()...), 0o644); err != nil {
				t.Fatal(err)
			}
			m.c.start()
			for _, s := range taken {
				w.send(t, m, s)
			}
			for _, s := range taken {
				m.hold(t, w.key, s)
			}
			m.c.stop()
		})
	}
}

// hold waits until an input has counted its sample.
func (m *matrix) hold(t *testing.T, way string, s *sample) {
	t.Helper()
	var st picket.SourceStatus
	counted := func() bool {
		text, err := m.c.get("/api/watched")
		if err != nil {
			return false
		}
		var w picket.Watched
		if err := json.Unmarshal([]byte(text), &w); err != nil {
			return false
		}
		i := slices.IndexFunc(w.Inputs, func(in picket.SourceStatus) bool { return in.Name == s.format.Name })
		if i < 0 {
			return false
		}
		st = w.Inputs[i]
		return st.Accepted == s.Accepted && total(st.Rejected) == s.Rejected
	}
	for end := time.Now().Add(20 * time.Second); !counted() && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
	}
	if st.Accepted != s.Accepted || total(st.Rejected) != s.Rejected || st.Received != s.Accepted+s.Rejected || len(st.Dropped) > 0 {
		t.Errorf("%s by %s: received %d, accepted %d, rejected %v, dropped %v; want %d accepted and %d rejected; error %q",
			s.format.Name, way, st.Received, st.Accepted, st.Rejected, st.Dropped, s.Accepted, s.Rejected, st.Error)
	}
	if st.Kind != s.format.Kind {
		t.Errorf("%s by %s: kind %q, want %q", s.format.Name, way, st.Kind, s.format.Kind)
	}
}

func total(m map[string]int64) (n int64) {
	for _, v := range m {
		n += v
	}
	return n
}

func entryFile(t *testing.T, m *matrix, s *sample) string {
	t.Helper()
	dir := m.c.path(s.format.Name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, s.name), s.bytes, 0o644); err != nil {
		t.Fatal(err)
	}
	return "file: " + s.format.Name + "/" + s.name
}

// addr is an address to listen on that nobody else uses.
func (m *matrix) addr() string { return fmt.Sprintf("%s:%d", m.ip, 20000+len(m.addrs)) }

func entryAddr(way string) func(*testing.T, *matrix, *sample) string {
	return func(t *testing.T, m *matrix, s *sample) string {
		m.addrs[s.format.Name] = m.addr()
		return fmt.Sprintf(way, m.addrs[s.format.Name])
	}
}

func entryTLS(way string) func(*testing.T, *matrix, *sample) string {
	return func(t *testing.T, m *matrix, s *sample) string {
		cert, key := testCertificate(t, m.c.dir)
		m.addrs[s.format.Name] = m.addr()
		return fmt.Sprintf(way+", tls: {cert_file: %s, key_file: %s}", m.addrs[s.format.Name], cert, key)
	}
}

// sendStream sends bytes and ends the sending side, so that the receiver sees an end.
func sendStream(t *testing.T, conn net.Conn, b []byte) {
	t.Helper()
	write(t, conn, b)
	if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, conn) }()
}

// syslogLines are the lines of a text as messages of RFC 5424.
func syslogLines(text []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for line := range bytes.Lines(text) {
			line = bytes.TrimRight(line, "\r\n")
			if len(line) > 0 && !yield(append([]byte("<134>1 2026-03-02T10:00:00Z ns1 dns 812 - - "), line...)) {
				return
			}
		}
	}
}

func sendHTTP(t *testing.T, m *matrix, s *sample) {
	t.Helper()
	resp, err := http.Post("http://"+m.addrs[s.format.Name]+"/"+s.name, "application/octet-stream", bytes.NewReader(s.bytes))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got struct{ Accepted, Rejected int64 }
	b, _ := io.ReadAll(resp.Body)
	if err := json.Unmarshal(b, &got); err != nil || resp.StatusCode != http.StatusOK || got.Accepted != s.Accepted || got.Rejected != s.Rejected {
		t.Errorf("%s: answered %s: %s", s.format.Name, resp.Status, b)
	}
}

func entryKafka(t *testing.T, m *matrix, s *sample) string {
	t.Helper()
	if m.kafka == nil {
		var topics []string
		for _, f := range input.Formats() {
			topics = append(topics, f.Name)
		}
		cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, topics...))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cluster.Close)
		m.kafka = cluster
	}
	return fmt.Sprintf("kafka: {brokers: [%q], topics: [%s], group: g-%s}", m.kafka.ListenAddrs()[0], s.format.Name, s.format.Name)
}

// sendKafka produces a message for each line where lines stand alone, else one.
func sendKafka(t *testing.T, m *matrix, s *sample) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(m.kafka.ListenAddrs()...), kgo.DefaultProduceTopic(s.format.Name))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	records := []*kgo.Record{{Value: s.bytes}}
	if s.format.Shape == input.ShapeLines {
		records = nil
		for line := range bytes.Lines(s.bytes) {
			records = append(records, &kgo.Record{Value: bytes.TrimRight(line, "\r\n")})
		}
	}
	if s.format.Prefixed { // the sample is a stream; here each message comes by itself
		records = nil
		for rest := s.bytes; len(rest) > 2; {
			n := min(int(binary.BigEndian.Uint16(rest)), len(rest)-2)
			records, rest = append(records, &kgo.Record{Value: rest[2 : 2+n]}), rest[2+n:]
		}
	}
	if err := client.ProduceSync(context.Background(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func entryBucket(t *testing.T, m *matrix, s *sample) string {
	t.Helper()
	if m.s3 == nil {
		m.s3 = startS3(t, "dns")
	}
	return m.s3.yaml(m.c.dir, "dns", s.format.Name+"/") + ", poll: 1s}"
}

// TestMatrixComplete: each way that the configuration knows is tried, or is one
// that makes its own content.
func TestMatrixComplete(t *testing.T) {
	all := inputConfig{File: "x", Unix: "x", TCP: "x", SyslogUDP: "x", SyslogTCP: "x", SyslogTLS: "x", HTTP: &httpConfig{Address: "x"},
		Bucket: &bucketConfig{Name: "x"}, Kafka: &kafkaConfig{Topics: []string{"x"}}, Capture: &captureConfig{Interface: "x"}, Git: &gitConfig{Repository: "x"},
		Transfer: &transferConfig{Primary: "x"}}
	own := []string{"capture", "git", "transfer"} // TestCapture, TestGitHistory, TestRealTransfer
	for _, w := range all.ways() {
		tried := slices.ContainsFunc(carriers(), func(c carrier) bool { return c.key == w.key })
		if !tried && !slices.Contains(own, w.key) {
			t.Errorf("nothing is brought by %s", w.key)
		}
	}
}
