package query

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/picket-dns/picket/internal/input/decode"
)

// ngFile writes pcapng blocks in either byte order.
type ngFile struct {
	order interface {
		binary.ByteOrder
		binary.AppendByteOrder
	}
	b []byte
}

func (f *ngFile) block(kind uint32, body []byte) *ngFile {
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	f.b = f.order.AppendUint32(f.b, kind)
	f.b = f.order.AppendUint32(f.b, uint32(12+len(body)))
	f.b = append(f.b, body...)
	f.b = f.order.AppendUint32(f.b, uint32(12+len(body)))
	return f
}

func (f *ngFile) words(v ...uint32) (b []byte) {
	for _, x := range v {
		b = f.order.AppendUint32(b, x)
	}
	return b
}

func (f *ngFile) section() *ngFile {
	b := f.order.AppendUint16(f.words(magicSection), 1)
	return f.block(blockSection, append(f.order.AppendUint16(b, 0), bytes.Repeat([]byte{0xff}, 8)...))
}

func (f *ngFile) iface(link uint16, snap uint32, options ...byte) *ngFile {
	b := f.order.AppendUint16(f.order.AppendUint16(nil, link), 0)
	return f.block(blockInterface, append(f.order.AppendUint32(b, snap), options...))
}

func (f *ngFile) enhanced(id uint32, ticks uint64, packet []byte) *ngFile {
	n := uint32(len(packet))
	return f.block(blockEnhanced, append(f.words(id, uint32(ticks>>32), uint32(ticks), n, n), packet...))
}

func (f *ngFile) option16(code, n uint16) []byte {
	return f.order.AppendUint16(f.order.AppendUint16(nil, code), n)
}

func TestPcapNG(t *testing.T) {
	for _, f := range []*ngFile{{order: binary.LittleEndian}, {order: binary.BigEndian}} {
		const sec = uint64(1_700_000_000)
		f.section()
		f.iface(linkRaw, 0)                                                             // microseconds
		f.iface(linkEthernet, 0, append(f.option16(9, 1), 9, 0, 0, 0)...)               // nanoseconds
		f.iface(linkRaw, 64, append(f.option16(9, 1), 0x80|20, 0, 0, 0)...)             // 2^-20 s
		offset := f.order.AppendUint64(f.option16(14, 8), sec)                          // seconds to add
		f.iface(linkRaw, 0, append(append(f.option16(9, 1), 3, 0, 0, 0), offset...)...) // milliseconds
		f.block(5, make([]byte, 40))                                                    // statistics: passed over
		f.block(0x0bad, make([]byte, 3<<20))                                            // larger than the window
		f.enhanced(0, sec*1e6+1, testFlow.udp(ask(1, "micro.example")))
		f.enhanced(1, sec*1e9+2000, ether(testFlow.udp(ask(2, "nano.example"))))
		f.enhanced(2, sec<<20|3, testFlow.udp(ask(3, "binary.example")))
		f.enhanced(3, 4, testFlow.udp(ask(4, "offset.example")))
		f.enhanced(9, 4, testFlow.udp(ask(4, "nowhere.example")))
		p := testFlow.udp(ask(5, "old.example"))
		old := f.order.AppendUint16(f.order.AppendUint16(nil, 1), 0)
		frame := ether(p)
		old = append(old, f.words(uint32(sec*1e9>>32), uint32(sec*1e9&0xffffffff), uint32(len(frame)), uint32(len(frame)))...)
		f.block(blockPacket, append(old, frame...))
		simple := testFlow.udp(ask(6, "simple.example"))
		f.block(blockSimple, append(f.words(uint32(len(simple))), simple...))
		f.order = map[bool]*ngFile{true: {order: binary.BigEndian}, false: {order: binary.LittleEndian}}[f.order == binary.LittleEndian].order
		f.section().iface(linkRaw, 0).enhanced(0, sec*1e6+7, testFlow.udp(ask(7, "second.example")))
		l := decodePcap(t, f.b, decode.Options{})
		wantTexts(t, l, "micro.example", "nano.example", "binary.example", "offset.example", "old.example", "simple.example", "second.example")
		if l.rejected["bad packet block"] != 1 {
			t.Errorf("%v", l)
		}
		var times []int64
		for i := range l.queries {
			times = append(times, l.queries[i].Time-int64(sec)*1e9)
		}
		if want := []int64{1000, 2000, 2861, 4_000_000, 0, 0, 7000}; !equalInts(times, want) {
			t.Errorf("times %v, want %v", times, want)
		}
	}
}

