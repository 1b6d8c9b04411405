package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// senders are the servers that TestRealSenders runs.
func senders() []*sender {
	return []*sender{nsdSender(), knotSender(), bindSender(), powerDNSSender(), unboundSender(), dnsdistSender(), coreDNSSender()}
}

// number finds a number in what a server prints. What is not there is 0: servers
// leave out what they have not counted.
func (l *senderLab) number(text, pattern string) int {
	l.t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		l.t.Fatal(err)
	}
	return n
}

func (l *senderLab) http(path string) string {
	l.t.Helper()
	resp, err := http.Get("http://" + l.ip + ":" + l.controlPort + path)
	if err != nil {
		l.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		l.t.Fatalf("%s: %s %v", path, resp.Status, err)
	}
	return string(b)
}

// nsdSender is NSD with dnstap; its log has the transfers.
func nsdSender() *sender {
	return &sender{
		name: "nsd", programs: map[string]string{"nsd": "nsd", "nsd-control": "nsd"},
		pace: 8 * time.Millisecond,
		run:  []string{"nsd", "-d", "-c", "DIR/nsd.conf"},
		files: map[string]string{"nsd.conf": `server:
	ip-address: IP@DNSPORT
	server-count: 1
	username: ""
	zonesdir: "DIR"
	database: ""
	pidfile: "DIR/nsd.pid"
	logfile: "DIR/nsd.log"
	log-time-ascii: no
	verbosity: 2
	xfrdfile: "DIR/xfrd.state"
	zonelistfile: "DIR/zone.list"
	xfrdir: "DIR"
remote-control:
	control-enable: yes
	control-interface: "DIR/control.sock"
dnstap:
	dnstap-enable: yes
	dnstap-socket-path: "DIR/tap.sock"
	dnstap-send-identity: yes
	dnstap-log-auth-query-messages: yes
	dnstap-log-auth-response-messages: yes
zone:
	name: ZONE
	zonefile: zone
	provide-xfr: 127.0.0.1 NOKEY
`},
		inputs:  "  - {name: tap, unix: tap.sock}\n  - {name: log, file: nsd.log, format: nsd-log}\n",
		accepts: map[string]func(asked) int{"tap": everyQuestion, "log": theTransfers},
		counted: func(l *senderLab) asked {
			text := l.ask("nsd-control", "-c", "DIR/nsd.conf", "stats_noreset")
			a := asked{UDP: l.number(text, `num\.udp=(\d+)`), TCP: l.number(text, `num\.tcp=(\d+)`), Transfers: l.number(text, `num\.raxfr=(\d+)`)}
			if n := l.number(text, `num\.queries=(\d+)`); n != a.all() {
				l.t.Errorf("NSD counts %d queries, %d by transport", n, a.all())
			}
			return a
		},
	}
}

// knotSender is Knot DNS with its dnstap module; its log has the transfers.
func knotSender() *sender {
	return &sender{
		name: "knot", programs: map[string]string{"knotd": "knot", "knotc": "knot"},
		modules: map[string]string{"/usr/lib/*/knot/modules-*/dnstap.so": "knot-module-dnstap"},
		pace:    8 * time.Millisecond,
		run:     []string{"knotd", "-c", "DIR/knot.conf"},
		files: map[string]string{"knot.conf": `server:
    rundir: DIR
    listen: IP@DNSPORT
    identity: knot1
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: DIR/knot.log
    any: debug
database:
    storage: DIR
control:
    listen: DIR/control.sock
mod-dnstap:
  - id: picket
    sink: "unix:DIR/tap.sock"
    log-queries: on
    log-responses: on
mod-stats:
  - id: all
    request-protocol: on
    server-operation: on
acl:
  - id: open
    address: 127.0.0.0/8
    action: transfer
template:
  - id: default
    storage: DIR
    global-module: [mod-dnstap/picket, mod-stats/all]
zone:
  - domain: ZONE
    file: DIR/zone
    zonefile-sync: -1
    acl: open
`},
		inputs:  "  - {name: tap, unix: tap.sock}\n  - {name: log, file: knot.log, format: knot-log}\n",
		accepts: map[string]func(asked) int{"tap": everyQuestion, "log": theTransfers},
		counted: func(l *senderLab) asked {
			text := l.ask("knotc", "-s", "DIR/control.sock", "stats")
			return asked{UDP: l.number(text, `request-protocol\[udp4\] = (\d+)`), TCP: l.number(text, `request-protocol\[tcp4\] = (\d+)`),
				Transfers: l.number(text, `server-operation\[axfr\] = (\d+)`)}
		},
	}
}

