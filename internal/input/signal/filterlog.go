package signal

import (
	"bytes"
	"context"
	"io"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// skipNoIP is a frame that filterlog describes no further.
const skipNoIP = "neither IPv4 nor IPv6"

// Filterlog decodes the log of pf that filterlog writes on pfSense and OPNsense:
// CSV behind a syslog header.
func Filterlog(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.SignalSink) error {
	d := newOutput(opt, acct, sink)
	return d.lines(ctx, r, func(line []byte) (reason string, err error) {
		head := d.clock.Syslog(line, d.now())
		if string(head.Tag) != "filterlog" {
			acct.Skip(skipOther)
			return "", nil
		}
		if !head.Timed {
			return decode.ReasonNoTime, nil
		}
		s := &picket.Signal{Tool: "filterlog", Kind: picket.SignalConnection, Packets: 1}
		reason, skip := d.filter(s, head.Rest)
		if skip != "" {
			acct.Skip(skip)
		}
		if reason != "" || skip != "" {
			return reason, nil
		}
		return "", d.emit(s, head.Time)
	})
}

// Columns of filterlog; those behind the version depend on it.
const (
	pfRule      = 0
	pfTracker   = 3
	pfInterface = 4
	pfAction    = 6
	pfDirection = 7
	pfVersion   = 8
	pf4Proto    = 16
	pf6Proto    = 12
	pf4Length   = 17
	pf6Length   = 14
	pfColumns   = 24
)

// filter reads the columns.
func (d *output) filter(s *picket.Signal, b []byte) (reason, skip string) {
	var col [pfColumns][]byte
	n := 0
	for more := true; more && n < pfColumns; n++ {
		if i := bytes.IndexByte(b, ','); i >= 0 {
			col[n], b = b[:i], b[i+1:]
		} else {
			col[n], more = b, false
		}
	}
	if n <= pfVersion {
		return decode.ReasonTruncated, ""
	}
	proto, length := pf4Proto, pf4Length
	switch string(col[pfVersion]) {
	case "4":
	case "6":
		proto, length = pf6Proto, pf6Length
	default:
		return "", skipNoIP
	}
	if n < length+3 {
		return decode.ReasonTruncated, ""
	}
	s.Protocol, s.Bytes = d.protocol(col[proto]), count(col[length])
	if reason := ends(s, col[length+1], col[length+2]); reason != "" {
		return reason, ""
	}
	if s.Protocol == "tcp" || s.Protocol == "udp" {
		s.SourcePort, s.TargetPort = port(col[length+3]), port(col[length+4])
	}
	switch string(col[pfAction]) {
	case "pass":
		s.Action = allowed
	case "block", "reject":
		s.Action, s.Kind = blocked, picket.SignalRefused
	}
	rule := col[pfTracker]
	if len(rule) == 0 || string(rule) == "0" {
		rule = col[pfRule]
	}
	s.Rule = d.text.Text(rule)
	d.detail(s, "interface", col[pfInterface])
	d.detail(s, "direction", col[pfDirection])
	return "", ""
}

// DetectFilterlog knows the program's name and the columns behind it.
func DetectFilterlog(head []byte) int {
	n, hits := 0, 0
	decode.EachLine(head, func(line []byte) bool {
		n++
		if i := bytes.Index(line, []byte("filterlog")); i >= 0 && bytes.Count(line[i:], []byte(",")) >= pfVersion {
			hits++
		}
		return n < 2000 && hits < 20
	})
	switch {
	case hits == 0:
		return 0
	case hits == 20 || hits*2 >= n:
		return 95
	}
	return 60
}
