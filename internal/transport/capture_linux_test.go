package transport

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// capturing starts a capture, or skips the test.
func capturing(t *testing.T, cfg CaptureConfig) *Capture {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c, err := NewCapture(ctx, cfg)
	if errors.Is(err, os.ErrPermission) {
		cancel()
		t.Skipf("capturing needs CAP_NET_RAW: %v", err)
	}
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if _, err := io.Copy(io.Discard, c); err != nil { // what is left, and the end
			t.Error(err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	return c
}

// header reads the pcap header and checks it.
func header(t *testing.T, c *Capture, link uint32) {
	t.Helper()
	b := make([]byte, 24)
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatal(err)
	}
	if binary.LittleEndian.Uint32(b) != 0xa1b23c4d || binary.LittleEndian.Uint32(b[20:]) != link {
		t.Errorf("header % x", b)
	}
}

func packet(t *testing.T, c *Capture) []byte {
	t.Helper()
	h := make([]byte, 16)
	if _, err := io.ReadFull(c, h); err != nil {
		t.Fatal(err)
	}
	at := time.Unix(int64(binary.LittleEndian.Uint32(h)), int64(binary.LittleEndian.Uint32(h[4:])))
	if age := time.Since(at); age < -time.Second || age > time.Minute {
		t.Errorf("packet of %v", at)
	}
	b := make([]byte, binary.LittleEndian.Uint32(h[8:]))
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatal(err)
	}
	return b
}

// port returns one that nobody else uses, and a socket at it.
func port(t *testing.T, addr string) (uint16, net.PacketConn) {
	t.Helper()
	c, err := net.ListenPacket("udp", addr)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return uint16(c.LocalAddr().(*net.UDPAddr).Port), c
}

func TestCapture(t *testing.T) {
	for _, c := range []struct {
		iface, addr string
		link        uint32
		typeAt      int
	}{{"lo", "127.0.0.1:0", linkEthernet, 12}, {"lo", "[::1]:0", linkEthernet, 12}, {CaptureAny, "127.0.0.1:0", linkCooked, 14}} {
		t.Run(c.iface+" "+c.addr, func(t *testing.T) {
			n, conn := port(t, c.addr)
			_, other := port(t, c.addr)
			cap := capturing(t, CaptureConfig{Interface: c.iface, Ports: []uint16{n}})
			header(t, cap, c.link)
			for _, text := range []string{"to the port", "once more"} {
				if _, err := other.WriteTo([]byte("from here to itself"), other.LocalAddr()); err != nil {
					t.Fatal(err)
				}
				if _, err := other.WriteTo([]byte(text), conn.LocalAddr()); err != nil {
					t.Fatal(err)
				}
				b := packet(t, cap)
				if !bytes.HasSuffix(b, []byte(text)) {
					t.Errorf("got %q, want %q", b, text)
				}
				if et := binary.BigEndian.Uint16(b[c.typeAt:]); et != 0x0800 && et != 0x86dd {
					t.Errorf("protocol %#x in % x", et, b)
				}
			}
			if _, err := conn.WriteTo([]byte("from the port"), other.LocalAddr()); err != nil {
				t.Fatal(err)
			}
			if b := packet(t, cap); !bytes.HasSuffix(b, []byte("from the port")) {
				t.Errorf("got %q", b)
			}
			_ = cap.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
			if k, err := cap.Read(make([]byte, 100)); k > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("one too many, or no deadline: %d %v", k, err)
			}
			_ = cap.SetReadDeadline(time.Time{})
		})
	}
}

