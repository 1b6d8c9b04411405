package detect

import (
	"fmt"
	"math/bits"

	"github.com/picket-dns/picket"
)

var serverFingerprintSpec = Spec{
	Name: "server-fingerprint", Techniques: []string{"T1592.002", "T1590.002"}, Levels: "Q",
	On:  OnFingerprint,
	New: func(e *Engine) Detector { return &serverFingerprint{e: e, det: len(e.specs) - 1} },
}

// serverFingerprint sees questions whose only use is to learn what software a
// name server runs: CHAOS names (RFC 4892), opcodes nobody serves, EDNS that
// nobody has assigned.
type serverFingerprint struct {
	e   *Engine
	det int
}

// What was asked, as bits.
const (
	askVersion  = 1 << iota // version.bind, version.server, authors.bind: the software itself
	askVersion2             // a second spelling of it
	askAuthors
	askIdentity // hostname.bind, id.server: which instance answers; monitors ask this too
	askChaos    // any other CH, HS or ANY-class question
	askOpcode   // STATUS, IQUERY and unassigned opcodes
	askEDNS     // unknown EDNS version or option
	askNSID
)

type fingerprintState struct {
	mark    Mark
	asked   uint16
	queries int
}

func (s *fingerprintState) Reset() { *s = fingerprintState{} }

func (d *serverFingerprint) NewState() State { return &fingerprintState{} }

func (d *serverFingerprint) Observe(ev *Event, st State) {
	s := st.(*fingerprintState)
	s.asked |= fingerprintBit(ev.Q)
	s.queries++
	ev.markOnce(&s.mark)
	if s.asked&^(askNSID|askEDNS) != 0 || bits.OnesCount16(s.asked&(askNSID|askEDNS)) == 2 {
		d.e.raise(ev, d.det, s.mark)
	}
}

func fingerprintBit(q *picket.Query) uint16 {
	if q.Class == classIN {
		switch {
		case q.Opcode != opcodeQuery:
			return askOpcode
		case q.Flags&picket.FlagBadEDNS != 0:
			return askEDNS
		}
		return askNSID
	}
	switch string(q.Name) {
	case "\x07version\x04bind\x00":
		return askVersion
	case "\x07version\x06server\x00":
		return askVersion2
	case "\x07authors\x04bind\x00":
		return askAuthors
	case "\x08hostname\x04bind\x00", "\x02id\x06server\x00":
		return askIdentity
	}
	return askChaos
}

func (d *serverFingerprint) Describe(ep *Episode, st State) {
	s := st.(*fingerprintState)
	kinds := bits.OnesCount16(s.asked)
	ep.Severity, ep.Confidence = picket.SeverityLow, 0.8
	switch {
	case s.asked&^(askIdentity|askNSID|askEDNS) == 0:
		ep.Severity, ep.Intent = picket.SeverityInformational, picket.IntentResearch
	case kinds >= 3:
		ep.Severity, ep.Confidence = picket.SeverityMedium, 0.9
	}
	ep.Summary = fmt.Sprintf("One source asked the name server about itself (%d questions of %d kinds, such as version.bind): it wants to know the software.", s.queries, kinds)
	ep.Limits = "Survey projects and monitors ask the same questions of everybody; alone this says little about interest in this organisation."
	ep.Features = append(ep.Features,
		picket.Feature{Name: "questions about the server", Value: float64(s.queries), Threshold: 1},
		picket.Feature{Name: "kinds of such questions", Value: float64(kinds), Threshold: 3},
	)
}
