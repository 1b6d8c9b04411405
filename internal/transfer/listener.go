package transfer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/netutil"
)

// maxConns bounds the TCP connections of a listener; callbacksPerSecond how often
// Refused is called.
const (
	maxConns           = 64
	callbacksPerSecond = 5
)

// NotifyZone is a zone that NOTIFY is taken for.
type NotifyZone struct {
	Name string         // apex with trailing dot
	Key  *Key           // that must sign it; nil for none
	From []netip.Prefix // where it may come from; empty for anywhere
}

// Notice is a NOTIFY that was taken.
type Notice struct {
	Zone string
	From netip.AddrPort
	// Serial is the new one, as a hint that not all servers give.
	Serial    uint32
	HasSerial bool
}

// Refusal is a NOTIFY that was not taken.
type Refusal struct {
	Zone   string // as it was asked, in presentation form; hostile text
	From   netip.AddrPort
	Reason string // one of the Refused reasons
	Key    string // name of the key it was signed with; hostile text, "" when with none
	More   int64  // refusals since the last one that was reported, this not included
}

// Reasons for refusing a NOTIFY.
const (
	RefusedTSIG     = "NOTIFY refused: bad TSIG"
	RefusedUnsigned = "NOTIFY refused: not signed"
	RefusedZone     = "NOTIFY refused: zone not configured"
	RefusedFrom     = "NOTIFY refused: sender not configured"
)

// Listener takes NOTIFY (RFC 1996) over UDP and TCP.
type Listener struct {
	Zones []NotifyZone
	// Notified is called for each NOTIFY that is taken, and must return at once.
	Notified func(Notice)
	// Refused is called for those that are not, at most callbacksPerSecond times a
	// second. Several goroutines call both.
	Refused func(Refusal)

	zones   map[string]*NotifyZone // by compared name
	mu      sync.Mutex
	second  int64
	told    int
	untold  int64
	servers []*dns.Server
}

// Listen takes its address, on UDP and TCP, and answers until ctx ends. The port
// may be 0. The returned address is that of both; done is closed when all has ended.
func (l *Listener) Listen(ctx context.Context, addr string) (at netip.AddrPort, done <-chan struct{}, err error) {
	l.zones = map[string]*NotifyZone{}
	for i := range l.Zones {
		name, err := canonical(l.Zones[i].Name)
		if err != nil {
			return at, nil, err
		}
		l.zones[name] = &l.Zones[i]
	}
	packets, err := net.ListenPacket("udp", addr)
	if err != nil {
		return at, nil, err
	}
	at = packets.LocalAddr().(*net.UDPAddr).AddrPort()
	conns, err := net.Listen("tcp", packets.LocalAddr().String())
	if err != nil {
		return at, nil, errors.Join(err, packets.Close())
	}
	h := dns.HandlerFunc(l.serve)
	keys := keyring{l}
	l.servers = []*dns.Server{
		{PacketConn: packets, Handler: h, TsigProvider: keys, UDPSize: 4096, ReadTimeout: 5 * time.Second},
		{Listener: netutil.LimitListener(conns, maxConns), Handler: h, TsigProvider: keys, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, MaxTCPQueries: 16,
			IdleTimeout: func() time.Duration { return 5 * time.Second }},
	}
	var running sync.WaitGroup
	for _, s := range l.servers {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		failed := make(chan error, 1)
		running.Go(func() { failed <- s.ActivateAndServe() })
		select {
		case <-started:
		case err := <-failed:
			return at, nil, errors.Join(err, packets.Close(), conns.Close())
		}
	}
	end := make(chan struct{})
	go func() {
		<-ctx.Done()
		for _, s := range l.servers {
			_ = s.Shutdown() // it runs
		}
		running.Wait()
		close(end)
	}()
	return at, end, nil
}

// keyring finds the key that a message is signed with.
type keyring struct{ l *Listener }

func (r keyring) key(t *dns.TSIG) (*Key, error) {
	name := dns.CanonicalName(t.Hdr.Name)
	for i := range r.l.Zones {
		if k := r.l.Zones[i].Key; k != nil && k.name == name {
			return k, nil
		}
	}
	return nil, dns.ErrSecret
}

// Generate implements dns.TsigProvider.
func (r keyring) Generate(msg []byte, t *dns.TSIG) ([]byte, error) {
	k, err := r.key(t)
	if err != nil {
		return nil, err
	}
	return k.Generate(msg, t)
}

