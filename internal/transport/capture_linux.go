package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/user"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Link types of a pcap file.
const (
	linkEthernet = 1
	linkCooked   = 113 // LINKTYPE_LINUX_SLL
)

const (
	// capturePoll is how often the context is looked at while nothing comes, and
	// captureStats how often the kernel is asked what it dropped.
	capturePoll  = 100 * time.Millisecond
	captureStats = time.Second
)

// Capture is what comes and goes on an interface, as a pcap file that does not
// end. It needs CAP_NET_RAW when it is opened, and not afterwards.
type Capture struct {
	cfg      CaptureConfig
	ctx      context.Context
	deadline *deadline
	fd       int
	link     uint32

	mu      sync.Mutex // held while reading
	ring    []byte
	block   int    // the one that is next or being read
	left    uint32 // packets left in it
	packet  int    // where the next one begins, in the ring
	pending []byte // still to be handed out
	scratch []byte
	asked   time.Time
	closed  bool
}

// NewCapture begins to capture. The filter is in place before the first packet is.
func NewCapture(ctx context.Context, cfg CaptureConfig) (*Capture, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	c := &Capture{cfg: cfg, ctx: ctx, deadline: newDeadline(), fd: -1, asked: time.Now()}
	if err := c.open(); err != nil {
		c.release()
		if errors.Is(err, os.ErrPermission) {
			err = fmt.Errorf("%w; give the process CAP_NET_RAW (with systemd: AmbientCapabilities=CAP_NET_RAW)", err)
		}
		return nil, fmt.Errorf("capture %s: %w", cfg.Interface, err)
	}
	c.pending = make([]byte, 24)
	for i, v := range []uint32{0xa1b23c4d, 2 | 4<<16, 0, 0, captureSnap, c.link} {
		binary.LittleEndian.PutUint32(c.pending[4*i:], v)
	}
	return c, nil
}

// open opens a socket that takes nothing, prepares it, and lets it take then.
func (c *Capture) open() error {
	index, err := c.socket()
	if err != nil {
		return err
	}
	var loopback uint32
	if interfaces, err := net.Interfaces(); err == nil {
		for _, i := range interfaces {
			if i.Flags&net.FlagLoopback != 0 {
				loopback = uint32(i.Index)
			}
		}
	}
	code, err := captureFilter(c.cfg.Ports, loopback)
	if err != nil {
		return fmt.Errorf("filter: %w", err)
	}
	filter := make([]unix.SockFilter, len(code))
	for i, r := range code {
		filter[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	if err := unix.SetsockoptSockFprog(c.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}); err != nil {
		return os.NewSyscallError("attach filter", err)
	}
	if err := unix.SetsockoptInt(c.fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return os.NewSyscallError("packet version", err)
	}
	req := unix.TpacketReq3{
		Block_size: captureBlock, Block_nr: uint32(c.cfg.Buffer / captureBlock), Frame_size: 2048,
		Frame_nr: uint32(c.cfg.Buffer / 2048), Retire_blk_tov: 50, // ms
	}
	if err := unix.SetsockoptTpacketReq3(c.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req); err != nil {
		return os.NewSyscallError("buffer", err)
	}
	if c.ring, err = unix.Mmap(c.fd, 0, c.cfg.Buffer, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return os.NewSyscallError("mmap", err)
	}
	if c.cfg.Promiscuous {
		mreq := unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_PROMISC}
		if err := unix.SetsockoptPacketMreq(c.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &mreq); err != nil {
			return os.NewSyscallError("promiscuous", err)
		}
	}
	return os.NewSyscallError("bind", unix.Bind(c.fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: index}))
}

// socket opens the socket, with link headers where they are Ethernet's and with
// those of a cooked capture elsewhere.
func (c *Capture) socket() (index int, err error) {
	kind := unix.SOCK_DGRAM
	c.link = linkCooked
	if c.cfg.Interface != CaptureAny {
		i, err := net.InterfaceByName(c.cfg.Interface)
		if err != nil {
			return 0, err
		}
		index = i.Index
		if ethernet, err := isEthernet(index); err != nil {
			return 0, err
		} else if ethernet {
			kind, c.link = unix.SOCK_RAW, linkEthernet
		}
	}
	c.fd, err = unix.Socket(unix.AF_PACKET, kind|unix.SOCK_CLOEXEC, 0)
	return index, os.NewSyscallError("socket", err)
}

// isEthernet reports whether an interface's packets have Ethernet headers. Those of
// the loopback interface have.
func isEthernet(index int) (bool, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false, os.NewSyscallError("socket", err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: index}); err != nil {
		return false, os.NewSyscallError("bind", err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return false, os.NewSyscallError("getsockname", err)
	}
	a, ok := name.(*unix.SockaddrLinklayer)
	return ok && (a.Hatype == unix.ARPHRD_ETHER || a.Hatype == unix.ARPHRD_LOOPBACK), nil
}

// htons gives a number the network's order of bytes.
func htons(v uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	return binary.NativeEndian.Uint16(b[:])
}

// SetReadDeadline makes Read return os.ErrDeadlineExceeded from then on; zero
// takes that back.
func (c *Capture) SetReadDeadline(t time.Time) error {
	c.deadline.change(t)
	return nil
}

// Read implements io.Reader.
func (c *Capture) Read(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for n < len(b) {
		if len(c.pending) == 0 && !c.next() {
			if n > 0 {
				break
			}
			if err := c.wait(); err != nil {
				return 0, err
			}
			continue
		}
		k := copy(b[n:], c.pending)
		c.pending = c.pending[k:]
		n += k
	}
	return n, nil
}

