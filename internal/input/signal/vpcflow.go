package signal

import (
	"bytes"
	"context"
	"io"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// Reasons and skips of AWS VPC flow logs.
const (
	reasonFlowFields = "record without the header's fields"
	reasonFlowOrder  = "record of an order that no header line tells"
	reasonFlowHeader = "header line without addresses or times"
	skipNoData       = "interval without data"
	skipNoEnds       = "record without addresses"
)

// Fields of a flow record that are read.
const (
	flowNone uint8 = iota
	flowVersion
	flowInterface
	flowSrc
	flowDst
	flowPktSrc
	flowPktDst
	flowSrcPort
	flowDstPort
	flowProtocol
	flowPackets
	flowBytes
	flowStart
	flowEnd
	flowAction
	flowStatus
	flowDirection
	flowFields // how many there are
)

// maxFlowColumns bounds a header; AWS has some forty fields.
const maxFlowColumns = 128

// flowField names a field, also with underscores as other exports have it.
func flowField(b []byte) uint8 {
	b = bytes.TrimSuffix(bytes.TrimPrefix(b, []byte("${")), []byte("}"))
	switch string(bytes.ReplaceAll(b, []byte{'_'}, []byte{'-'})) {
	case "version":
		return flowVersion
	case "interface-id":
		return flowInterface
	case "srcaddr":
		return flowSrc
	case "dstaddr":
		return flowDst
	case "pkt-srcaddr":
		return flowPktSrc
	case "pkt-dstaddr":
		return flowPktDst
	case "srcport":
		return flowSrcPort
	case "dstport":
		return flowDstPort
	case "protocol":
		return flowProtocol
	case "packets":
		return flowPackets
	case "bytes":
		return flowBytes
	case "start":
		return flowStart
	case "end":
		return flowEnd
	case "action":
		return flowAction
	case "log-status":
		return flowStatus
	case "flow-direction":
		return flowDirection
	}
	return flowNone
}

// defaultFlow is the order of version 2, which a log without header line has.
func defaultFlow() []uint8 {
	return []uint8{flowVersion, flowNone, flowInterface, flowSrc, flowDst, flowSrcPort, flowDstPort, flowProtocol,
		flowPackets, flowBytes, flowStart, flowEnd, flowAction, flowStatus}
}

// flowReader is the state of one VPCFlow call.
type flowReader struct {
	*output
	header  []byte // nil before a header line
	columns []uint8
	cells   [flowFields][]byte
}

// VPCFlow decodes flow logs of AWS VPCs and transit gateways: in the order that a
// header line tells, as files in S3 have it, or in the default one.
func VPCFlow(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.SignalSink) error {
	d := &flowReader{output: newOutput(opt, acct, sink), columns: defaultFlow()}
	in := decode.NewLines(ctx, r, acct)
	for {
		line, err := in.Next(false)
		if err != nil {
			return decode.Ended(err)
		}
		reason := ""
		switch {
		case len(line) == 0:
			acct.Skip(decode.SkipBlank)
		case isFlowHeader(line):
			if d.head(line) {
				acct.Skip(skipHeader)
			} else {
				reason = reasonFlowHeader
			}
		default:
			if reason, err = d.record(line); err != nil {
				return err
			}
		}
		if reason != "" {
			at := in.Pos()
			if d.header != nil && reason != reasonFlowHeader {
				at.Record = append(bytes.Clone(d.header), at.Record...)
			}
			acct.Reject(reason, at)
		}
	}
}

func isFlowHeader(line []byte) bool {
	return bytes.Contains(line, []byte("srcaddr")) && bytes.Contains(line, []byte("dstaddr"))
}

// head takes a header line.
func (d *flowReader) head(line []byte) bool {
	var columns []uint8
	var has [flowFields]bool
	for f := range bytes.FieldsSeq(line) {
		if len(columns) == maxFlowColumns {
			return false
		}
		n := flowField(f)
		has[n] = true
		columns = append(columns, n)
	}
	if !(has[flowSrc] || has[flowPktSrc]) || !(has[flowDst] || has[flowPktDst]) || !(has[flowStart] || has[flowEnd]) {
		return false
	}
	d.columns, d.header = columns, append(bytes.Clone(line), '\n')
	return true
}

func (d *flowReader) record(line []byte) (reason string, err error) {
	clear(d.cells[:])
	n := 0
	for len(line) > 0 && n <= len(d.columns) {
		var cell []byte
		i := bytes.IndexByte(line, ' ')
		if i < 0 {
			cell, line = line, nil
		} else {
			cell, line = line[:i], line[i+1:]
		}
		if len(cell) == 0 {
			continue
		}
		if n < len(d.columns) && string(cell) != "-" {
			d.cells[d.columns[n]] = cell
		}
		n++
	}
	switch {
	case n == len(d.columns):
	case d.header == nil:
		return reasonFlowOrder, nil
	default:
		return reasonFlowFields, nil
	}
	v := &d.cells
	switch string(v[flowStatus]) {
	case "NODATA", "SKIPDATA":
		d.acct.Skip(skipNoData)
		return "", nil
	}
	return d.take()
}

func (d *flowReader) take() (reason string, err error) {
	v := &d.cells
	// What the packet had counts; srcaddr may be that of a NAT gateway in between.
	src, dst := v[flowPktSrc], v[flowPktDst]
	if src == nil {
		src = v[flowSrc]
	}
	if dst == nil {
		dst = v[flowDst]
	}
	if src == nil && dst == nil {
		d.acct.Skip(skipNoEnds)
		return "", nil
	}
	s := &picket.Signal{Tool: "vpc-flow", Kind: picket.SignalConnection, Protocol: d.protocol(v[flowProtocol])}
	stamp := v[flowStart]
	if stamp == nil {
		stamp = v[flowEnd]
	}
	ns, ok := decode.EpochTime(stamp)
	if !ok {
		return decode.ReasonTime, nil
	}
	if reason := ends(s, src, dst); reason != "" {
		return reason, nil
	}
	if ported(s.Protocol) {
		s.SourcePort, s.TargetPort = port(v[flowSrcPort]), port(v[flowDstPort])
	}
	s.Bytes, s.Packets = count(v[flowBytes]), count(v[flowPackets])
	switch string(v[flowAction]) {
	case "ACCEPT":
		s.Action = allowed
	case "REJECT":
		s.Action, s.Kind = blocked, picket.SignalRefused
	}
	d.detail(s, "interface", v[flowInterface])
	d.detail(s, "direction", v[flowDirection])
	return "", d.emit(s, ns)
}

// DetectVPCFlow knows the header line, or records in the default order.
func DetectVPCFlow(head []byte) int {
	score, n, hits := 0, 0, 0
	decode.EachLine(head, func(line []byte) bool {
		n++
		if n == 1 && isFlowHeader(line) && !bytes.ContainsAny(line, ",;\"'=|") && (&flowReader{}).head(line) {
			score = 95
			return false
		}
		if f := bytes.Fields(line); len(f) == 14 && len(f[0]) == 1 && f[0][0] >= '2' && f[0][0] <= '9' &&
			(bytes.HasPrefix(f[2], []byte("eni-")) || string(f[13]) == "OK" || string(f[13]) == "NODATA" || string(f[13]) == "SKIPDATA") {
			hits++
		}
		return n < 50
	})
	if score == 0 && hits > 0 && hits*2 >= n {
		return 95
	}
	return score
}
