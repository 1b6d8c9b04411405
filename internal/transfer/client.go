package transfer

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/picket-dns/picket/internal/dnsname"
)

// Bounds that hold unless a Client says otherwise.
const (
	DefaultRecords = 10_000_000
	DefaultBytes   = 4 << 30
	defaultIdle    = 30 * time.Second
	defaultWhole   = time.Hour
)

// Client asks one primary.
type Client struct {
	Primary string // HOST:PORT
	Key     *Key   // signs, and must sign the answers; nil for none
	TLS     *tls.Config
	Form    Form // makes records of what comes

	MaxRecords int           // of one transfer; 0 is DefaultRecords
	MaxBytes   int64         // likewise, on the wire; 0 is DefaultBytes
	Idle       time.Duration // longest silence within an answer; 0 is 30 s
	Whole      time.Duration // longest transfer; 0 is an hour

	Now func() time.Time // nil is time.Now
}

// Result is what a transfer brought: the whole zone, or the steps since the serial
// asked from, or neither when the server has nothing newer.
type Result struct {
	SOA   SOA // what the server serves
	Full  *Full
	Steps []Step
	Bytes int64 // on the wire
}

// SOA is what a zone's SOA says.
type SOA struct {
	Serial         uint32
	Refresh, Retry time.Duration
}

// ServerError is a refusal by the server, in its own terms.
type ServerError struct {
	Primary, Zone string
	Asked         string // SOA, AXFR, IXFR
	Rcode         int    // RFC 6895 §2.3
	TSIG          uint16 // error of TSIG, 0 when there is none
	Key           string // name of the key that the question was signed with, "" when with none
}

// Error implements error.
func (e *ServerError) Error() string {
	s := fmt.Sprintf("%s of %s from %s: the server says %s", e.Asked, e.Zone, e.Primary, rcodeText(e.Rcode))
	switch e.TSIG {
	case dns.RcodeBadSig:
		return s + fmt.Sprintf(" (BADSIG): key %s has another secret there", e.Key)
	case dns.RcodeBadKey:
		return s + fmt.Sprintf(" (BADKEY): it does not know key %s, or knows it with another algorithm", e.Key)
	case dns.RcodeBadTime:
		return s + fmt.Sprintf(" (BADTIME): its clock and this one differ; key %s", e.Key)
	case 0:
	default:
		return s + fmt.Sprintf(" (TSIG error %s); key %s", rcodeText(int(e.TSIG)), e.Key)
	}
	switch {
	case e.Rcode == dns.RcodeRefused && e.Key == "":
		return s + ": it may want a TSIG key, or not know this address"
	case e.Rcode == dns.RcodeRefused:
		return s + fmt.Sprintf(": it does not allow this with key %s", e.Key)
	case e.Rcode == dns.RcodeNotAuth:
		return s + ": it is not authoritative for the zone"
	}
	return s
}

func rcodeText(rcode int) string {
	if s, ok := dns.RcodeToString[rcode]; ok {
		return s
	}
	return fmt.Sprintf("RCODE %d", rcode)
}

// SOA asks for a zone's SOA.
func (c *Client) SOA(ctx context.Context, zone string) (SOA, error) {
	var found *dns.SOA
	apex, err := canonical(zone)
	if err != nil {
		return SOA{}, err
	}
	_, err = c.exchange(ctx, "SOA", apex, nil, func(m *dns.Msg) (bool, error) {
		for _, rr := range m.Answer {
			if soa, ok := rr.(*dns.SOA); ok && dns.CanonicalName(soa.Hdr.Name) == apex {
				found = soa
			}
		}
		if found == nil || !m.Authoritative {
			return true, fmt.Errorf("SOA of %s from %s: the server is not authoritative for the zone", zone, c.Primary)
		}
		return true, nil
	})
	if err != nil {
		return SOA{}, err
	}
	return soaOf(found), nil
}

func soaOf(rr *dns.SOA) SOA {
	return SOA{Serial: rr.Serial, Refresh: time.Duration(rr.Refresh) * time.Second, Retry: time.Duration(rr.Retry) * time.Second}
}

// Serial asks a server for the serial of a zone, as a resolver does: over UDP, over
// TCP when the answer does not fit, not signed.
func Serial(ctx context.Context, server netip.AddrPort, zone string) (uint32, error) {
	apex, err := canonical(zone)
	if err != nil {
		return 0, err
	}
	q := new(dns.Msg)
	q.SetQuestion(apex, dns.TypeSOA)
	q.RecursionDesired = false
	var a *dns.Msg
	for _, network := range []string{"udp", "udp", "tcp"} { // a lost packet is no failure
		a, _, err = (&dns.Client{Net: network, Timeout: 3 * time.Second}).ExchangeContext(ctx, q, server.String())
		if err == nil && !a.Truncated {
			break
		}
	}
	switch {
	case err != nil:
		return 0, err
	case a.Rcode != dns.RcodeSuccess:
		return 0, fmt.Errorf("the server says %s", rcodeText(a.Rcode))
	}
	for _, rr := range a.Answer {
		if soa, ok := rr.(*dns.SOA); ok && a.Authoritative && dns.CanonicalName(soa.Hdr.Name) == apex {
			return soa.Serial, nil
		}
	}
	return 0, errors.New("the server is not authoritative for the zone")
}