func equalInts(a, b []int64) bool {
	for i := range b {
		if len(a) != len(b) || a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestPcapByteOrdersAndUnits(t *testing.T) {
	p := testFlow.udp(ask(1, "a.example"))
	for _, c := range []struct {
		magic uint32
		extra int
		nanos int64
	}{{magicMicro, 0, 5000}, {magicNano, 0, 5}, {magicModified, 8, 5000}} {
		for _, order := range []interface {
			binary.ByteOrder
			binary.AppendByteOrder
		}{binary.LittleEndian, binary.BigEndian} {
			var b []byte
			b = order.AppendUint32(b, c.magic)
			b = order.AppendUint16(order.AppendUint16(b, 2), 4)
			for _, v := range []uint32{0, 0, 65535, 101, 1_700_000_000, 5, uint32(len(p)), uint32(len(p))} {
				b = order.AppendUint32(b, v)
			}
			b = append(append(b, make([]byte, c.extra)...), p...)
			if got := DetectPcap(b); got != 100 {
				t.Errorf("%#x %v: detected %d", c.magic, order, got)
			}
			l := decodePcap(t, b, decode.Options{})
			wantTexts(t, l, "a.example")
			if got := l.queries[0].Time - 1_700_000_000e9; got != c.nanos {
				t.Errorf("%#x %v: %d ns, want %d", c.magic, order, got, c.nanos)
			}
		}
	}
}

func TestDetectPcap(t *testing.T) {
	ng := (&ngFile{order: binary.BigEndian}).section().b
	for _, c := range []struct {
		head []byte
		want int
	}{{ng, 100}, {ng[:8], 0}, {nil, 0}, {[]byte("28-Nov-2024 client @0x7f 192.0.2.1#53"), 0}, {append([]byte{0x0a, 0x0d, 0x0d, 0x0a}, make([]byte, 20)...), 0},
		{newCapture(1).b, 100}, {newCapture(1).b[:8], 0}} {
		if got := DetectPcap(c.head); got != c.want {
			t.Errorf("DetectPcap(% x) = %d, want %d", c.head[:min(len(c.head), 12)], got, c.want)
		}
	}
}

// TestPcapBroken holds that everything before the break is delivered and that the error names the place.
func TestPcapBroken(t *testing.T) {
	good := newCapture(101).add(at0, testFlow.udp(ask(1, "a.example"))).b
	huge := append(bytes.Clone(good), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 16, 0)
	ng := &ngFile{order: binary.LittleEndian}
	ng.section().iface(linkRaw, 0).enhanced(0, 1, testFlow.udp(ask(1, "a.example")))
	at := len(ng.b)
	ngBad := append(bytes.Clone(ng.b), 6, 0, 0, 0, 13, 0, 0, 0)
	trailer := ng.enhanced(0, 2, testFlow.udp(ask(2, "b.example"))).b
	trailer[len(trailer)-4]++
	for _, c := range []struct {
		name  string
		data  []byte
		want  string
		eof   bool
		names []string
	}{
		{"ends in packet", good[:len(good)-3], "packet record at offset 24: the stream ends within it", true, nil},
		{"ends in record header", append(bytes.Clone(good), 1, 2, 3), "packet record at offset ", true, []string{"a.example"}},
		{"too long", huge, "captured length 1048576 exceeds 262144", false, []string{"a.example"}},
		{"ends in header", good[:10], "header at offset 0", true, nil},
		{"no capture", []byte("hello, world"), "magic number 0x68656c6c", false, nil},
		{"block length", ngBad, "block length 13", false, []string{"a.example"}},
		{"trailer", trailer, "at its end", false, []string{"a.example"}},
		{"ends in block", trailer[:at+20], "the stream ends within it", true, []string{"a.example"}},
	} {
		l := newLedger()
		err := Pcap(context.Background(), bytes.NewReader(c.data), decode.Options{}, l, l)
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, io.ErrUnexpectedEOF) != c.eof {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
		wantTexts(t, l, c.names...)
	}
	if l := decodePcap(t, nil, decode.Options{}); len(l.queries) != 0 {
		t.Errorf("empty stream: %v", l)
	}
	failing := io.MultiReader(bytes.NewReader(good), errReader{})
	l := newLedger()
	if err := Pcap(context.Background(), failing, decode.Options{}, l, l); !errors.Is(err, errBroken) {
		t.Errorf("reader's error: %v", err)
	}
	wantTexts(t, l, "a.example")
}

var errBroken = errors.New("broken pipe")

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errBroken }
