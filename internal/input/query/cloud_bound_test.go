package query

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
	"github.com/picket-dns/picket/internal/pickettest"
)

// TestCloudMemoryBounded: endless lines, strings, arrays and cells do not make a
// decoder grow.
func TestCloudMemoryBounded(t *testing.T) {
	all := map[string]Decode{"msdns-debug": MSDNSDebug}
	for _, f := range cloudCases {
		all[f.name] = f.decode
	}
	for name, d := range all {
		for _, lead := range []string{"", "{\"message\":\"", "{\"records\":[{\"message\":\"", "{\"records\":[{}],\"x\":\"", "QueryName,Timestamp\n\"", "\xff\xfe",
			"1.0 2024-09-20T10:20:26.751Z Z0 ", "6/20/2017 5:36:59 AM 0E24 PACKET  0000009AC98841A0 UDP Rcv 192.0.2.10      2de6   Q [0001   D   NOERROR] A      (3)"} {
			pickettest.Bounded(t, name, lead, func(r io.Reader) {
				_ = d(context.Background(), r, decode.Options{}, newTally(), picket.QuerySinkFunc(func(*picket.Query) error { return nil }))
			})
		}
	}
}

// TestCloudStops: a decoder ends with its context and hands on its sink's error.
func TestCloudStops(t *testing.T) {
	done, cancel := context.WithCancel(context.Background())
	cancel()
	texts := map[string]string{"msdns-debug": msPacketLine("22.6.2017 5:36:59") + "\n"}
	decoders := map[string]Decode{"msdns-debug": MSDNSDebug}
	for _, f := range cloudCases {
		texts[f.name], decoders[f.name] = f.line+"\n", f.decode
	}
	for name, d := range decoders {
		sink := picket.QuerySinkFunc(func(*picket.Query) error { return errEndless })
		if err := d(context.Background(), strings.NewReader(texts[name]), decode.Options{}, newTally(), sink); err != errEndless { //nolint:errorlint // as it is
			t.Errorf("%s: the sink's error became %v", name, err)
		}
		n := 0
		sink = func(*picket.Query) error { n++; return nil }
		if err := d(done, strings.NewReader(strings.Repeat(texts[name], 1000)), decode.Options{}, newTally(), sink); err == nil || n > 100 {
			t.Errorf("%s: %d queries after the end, %v", name, n, err)
		}
	}
}

// TestMSDNSFlood: queries without answers are held in bounded number.
func TestMSDNSFlood(t *testing.T) {
	var b strings.Builder
	const n = 1<<16 + 1<<12 // more than are held
	for i := range n {
		b.WriteString(strings.Replace(msPacketLine("22.6.2017 05:36:59"), "2de6", string([]byte{hexDigit(i >> 12), hexDigit(i >> 8), hexDigit(i >> 4), hexDigit(i)}), 1))
		b.WriteByte('\n')
	}
	got, acct := decodeText(t, MSDNSDebug, b.String(), decode.Options{})
	if len(got) != n || acct.total() != n {
		t.Errorf("%d of %d, %+v", len(got), n, acct)
	}
}

func hexDigit(i int) byte { return "0123456789abcdef"[i&15] }
