package query

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Frame Streams, as the fstrm library defines them: every frame has its length
// in front (32 bits, big-endian); length 0 escapes a control frame.
const (
	// maxFrame bounds a data frame: two DNS messages of 64 KiB and the rest of a
	// dnstap record, with room to spare.
	maxFrame = 256 << 10
	// maxControl is the protocol's bound on control frames.
	maxControl = 512

	controlAccept = 1
	controlStart  = 2
	controlStop   = 3
	controlReady  = 4
	controlFinish = 5

	fieldContentType = 1
)

const reasonFrame = "frame too large"

var dnstapContentType = []byte("protobuf:dnstap.Dnstap")

var (
	errBareDnstap = errors.New("dnstap: a bare protobuf message without Frame Streams around it; format dnstap-message reads it")
	errNotFrames  = errors.New("dnstap: no Frame Streams start frame at the beginning")
)

// frames reads Frame Streams from the buffer of lines.
type frames struct {
	feed
	peer   io.Writer // who is answered in a handshake, nil when nobody can be
	duplex bool      // the handshake has begun
	begun  bool      // a start frame has been seen and no stop frame since
}

// nextFrame returns the next data frame and its offset; io.EOF ends the stream.
func (f *frames) nextFrame(held bool) (data []byte, at int64, err error) {
	if f.Ticks++; f.Ticks&63 == 0 {
		if err := f.Ctx.Err(); err != nil {
			return nil, 0, err
		}
	}
	for {
		if err := f.need(4, held); err != nil {
			return nil, 0, f.cut(err)
		}
		n := int64(binary.BigEndian.Uint32(f.Buf[f.At:]))
		if n == 0 {
			if err := f.control(); err != nil {
				return nil, 0, err
			}
			continue
		}
		if !f.begun {
			if f.base == 0 && f.bare() {
				return nil, 0, errBareDnstap
			}
			return nil, 0, errNotFrames
		}
		at = f.base
		if n > maxFrame {
			f.take(4)
			f.Acct.Reject(reasonFrame, pos(at))
			if err := f.discard(n); err != nil {
				return nil, 0, f.cut(err)
			}
			continue
		}
		// The length stays unread until its frame is there, so that an idle
		// moment between the two loses nothing.
		if err := f.need(4+int(n), held); err != nil {
			return nil, 0, f.cut(err)
		}
		f.take(4)
		return f.take(int(n)), at, nil
	}
}

// cut says where a stream that ends within a frame does so.
func (f *frames) cut(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("dnstap: stream ends within the frame at offset %d: %w", f.base, err)
	}
	return err
}

// control takes a control frame.
func (f *frames) control() error {
	if err := f.need(12, false); err != nil {
		return f.cut(err)
	}
	at := f.base
	n := binary.BigEndian.Uint32(f.Buf[f.At+4:])
	if n < 4 || n > maxControl {
		return fmt.Errorf("dnstap: control frame of %d bytes at offset %d", n, at)
	}
	if err := f.need(8+int(n), false); err != nil {
		return f.cut(err)
	}
	b := f.take(8 + int(n))[8:]
	kind, fields := binary.BigEndian.Uint32(b), b[4:]
	switch kind {
	case controlReady:
		if f.peer == nil {
			return errors.New("dnstap: the sender wants a handshake that this input cannot answer; use a socket listener")
		}
		if err := wantContentType(fields, false); err != nil {
			return err
		}
		f.duplex = true
		return f.send(controlAccept)
	case controlStart:
		if err := wantContentType(fields, !f.duplex); err != nil {
			return err
		}
		f.begun = true
		return nil
	case controlStop:
		f.begun = false
		if f.duplex {
			if err := f.send(controlFinish); err != nil {
				return err
			}
			return io.EOF
		}
		return nil
	}
	return fmt.Errorf("dnstap: unexpected control frame %d at offset %d", kind, at)
}

// wantContentType looks for dnstap among the content types of a control frame.
// A start frame of a file says exactly one; without any the stream is refused too.
func wantContentType(fields []byte, required bool) error {
	var other []byte
	for b := fields; len(b) >= 8; {
		typ, n := binary.BigEndian.Uint32(b), int(binary.BigEndian.Uint32(b[4:]))
		if n < 0 || n > len(b)-8 {
			break
		}
		if v := b[8 : 8+n]; typ == fieldContentType {
			if bytes.Equal(v, dnstapContentType) {
				return nil
			}
			other = v
		}
		b = b[8+n:]
	}
	if other == nil && !required {
		return nil
	}
	return fmt.Errorf("dnstap: Frame Streams content type is %q, not %q", other, dnstapContentType)
}

// send answers in the handshake.
func (f *frames) send(kind uint32) error {
	b := binary.BigEndian.AppendUint32(make([]byte, 4, 64), 0)
	b = binary.BigEndian.AppendUint32(b, kind)
	if kind == controlAccept {
		b = binary.BigEndian.AppendUint32(b, fieldContentType)
		b = binary.BigEndian.AppendUint32(b, uint32(len(dnstapContentType)))
		b = append(b, dnstapContentType...)
	}
	binary.BigEndian.PutUint32(b[4:], uint32(len(b)-8))
	if _, err := f.peer.Write(b); err != nil {
		return fmt.Errorf("dnstap: answer handshake: %w", err)
	}
	return nil
}

// framedDnstap returns a data frame as a stream of its own: start frame, the
// frame, stop frame. It is nil when the frame is too large. buf is used again.
func framedDnstap(buf, frame []byte) []byte {
	contentType := dnstapContentType
	if len(frame) > maxRecord-128 {
		return nil
	}
	be := binary.BigEndian
	b := buf[:0]
	for _, v := range [...]uint32{0, uint32(12 + len(contentType)), controlStart, fieldContentType, uint32(len(contentType))} {
		b = be.AppendUint32(b, v)
	}
	b = be.AppendUint32(append(b, contentType...), uint32(len(frame)))
	b = append(b, frame...)
	for _, v := range [...]uint32{0, 4, controlStop} {
		b = be.AppendUint32(b, v)
	}
	return b
}

// bare reports whether what has been read looks like one protobuf message.
func (f *frames) bare() bool {
	_ = f.need(maxFrame, false) // as much as there is
	return bareDnstap(f.Buf[f.At:f.End])
}

// bareDnstap reports whether b is a dnstap protobuf message from its first to
// its last byte.
func bareDnstap(b []byte) bool {
	var t tapRecord
	return len(b) < maxFrame && t.parse(b) == "" && t.typ != 0
}

// DetectDnstap knows Frame Streams of any content type by their first frame, so
// that the wrong content type is told as such.
func DetectDnstap(head []byte) int {
	if len(head) >= 12 && binary.BigEndian.Uint32(head) == 0 {
		n, kind := binary.BigEndian.Uint32(head[4:]), binary.BigEndian.Uint32(head[8:])
		if n >= 4 && n <= maxControl && (kind == controlStart || kind == controlReady) {
			return 100
		}
	}
	return 0
}

// tapStart reports whether a dnstap message can begin with this byte: the tag of
// one of the five fields of message Dnstap.
func tapStart(b byte) bool {
	switch b {
	case 1<<3 | 2, 2<<3 | 2, 3<<3 | 2, 14<<3 | 2, 15 << 3:
		return true
	}
	return false
}

// DetectDnstapMessage knows one dnstap message, or the first of several with
// their lengths in front.
func DetectDnstapMessage(head []byte) int { return detectPrefixed(head, bareDnstap) }