// frames are put on the loopback interface as they are.
func TestCaptureFilter(t *testing.T) {
	const dns, web = 40053, 40080
	c := capturing(t, CaptureConfig{Interface: "lo", Ports: []uint16{dns}})
	header(t, c, linkEthernet)
	ports := func(from, to uint16) []byte {
		return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, from), to)
	}
	ip := func(protocol byte, fragment uint16, payload []byte) []byte {
		b := append([]byte{0x45, 0, 0, byte(28 + len(payload)), 0, 1, byte(fragment >> 8), byte(fragment), 64, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2}, payload...)
		return append(b, make([]byte, 8)...)
	}
	ip6 := func(next byte, payload ...byte) []byte {
		b := append([]byte{0x60, 0, 0, 0, 0, byte(len(payload) + 8), next, 64}, make([]byte, 32)...)
		return append(append(b, payload...), make([]byte, 8)...)
	}
	frame := func(types []uint16, data []byte) []byte {
		b := make([]byte, 12)
		for i, et := range types {
			if i > 0 {
				b = binary.BigEndian.AppendUint16(b, 7) // VLAN 7
			}
			b = binary.BigEndian.AppendUint16(b, et)
		}
		return append(b, data...)
	}
	v4, v6 := []uint16{0x0800}, []uint16{0x86dd}
	options := append([]byte{0x46}, ip(17, 0, nil)[1:20]...)
	options = append(append(append(options, 1, 1, 1, 1), ports(1, dns)...), make([]byte, 8)...)
	for _, f := range []struct {
		name  string
		taken bool
		frame []byte
	}{
		{"udp to", true, frame(v4, ip(17, 0, ports(1, dns)))},
		{"udp from", true, frame(v4, ip(17, 0, ports(dns, 1)))},
		{"tcp", true, frame(v4, ip(6, 0, ports(1, dns)))},
		{"with options", true, frame(v4, options)},
		{"other port", false, frame(v4, ip(17, 0, ports(1, web)))},
		{"icmp", false, frame(v4, ip(1, 0, ports(1, dns)))},
		{"first fragment", true, frame(v4, ip(17, 0x2000, ports(1, dns)))},
		{"first fragment, other port", false, frame(v4, ip(17, 0x2000, ports(1, web)))},
		{"later fragment", true, frame(v4, ip(17, 0x0010, ports(1, web)))},
		{"later fragment of icmp", false, frame(v4, ip(1, 0x0010, ports(1, dns)))},
		{"ip6 udp", true, frame(v6, ip6(17, ports(1, dns)...))},
		{"ip6 tcp from", true, frame(v6, ip6(6, ports(dns, 1)...))},
		{"ip6 other port", false, frame(v6, ip6(17, ports(1, web)...))},
		{"ip6 fragment", true, frame(v6, ip6(44, 17, 0, 0, 8, 0, 0, 0, 1))},
		{"ip6 fragment of icmp", false, frame(v6, ip6(44, 58, 0, 0, 8, 0, 0, 0, 1))},
		{"ip6 icmp", false, frame(v6, ip6(58, ports(1, dns)...))},
		{"ip6 hop by hop", true, frame(v6, ip6(0, 17, 0, 0, 0, 0, 0, 0, 0))},
		{"vlan", true, frame([]uint16{0x8100, 0x0800}, ip(17, 0, ports(1, dns)))},
		{"vlan, other port", false, frame([]uint16{0x8100, 0x0800}, ip(17, 0, ports(1, web)))},
		{"vlan ip6", true, frame([]uint16{0x8100, 0x86dd}, ip6(17, ports(1, dns)...))},
		{"two vlans", true, frame([]uint16{0x88a8, 0x8100, 0x0800}, ip(17, 0, ports(1, dns)))},
		{"two vlans ip6", true, frame([]uint16{0x8100, 0x8100, 0x86dd}, ip6(17, ports(1, dns)...))},
		{"two vlans, other port", false, frame([]uint16{0x88a8, 0x8100, 0x0800}, ip(17, 0, ports(1, web)))},
		{"arp", false, frame([]uint16{0x0806}, ip(17, 0, ports(1, dns)))},
	} {
		inject(t, append(f.frame, f.name...))
		inject(t, append(frame(v4, ip(17, 0, ports(dns, dns))), "mark"...))
		got := packet(t, c)
		taken := bytes.HasSuffix(got, []byte(f.name))
		if taken != f.taken {
			t.Errorf("%s: taken %v", f.name, taken)
		}
		if taken {
			got = packet(t, c)
		}
		if !bytes.HasSuffix(got, []byte("mark")) {
			t.Fatalf("after %s: % x", f.name, got)
		}
	}
}

// inject puts a frame on the loopback interface.
func inject(t *testing.T, frame []byte) {
	t.Helper()
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: lo.Index, Protocol: htons(binary.BigEndian.Uint16(frame[12:]))}); err != nil {
		t.Fatal(err)
	}
}

// What the kernel cannot hold is counted.
func TestCaptureCountsDrops(t *testing.T) {
	n, conn := port(t, "127.0.0.1:0")
	var lost drops
	c := capturing(t, CaptureConfig{Interface: "lo", Ports: []uint16{n}, Buffer: 1, Dropped: lost.add})
	const sent = 400
	for i := range sent {
		if _, err := conn.WriteTo(make([]byte, 8000), conn.LocalAddr()); err != nil {
			t.Fatal(i, err)
		}
	}
	header(t, c, linkEthernet)
	got := 0
	_ = c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	for b := make([]byte, 16+14+20+8+8000); ; got++ {
		if _, err := io.ReadFull(c, b); err != nil {
			break
		}
	}
	_ = c.SetReadDeadline(time.Time{})
	_ = c.Close()
	if drop := lost.get(DroppedKernel); got == 0 || drop == 0 || got+drop != sent {
		t.Errorf("%d read and %d dropped of %d", got, drop, sent)
	}
}

func TestCaptureRefuses(t *testing.T) {
	for want, cfg := range map[string]CaptureConfig{
		"no interface": {}, "17 ports, at most 16": {Interface: "lo", Ports: make([]uint16, 17)}, "port 0": {Interface: "lo", Ports: []uint16{0}},
		"needs one interface": {Interface: CaptureAny, Promiscuous: true}, "capture nosuch0": {Interface: "nosuch0"},
	} {
		if _, err := NewCapture(context.Background(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// A process of its own gives up what root may, and says what it may still.
func TestDropPrivileges(t *testing.T) {
	if os.Getenv("PICKET_TEST_DROP") != "" {
		err := DropPrivileges("nobody")
		_, capture := NewCapture(context.Background(), CaptureConfig{Interface: "lo"})
		_, read := os.ReadFile("/etc/shadow")
		fmt.Println("dropped:", err, errors.Is(capture, os.ErrPermission), errors.Is(read, os.ErrPermission), os.Getuid() != 0)
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestDropPrivileges$", "-test.v")
	cmd.Env = append(os.Environ(), "PICKET_TEST_DROP=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "dropped: <nil> true true true") {
		t.Errorf("%v\n%s", err, out)
	}
	if err := DropPrivileges("root"); err == nil || !strings.Contains(err.Error(), "name another user") {
		t.Errorf("root: %v", err)
	}
}
