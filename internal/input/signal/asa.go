package signal

import (
	"bytes"
	"context"
	"io"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// skipASA is a message of Cisco ASA that tells of no connection, or of one that
// another message has told.
const skipASA = "other ASA message"

// ASA decodes those messages of Cisco ASA and Firepower (FTD) that tell of
// connections: built ones and denied ones. The end of a connection is skipped, as
// its beginning was told.
func ASA(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.SignalSink) error {
	d := newOutput(opt, acct, sink)
	return d.lines(ctx, r, func(line []byte) (reason string, err error) {
		level, id, text, at := asaMessage(line)
		if at < 0 {
			acct.Skip(skipOther)
			return "", nil
		}
		s := &picket.Signal{Tool: "cisco-asa", Kind: picket.SignalRefused, Action: blocked}
		read := asaReader(id)
		if read == nil {
			acct.Skip(skipASA)
			return "", nil
		}
		ns, ok := d.asaTime(line[:at])
		if !ok {
			return decode.ReasonNoTime, nil
		}
		if reason := read(d, s, text); reason != "" {
			return reason, nil
		}
		s.Rule, s.Severity = d.text.Text(id), d.text.Text(level)
		s.Title = d.text.Text(asaTitle(text))
		return "", d.emit(s, ns)
	})
}

// asaMessage finds %ASA-4-106023: and what follows; at is where it begins, -1 when
// there is none.
func asaMessage(line []byte) (level, id, text []byte, at int) {
	i := bytes.Index(line, []byte("%ASA-"))
	if i < 0 {
		if i = bytes.Index(line, []byte("%FTD-")); i < 0 {
			return nil, nil, nil, -1
		}
	}
	head, text, ok := bytes.Cut(line[i+5:], []byte{':'})
	j := bytes.LastIndexByte(head, '-')
	if !ok || j < 1 || len(head)-j != 7 {
		return nil, nil, nil, -1
	}
	// A module may be named in between: %ASA-vpn-4-113019.
	level = head[:j]
	if k := bytes.LastIndexByte(level, '-'); k >= 0 {
		level = level[k+1:]
	}
	return level, head[j+1:], bytes.TrimSpace(text), i
}

// asaTime reads the header: of syslog, or the ASA's own time with its year.
func (o *output) asaTime(b []byte) (ns int64, ok bool) {
	if i := bytes.IndexByte(b, '>'); i > 0 && i < 6 && b[0] == '<' {
		if ns, ok = asaStamp(&o.clock, b[i+1:]); ok {
			return ns, true
		}
	}
	if ns, ok = asaStamp(&o.clock, b); ok {
		return ns, true
	}
	head := o.clock.Syslog(b, o.now())
	if head.Timed {
		// A relay's header may be followed by the device's own, which counts.
		if ns, ok = asaStamp(&o.clock, bytes.TrimLeft(head.Rest, " :")); ok {
			return ns, true
		}
	}
	return head.Time, head.Timed
}

// asaStamp reads Mmm dd yyyy hh:mm:ss.
func asaStamp(c *decode.Clock, b []byte) (ns int64, ok bool) {
	mo := decode.Month(b, 0)
	if mo == 0 || len(b) < 20 || b[3] != ' ' || b[6] != ' ' || b[11] != ' ' {
		return 0, false
	}
	day := decode.Two(b, 4)
	if b[4] == ' ' && decode.Digit(b[5]) {
		day = int(b[5] - '0')
	}
	hi, lo := decode.Two(b, 7), decode.Two(b, 9)
	h, mi, s, ok := decode.HMS(b, 12)
	if day < 0 || hi < 0 || lo < 0 || !ok || !decode.ValidDate(hi*100+lo, mo, day) {
		return 0, false
	}
	frac, i := decode.Fraction(b, 20)
	if i+4 <= len(b) && string(b[i:i+4]) == " UTC" {
		return decode.UTC(hi*100+lo, mo, day, h, mi, s)*decode.NsPerSecond + frac, true
	}
	return c.Unix(hi*100+lo, mo, day, h, mi, s)*decode.NsPerSecond + frac, true
}

// asaTitle is a message up to its first address or port, which differ each time.
func asaTitle(b []byte) []byte {
	if bytes.HasPrefix(b, []byte("access-list ")) { // NAME VERDICT PROTOCOL
		at := 0
		for range 4 {
			i := bytes.IndexByte(b[at:], ' ')
			if i < 0 {
				return b
			}
			at += i + 1
		}
		return b[:at-1]
	}
	for _, w := range [][]byte{[]byte(" from "), []byte(" src "), []byte(" connection ")} {
		if i := bytes.Index(b, w); i > 0 {
			return b[:i]
		}
	}
	return b
}

// asaReader is what reads a message's text, nil for messages not read.
func asaReader(id []byte) func(o *output, s *picket.Signal, b []byte) (reason string) {
	switch string(id) {
	case "106001", "106006", "106015", "710003":
		return (*output).asaFromTo
	case "106014", "106023":
		return (*output).asaSrcDst
	case "106100":
		return (*output).asaAccessList
	case "302013", "302015":
		return (*output).asaBuilt
	}
	return nil
}

// asaFromTo reads "… TCP … from ADDR/PORT to [IFACE:]ADDR/PORT …".
func (o *output) asaFromTo(s *picket.Signal, b []byte) (reason string) {
	s.Protocol = asaProtocol(b)
	_, b, ok := bytes.Cut(b, []byte(" from "))
	src, b, ok2 := bytes.Cut(b, []byte(" to "))
	if !ok || !ok2 {
		return decode.ReasonTruncated
	}
	return asaEnds(s, asaWord(src), asaWord(b))
}

// asaSrcDst reads "Deny tcp src IFACE:ADDR/PORT dst IFACE:ADDR/PORT by access-group "NAME"".
func (o *output) asaSrcDst(s *picket.Signal, b []byte) (reason string) {
	s.Protocol = asaProtocol(b)
	_, b, ok := bytes.Cut(b, []byte(" src "))
	src, b, ok2 := bytes.Cut(b, []byte(" dst "))
	if !ok || !ok2 {
		return decode.ReasonTruncated
	}
	if _, group, ok := bytes.Cut(b, []byte(`access-group "`)); ok {
		name, _, _ := bytes.Cut(group, []byte{'"'})
		o.detail(s, "access_list", name)
	}
	return asaEnds(s, asaWord(src), asaWord(b))
}

// asaAccessList reads "access-list NAME denied tcp IFACE/ADDR(PORT) -> IFACE/ADDR(PORT) hit-cnt …".
func (o *output) asaAccessList(s *picket.Signal, b []byte) (reason string) {
	f := bytes.Fields(b)
	if len(f) < 7 {
		return decode.ReasonTruncated
	}
	o.detail(s, "access_list", f[1])
	if string(f[2]) != "denied" {
		s.Action, s.Kind = allowed, picket.SignalConnection
	}
	s.Protocol = o.protocol(f[3])
	arrow := 5
	for arrow < len(f) && string(f[arrow]) != "->" {
		arrow++ // a user may stand behind the address
	}
	if arrow+1 >= len(f) {
		return decode.ReasonTruncated
	}
	return asaEnds(s, asaListed(f[4]), asaListed(f[arrow+1]))
}

// asaBuilt reads "Built inbound TCP connection N for IFACE:ADDR/PORT (…) to IFACE:ADDR/PORT (…)".
// Of an outbound one the first is the target.
func (o *output) asaBuilt(s *picket.Signal, b []byte) (reason string) {
	s.Action, s.Kind, s.Protocol = allowed, picket.SignalConnection, asaProtocol(b)
	outbound := bytes.Contains(b, []byte(" outbound "))
	_, b, ok := bytes.Cut(b, []byte(" for "))
	first, second, ok2 := bytes.Cut(b, []byte(" to "))
	if !ok || !ok2 {
		return decode.ReasonTruncated
	}
	if outbound {
		first, second = second, first
	}
	return asaEnds(s, asaWord(first), asaWord(second))
}

// asaProtocol finds the protocol among a message's first words.
func asaProtocol(b []byte) string {
	for range 6 {
		var w []byte
		w, b, _ = bytes.Cut(b, []byte{' '})
		switch string(w) {
		case "TCP", "tcp":
			return "tcp"
		case "UDP", "udp":
			return "udp"
		case "icmp", "ICMP":
			return "icmp"
		}
	}
	return ""
}

// asaWord is the first word, without the interface in front of an address.
func asaWord(b []byte) []byte {
	b, _, _ = bytes.Cut(b, []byte{' '})
	if addr, _, _ := bytes.Cut(b, []byte{'/'}); len(addr) > 0 {
		if _, ok := decode.ParseAddr(addr); ok {
			return b
		}
	}
	if _, rest, ok := bytes.Cut(b, []byte{':'}); ok {
		return rest
	}
	return b
}

// asaListed turns IFACE/ADDR(PORT) into ADDR/PORT.
func asaListed(b []byte) []byte {
	_, b, _ = bytes.Cut(b, []byte{'/'})
	addr, port, ok := bytes.Cut(b, []byte{'('})
	if !ok {
		return b
	}
	port, _, _ = bytes.Cut(port, []byte{')'})
	return append(append(bytes.Clone(addr), '/'), port...)
}

// asaEnds reads ADDR/PORT twice; ICMP has no ports.
func asaEnds(s *picket.Signal, src, dst []byte) (reason string) {
	a, p, _ := bytes.Cut(src, []byte{'/'})
	b, q, _ := bytes.Cut(dst, []byte{'/'})
	if ported(s.Protocol) {
		s.SourcePort, s.TargetPort = port(p), port(q)
	}
	return ends(s, a, b)
}

// DetectASA knows the messages' names.
func DetectASA(head []byte) int {
	n, hits := 0, 0
	decode.EachLine(head, func(line []byte) bool {
		if len(line) == 0 {
			return true
		}
		n++
		if _, _, _, at := asaMessage(line); at >= 0 {
			hits++
		}
		return n < 500 && hits < 20
	})
	switch {
	case hits == 0:
		return 0
	case hits == 20 || hits*2 >= n:
		return 95
	}
	return 60
}