// Transfer brings the zone up to date from a known serial, or whole when none is
// known. Where the server has no IXFR, or what it sends as one is broken, the whole
// zone is asked for.
func (c *Client) Transfer(ctx context.Context, zone string, known uint32, hasKnown bool) (*Result, error) {
	if hasKnown {
		r, err := c.transfer(ctx, zone, known, true)
		var said *ServerError
		switch {
		case err == nil:
			return r, nil
		case errors.As(err, &said) && (said.Rcode == dns.RcodeNotImplemented || said.Rcode == dns.RcodeFormatError):
		case errors.Is(err, errIncremental):
		default:
			return nil, err
		}
	}
	return c.transfer(ctx, zone, known, false)
}

func (c *Client) transfer(ctx context.Context, zone string, known uint32, ixfr bool) (*Result, error) {
	apex, err := canonical(zone)
	if err != nil {
		return nil, err
	}
	asked, authority := "AXFR", []dns.RR(nil)
	if ixfr {
		asked = "IXFR"
		authority = []dns.RR{&dns.SOA{Hdr: dns.RR_Header{Name: apex, Rrtype: dns.TypeSOA, Class: dns.ClassINET}, Ns: ".", Mbox: ".", Serial: known}}
	}
	s := &stream{zone: apex, known: known, ixfr: ixfr, form: c.Form, room: c.MaxRecords}
	if s.room <= 0 {
		s.room = DefaultRecords
	}
	n, err := c.exchange(ctx, asked, apex, authority, func(m *dns.Msg) (bool, error) {
		if len(m.Answer) == 0 {
			return true, fmt.Errorf("%s of %s from %s: a message without records", asked, zone, c.Primary)
		}
		for _, rr := range m.Answer {
			if err := s.add(rr); err != nil {
				return true, fmt.Errorf("%s of %s from %s: %w", asked, zone, c.Primary, err)
			}
		}
		return s.done, nil
	})
	if err != nil {
		return nil, err
	}
	r := &Result{SOA: soaOf(s.last), Steps: s.steps, Bytes: n}
	if s.mode == modeFull {
		r.Full = &s.full
	}
	return r, nil
}

// canonical is a zone's apex as it is compared.
func canonical(zone string) (string, error) {
	wire, err := dnsname.Parse(zone)
	if err != nil {
		return "", fmt.Errorf("zone %q: %w", zone, err)
	}
	name, _, err := dns.UnpackDomainName(wire, 0)
	if err != nil {
		return "", fmt.Errorf("zone %q: %w", zone, err)
	}
	return dns.CanonicalName(name), nil
}

// exchange asks one question on a connection of its own, and hands over the
// messages of the answer until take says that it is complete. No message is handed
// over whose signature could still turn out wrong, unless others follow that are
// needed to tell: what take has made of it counts only without an error.
func (c *Client) exchange(ctx context.Context, asked, apex string, authority []dns.RR, take func(*dns.Msg) (bool, error)) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, orDefault(c.Whole, defaultWhole))
	defer cancel()
	fail := func(err error) error {
		if ctx.Err() != nil {
			err = errors.Join(ctx.Err(), err)
		}
		return fmt.Errorf("%s of %s from %s: %w", asked, apex, c.Primary, err)
	}
	conn, err := c.dial(ctx)
	if err != nil {
		return 0, fail(err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()

	q := &dns.Msg{Ns: authority}
	q.Id, q.Question = randomID(), []dns.Question{{Name: apex, Qtype: dns.StringToType[asked], Qclass: dns.ClassINET}}
	var v *verifier
	var wire []byte
	if c.Key != nil {
		var mac string
		if wire, mac, err = c.Key.sign(q, "", c.now()); err == nil {
			v, err = newVerifier(c.Key, mac, c.now)
		}
	} else {
		wire, err = q.Pack()
	}
	if err != nil {
		return 0, fail(err)
	}
	idle := orDefault(c.Idle, defaultIdle)
	_ = conn.SetDeadline(time.Now().Add(idle))
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(wire))), wire...)); err != nil {
		return 0, fail(err)
	}
	return c.answers(conn, q, v, asked, idle, fail, take)
}

func newVerifier(k *Key, requestMAC string, now func() time.Time) (*verifier, error) {
	v := &verifier{key: k, first: true, now: now}
	_, err := fmt.Sscanf(requestMAC, "%x", &v.prior)
	return v, err
}

