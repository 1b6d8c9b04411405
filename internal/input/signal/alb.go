package signal

import (
	"bytes"
	"context"
	"io"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// Fields of an ALB access log, in the order that AWS documents. Later ones may be
// added at the end.
const (
	albType = iota
	albTime
	albName
	albClient
	albTarget
	_ // request, target and response processing time
	_
	_
	albStatus
	_ // the target's status
	albReceived
	albSent
	albRequest
	albAgent
	_ // cipher, protocol, target group, trace
	_
	_
	_
	albDomain
	_ // certificate, priority, creation time
	_
	_
	albActions
	albFields // how many are read
)

// ALBAccess decodes access logs of AWS application load balancers.
func ALBAccess(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.SignalSink) error {
	d := newOutput(opt, acct, sink)
	return d.lines(ctx, r, func(line []byte) (reason string, err error) {
		var f [albFields][]byte
		if albCut(line, &f) <= albAgent {
			return decode.ReasonTruncated, nil
		}
		ns, n := d.clock.IsoTime(f[albTime])
		if n == 0 || n != len(f[albTime]) {
			return decode.ReasonTime, nil
		}
		s := &picket.Signal{Tool: "aws-alb", Kind: picket.SignalRequest, Protocol: "tcp"}
		var ok bool
		if s.Source, s.SourcePort, ok = addrPort(f[albClient]); !ok {
			return decode.ReasonAddress, nil
		}
		if t := f[albTarget]; string(t) != "-" {
			if s.Target, s.TargetPort, ok = addrPort(t); !ok {
				return decode.ReasonAddress, nil
			}
		}
		d.host(s, f[albDomain])
		if host := d.request(s, f[albRequest]); s.TargetName == "" {
			d.host(s, host)
		} else {
			d.place(s, host)
		}
		s.Bytes = min(count(f[albReceived]), 1<<61) + min(count(f[albSent]), 1<<61)
		d.detail(s, "status", f[albStatus])
		d.detail(s, "agent", f[albAgent])
		d.detail(s, "balancer", f[albName])
		d.detail(s, "actions", f[albActions])
		return "", d.emit(s, ns)
	})
}

// albCut cuts a line at blanks that are not within quotes and returns how many
// fields there are, albFields at most.
func albCut(b []byte, f *[albFields][]byte) (n int) {
	for len(b) > 0 && n < albFields {
		if b[0] == '"' {
			text, rest, ok := quoted(b)
			if !ok {
				return n
			}
			f[n], b = text, rest
		} else if i := bytes.IndexByte(b, ' '); i >= 0 {
			f[n], b = b[:i], b[i+1:]
		} else {
			f[n], b = b, nil
		}
		n++
	}
	return n
}

// DetectALBAccess knows the type, the time and the name of the balancer.
func DetectALBAccess(head []byte) int {
	n, hits := 0, 0
	clock := decode.NewClock(decode.Options{})
	decode.EachLine(head, func(line []byte) bool {
		n++
		var f [albFields][]byte
		if albCut(line, &f) <= albAgent {
			return n < 50
		}
		switch string(f[albType]) {
		case "http", "https", "h2", "grpcs", "ws", "wss":
			_, timed := clock.IsoTime(f[albTime])
			if _, _, ok := addrPort(f[albClient]); ok && timed > 0 && bytes.HasPrefix(f[albName], []byte("app/")) {
				hits++
			}
		}
		return n < 50
	})
	if hits > 0 && hits*2 >= n {
		return 95
	}
	return 0
}
