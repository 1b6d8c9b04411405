package detect

import (
	"fmt"
	"net/netip"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
)

var zoneTransferSpec = Spec{
	Name: "zone-transfer", Techniques: []string{"T1590.002"}, Levels: "Q",
	On:  OnTransfer,
	New: func(e *Engine) Detector { return &zoneTransfer{e: e, det: len(e.specs) - 1} },
}

// zoneTransfer sees AXFR and IXFR requests (RFC 5936, RFC 1995) from whoever is
// not a listed secondary. One attempt is enough.
type zoneTransfer struct {
	e   *Engine
	det int
}

type transferState struct {
	mark      Mark
	attempts  int
	succeeded int
	refused   int
	records   int
	signed    int
	servers   [8]netip.Addr
	nServers  int
	zone      string
}

func (s *transferState) Reset() { *s = transferState{} }

func (d *zoneTransfer) NewState() State { return &transferState{} }

func (d *zoneTransfer) Observe(ev *Event, st State) {
	s := st.(*transferState)
	ev.markOnce(&s.mark)
	s.attempts++
	if ev.Q.Rcode == picket.RcodeNoError && ev.Q.Flags&picket.FlagResponse != 0 && (ev.Q.Response.Answers > 1 || ev.Q.Response.Answers == 0 && ev.Q.Flags&picket.FlagAA == 0) {
		s.succeeded++
		s.records += int(ev.Q.Response.Answers)
	}
	if ev.Q.Rcode != picket.RcodeUnknown && ev.Q.Rcode != picket.RcodeNoError {
		s.refused++
	}
	if ev.Q.Flags&picket.FlagTSIG != 0 {
		s.signed++
	}
	if ev.Q.Server.IsValid() && s.nServers < len(s.servers) {
		seen := false
		for _, a := range s.servers[:s.nServers] {
			seen = seen || a == ev.Q.Server
		}
		if !seen {
			s.servers[s.nServers] = ev.Q.Server
			s.nServers++
		}
	}
	if ev.C.Zone == nil && s.zone == "" {
		s.zone = dnsname.String(ev.Q.Name)
	}
	d.e.raise(ev, d.det, s.mark)
}

func (d *zoneTransfer) Describe(ep *Episode, st State) {
	s := st.(*transferState)
	ep.Severity, ep.Confidence = picket.SeverityMedium, 0.95
	zone := s.zone
	if ep.Zone != nil {
		zone = ep.Zone.Name
	} else {
		ep.ZoneName = zone
		ep.Severity = picket.SeverityLow
	}
	what := "whether it succeeded is not in this telemetry"
	switch {
	case s.succeeded > 0:
		what = "it succeeded"
	case s.refused > 0:
		what = "it was refused"
	}
	if s.succeeded > 0 || s.nServers >= 2 {
		ep.Severity = picket.SeverityHigh
	}
	if s.signed == s.attempts && s.succeeded == s.attempts {
		ep.Severity, ep.Intent = picket.SeverityInformational, picket.IntentOwn
	}
	who := "A host that is not a listed secondary"
	if ep.Src.role == RoleSecondary {
		who = "A listed secondary"
	}
	ep.Summary = fmt.Sprintf("%s asked for a transfer of %s (%s at %s); %s.", who, zone, count(s.attempts, "attempt"), count(max(s.nServers, 1), "server"), what)
	ep.Limits = "The request shows interest in the whole zone; whether the answer was kept or used is not visible. A new secondary that nobody has listed looks the same."
	ep.Features = append(ep.Features,
		picket.Feature{Name: "transfer attempts", Value: float64(s.attempts), Threshold: 1},
		picket.Feature{Name: "servers asked", Value: float64(s.nServers), Threshold: 2},
		picket.Feature{Name: "transfers that succeeded", Value: float64(s.succeeded)},
		picket.Feature{Name: "transfers that were refused", Value: float64(s.refused)},
		picket.Feature{Name: "attempts signed with TSIG", Value: float64(s.signed)},
	)
}
