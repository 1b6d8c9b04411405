package query

import (
	"bytes"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/input/decode"
)

// msLine is one line, cut into its fields.
type msLine struct {
	when     msWhen
	context  []byte
	way      []byte // UDP or TCP
	sent     bool   // Snd, else Rcv
	addr     []byte
	xid      []byte
	response bool
	flags    []byte // hexadecimal
	rcode    []byte
	typ      []byte // nil in old versions
	name     []byte
}

// Kinds of lines.
type msKind uint8

const (
	msDetail msKind = iota // of a packet, of the header, or of an event's text
	msOther                // of another context
	msPacket
	msBroken // reason says why
)

var (
	msPacketWord = []byte("PACKET")
	msSpaced     = []byte(" PACKET ")
)

// cut reads a line. Log shippers may have put a header of theirs in front.
func (l *msLine) cut(line []byte) (kind msKind, reason string) {
	i := 0
	if len(line) > 0 && (decode.Digit(line[0]) || line[0] >= 0x80) {
		i = l.when.parse(line)
	}
	if i == 0 {
		if !bytes.Contains(line, msSpaced) {
			return msDetail, ""
		}
		if i = l.behind(line); i == 0 {
			return msBroken, decode.ReasonTime
		}
	}
	rest := l.afterContext(line[i:])
	if !bytes.Equal(l.context, msPacketWord) {
		// A syslog header with a date like this one's, and a host like a thread.
		if !bytes.Contains(line, msSpaced) {
			return msOther, ""
		}
		was := *l
		if i = l.behind(line); i > 0 {
			rest = l.afterContext(line[i:])
		}
		if i == 0 || !bytes.Equal(l.context, msPacketWord) {
			*l = was
			return msOther, ""
		}
	}
	return l.packet(rest)
}

// afterContext cuts thread and context off, and keeps the latter.
func (l *msLine) afterContext(b []byte) []byte {
	_, b = word(b)
	l.context, b = word(b)
	return b
}

// behind finds the line's own beginning behind a syslog header.
func (l *msLine) behind(line []byte) int {
	end := bytes.Index(line, msSpaced)
	for i := 0; i < end; {
		next := bytes.IndexAny(line[i:end], " \t")
		if next < 0 {
			return 0
		}
		if i += next + 1; i < end && decode.Digit(line[i]) {
			if n := l.when.parse(line[i:]); n > 0 {
				return i + n
			}
		}
	}
	return 0
}

// word cuts the first word off b.
func word(b []byte) (w, rest []byte) {
	i := 0
	for i < len(b) && b[i] == ' ' {
		i++
	}
	end := i
	for end < len(b) && b[end] != ' ' {
		end++
	}
	return b[i:end], b[end:]
}

// packet reads what follows the context:
//
//	[identifier] UDP|TCP Snd|Rcv address xid [R] Q|N|U|? [ flags letters rcode ] [type] name
func (l *msLine) packet(b []byte) (kind msKind, reason string) {
	// Old versions have no identifier.
	for range 3 {
		if l.way, b = word(b); string(l.way) == "UDP" || string(l.way) == "TCP" {
			break
		}
		l.way = nil
	}
	var dir []byte
	if dir, b = word(b); l.way == nil || (string(dir) != "Rcv" && string(dir) != "Snd") {
		return msBroken, decode.ReasonTruncated
	}
	l.sent = dir[0] == 'S'
	l.addr, b = word(b)
	l.xid, b = word(b)
	open := bytes.IndexByte(b, '[')
	if open < 0 {
		return msBroken, decode.ReasonTruncated
	}
	l.response = bytes.IndexByte(b[:open], 'R') >= 0
	b = b[open+1:]
	end := bytes.IndexByte(b, ']')
	if end < 0 {
		return msBroken, decode.ReasonTruncated
	}
	in := b[:end]
	l.flags, in = word(in)
	for l.rcode = nil; ; {
		var w []byte
		if w, in = word(in); len(w) == 0 {
			break
		}
		l.rcode = w // the last word
	}
	b = bytes.Trim(b[end+1:], " \t")
	l.typ = nil
	if len(b) > 0 && b[0] != '(' && b[0] != '.' {
		l.typ, b = word(b)
		b = bytes.TrimLeft(b, " ")
	}
	if l.name = b; len(b) == 0 {
		return msBroken, decode.ReasonTruncated
	}
	return msPacket, ""
}

// hex16 reads up to four hexadecimal digits.
func hex16(b []byte) (v uint16, ok bool) {
	if len(b) == 0 || len(b) > 4 {
		return 0, false
	}
	for _, c := range b {
		h := decode.HexValue(c)
		if h < 0 {
			return 0, false
		}
		v = v<<4 | uint16(h)
	}
	return v, true
}

