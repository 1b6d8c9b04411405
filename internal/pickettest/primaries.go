package pickettest

import (
	"fmt"
	"net"
	"testing"
)

// Primary says what a primary shall serve, and to whom.
type Primary struct {
	Zone   string                  // apex with trailing dot
	Text   func(serial int) string // the zone's file at a serial
	Serial int                     // to begin with; 0 means 1
	Secret string                  // of the key "picket", HMAC-SHA256, in base64: who has it may transfer
	Notify string                  // host:port that gets NOTIFY, signed with the key; "" for nobody
	// TLSPort is the port on which zones are transferred over TLS, with the
	// certificate in the folder TLSDir (see Certificate); "" for none. Knot 3.2 has no TLS.
	TLSPort, TLSDir string
}

// Primaries are the servers that zones are transferred from, by name.
func Primaries() map[string]func(testing.TB, Primary) *NameServer {
	return map[string]func(testing.TB, Primary) *NameServer{"bind": StartBIND, "nsd": StartNSD, "knot": StartKnot}
}

// prepare makes the server's folder with the zone in it.
func (p *Primary) prepare(t testing.TB) *NameServer {
	t.Helper()
	if p.Serial == 0 {
		p.Serial = 1
	}
	s := &NameServer{Dir: t.TempDir(), t: t, text: p.Text}
	s.write(p.Serial)
	return s
}

// run starts the server that prepare has made the folder of.
func (p *Primary) run(s *NameServer, addr, path string, args ...string) *NameServer {
	s.t.Helper()
	n := RunNameServer(s.t, p.Zone, s.Dir, addr, path, args...)
	n.text = p.Text
	return n
}

// notifyPort is the port of Notify, "" for none.
func (p *Primary) notifyPort() string {
	_, port, _ := net.SplitHostPort(p.Notify)
	return port
}

// BINDKey is BIND's clause of the key "picket".
func BINDKey(secret string) string {
	return fmt.Sprintf("key \"picket.\" { algorithm hmac-sha256; secret %q; };\n", secret)
}

// StartBIND starts BIND. With TLS it transfers over nothing else.
func StartBIND(t testing.TB, p Primary) *NameServer {
	t.Helper()
	path := Program(t, "named", "bind9")
	s := p.prepare(t)
	addr, port := FreeAddr(t)
	also, over, listen, allow := "", "", "", ""
	if p.Notify != "" {
		also = `also-notify { 127.0.0.1 port ` + p.notifyPort() + ` key "picket."; };`
	}
	if p.TLSPort != "" {
		over = fmt.Sprintf("tls own { cert-file \"%[1]s/cert.pem\"; key-file \"%[1]s/key.pem\"; protocols { TLSv1.3; }; };\n", p.TLSDir)
		listen, allow = `listen-on port `+p.TLSPort+` tls own { 127.0.0.1; };`, `port `+p.TLSPort+` transport tls `
	}
	writeFile(t, s.Dir+"/named.conf", fmt.Sprintf(BINDKey(p.Secret)+over+`options {
	directory %[1]q; pid-file none; session-keyfile none; managed-keys-directory %[1]q; listen-on port %[2]s { 127.0.0.1; }; %[3]s listen-on-v6 { none; };
	recursion no; dnssec-validation no; notify explicit; notify-delay 0; allow-transfer %[4]s{ key "picket."; };
};
controls { };
zone %[5]q { type primary; file "zone"; ixfr-from-differences yes; max-ixfr-ratio unlimited; %[6]s };
`, s.Dir, port, listen, allow, p.Zone, also))
	return p.run(s, addr, path, "-g", "-n", "1", "-c", s.Dir+"/named.conf")
}

// StartNSD starts NSD. It transfers without TLS too.
func StartNSD(t testing.TB, p Primary) *NameServer {
	t.Helper()
	path := Program(t, "nsd", "nsd")
	s := p.prepare(t)
	addr, port := FreeAddr(t)
	notify, over := "", ""
	if p.Notify != "" {
		notify = "\tnotify: 127.0.0.1@" + p.notifyPort() + " picket\n"
	}
	if p.TLSPort != "" {
		over = fmt.Sprintf("\tip-address: 127.0.0.1@%[1]s\n\ttls-port: %[1]s\n\ttls-service-key: \"%[2]s/key.pem\"\n\ttls-service-pem: \"%[2]s/cert.pem\"\n", p.TLSPort, p.TLSDir)
	}
	writeFile(t, s.Dir+"/nsd.conf", fmt.Sprintf(`server:
	ip-address: 127.0.0.1@%[1]s
%[2]s	server-count: 1
	username: ""
	zonesdir: %[3]q
	database: ""
	pidfile: "%[3]s/nsd.pid"
	xfrdfile: "%[3]s/xfrd.state"
	zonelistfile: "%[3]s/zone.list"
	xfrdir: %[3]q
	verbosity: 2
remote-control:
	control-enable: no
key:
	name: "picket"
	algorithm: hmac-sha256
	secret: %[4]q
zone:
	name: %[5]q
	zonefile: zone
	provide-xfr: 127.0.0.1 picket
	store-ixfr: yes
	create-ixfr: yes
%[6]s`, port, over, s.Dir, p.Secret, p.Zone, notify))
	return p.run(s, addr, path, "-d", "-c", s.Dir+"/nsd.conf")
}

// StartKnot starts Knot DNS.
func StartKnot(t testing.TB, p Primary) *NameServer {
	t.Helper()
	path := Program(t, "knotd", "knot")
	if p.TLSPort != "" {
		t.Fatal("Knot DNS 3.2 does not transfer over TLS")
	}
	s := p.prepare(t)
	addr, port := FreeAddr(t)
	remote, notify := "", ""
	if p.Notify != "" {
		remote = "remote:\n  - id: watcher\n    address: 127.0.0.1@" + p.notifyPort() + "\n    key: picket\n"
		notify = "    notify: watcher\n"
	}
	writeFile(t, s.Dir+"/knot.conf", fmt.Sprintf(`server:
    rundir: %[1]s
    listen: 127.0.0.1@%[2]s
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: info
database:
    storage: %[1]s
control:
    listen: %[1]s/control.sock
key:
  - id: picket
    algorithm: hmac-sha256
    secret: %[3]s
%[4]sacl:
  - id: signed
    key: picket
    action: transfer
template:
  - id: default
    storage: %[1]s
zone:
  - domain: %[5]s
    file: zone
    zonefile-sync: -1
    zonefile-load: difference
    acl: signed
%[6]s`, s.Dir, port, p.Secret, remote, p.Zone, notify))
	return p.run(s, addr, path, "-c", s.Dir+"/knot.conf")
}