// answers reads the messages that answer q.
func (c *Client) answers(conn net.Conn, q *dns.Msg, v *verifier, asked string, idle time.Duration, fail func(error) error, take func(*dns.Msg) (bool, error)) (total int64, err error) {
	most := c.MaxBytes
	if most <= 0 {
		most = DefaultBytes
	}
	var buf [65535]byte
	for n := 0; ; n++ {
		_ = conn.SetDeadline(time.Now().Add(idle))
		if _, err := io.ReadFull(conn, buf[:2]); err != nil {
			return total, fail(ended(err, n))
		}
		wire := buf[:binary.BigEndian.Uint16(buf[:2])]
		if _, err := io.ReadFull(conn, wire); err != nil {
			return total, fail(ended(err, n))
		}
		if total += int64(len(wire)) + 2; total > most {
			return total, fail(fmt.Errorf("more than %d bytes came: raise max_bytes if the zone is that large", most))
		}
		m := new(dns.Msg)
		if err := m.Unpack(wire); err != nil {
			return total, fail(fmt.Errorf("message %d cannot be read: %w", n+1, err))
		}
		if m.Id != q.Id || !m.Response || m.Opcode != dns.OpcodeQuery || len(m.Question) > 1 || (n == 0 && len(m.Question) == 0 && m.Rcode == dns.RcodeSuccess) ||
			(len(m.Question) == 1 && (m.Question[0].Qtype != q.Question[0].Qtype || !strings.EqualFold(m.Question[0].Name, q.Question[0].Name))) {
			return total, fail(fmt.Errorf("message %d does not answer what was asked", n+1))
		}
		if m.Rcode != dns.RcodeSuccess {
			return total, c.said(m, q, asked)
		}
		signed := true
		if v != nil {
			if signed, err = v.check(wire); err != nil {
				return total, fail(fmt.Errorf("key %s: %w", c.Key.name, err))
			}
		}
		done, err := take(m)
		if err != nil {
			return total, err
		}
		if done && !signed { // the last message is to be signed (RFC 8945 §5.3.1)
			return total, fail(fmt.Errorf("key %s: the last message is not signed", c.Key.name))
		}
		if done {
			return total, nil
		}
	}
}

// said is what the server says instead of answering. It may not be able to sign it
// (RFC 8945 §5.3.2), and a failure that is made up is no more than a failure.
func (c *Client) said(m, q *dns.Msg, asked string) error {
	e := &ServerError{Primary: c.Primary, Zone: q.Question[0].Name, Asked: asked, Rcode: m.Rcode}
	if c.Key != nil {
		e.Key = c.Key.name
	}
	if t := m.IsTsig(); t != nil {
		e.TSIG = t.Error
	}
	return e
}

func ended(err error, messages int) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the server ended the connection after %d messages, before the answer was complete", messages)
	}
	return err
}

// dial connects, with TLS where that is configured: version 1.3, and the protocol
// that DNS over TLS has (RFC 9103 §7).
func (c *Client) dial(ctx context.Context) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: orDefault(c.Idle, defaultIdle)}
	conn, err := dialer.DialContext(ctx, "tcp", c.Primary)
	if err != nil || c.TLS == nil {
		return conn, err
	}
	cfg := c.TLS.Clone()
	cfg.MinVersion, cfg.NextProtos = tls.VersionTLS13, []string{"dot"}
	if cfg.ServerName == "" {
		host, _, err := net.SplitHostPort(c.Primary)
		if err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		cfg.ServerName = host
	}
	over := tls.Client(conn, cfg)
	_ = over.SetDeadline(time.Now().Add(dialer.Timeout))
	if err := over.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("TLS: %w", certificateError(err, cfg.ServerName)), conn.Close())
	}
	return over, nil
}

// certificateError says what is wrong with a server's certificate, and what would
// be right. Other errors stay what they are.
func certificateError(err error, name string) error {
	var stranger x509.UnknownAuthorityError
	var other x509.HostnameError
	switch {
	case errors.As(err, &stranger) && stranger.Cert != nil:
		return fmt.Errorf("the certificate is of an authority that is not trusted: issued by %q; give that authority as ca_file: %w", stranger.Cert.Issuer.CommonName, err)
	case errors.As(err, &other) && other.Certificate != nil:
		names := slices.Clone(other.Certificate.DNSNames)
		for _, ip := range other.Certificate.IPAddresses {
			names = append(names, ip.String())
		}
		if len(names) > 8 {
			names = append(names[:8], "…")
		}
		return fmt.Errorf("the certificate is not for %s but for %s; set server_name if that is the primary: %w", name, cmp.Or(quoted(names), "no name"), err)
	}
	return err
}

// quoted joins names that somebody else has chosen.
func quoted(names []string) string {
	q := strconv.Quote(strings.Join(names, ", "))
	return q[1 : len(q)-1]
}

func (c *Client) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}

// randomID is a message's ID that cannot be guessed.
func randomID() uint16 {
	var b [2]byte
	_, _ = rand.Read(b[:]) // does not fail
	return binary.BigEndian.Uint16(b[:])
}
