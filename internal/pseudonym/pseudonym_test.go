package pseudonym

import (
	"encoding/base64"
	"encoding/hex"
	"math/bits"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// sampleKey is that of the sample program of the authors' distribution,
// Crypto-PAn 1.0 (Jinliang Fan, Georgia Tech, 2002), and the pairs below are from the
// raw and the sanitised sample trace that come with it.
var sampleKey = []byte{21, 34, 23, 141, 51, 164, 207, 128, 19, 10, 91, 22, 73, 144, 125, 16,
	216, 152, 143, 131, 121, 121, 101, 39, 98, 87, 76, 45, 42, 132, 34, 2}

var sampleTrace = [][2]string{
	{"128.11.68.132", "135.242.180.132"},
	{"129.118.74.4", "134.136.186.123"},
	{"130.132.252.244", "133.68.164.234"},
	{"141.223.7.43", "141.167.8.160"},
	{"141.233.145.108", "141.129.237.235"},
	{"152.163.225.39", "151.140.114.167"},
	{"156.29.3.236", "147.225.12.42"},
	{"165.247.96.84", "162.9.99.234"},
	{"166.107.77.190", "160.132.178.185"},
	{"192.102.249.13", "252.138.62.131"},
	{"192.215.32.125", "252.43.47.189"},
	{"192.233.80.103", "252.25.108.8"},
	{"192.41.57.43", "252.222.221.184"},
	{"193.150.244.223", "253.169.52.216"},
	{"195.205.63.100", "255.186.223.5"},
	{"198.200.171.101", "249.199.68.213"},
	{"198.26.132.101", "249.36.123.202"},
	{"198.36.213.5", "249.7.21.132"},
	{"198.51.77.238", "249.18.186.254"},
	{"199.217.79.101", "248.38.184.213"},
	{"202.49.198.20", "245.206.7.234"},
	{"203.12.160.252", "244.248.163.4"},
	{"204.184.162.189", "243.192.77.90"},
	{"204.202.136.230", "243.178.4.198"},
	{"204.29.20.4", "243.33.20.123"},
	{"205.178.38.67", "242.108.198.51"},
	{"205.188.147.153", "242.96.16.101"},
	{"205.188.248.25", "242.96.88.27"},
	{"205.245.121.43", "242.21.121.163"},
	{"207.105.49.5", "241.118.205.138"},
	{"207.135.65.238", "241.202.129.222"},
	{"207.155.9.214", "241.220.250.22"},
	{"207.188.7.45", "241.255.249.220"},
	{"207.25.71.27", "241.33.119.156"},
	{"207.33.151.131", "241.1.233.131"},
}

func mapper(t testing.TB) *Mapper {
	t.Helper()
	m, err := New(sampleKey)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestSampleTrace(t *testing.T) {
	m := mapper(t)
	for _, pair := range sampleTrace {
		a, want := netip.MustParseAddr(pair[0]), netip.MustParseAddr(pair[1])
		for range 2 { // the second is from the cache
			if got := m.Pseudonym(a); got != want {
				t.Errorf("%s: %s, want %s", a, got, want)
			}
		}
		if got := m.Reveal(want); got != a {
			t.Errorf("reveal %s: %s, want %s", want, got, a)
		}
	}
}

// TestIPv6 holds the pairs that other implementations with 128-bit addresses give
// with the sample key (yacryptopan's tests).
func TestIPv6(t *testing.T) {
	m := mapper(t)
	for _, pair := range [][2]string{
		{"::1", "78ff:f001:9fc0:20df:8380:b1f1:704:ed"},
		{"::2", "78ff:f001:9fc0:20df:8380:b1f1:704:ef"},
		{"::ffff", "78ff:f001:9fc0:20df:8380:b1f1:704:f838"},
		{"2001:db8::1", "4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1e"},
		{"2001:db8::2", "4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1c"},
	} {
		a, want := netip.MustParseAddr(pair[0]), netip.MustParseAddr(pair[1])
		if got := m.Pseudonym(a); got != want || m.Reveal(got) != a {
			t.Errorf("%s: %s, want %s; revealed %s", a, got, want, m.Reveal(got))
		}
	}
}

func TestOddAddresses(t *testing.T) {
	m := mapper(t)
	if got := m.Pseudonym(netip.Addr{}); got.IsValid() {
		t.Errorf("the zero address became %s", got)
	}
	if got := m.Prefix(netip.Prefix{}); got.IsValid() {
		t.Errorf("the zero prefix became %s", got)
	}
	if got := m.Pseudonym(netip.MustParseAddr("::ffff:128.11.68.132")).String(); got != "135.242.180.132" {
		t.Errorf("mapped: %s", got)
	}
	zoned := netip.MustParseAddr("fe80::1%eth0")
	if got := m.Pseudonym(zoned); got != m.Pseudonym(zoned.WithZone("")) {
		t.Errorf("zoned: %s", got)
	}
	if got := m.Prefix(netip.MustParsePrefix("128.11.0.0/16")).String(); got != "135.242.0.0/16" {
		t.Errorf("prefix: %s", got)
	}
	if got := m.RevealPrefix(netip.MustParsePrefix("135.242.0.0/16")).String(); got != "128.11.0.0/16" {
		t.Errorf("revealed prefix: %s", got)
	}
	if got := m.Prefix(netip.MustParsePrefix("0.0.0.0/0")).String(); got != "0.0.0.0/0" {
		t.Errorf("everything: %s", got)
	}
}

func drawAddr(t *rapid.T, label string) netip.Addr {
	if rapid.Bool().Draw(t, label+" is IPv6") {
		return netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, label)))
	}
	return netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, label)))
}

