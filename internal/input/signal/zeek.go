package signal

import (
	"bytes"
	"context"
	"io"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// Reasons and skips of Zeek's logs.
const (
	reasonZeekHeader = "record before a #fields line"
	reasonZeekFields = "#fields line without the columns needed"
	skipNoSource     = "notice without source address"
)

// Columns of conn.log and notice.log that are read.
const (
	zeekNone uint8 = iota
	zeekTS
	zeekUID
	zeekOrigH
	zeekOrigP
	zeekRespH
	zeekRespP
	zeekProto
	zeekService
	zeekDuration
	zeekOrigBytes
	zeekRespBytes
	zeekState
	zeekOrigPkts
	zeekRespPkts
	zeekNote
	zeekMsg
	zeekSub
	zeekSrc
	zeekDst
	zeekP
	zeekN
	zeekPath
	zeekColumns // how many there are
)

func zeekColumn(b []byte) uint8 {
	switch string(b) {
	case "ts":
		return zeekTS
	case "uid":
		return zeekUID
	case "id.orig_h":
		return zeekOrigH
	case "id.orig_p":
		return zeekOrigP
	case "id.resp_h":
		return zeekRespH
	case "id.resp_p":
		return zeekRespP
	case "proto":
		return zeekProto
	case "service":
		return zeekService
	case "duration":
		return zeekDuration
	case "orig_bytes":
		return zeekOrigBytes
	case "resp_bytes":
		return zeekRespBytes
	case "conn_state":
		return zeekState
	case "orig_pkts":
		return zeekOrigPkts
	case "resp_pkts":
		return zeekRespPkts
	case "note":
		return zeekNote
	case "msg":
		return zeekMsg
	case "sub":
		return zeekSub
	case "src":
		return zeekSrc
	case "dst":
		return zeekDst
	case "p":
		return zeekP
	case "n":
		return zeekN
	case "_path":
		return zeekPath
	}
	return zeekNone
}

// zeekLog is a log of Zeek that is read here.
type zeekLog struct {
	path string
	need []uint8 // columns without which it is another log
	take func(d *zeekReader) (reason string, err error)
}

func connLog() zeekLog {
	return zeekLog{"conn", []uint8{zeekTS, zeekOrigH, zeekRespH, zeekState}, (*zeekReader).conn}
}

func noticeLog() zeekLog {
	return zeekLog{"notice", []uint8{zeekTS, zeekNote, zeekMsg}, (*zeekReader).notice}
}

// ZeekConn decodes Zeek's conn.log, as TSV with its header or as JSON.
func ZeekConn(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.SignalSink) error {
	return readZeek(ctx, r, connLog(), newOutput(opt, acct, sink))
}

// ZeekNotice decodes Zeek's notice.log, as TSV with its header or as JSON.
func ZeekNotice(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.SignalSink) error {
	return readZeek(ctx, r, noticeLog(), newOutput(opt, acct, sink))
}

// zeekReader turns the cells of rows and objects into signals.
type zeekReader struct {
	*output
	log   zeekLog
	cells [zeekColumns][]byte
}

func readZeek(ctx context.Context, r io.Reader, log zeekLog, out *output) error {
	d := &zeekReader{output: out, log: log}
	in := decode.NewLines(ctx, r, out.acct)
	b, err := in.Lookahead()
	if err != nil {
		return decode.Ended(err)
	}
	if b == '{' || b == '[' {
		return decode.RecordsOf(in).Each(d.object)
	}
	return d.tsv(in)
}

func (d *zeekReader) object(c *decode.Cursor) (reason string, err error) {
	clear(d.cells[:])
	c.Open('{')
	for k, ok := c.Key(); ok; k, ok = c.Key() {
		if f := zeekColumn(k); f == zeekNone {
			c.Skip()
		} else {
			d.cells[f] = c.Scalar()
		}
	}
	if c.Bad {
		return decode.ReasonBrokenJSON, nil
	}
	return d.row()
}

func (d *zeekReader) tsv(in *decode.Lines) error {
	h := decode.NewZeekHeader(zeekColumn)
	for {
		line, err := in.Next(false)
		if err != nil {
			return decode.Ended(err)
		}
		reason := ""
		switch {
		case len(line) == 0:
			d.acct.Skip(decode.SkipBlank)
		case line[0] == '#':
			h.Keep(line)
			if h.Line(line) && !d.log.has(h) && h.Is(d.log.path) {
				h.Columns = h.Columns[:0]
				reason = reasonZeekFields
			} else {
				d.acct.Skip(skipHeader)
			}
		case !h.Is(d.log.path):
			d.acct.Skip(skipPath)
		case len(h.Columns) == 0:
			reason = reasonZeekHeader
		default:
			h.Row(line, d.cells[:])
			for f, cell := range d.cells {
				if cell != nil && bytes.Equal(cell, h.Empty) {
					d.cells[f] = nil
				}
			}
			if reason, err = d.row(); err != nil {
				return err
			}
			if reason != "" {
				at := in.Pos()
				at.Record = h.With(at.Record)
				d.acct.Reject(reason, at)
				reason = ""
			}
		}
		if reason != "" {
			d.acct.Reject(reason, in.Pos())
		}
	}
}

// has reports whether a header has the log's columns.
func (l *zeekLog) has(h *decode.ZeekHeader) bool {
	for _, f := range l.need {
		if !h.Has(f) {
			return false
		}
	}
	return true
}

// row takes d.cells.
func (d *zeekReader) row() (reason string, err error) {
	if p := d.cells[zeekPath]; p != nil && string(p) != d.log.path {
		d.acct.Skip(skipPath)
		return "", nil
	}
	return d.log.take(d)
}

// stamp reads the time; masked ones, as in Zeek's own tests, are none.
func (d *zeekReader) stamp() (ns int64, ok bool) {
	b := d.cells[zeekTS]
	if ns, ok = decode.EpochTime(b); ok {
		return ns, true
	}
	ns, n := d.clock.IsoTime(b)
	return ns, n > 0 && n == len(b)
}

// conn makes a signal of a connection. Those that did not come about are refused.
func (d *zeekReader) conn() (reason string, err error) {
	v := &d.cells
	ns, ok := d.stamp()
	if !ok {
		return decode.ReasonTime, nil
	}
	s := &picket.Signal{Tool: "zeek", Kind: picket.SignalConnection, Protocol: d.protocol(v[zeekProto])}
	if reason := ends(s, v[zeekOrigH], v[zeekRespH]); reason != "" {
		return reason, nil
	}
	if ported(s.Protocol) { // for ICMP they are type and code
		s.SourcePort, s.TargetPort = port(v[zeekOrigP]), port(v[zeekRespP])
	}
	s.Bytes = count(v[zeekOrigBytes]) + count(v[zeekRespBytes])
	s.Packets = count(v[zeekOrigPkts]) + count(v[zeekRespPkts])
	switch string(v[zeekState]) {
	case "S0", "REJ", "RSTOS0", "RSTRH", "SH", "SHR":
		s.Kind = picket.SignalRefused
	}
	d.detail(s, "state", v[zeekState])
	d.detail(s, "service", v[zeekService])
	return "", d.emit(s, ns)
}

// notice makes a signal of a notice.
func (d *zeekReader) notice() (reason string, err error) {
	v := &d.cells
	ns, ok := d.stamp()
	if !ok {
		return decode.ReasonTime, nil
	}
	src, dst, p := v[zeekSrc], v[zeekDst], v[zeekP]
	if src == nil {
		src = v[zeekOrigH]
	}
	if dst == nil {
		dst = v[zeekRespH]
	}
	if p == nil {
		p = v[zeekRespP]
	}
	if src == nil {
		d.acct.Skip(skipNoSource)
		return "", nil
	}
	s := &picket.Signal{Tool: "zeek", Kind: picket.SignalNotice, Protocol: d.protocol(v[zeekProto]), Title: d.text.Text(v[zeekMsg]), Rule: d.text.Text(v[zeekNote])}
	if s.Source, ok = decode.ParseAddr(src); !ok {
		return decode.ReasonAddress, nil
	}
	if dst != nil {
		if s.Target, ok = decode.ParseAddr(dst); !ok {
			return decode.ReasonAddress, nil
		}
	}
	if ported(s.Protocol) {
		s.SourcePort, s.TargetPort = port(v[zeekOrigP]), port(p)
	}
	d.detail(s, "sub", v[zeekSub])
	d.detail(s, "count", v[zeekN])
	return "", d.emit(s, ns)
}

// DetectZeekConn knows conn.log by its columns or keys.
func DetectZeekConn(head []byte) int { return detectZeek(head, connLog()) }

// DetectZeekNotice knows notice.log by its columns or keys.
func DetectZeekNotice(head []byte) int { return detectZeek(head, noticeLog()) }

func detectZeek(head []byte, log zeekLog) int {
	h, score, n := decode.NewZeekHeader(zeekColumn), 0, 0
	decode.EachLine(head, func(line []byte) bool {
		n++
		if bytes.HasPrefix(line, []byte("#")) && h.Line(line) && log.has(h) {
			if h.Is(log.path) {
				score = 95
			}
			return false
		}
		return n < 200
	})
	if score > 0 {
		return score
	}
	return decode.DetectJSON(head, func(c *decode.Cursor) bool {
		var has [zeekColumns]bool
		for k, ok := c.Key(); ok; k, ok = c.Key() {
			f := zeekColumn(k)
			has[f] = true
			if f == zeekPath {
				if string(c.Scalar()) != log.path {
					return false
				}
				continue
			}
			c.Skip()
		}
		if c.Bad {
			return false
		}
		for _, f := range log.need {
			if !has[f] {
				return false
			}
		}
		return true
	}, 90)
}
