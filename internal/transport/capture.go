package transport

import (
	"errors"
	"fmt"
	"slices"
)

const (
	// maxCapturePorts bounds the ports of a capture, by the reach of the filter's jumps.
	maxCapturePorts = 16
	// defaultRing is what the kernel holds for a capture, in bytes.
	defaultRing = 16 << 20
	// captureBlock is the part of it that is handed over at once.
	captureBlock = 256 << 10
	// captureSnap is how much of a packet is taken: all of it, also of what the
	// kernel has put together.
	captureSnap = 256 << 10
)

// CaptureAny is the interface's name that means all of them.
const CaptureAny = "any"

// DroppedKernel says that packets came faster than they were read.
const DroppedKernel = "capture buffer full"

// CaptureConfig says what to capture.
type CaptureConfig struct {
	// Interface is its name, such as eth0, or CaptureAny.
	Interface string
	// Ports are those of UDP and TCP, either side, at most 16; none means 53. All
	// fragments after the first are taken, since they do not say their port.
	Ports []uint16
	// Promiscuous takes what is sent to others too, as on a mirror port.
	Promiscuous bool
	// Buffer bounds what the kernel holds until it is read, in bytes; 0 means 16 MiB.
	Buffer int
	// Dropped, when set, is told of packets that the kernel dropped, with the reason.
	Dropped func(reason string, n int)
}

// check fills in what is not set.
func (c *CaptureConfig) check() error {
	switch {
	case c.Interface == "":
		return errors.New("capture: no interface; name one, or " + CaptureAny)
	case len(c.Ports) > maxCapturePorts:
		return fmt.Errorf("capture: %d ports, at most %d", len(c.Ports), maxCapturePorts)
	case slices.Contains(c.Ports, 0):
		return errors.New("capture: port 0 is none")
	case c.Promiscuous && c.Interface == CaptureAny:
		return errors.New("capture: promiscuous needs one interface")
	}
	if len(c.Ports) == 0 {
		c.Ports = []uint16{53}
	}
	if c.Buffer <= 0 {
		c.Buffer = defaultRing
	}
	c.Buffer = max(c.Buffer/captureBlock, 2) * captureBlock
	return nil
}
