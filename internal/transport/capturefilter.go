package transport

import "golang.org/x/net/bpf"

// Offsets that the kernel understands in a socket filter: of the network header,
// whatever the link, and of the packet's own data.
const (
	netOff      = 0xfff00000 // SKF_NET_OFF
	adInterface = 0xfffff008 // SKF_AD_OFF + SKF_AD_IFINDEX
	pktOutgoing = 4          // PACKET_OUTGOING
)

// program is a filter whose jumps go to names.
type program struct {
	code  []bpf.Instruction
	jumps []namedJump
	names map[string]int
}

type namedJump struct {
	at      int
	yes, no string // "" is the next instruction
}

func (p *program) name(name string) { p.names[name] = len(p.code) }

func (p *program) add(i bpf.Instruction) { p.code = append(p.code, i) }

func (p *program) load(off uint32, size int) { p.add(bpf.LoadAbsolute{Off: off, Size: size}) }

func (p *program) jump(cond bpf.JumpTest, val uint32, yes, no string) {
	p.jumps = append(p.jumps, namedJump{len(p.code), yes, no})
	p.add(bpf.JumpIf{Cond: cond, Val: val})
}

// oneOf goes to yes when what was loaded is one of the values.
func (p *program) oneOf(yes string, values ...uint32) {
	for _, v := range values {
		p.jump(bpf.JumpEqual, v, yes, "")
	}
}

func (p *program) drop() { p.add(bpf.RetConstant{Val: 0}) }

// assemble resolves the names.
func (p *program) assemble() ([]bpf.RawInstruction, error) {
	skip := func(at int, name string) uint8 {
		if name == "" {
			return 0
		}
		return uint8(p.names[name] - at - 1) // at most about 200, by maxCapturePorts
	}
	for _, j := range p.jumps {
		i := p.code[j.at].(bpf.JumpIf)
		i.SkipTrue, i.SkipFalse = skip(j.at, j.yes), skip(j.at, j.no)
		p.code[j.at] = i
	}
	return bpf.Assemble(p.code)
}

// captureFilter takes UDP and TCP of the ports over IPv4 and IPv6, with up to two
// VLAN tags (the kernel takes the outer one off), and fragments. What the loopback
// interface sends it receives too, and is taken once.
func captureFilter(ports []uint16, loopback uint32) ([]bpf.RawInstruction, error) {
	p := &program{names: map[string]int{}}
	p.add(bpf.LoadExtension{Num: bpf.ExtType})
	p.jump(bpf.JumpEqual, pktOutgoing, "", "protocol")
	p.load(adInterface, 4)
	p.jump(bpf.JumpEqual, loopback, "drop", "")
	p.name("protocol")
	p.add(bpf.LoadExtension{Num: bpf.ExtProto})
	p.oneOf("ip", 0x0800)
	p.oneOf("ip6", 0x86dd)
	p.oneOf("vlan", 0x8100, 0x88a8)
	p.drop()
	p.name("vlan")
	p.load(netOff+2, 2)
	p.oneOf("vlan ip", 0x0800)
	p.oneOf("vlan ip6", 0x86dd)
	p.drop()
	p.ip("ip", netOff, ports)
	p.ip("vlan ip", netOff+4, ports)
	p.ip6("ip6", netOff, ports)
	p.ip6("vlan ip6", netOff+4, ports)
	p.name("drop")
	p.drop()
	p.name("take")
	p.add(bpf.RetConstant{Val: captureSnap})
	return p.assemble()
}

// ip judges an IPv4 header at off (RFC 791 §3.1).
func (p *program) ip(name string, off uint32, ports []uint16) {
	p.name(name)
	p.load(off+9, 1)
	p.oneOf(name+" ports", 17, 6)
	p.drop()
	p.name(name + " ports")
	p.load(off+6, 2)
	p.jump(bpf.JumpBitsSet, 0x1fff, "take", "") // a later fragment
	p.add(bpf.LoadMemShift{Off: off})
	for side := range uint32(2) {
		p.add(bpf.LoadIndirect{Off: off + 2*side, Size: 2})
		p.ports(ports)
	}
	p.drop()
}

// ip6 judges an IPv6 header at off (RFC 8200 §3, §4). Of extension headers only the
// fragment header is looked into; the others are rare enough to be taken.
func (p *program) ip6(name string, off uint32, ports []uint16) {
	p.name(name)
	p.load(off+6, 1)
	p.oneOf(name+" ports", 17, 6)
	p.oneOf("take", 0, 43, 60)
	p.jump(bpf.JumpEqual, 44, "", "drop")
	p.load(off+40, 1)
	p.oneOf("take", 17, 6)
	p.drop()
	p.name(name + " ports")
	for side := range uint32(2) {
		p.load(off+40+2*side, 2)
		p.ports(ports)
	}
	p.drop()
}

func (p *program) ports(ports []uint16) {
	for _, port := range ports {
		p.oneOf("take", uint32(port))
	}
}