// shared is how many first bits two addresses of one family have in common.
func shared(a, b netip.Addr) int {
	x, y := a.AsSlice(), b.AsSlice()
	for i := range x {
		if d := x[i] ^ y[i]; d != 0 {
			return 8*i + bits.LeadingZeros8(d)
		}
	}
	return 8 * len(x)
}

// TestProperties: prefixes are kept exactly, which makes the mapping a bijection, and
// it can be undone.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, err := New(rapid.SliceOfN(rapid.Byte(), KeySize, KeySize).Draw(t, "key"))
		if err != nil {
			t.Fatal(err)
		}
		a := drawAddr(t, "address").Unmap()
		// Another with some bits in common.
		s := a.AsSlice()
		n := rapid.IntRange(0, 8*len(s)).Draw(t, "bits in common")
		for i := n; i < 8*len(s); i++ {
			if i == n || rapid.Bool().Draw(t, "flip") {
				s[i/8] ^= 0x80 >> (i % 8)
			}
		}
		b, _ := netip.AddrFromSlice(s)
		b = b.Unmap()
		if a.BitLen() != b.BitLen() {
			t.Skip("became IPv4 in IPv6 form")
		}
		pa, pb := m.Pseudonym(a), m.Pseudonym(b)
		if pa.BitLen() != a.BitLen() {
			t.Fatalf("%s became %s", a, pa)
		}
		if got, want := shared(pa, pb), shared(a, b); got != want {
			t.Fatalf("%s and %s share %d bits, %s and %s share %d", a, b, want, pa, pb, got)
		}
		if m.Reveal(pa) != a {
			t.Fatalf("%s became %s, revealed %s", a, pa, m.Reveal(pa))
		}
		length := rapid.IntRange(0, a.BitLen()).Draw(t, "length")
		p := netip.PrefixFrom(a, length).Masked()
		if mp := m.Prefix(p); !mp.Contains(pa) || m.RevealPrefix(mp) != p {
			t.Fatalf("%s became %s without %s, or is not revealed: %s", p, mp, pa, m.RevealPrefix(mp))
		}
	})
}

func TestParseKey(t *testing.T) {
	std := base64.StdEncoding.EncodeToString(sampleKey)
	for _, text := range []string{hex.EncodeToString(sampleKey), strings.ToUpper(hex.EncodeToString(sampleKey)) + "\n", " " + std + "\r\n",
		base64.RawURLEncoding.EncodeToString(sampleKey)} {
		if key, err := ParseKey(text); err != nil || string(key) != string(sampleKey) {
			t.Errorf("%q: %x, %v", text, key, err)
		}
	}
	for _, text := range []string{"", "secret", std[:40], hex.EncodeToString(sampleKey[:16]), hex.EncodeToString(sampleKey) + "00"} {
		_, err := ParseKey(text)
		if err == nil || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v", text, err)
		}
	}
	a, b := NewKey(), NewKey()
	if _, err := ParseKey(a); err != nil || a == b {
		t.Errorf("new keys %q, %q: %v", a, b, err)
	}
	if _, err := New(sampleKey[:16]); err == nil {
		t.Error("half a key was taken")
	}
}

func TestNoAllocation(t *testing.T) {
	m := mapper(t)
	n := uint32(0)
	allocs := testing.AllocsPerRun(1000, func() {
		n++
		m.Pseudonym(netip.AddrFrom4([4]byte{byte(n), byte(n >> 8), 1, 2}))
		m.Pseudonym(netip.AddrFrom16([16]byte{0x20, 1, byte(n), byte(n >> 8), 1, 2}))
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func BenchmarkPseudonym(b *testing.B) {
	for _, c := range []struct {
		name string
		addr func(i int) netip.Addr
	}{
		{"cached", func(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}) }},
		{"ipv4", func(i int) netip.Addr {
			return netip.AddrFrom4([4]byte{byte(i), byte(i >> 8), byte(i >> 16), byte(i >> 24)})
		}},
		{"ipv6", func(i int) netip.Addr {
			return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(i), byte(i >> 8), byte(i >> 16), byte(i >> 24)})
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			m := mapper(b)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				m.Pseudonym(c.addr(i))
				i++
			}
		})
	}
}