// wait waits until a block is ready, a moment at most.
func (c *Capture) wait() error {
	if c.closed || c.ctx.Err() != nil {
		return io.EOF
	}
	if now := time.Now(); now.Sub(c.asked) >= captureStats {
		c.asked = now
		c.count()
	}
	pause := capturePoll
	if t, _ := c.deadline.get(); !t.IsZero() {
		left := time.Until(t)
		if left <= 0 {
			return os.ErrDeadlineExceeded
		}
		pause = min(pause, left)
	}
	fds := []unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLIN}}
	_, err := unix.Poll(fds, int(pause/time.Millisecond)+1)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("capture %s: %w", c.cfg.Interface, os.NewSyscallError("poll", err))
	}
	if fds[0].Revents&unix.POLLERR != 0 {
		return c.trouble()
	}
	return nil
}

// trouble waits for an interface that is down, and ends when it is gone.
func (c *Capture) trouble() error {
	_, _ = unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR) // takes the error off the socket
	if c.cfg.Interface != CaptureAny {
		if _, err := net.InterfaceByName(c.cfg.Interface); err != nil {
			return fmt.Errorf("capture %s: the interface is gone: %w", c.cfg.Interface, err)
		}
	}
	pause(c.ctx, capturePoll)
	return nil
}

// count tells what the kernel dropped since it was asked last.
func (c *Capture) count() {
	s, err := unix.GetsockoptTpacketStatsV3(c.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err == nil && s.Drops > 0 && c.cfg.Dropped != nil {
		c.cfg.Dropped(DroppedKernel, int(s.Drops))
	}
}

// next makes the next packet pending; it reports false when there is none yet.
func (c *Capture) next() bool {
	if c.closed {
		return false
	}
	start := c.block * captureBlock
	// The block's header follows its version and the private area's offset.
	h := (*unix.TpacketHdrV1)(unsafe.Pointer(&c.ring[start+8]))
	for c.left == 0 {
		if c.packet != 0 { // all of it was read
			atomic.StoreUint32(&h.Block_status, unix.TP_STATUS_KERNEL)
			c.packet = 0
			c.block = (c.block + 1) % (c.cfg.Buffer / captureBlock)
			start = c.block * captureBlock
			h = (*unix.TpacketHdrV1)(unsafe.Pointer(&c.ring[start+8]))
		}
		if atomic.LoadUint32(&h.Block_status)&unix.TP_STATUS_USER == 0 {
			return false
		}
		c.left, c.packet = h.Num_pkts, start+int(h.Offset_to_first_pkt)
	}
	p := (*unix.Tpacket3Hdr)(unsafe.Pointer(&c.ring[c.packet]))
	data := c.ring[c.packet+int(p.Mac):][:p.Snaplen]
	cooked := uint32(0)
	if c.link == linkCooked {
		cooked = 16
	}
	out := c.scratch[:0]
	for _, v := range []uint32{p.Sec, p.Nsec, p.Snaplen + cooked, p.Len + cooked} {
		out = binary.LittleEndian.AppendUint32(out, v)
	}
	if cooked > 0 {
		out = appendCooked(out, c.ring[c.packet+unix.SizeofTpacket3Hdr:][:unix.SizeofSockaddrLinklayer])
	}
	c.scratch = append(out, data...)
	c.pending = c.scratch
	c.left--
	c.packet += int(p.Next_offset)
	return true
}

// appendCooked makes the header of a cooked packet of the kernel's socket address:
// family, protocol, interface, hardware type, packet type, address length, address.
func appendCooked(out, addr []byte) []byte {
	out = append(out, 0, addr[10])
	out = binary.BigEndian.AppendUint16(out, binary.NativeEndian.Uint16(addr[8:]))
	out = append(out, 0, addr[11])
	out = append(out, addr[12:20]...)
	return append(out, addr[2:4]...)
}

// Close ends capturing, after the Read that is under way.
func (c *Capture) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	c.count()
	c.release()
	return nil
}

func (c *Capture) release() {
	if c.ring != nil {
		_ = unix.Munmap(c.ring)
		c.ring = nil
	}
	if c.fd >= 0 {
		_ = unix.Close(c.fd)
		c.fd = -1
	}
}

// DropPrivileges makes a process that runs as root go on as another user, in all of
// its threads and for good. Call it when everything is open that needs root.
// Capabilities go with it. A process that is not root keeps what it was given.
func DropPrivileges(name string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return fmt.Errorf("drop privileges: %w", err)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("drop privileges: user %s: %w", name, err)
	}
	if uid == 0 {
		return fmt.Errorf("drop privileges: %s is root itself; name another user", name)
	}
	// The user comes last: it takes the right to change the rest.
	if err := syscall.Setgroups([]int{gid}); err != nil {
		return fmt.Errorf("drop privileges: set the groups of %s: %w", name, err)
	}
	if err := syscall.Setgid(gid); err != nil {
		return fmt.Errorf("drop privileges: set the group of %s: %w", name, err)
	}
	if err := syscall.Setuid(uid); err != nil {
		return fmt.Errorf("drop privileges: become %s: %w", name, err)
	}
	if syscall.Setuid(0) == nil {
		return errors.New("drop privileges: the process could become root again")
	}
	return nil
}