// msTypes are what the server writes for types beside the registry's mnemonics.
var msTypes = map[string]uint16{"ALL": 255, "WINS": 0xff01, "WINSR": 0xff02, "NBSTAT": 0xff02}

// fill makes a query or response of the line; the time is left out.
func (l *msLine) fill(q *picket.Query) (reason string) {
	var ok bool
	if q.Client, ok = decode.ParseAddr(l.addr); !ok {
		return decode.ReasonAddress
	}
	if q.Transport = picket.TransportUDP; l.way[0] == 'T' {
		q.Transport = picket.TransportTCP
	}
	bits, ok := hex16(l.flags)
	if !ok || len(l.flags) != 4 {
		return decode.ReasonFlags
	}
	// The server writes the header's word as its processor reads it: bytes swapped.
	bits = bits<<8 | bits>>8
	q.Opcode = uint8(bits >> 11 & 0xf)
	q.Flags |= picket.FlagFlags
	for _, f := range [...]struct {
		bit  uint16
		flag picket.QueryFlags
	}{{bitRD, picket.FlagRD}, {bitCD, picket.FlagCD}, {bitAD, picket.FlagAD}} {
		if bits&f.bit != 0 && !(l.response && f.bit == bitAD) {
			q.Flags |= f.flag
		}
	}
	if l.response {
		q.Flags |= picket.FlagResponse
		if bits&bitAA != 0 {
			q.Flags |= picket.FlagAA
		}
		if bits&bitTC != 0 {
			q.Flags |= picket.FlagTC
		}
		if q.Rcode, ok = decode.ParseRcode(l.rcode); !ok {
			q.Rcode = picket.Rcode(bits & 0xf)
		}
	}
	if l.typ != nil {
		if q.Type, ok = msTypes[string(l.typ)]; !ok {
			if q.Type, ok = cloudType(l.typ); !ok && len(l.typ) > 2 && l.typ[0] == '0' && l.typ[1] == 'x' {
				q.Type, ok = hex16(l.typ[2:])
			}
		}
		if !ok {
			return decode.ReasonType
		}
	}
	if !setMSName(q, l.name) {
		return decode.ReasonBadName
	}
	return ""
}

// setMSName reads (3)www(7)example(3)com(0), or .www.example.com. of old versions.
// Labels are written as they are, so that the lengths decide where they end; where
// those do not fit, as after names were made anonymous, the brackets do.
func setMSName(q *picket.Query, b []byte) bool {
	switch {
	case b[0] == '.':
		return setDotted(q, b[1:])
	case setCounted(q, b, true):
		return true
	}
	return setCounted(q, b, false)
}

func setCounted(q *picket.Query, b []byte, exact bool) bool {
	q.Name = q.Name[:0]
	q.Flags &^= picket.FlagMixed
	for {
		n, digits := counted(b)
		if digits == 0 {
			return false
		}
		b = b[digits:]
		if n == 0 {
			q.Name = append(q.Name, 0)
			return len(b) == 0 && dnsname.Check(q.Name) == nil
		}
		if !exact {
			if n = nextCount(b); n < 0 {
				return false
			}
		}
		if n > len(b) || !addLabel(q, b[:n]) {
			return false
		}
		b = b[n:]
	}
}

// counted reads (N) at the start of b and returns its length, 0 when there is none.
func counted(b []byte) (n, digits int) {
	if len(b) < 3 || b[0] != '(' {
		return 0, 0
	}
	i := 1
	for ; i < len(b) && i < 4 && decode.Digit(b[i]); i++ {
		n = n*10 + int(b[i]-'0')
	}
	if i == 1 || i == len(b) || b[i] != ')' {
		return 0, 0
	}
	return n, i + 1
}

// nextCount is the offset of the next (N) in b, -1 when there is none.
func nextCount(b []byte) int {
	for i := range b {
		if _, digits := counted(b[i:]); digits > 0 {
			return i
		}
	}
	return -1
}

func setDotted(q *picket.Query, b []byte) bool {
	q.Name = q.Name[:0]
	for len(b) > 0 {
		label, rest, dot := bytes.Cut(b, []byte{'.'})
		if !addLabel(q, label) {
			return false
		}
		if b = rest; !dot {
			break
		}
	}
	q.Name = append(q.Name, 0)
	return dnsname.Check(q.Name) == nil
}

// addLabel adds a label's bytes in lower case.
func addLabel(q *picket.Query, label []byte) bool {
	if len(label) == 0 || len(label) > 63 || len(q.Name)+1+len(label) > 254 {
		return false
	}
	q.Name = append(q.Name, byte(len(label)))
	for _, c := range label {
		low := dnsname.Lower(c)
		if low != c {
			q.Flags |= picket.FlagMixed
		}
		q.Name = append(q.Name, low)
	}
	return true
}