// bindSender is BIND with both its query log and dnstap. It refuses transfers.
func bindSender() *sender {
	return &sender{
		name: "bind", programs: map[string]string{"named": "bind9"}, mainAddress: true,
		run: []string{"named", "-f", "-n", "1", "-c", "DIR/named.conf"},
		files: map[string]string{"named.conf": `options {
	directory "DIR"; pid-file none; session-keyfile none; managed-keys-directory "DIR";
	listen-on port DNSPORT { IP; }; listen-on-v6 { none; };
	recursion no; dnssec-validation no; notify no; allow-transfer { none; };
	dnstap { auth; }; dnstap-output unix "DIR/tap.sock"; fstrm-set-input-queue-size 8192; dnstap-identity "bind1"; querylog yes;
};
controls { };
statistics-channels { inet IP port CONTROLPORT allow { 127.0.0.0/8; }; };
logging {
	channel q { file "DIR/queries.log"; print-time iso8601-utc; print-category yes; print-severity yes; };
	category queries { q; }; category query-errors { q; }; category security { q; }; category xfer-out { q; };
	category default { default_stderr; };
};
zone "ZONE" { type primary; file "DIR/zone"; };
`},
		inputs:  "  - {name: tap, unix: tap.sock}\n  - {name: log, file: queries.log}\n",
		accepts: map[string]func(asked) int{"tap": everyQuestion, "log": everyQuestion},
		counted: func(l *senderLab) asked {
			var s struct {
				NS     map[string]int `json:"nsstats"`
				Dnstap map[string]int `json:"dnstapstats"`
			}
			if err := json.Unmarshal([]byte(l.http("/json/v1/server")), &s); err != nil {
				l.t.Fatal(err)
			}
			if n := s.Dnstap["DNSTAPdropped"]; n > 0 || s.Dnstap["DNSTAPsuccess"] == 0 {
				l.t.Errorf("BIND's dnstap: %v", s.Dnstap)
			}
			tcp := s.NS["ReqTCP"]
			return asked{UDP: s.NS["Requestv4"] - tcp, TCP: tcp, Transfers: s.NS["XfrRej"] + s.NS["XfrReqDone"]}
		},
	}
}

// powerDNSSender is PowerDNS, which logs to standard error as under a supervisor.
func powerDNSSender() *sender {
	return &sender{
		name: "powerdns", programs: map[string]string{"pdns_server": "pdns-server", "pdns_control": "pdns-server"},
		modules: map[string]string{"/usr/lib/*/pdns/libbindbackend.so": "pdns-backend-bind"},
		run: []string{"pdns_server", "--no-config", "--config-dir=DIR", "--launch=bind", "--bind-config=DIR/named.conf", "--local-address=IP", "--local-port=DNSPORT",
			"--socket-dir=DIR", "--log-dns-queries=yes", "--loglevel=5", "--log-timestamp=yes", "--daemon=no", "--guardian=no", "--disable-syslog=yes",
			"--security-poll-suffix=", "--disable-axfr=yes", "--version-string=anonymous"},
		files:   map[string]string{"named.conf": "options { directory \"DIR\"; };\nzone \"ZONE\" { type master; file \"DIR/zone\"; };\n"},
		output:  func(l *senderLab, line string) { l.appendFile("pdns.log", line+"\n") },
		inputs:  "  - {name: log, file: pdns.log, format: powerdns-log, timezone: UTC}\n",
		accepts: map[string]func(asked) int{"log": everyQuestion},
		counted: func(l *senderLab) asked {
			text := l.ask("pdns_control", "--no-config", "--config-dir=DIR", "--socket-dir=DIR", "list")
			return asked{UDP: l.number(text, `\budp-queries=(\d+)`), TCP: l.number(text, `\btcp-queries=(\d+)`), Transfers: -1}
		},
	}
}

// unboundSender is Unbound, which serves the zone as a local one.
func unboundSender() *sender {
	return &sender{
		name: "unbound", programs: map[string]string{"unbound": "unbound", "unbound-control": "unbound"},
		run: []string{"unbound", "-d", "-c", "DIR/unbound.conf"},
		files: map[string]string{"unbound.conf": `server:
	interface: IP@DNSPORT
	port: DNSPORT
	do-daemonize: no
	username: ""
	chroot: ""
	directory: "DIR"
	pidfile: "DIR/unbound.pid"
	use-syslog: no
	logfile: "DIR/unbound.log"
	log-queries: yes
	log-replies: yes
	log-tag-queryreply: yes
	module-config: "iterator"
	num-threads: 1
	extended-statistics: yes
	access-control: 127.0.0.0/8 allow_snoop
	local-zone: "." refuse
	local-zone: "ZONE" transparent
auth-zone:
	name: "ZONE"
	zonefile: "DIR/zone"
	for-downstream: yes
	for-upstream: no
remote-control:
	control-enable: yes
	control-interface: "DIR/control.sock"
	control-use-cert: no
`},
		inputs:  "  - {name: log, file: unbound.log, format: unbound-log}\n",
		accepts: map[string]func(asked) int{"log": everyQuestion},
		counted: func(l *senderLab) asked {
			text := l.ask("unbound-control", "-c", "DIR/unbound.conf", "stats_noreset")
			// Transfers are refused before it is counted how they came.
			transfers := l.number(text, `num\.query\.type\.AXFR=(\d+)`)
			tcp := l.number(text, `num\.query\.tcp=(\d+)`) + transfers
			return asked{UDP: l.number(text, `total\.num\.queries=(\d+)`) - tcp, TCP: tcp, Transfers: transfers}
		},
	}
}

