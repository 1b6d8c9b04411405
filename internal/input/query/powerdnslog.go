package query

import (
	"bytes"
	"context"
	"io"
	"net/netip"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// Reasons for skipping lines of a PowerDNS log.
const (
	skipPDNSLogXfr    = "zone transfer line already counted"
	skipPDNSLogOpcode = "notification or update already counted"
	skipPDNSLogBad    = "error of a query already counted"
	skipPDNSLogUpdate = "dynamic update progress line"
	skipPDNSLogAnswer = "answer to a question already counted"
	skipPDNSLogLate   = "answer without its question"
	skipPDNSLogCache  = "packet cache answer without its name"
)

// Which lines a held query has been seen in.
const (
	pdnsLogDecided  uint8 = 1 << iota // allowed or denied
	pdnsLogFailed                     // no transfer came of it
	pdnsLogFallback                   // IXFR goes on as AXFR
	pdnsLogGoneOn                     // and has
	pdnsLogOpcode                     // NOTIFY or UPDATE
)

type powerdnsLog struct {
	serverLog
	ring   heldQueries
	fields pdnsLogFields
	asked  bool // lines of questions have been seen, so that answers alone make none
}

// PowerDNSLog decodes the log of PowerDNS: of the Authoritative Server with
// log-dns-queries, as text or structured, and of the Recursor with quiet=no.
// Lines about zone transfers, notifications and updates count as well, and lines
// about one query become one.
func PowerDNSLog(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.QuerySink) error {
	d := &powerdnsLog{serverLog: newServerLog(opt, acct, sink), ring: newHeldQueries(opt, acct, sink)}
	d.ring.again = pdnsLogFallback
	return takeLines(ctx, r, acct, d)
}

func (d *powerdnsLog) held() bool   { return d.ring.held() }
func (d *powerdnsLog) flush() error { return d.ring.flush() }

// pdnsLogKind is what a line speaks of.
type pdnsLogKind uint8

const (
	pdnsLogOther      pdnsLogKind = iota
	pdnsLogWants                  // Remote PEER wants 'NAME|TYPE', do = …
	pdnsLogXfr                    // AXFR-out zone 'ZONE', client 'PEER', … or AXFR of domain 'ZONE' …
	pdnsLogNotify                 // Received NOTIFY for NAME from PEER …
	pdnsLogUpdate                 // UPDATE (ID) from PEER for ZONE: …
	pdnsLogMalformed              // Received a malformed qdomain from PEER, 'NAME': …
	pdnsLogQuestion               // THREAD [ID/N] [TCP ]question for 'NAME|TYPE' from PEER
	pdnsLogAnswer                 // THREAD [ID/N] answer to [non-rd ]question 'NAME|TYPE': …, rcode=N
	pdnsLogCached                 // question answered from packet cache tag=N from PEER
	pdnsLogStructured             // msg="…" and more KEY="VALUE"
)

// pdnsLogMarks are the words that tell the lines, those first that come most often.
var pdnsLogMarks = [...]struct {
	words string
	kind  pdnsLogKind
}{
	{" wants '", pdnsLogWants}, {"msg=\"", pdnsLogStructured}, {"question for '", pdnsLogQuestion}, {"question '", pdnsLogAnswer},
	{"XFR-out zone '", pdnsLogXfr}, {"XFR of domain '", pdnsLogXfr}, {"Received NOTIFY for ", pdnsLogNotify}, {"UPDATE (", pdnsLogUpdate},
	{"a malformed qdomain from ", pdnsLogMalformed}, {"answered from packet cache ", pdnsLogCached},
}

// pdnsLogFind returns the kind of a line and what stands before and after its
// mark. The first mark in the line counts: names may hold others, as PowerDNS
// escapes blanks in them but neither quotation marks nor apostrophes.
func pdnsLogFind(text []byte) (kind pdnsLogKind, before, after []byte) {
	for i, c := range text {
		switch c {
		case ' ', 'm', 'q', 'X', 'R', 'U', 'a': // with what marks begin
		default:
			continue
		}
		for j := range pdnsLogMarks {
			m := &pdnsLogMarks[j]
			if m.words[0] == c && len(text)-i >= len(m.words) && string(text[i:i+len(m.words)]) == m.words {
				return m.kind, text[:i], text[i+len(m.words):]
			}
		}
	}
	return pdnsLogOther, nil, nil
}

func (d *powerdnsLog) take(line []byte, at picket.Position) error {
	var st stamp
	text := line
	if line[0] == '{' {
		if !d.fields.object(&d.serverLog, line, &st) {
			d.acct.Reject(decode.ReasonBrokenJSON, at)
			return nil
		}
		if d.fields.isQuery() {
			return d.structured(&st, at)
		}
		text = d.fields.message
	}
	kind, before, after := pdnsLogFind(text)
	var do func(before, after []byte) (string, error)
	switch kind {
	case pdnsLogWants:
		do = d.wants
	case pdnsLogXfr:
		do = d.transfer
	case pdnsLogNotify:
		do = d.notify
	case pdnsLogUpdate:
		do = d.update
	case pdnsLogMalformed:
		do = d.malformed
	case pdnsLogQuestion:
		do = d.question
	case pdnsLogAnswer:
		do = d.answer
	case pdnsLogCached:
		d.acct.Skip(skipPDNSLogCache)
		return nil
	case pdnsLogStructured:
		d.fields.text(text[len(before):])
		d.stamps(before, &st)
		return d.structured(&st, at)
	default:
		d.acct.Skip(skipLogOther)
		return nil
	}
	d.stamps(before, &st)
	if !st.timed {
		d.acct.Reject(decode.ReasonNoTime, at)
		return nil
	}
	d.begin(&st)
	reason, err := do(before, after)
	if reason != "" {
		d.acct.Reject(reason, at)
	}
	return err
}

// ask sets name and type of d.q from NAME|TYPE, where names may hold bars and
// apostrophes. The root has no name in old versions.
func (d *powerdnsLog) ask(b []byte) (reason string) {
	bar := bytes.LastIndexByte(b, '|')
	if bar < 0 {
		return decode.ReasonTruncated
	}
	return d.asks(b[:bar], b[bar+1:])
}

func (d *powerdnsLog) asks(name, typ []byte) (reason string) {
	q := &d.q
	if len(name) == 0 {
		name = []byte{'.'}
	}
	if !decode.SetName(q, name) {
		return decode.ReasonBadName
	}
	var ok bool
	if q.Type, ok = decode.ParseType(typ); !ok {
		return decode.ReasonType
	}
	if pdnsLogChaos(q) {
		q.Class = classCH
	}
	return ""
}

// pdnsLogChaos reports whether q asks for a name that exists in class CHAOS only,
// such as version.bind: PowerDNS does not log classes.
func pdnsLogChaos(q *picket.Query) bool {
	if q.Type != rrTXT || len(q.Name) == 0 || int(q.Name[0])+2 > len(q.Name) {
		return false
	}
	top := q.Name[1+int(q.Name[0]):]
	return string(top) == "\x04bind\x00" || string(top) == "\x06server\x00" || string(top) == "\x04pdns\x00"
}

// peer reads PEER[(BEHIND)][<-SUBNET]: the sender, who it forwards for (PROXY
// protocol), and the EDNS client subnet.
func (d *powerdnsLog) peer(b []byte) (ok bool) {
	q := &d.q
	b, subnet, _ := bytes.Cut(b, []byte("<-"))
	if i := bytes.IndexByte(b, '('); i >= 0 && b[len(b)-1] == ')' {
		b = b[i+1 : len(b)-1]
	}
	if q.Client, q.ClientPort, ok = peerOf(b, ':'); ok && len(subnet) > 0 {
		q.ClientSubnet = pdnsLogSubnet(subnet)
	}
	return ok
}

// pdnsLogSubnet reads ADDRESS[/BITS]; zero when malformed.
func pdnsLogSubnet(b []byte) netip.Prefix {
	host, mask, masked := bytes.Cut(b, []byte{'/'})
	addr, ok := decode.ParseAddr(host)
	bits, okBits := uint64(addr.BitLen()), true
	if masked {
		bits, okBits = decode.ParseUint(mask, bits)
	}
	if !ok || !okBits {
		return netip.Prefix{}
	}
	p, err := addr.Prefix(int(bits))
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// wants reads "…[TCP ]Remote PEER" and "NAME|TYPE', do = D, bufsize = N[ (M)]…".
func (d *powerdnsLog) wants(before, after []byte) (reason string, err error) {
	q := &d.q
	i := bytes.LastIndex(before, []byte("Remote "))
	if i < 0 {
		return decode.ReasonTruncated, nil
	}
	if !d.peer(before[i+len("Remote "):]) {
		return decode.ReasonAddress, nil
	}
	end := bytes.Index(after, []byte("', do = "))
	if end < 0 {
		return decode.ReasonTruncated, nil
	}
	if reason := d.ask(after[:end]); reason != "" {
		return reason, nil
	}
	q.Transport = picket.TransportUDP
	if bytes.HasSuffix(before[:i], []byte("TCP ")) {
		q.Transport = picket.TransportTCP
	}
	d.edns(after[end+len("', do = "):])
	return "", d.hold()
}

// edns reads "D, bufsize = N[ (M)]…": the DO bit, the size that answers may have,
// and the requestor's own when it is greater. 512 is also written without EDNS,
// and 65535 over TCP.
func (d *powerdnsLog) edns(b []byte) {
	q := &d.q
	if len(b) > 0 && b[0] == '1' {
		q.Flags |= picket.FlagDO | picket.FlagEDNS
	}
	i := bytes.Index(b, []byte("bufsize = "))
	if i < 0 {
		return
	}
	b = b[i+len("bufsize = "):]
	n, b := pdnsLogNumber(b)
	if bytes.HasPrefix(b, []byte(" (")) {
		if m, rest := pdnsLogNumber(b[2:]); len(rest) > 0 && rest[0] == ')' {
			n = m
			q.Flags |= picket.FlagEDNS
		}
	}
	d.size(n)
}

func (d *powerdnsLog) size(n uint64) {
	if n > 512 && n < 65535 {
		d.q.EDNSSize = uint16(n)
		d.q.Flags |= picket.FlagEDNS
	}
}

// pdnsLogNumber reads the digits that b begins with.
func pdnsLogNumber(b []byte) (uint64, []byte) {
	i := 0
	for i < len(b) && decode.Digit(b[i]) {
		i++
	}
	v, _ := decode.ParseUint(b[:i], 1<<32)
	return v, b[i:]
}

// hold holds d.q, or passes it on when no more lines can be about it.
func (d *powerdnsLog) hold() error {
	saw := sawAll
	if d.q.Type == typeSOA || !pdnsLogPlain(d.q.Name) {
		saw = 0
	}
	if _, err := d.ring.add(&d.q, saw); err != nil {
		return err
	}
	return d.ring.settle()
}

// pdnsLogPlain reports whether PowerDNS takes a name for well-formed.
func pdnsLogPlain(name []byte) bool {
	for i := 0; i < len(name) && name[i] != 0; {
		end := i + 1 + int(name[i])
		for i++; i < end && i < len(name); i++ {
			if c := name[i]; (c < 'a' || c > 'z') && !decode.Digit(c) && c != '-' && c != '_' && c != '*' {
				return false
			}
		}
	}
	return true
}

// notify reads "NAME from PEER …" after "Received NOTIFY for ".
func (d *powerdnsLog) notify(_, b []byte) (reason string, err error) {
	name, b, ok := cutWord(b)
	if !ok || !bytes.HasPrefix(b, []byte("from ")) {
		return decode.ReasonTruncated, nil
	}
	peer, _, _ := bytes.Cut(b[len("from "):], []byte{' '})
	return d.operation(name, peer, opcodeNotify, true)
}

// update reads "ID) from PEER for ZONE: MESSAGE" after "UPDATE (".
func (d *powerdnsLog) update(_, b []byte) (reason string, err error) {
	i := bytes.Index(b, []byte(") from "))
	if i < 0 {
		return decode.ReasonTruncated, nil
	}
	peer, b, ok := cutWord(b[i+len(") from "):])
	if !ok || !bytes.HasPrefix(b, []byte("for ")) {
		return decode.ReasonTruncated, nil
	}
	name, message, ok := bytes.Cut(b[len("for "):], []byte(": "))
	if !ok {
		return decode.ReasonTruncated, nil
	}
	if !bytes.HasPrefix(message, []byte("Processing started")) {
		d.acct.Skip(skipPDNSLogUpdate)
		return "", nil
	}
	return d.operation(name, peer, opcodeUpdate, true)
}

// operation notes that the SOA query of peer for name is no query at all; without
// such a line it makes a transaction of its own.
func (d *powerdnsLog) operation(name, peer []byte, opcode uint8, own bool) (reason string, err error) {
	if !d.peer(bytes.TrimSuffix(peer, []byte{':'})) {
		return decode.ReasonAddress, nil
	}
	if reason := d.asks(name, []byte("SOA")); reason != "" {
		return reason, nil
	}
	if s, _ := d.ring.find(&d.q, pdnsLogOpcode|sawAll, 0); s != nil {
		d.acct.Skip(skipPDNSLogOpcode)
		s.q.Opcode = opcode
		s.saw |= pdnsLogOpcode | sawAll
		return "", d.ring.settle()
	}
	if !own {
		return "", nil
	}
	d.q.Opcode = opcode
	if _, err := d.ring.add(&d.q, pdnsLogOpcode|sawAll); err != nil {
		return "", err
	}
	return "", d.ring.settle()
}

// malformed reads "PEER, 'NAME': sending servfail"; the line does not tell the
// type, so the query is looked for by its name alone.
func (d *powerdnsLog) malformed(_, b []byte) (reason string, err error) {
	peer, b, ok := bytes.Cut(b, []byte(", '"))
	if !ok {
		return decode.ReasonTruncated, nil
	}
	if !d.peer(peer) {
		return decode.ReasonAddress, nil
	}
	end := bytes.LastIndex(b, []byte("': "))
	if end < 0 || !decode.SetName(&d.q, b[:end]) {
		return decode.ReasonBadName, nil
	}
	d.acct.Skip(skipPDNSLogBad)
	for i := d.ring.head; i < d.ring.tail; i++ {
		s := &d.ring.slots[i%heldRing]
		if s.saw&sawAll == 0 && s.q.Client == d.q.Client && bytes.Equal(s.q.Name, d.q.Name) {
			s.saw |= sawAll
			respond(&s.q, picket.RcodeServFail)
			return "", d.ring.settle()
		}
	}
	return "", nil
}

// DetectPowerDNSLog looks for lines that only PowerDNS writes.
func DetectPowerDNSLog(head []byte) int {
	var l serverLog
	var f pdnsLogFields
	return detectLog(head, func(line []byte) bool {
		if line[0] == '{' {
			var st stamp
			if !f.object(&l, line, &st) {
				return false
			}
			if f.isQuery() {
				return true
			}
			line = f.message
		}
		kind, before, after := pdnsLogFind(line)
		switch kind {
		case pdnsLogWants:
			return bytes.Contains(before, []byte("Remote ")) && bytes.Contains(after, []byte("', do = "))
		case pdnsLogXfr:
			return len(before) > 0 && (before[len(before)-1] == 'A' || before[len(before)-1] == 'I')
		case pdnsLogQuestion:
			return bytes.Contains(after, []byte("' from ")) && bytes.Contains(before, []byte("] "))
		case pdnsLogAnswer:
			return bytes.HasSuffix(before, []byte("answer to ")) || bytes.HasSuffix(before, []byte("non-rd "))
		case pdnsLogStructured:
			f.text(line[len(before):])
			return f.isQuery()
		case pdnsLogOther:
			return bytes.Contains(line, []byte("PowerDNS Authoritative Server ")) || bytes.Contains(line, []byte("PowerDNS Recursor "))
		}
		return kind == pdnsLogMalformed || kind == pdnsLogCached
	})
}