// Verify implements dns.TsigProvider.
func (r keyring) Verify(msg []byte, t *dns.TSIG) error {
	k, err := r.key(t)
	if err != nil {
		return err
	}
	return k.verify(msg, t)
}

// serve answers one message.
func (l *Listener) serve(w dns.ResponseWriter, q *dns.Msg) {
	a := new(dns.Msg)
	if q.Opcode != dns.OpcodeNotify || len(q.Question) != 1 || q.Question[0].Qtype != dns.TypeSOA || q.Question[0].Qclass != dns.ClassINET {
		a.SetRcode(q, dns.RcodeRefused) // nothing else is answered here
		_ = w.WriteMsg(a)
		return
	}
	from := addrOf(w.RemoteAddr())
	rcode, tsigError, reason, zone := l.judge(w, q, from)
	a.SetRcode(q, rcode)
	a.Authoritative = rcode == dns.RcodeSuccess
	key := ""
	if t := q.IsTsig(); t != nil {
		key = t.Hdr.Name
		reply := &dns.TSIG{Hdr: dns.RR_Header{Name: t.Hdr.Name, Rrtype: dns.TypeTSIG, Class: dns.ClassANY}, Algorithm: t.Algorithm, OrigId: q.Id, Fudge: fudge,
			TimeSigned: uint64(time.Now().Unix()), Error: tsigError}
		if tsigError == dns.RcodeBadTime { // RFC 8945 §5.2.3: the request's time, and this clock's
			reply.TimeSigned, reply.OtherLen, reply.OtherData = t.TimeSigned, 6, fmt.Sprintf("%012x", time.Now().Unix())
		}
		a.Extra = append(a.Extra, reply)
	}
	_ = w.WriteMsg(a) // who asks again is answered again
	if rcode != dns.RcodeSuccess {
		l.refuse(Refusal{Zone: q.Question[0].Name, From: from, Reason: reason, Key: key})
		return
	}
	n := Notice{Zone: zone.Name, From: from}
	if len(q.Answer) == 1 {
		if soa, ok := q.Answer[0].(*dns.SOA); ok {
			n.Serial, n.HasSerial = soa.Serial, true
		}
	}
	l.Notified(n)
}

// judge says what a NOTIFY is answered with.
func (l *Listener) judge(w dns.ResponseWriter, q *dns.Msg, from netip.AddrPort) (rcode int, tsigError uint16, reason string, zone *NotifyZone) {
	t := q.IsTsig()
	if t != nil { // RFC 8945 §5.2: a signature is checked before anything else
		switch err := w.TsigStatus(); {
		case err == nil:
		case errors.Is(err, dns.ErrTime):
			return dns.RcodeNotAuth, dns.RcodeBadTime, RefusedTSIG, nil
		case errors.Is(err, dns.ErrSecret), errors.Is(err, dns.ErrKeyAlg):
			return dns.RcodeNotAuth, dns.RcodeBadKey, RefusedTSIG, nil
		default:
			return dns.RcodeNotAuth, dns.RcodeBadSig, RefusedTSIG, nil
		}
	}
	zone = l.zones[dns.CanonicalName(q.Question[0].Name)]
	switch {
	case zone == nil:
		return dns.RcodeNotAuth, 0, RefusedZone, nil
	case len(zone.From) > 0 && !slices.ContainsFunc(zone.From, func(p netip.Prefix) bool { return p.Contains(from.Addr()) }):
		return dns.RcodeRefused, 0, RefusedFrom, zone
	case zone.Key != nil && t == nil:
		return dns.RcodeRefused, 0, RefusedUnsigned, zone
	case zone.Key != nil && dns.CanonicalName(t.Hdr.Name) != zone.Key.name:
		return dns.RcodeNotAuth, dns.RcodeBadKey, RefusedTSIG, zone
	}
	return dns.RcodeSuccess, 0, "", zone
}

// refuse reports a refusal, unless there are too many.
func (l *Listener) refuse(r Refusal) {
	l.mu.Lock()
	if now := time.Now().Unix(); now != l.second {
		l.second, l.told = now, 0
	}
	if l.told++; l.told > callbacksPerSecond {
		l.untold++
		l.mu.Unlock()
		return
	}
	r.More, l.untold = l.untold, 0
	l.mu.Unlock()
	l.Refused(r)
}

func addrOf(a net.Addr) netip.AddrPort {
	p, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}