// dnsdistSender is dnsdist before NSD. It reports each question twice: as dnstap,
// and as PowerDNS's own messages.
func dnsdistSender() *sender {
	back := nsdSender()
	conf := back.files["nsd.conf"]
	conf, _, _ = strings.Cut(conf, "remote-control:")
	conf = strings.Replace(conf, "IP@", "BACKIP@", 1) + "remote-control:\n\tcontrol-enable: no\nzone:\n\tname: ZONE\n\tzonefile: zone\n"
	back.files = map[string]string{"nsd.conf": conf}
	return &sender{
		name: "dnsdist", programs: map[string]string{"dnsdist": "dnsdist"}, backend: back,
		run: []string{"dnsdist", "--supervised", "--disable-syslog", "-C", "DIR/dnsdist.conf"},
		files: map[string]string{"dnsdist.conf": `setLocal("IP:DNSPORT")
setSecurityPollSuffix("")
newServer({address="BACKIP:DNSPORT", healthCheckMode="up"})
getPool(""):setCache(newPacketCache(1000))
log = newRemoteLogger("IP:INPUTPORT")
tap = newFrameStreamUnixLogger("DIR/tap.sock", {flushTimeout=1, inputQueueSize=8192})
addAction(AllRule(), DnstapLogAction("front1", tap))
addResponseAction(AllRule(), DnstapLogResponseAction("front1", tap))
addCacheHitResponseAction(AllRule(), DnstapLogResponseAction("front1", tap))
addAction(AllRule(), RemoteLogAction(log, nil, {serverID="front1"}))
addResponseAction(AllRule(), RemoteLogResponseAction(log, nil, true, {serverID="front1"}))
addCacheHitResponseAction(AllRule(), RemoteLogResponseAction(log, nil, true, {serverID="front1"}))
controlSocket("IP:CONTROLPORT")
setKey("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
`},
		inputs:  "  - {name: tap, unix: tap.sock, front_end: true}\n  - {name: protobuf, tcp: \"IP:INPUTPORT\", format: powerdns-protobuf}\n",
		accepts: map[string]func(asked) int{"tap": everyQuestion, "protobuf": everyQuestion},
		counted: func(l *senderLab) asked {
			console := func(call string) string { return l.ask("dnsdist", "-C", "DIR/dnsdist.conf", "-e", call) }
			for _, m := range regexp.MustCompile(`\((\d+) (?:processed|frames sent), (\d+) dropped`).FindAllStringSubmatch(console("showRules()"), -1) {
				if m[2] != "0" {
					l.t.Errorf("dnsdist: %s", m[0])
				}
			}
			text := console("showBinds()")
			at := regexp.QuoteMeta(l.ip + ":" + l.port)
			a := asked{UDP: l.number(text, at+` +UDP +(\d+)`), TCP: l.number(text, at+` +TCP.*? +(\d+)\s*\n`), Transfers: -1}
			if n := l.number(console("dumpStats()"), `\bqueries\s+(\d+)`); n != a.all() {
				l.t.Errorf("dnsdist counts %d queries, %d by transport:\n%s", n, a.all(), text)
			}
			return a
		},
	}
}

// coreDNSSender is CoreDNS. It writes to standard output without a time, which a
// container runtime puts in front: here it is written as containerd does.
func coreDNSSender() *sender {
	return &sender{
		name: "coredns",
		run:  []string{"coredns", "-conf", "DIR/Corefile"},
		files: map[string]string{"Corefile": `.:DNSPORT {
    bind IP
    log . {combined}
    errors
    prometheus IP:CONTROLPORT
    chaos anonymous
    transfer ZONE {
        to *
    }
    file DIR/zone ZONE
}
`},
		output: func(l *senderLab, line string) {
			l.appendFile("container.log", fmt.Sprintf("%s stdout F %s\n", time.Now().UTC().Format(time.RFC3339Nano), line))
		},
		inputs:  "  - {name: log, file: container.log, format: coredns-log}\n",
		accepts: map[string]func(asked) int{"log": everyQuestion},
		counted: func(l *senderLab) asked {
			a := asked{Transfers: -1}
			for _, m := range regexp.MustCompile(`(?m)^coredns_dns_requests_total\{(.*)\} (\d+)$`).FindAllStringSubmatch(l.http("/metrics"), -1) {
				n, _ := strconv.Atoi(m[2])
				switch {
				case strings.Contains(m[1], `proto="udp"`):
					a.UDP += n
				case strings.Contains(m[1], `proto="tcp"`):
					a.TCP += n
				}
			}
			return a
		},
	}
}

// coreDNS finds CoreDNS: in the path, or where scripts/need builds it.
func coreDNS() string {
	if path, err := exec.LookPath("coredns"); err == nil {
		return path
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	path := filepath.Join(cache, "picket", "bin", "coredns")
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}
