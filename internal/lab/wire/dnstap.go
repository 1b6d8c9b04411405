package wire

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/lab"
)

// Numbers of dnstap.proto.
const (
	tapAuthQuery    = 1
	tapAuthResponse = 2
	tapFamilyIPv4   = 1
	tapFamilyIPv6   = 2
)

// tapProtocols are SocketProtocol of transports; unknown ones count as UDP.
var tapProtocols = [...]byte{picket.TransportUnknown: 1, picket.TransportUDP: 1, picket.TransportTCP: 2, picket.TransportTLS: 3,
	picket.TransportHTTPS: 4, picket.TransportQUIC: 7}

// Dnstap writes a stream as dnstap in Frame Streams, in a file's form without
// handshake: AUTH_QUERY and AUTH_RESPONSE messages as authoritative servers log them.
func Dnstap(w io.Writer, s lab.Stream, o Options) (Written, error) {
	const content = "protobuf:dnstap.Dnstap"
	t := &tap{writer: newWriter(w, o)}
	t.frame = writeFrame
	start := binary.BigEndian.AppendUint32(nil, 0) // an escape, a control frame's length, START, its content type
	start = binary.BigEndian.AppendUint32(start, uint32(12+len(content)))
	for _, x := range [...]uint32{2, 1, uint32(len(content))} {
		start = binary.BigEndian.AppendUint32(start, x)
	}
	_, err := t.out.Write(append(start, content...))
	if err == nil {
		err = t.run(s, t.each)
	}
	if err == nil {
		_, err = w.Write([]byte{0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 3}) // STOP; run has flushed
	}
	if err != nil {
		return t.n, fmt.Errorf("write dnstap: %w", err)
	}
	return t.n, nil
}

// tap writes dnstap messages.
type tap struct {
	*writer
	msg, inner []byte
}

func writeFrame(out *bufio.Writer, _ int64, data []byte) error {
	var length [4]byte
	binary.BigEndian.PutUint32(length[:], uint32(len(data)))
	if _, err := out.Write(length[:]); err != nil {
		return err
	}
	_, err := out.Write(data)
	return err
}

// each makes the messages of one query.
func (t *tap) each(q *picket.Query) bool {
	t.msgs.next(q)
	t.msg = t.msgs.query(t.msg[:0], q)
	t.message(q, tapAuthQuery, q.Time)
	if q.Flags&picket.FlagResponse == 0 {
		return true
	}
	at, left := q.Time+t.opt.Delay, int(q.Response.Answers)
	for first := true; first || left > 0; first = false {
		t.msg, left = t.msgs.response(t.msg[:0], q, t.zone(q), left)
		t.message(q, tapAuthResponse, at)
		if q.Type != lab.TypeAXFR && q.Type != lab.TypeIXFR {
			break // one message has to do
		}
		at += 100_000
	}
	return true
}

// message makes a dnstap record of t.msg.
func (t *tap) message(q *picket.Query, kind byte, at int64) {
	family, client, to := byte(tapFamilyIPv4), q.Client.Unmap(), server(q)
	if client.Is6() {
		family = tapFamilyIPv6
	}
	b := append(t.inner[:0], 1<<3, kind, 2<<3, family, 3<<3, tapProtocols[min(int(q.Transport), len(tapProtocols)-1)])
	b = appendBytes(b, 4, client.AsSlice())
	b = appendBytes(b, 5, to.AsSlice())
	b = binary.AppendUvarint(append(b, 6<<3), uint64(port(q, t.msgs.id)))
	b = append(b, 7<<3, 53)
	b = appendTime(b, 8, q.Time)
	if kind == tapAuthQuery {
		b = appendBytes(b, 10, t.msg)
	} else {
		b = appendTime(b, 12, at)
		b = appendBytes(b, 14, t.msg)
	}
	t.inner = b
	f := t.buffer()
	if t.opt.Identity != "" {
		f = appendBytes(f, 1, []byte(t.opt.Identity))
	}
	f = appendBytes(f, 14, b)
	t.add(at, append(f, 15<<3, 1)) // MESSAGE
}

// appendBytes appends a protobuf field of octets.
func appendBytes(dst []byte, field byte, data []byte) []byte {
	dst = binary.AppendUvarint(append(dst, field<<3|2), uint64(len(data)))
	return append(dst, data...)
}

// appendTime appends seconds, and nanoseconds as the field after them.
func appendTime(dst []byte, field byte, at int64) []byte {
	dst = binary.AppendUvarint(append(dst, field<<3), uint64(at/lab.Second))
	return binary.LittleEndian.AppendUint32(append(dst, (field+1)<<3|5), uint32(at%lab.Second))
}
