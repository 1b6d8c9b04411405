package signal

import (
	"bytes"
	"context"
	"io"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// IPTables decodes what the LOG target of iptables, the log statement of nftables,
// and tools upon them such as ufw and firewalld leave in the kernel's log.
func IPTables(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.SignalSink) error {
	d := newOutput(opt, acct, sink)
	return d.lines(ctx, r, func(line []byte) (reason string, err error) {
		from := netfilter(line)
		if from < 0 {
			acct.Skip(skipOther)
			return "", nil
		}
		head := d.clock.Syslog(line[:from], d.now())
		if !head.Timed {
			return decode.ReasonNoTime, nil
		}
		s := &picket.Signal{Tool: "iptables", Kind: picket.SignalConnection}
		prefix := logPrefix(head.Rest)
		if reason := d.packet(s, line[from:]); reason != "" {
			return reason, nil
		}
		s.Title = d.text.Text(prefix)
		if s.Action = verdict(prefix); s.Action == blocked {
			s.Kind = picket.SignalRefused
		}
		return "", d.emit(s, head.Time)
	})
}

// netfilter returns where a packet's description begins; -1 when the line has none.
func netfilter(line []byte) int {
	i := bytes.Index(line, []byte("IN="))
	for i > 0 && line[i-1] != ' ' && line[i-1] != ']' && line[i-1] != ':' && !decode.Digit(line[i-1]) {
		j := bytes.Index(line[i+3:], []byte("IN="))
		if j < 0 {
			// A log prefix may end without a blank: it is taken as it is.
			break
		}
		i += 3 + j
	}
	if i < 0 || !bytes.Contains(line[i:], []byte(" OUT=")) || !bytes.Contains(line[i:], []byte(" SRC=")) {
		return -1
	}
	return i
}

// logPrefix is what the rule writes in front of a packet, without the kernel's
// time since start and without brackets.
func logPrefix(b []byte) []byte {
	b = bytes.TrimSpace(b)
	if len(b) > 0 && b[0] == '[' {
		if i := bytes.IndexByte(b, ']'); i > 0 && uptime(b[1:i]) {
			b = bytes.TrimSpace(b[i+1:])
		}
	}
	return bytes.Trim(b, " []:-_")
}

func uptime(b []byte) bool {
	b = bytes.TrimSpace(b)
	for _, c := range b {
		if !decode.Digit(c) && c != '.' {
			return false
		}
	}
	return len(b) > 0
}

// verdict reads what was done from a rule's prefix; "" when it does not say.
func verdict(prefix []byte) string {
	var up [64]byte
	n := copy(up[:], prefix)
	for i, c := range up[:n] {
		if c >= 'a' && c <= 'z' {
			up[i] = c - 'a' + 'A'
		}
	}
	b := up[:n]
	for _, w := range []string{"BLOCK", "DROP", "REJECT", "DENY", "DENIED", "BLACKLIST"} {
		if bytes.Contains(b, []byte(w)) {
			return blocked
		}
	}
	for _, w := range []string{"ALLOW", "ACCEPT", "PASS", "PERMIT"} {
		if bytes.Contains(b, []byte(w)) {
			return allowed
		}
	}
	return ""
}

// packet reads KEY=VALUE from IN= on. What is in brackets is the packet that an
// ICMP error speaks of.
func (d *output) packet(s *picket.Signal, b []byte) (reason string) {
	var src, dst, in, out []byte
	for len(b) > 0 {
		word := b
		if i := bytes.IndexByte(b, ' '); i >= 0 {
			word, b = b[:i], b[i+1:]
		} else {
			b = nil
		}
		if len(word) > 0 && word[0] == '[' {
			break
		}
		i := bytes.IndexByte(word, '=')
		if i < 0 {
			continue
		}
		v := word[i+1:]
		switch string(word[:i]) {
		case "IN":
			in = v
		case "OUT":
			out = v
		case "SRC":
			src = v
		case "DST":
			dst = v
		case "LEN":
			if s.Bytes == 0 {
				s.Bytes = count(v)
			}
		case "PROTO":
			s.Protocol = d.protocol(v)
		case "SPT":
			s.SourcePort = port(v)
		case "DPT":
			s.TargetPort = port(v)
		}
	}
	if dst == nil {
		return decode.ReasonTruncated
	}
	s.Packets = 1
	d.detail(s, "in", in)
	d.detail(s, "out", out)
	return ends(s, src, dst)
}

// DetectIPTables knows the kernel's description of a packet.
func DetectIPTables(head []byte) int {
	n, hits := 0, 0
	decode.EachLine(head, func(line []byte) bool {
		if len(line) == 0 {
			return true
		}
		n++
		if i := netfilter(line); i >= 0 && bytes.Contains(line[i:], []byte(" DST=")) && bytes.Contains(line[i:], []byte(" PROTO=")) {
			hits++
		}
		return n < 2000 && hits < 20
	})
	switch {
	case hits == 0:
		return 0
	case hits == 20 || hits*2 >= n:
		return 92
	}
	return 60
}
