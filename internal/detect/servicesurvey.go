package detect

import (
	"fmt"

	"github.com/picket-dns/picket"
)

// Start thresholds of service-survey.
const (
	serviceWindow    = 600e9
	serviceMin       = 12
	serviceDirectory = 3 // names of Windows directory clients count at most this much
	serviceBurst     = 8 // services of any kind that one stub asks within
	serviceBurstTime = 60e9
	serviceBurstKind = 4 // at the least so many of them no directory service
)

var serviceSurveySpec = Spec{
	Name: "service-survey", Techniques: []string{"T1590.002"}, Levels: "Q",
	On:  OnService,
	New: func(e *Engine) Detector { return newServiceSurvey(e, len(e.specs)-1) },
}

// serviceSurvey sees one source ask for many different services, that is names
// of the form _service._proto (RFC 2782). A client asks for the few it uses.
type serviceSurvey struct {
	e         *Engine
	det       int
	directory map[uint64]struct{}
	other     map[uint64]struct{} // underscore labels that are no services: policies, and protocols alone as QNAME minimisation asks them
	misspelt  map[uint64]struct{} // only a tool asks these; empty without signatures
}

func newServiceSurvey(e *Engine, det int) *serviceSurvey {
	h := e.words.hasher
	d := &serviceSurvey{e: e, det: det}
	d.directory = set(h, "_ldap _kerberos _gc _kpasswd _msdcs _sites _vlmcs _autodiscover _kerberos-master")
	d.other = set(h, "_dmarc _domainkey _acme-challenge _mta-sts _smtp _spf _bimi _report _ta _dnsauth _amazonses _adsp _asvdns _atproto _dnslink _psl _ _tcp _udp _tls _sctp _dccp")
	if !e.cfg.WithoutSignatures {
		d.misspelt = set(h, "_pgprevokations _pkixrep")
		d.misspelt[h.Label([]byte("_pkixrep"))] = struct{}{}
	}
	return d
}

type serviceState struct {
	mark      Mark
	pair      [32]uint64
	at        [32]int64
	directory [32]bool
	n         int
	misspelt  int
	best      int
}

func (s *serviceState) Reset() { *s = serviceState{} }

func (d *serviceSurvey) NewState() State { return &serviceState{} }

func (d *serviceSurvey) Observe(ev *Event, st State) {
	s := st.(*serviceState)
	if ev.C.Zone == nil || ev.C.Depth < 2 {
		return
	}
	label := firstLabel(ev.Q.Name)
	hash := ev.Sfx.Labels[0]
	if _, ok := d.other[hash]; ok || isNumber(label[1:]) || isTrustAnchor(label) {
		return
	}
	if _, ok := d.misspelt[hash]; ok {
		s.misspelt++
	}
	pair := hash ^ ev.Sfx.Labels[1]*3
	_, dir := d.directory[hash]
	ev.markOnce(&s.mark)
	count := s.add(pair, ev.Q.Time, dir)
	if !ev.Src.opened(d.det) && count <= 1 {
		s.mark = Mark{}
		ev.mark(&s.mark)
	}
	s.best = max(s.best, count)
	if count >= serviceMin || s.misspelt > 0 && count >= 5 || ev.Src.Kind() == picket.SourceDirect && s.burst(ev.Q.Time) {
		d.e.raise(ev, d.det, s.mark)
	}
}

// add notes a service asked now and returns how many distinct ones were asked in
// the window, directory services counted at most serviceDirectory times.
func (s *serviceState) add(pair uint64, now int64, directory bool) int {
	slot, oldest := -1, 0
	for i := range s.n {
		if s.pair[i] == pair {
			slot = i
			break
		}
		if s.at[i] < s.at[oldest] {
			oldest = i
		}
	}
	if slot < 0 {
		if s.n < len(s.pair) {
			slot = s.n
			s.n++
		} else {
			slot = oldest
		}
	}
	s.pair[slot], s.at[slot], s.directory[slot] = pair, now, directory
	count, dirs := 0, 0
	for i := range s.n {
		if now-s.at[i] > serviceWindow {
			continue
		}
		if s.directory[i] {
			dirs++
		} else {
			count++
		}
	}
	return count + min(dirs, serviceDirectory)
}

// burst reports that many services of several kinds were asked at once.
func (s *serviceState) burst(now int64) bool {
	all, other := 0, 0
	for i := range s.n {
		if now-s.at[i] <= serviceBurstTime {
			all++
			if !s.directory[i] {
				other++
			}
		}
	}
	return all >= serviceBurst && other >= serviceBurstKind
}

// isNumber reports a port label, as in _25._tcp (TLSA, RFC 6698).
func isNumber(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// isTrustAnchor reports the key tag signal _ta-xxxx (RFC 8145).
func isTrustAnchor(b []byte) bool { return len(b) > 4 && string(b[:4]) == "_ta-" }

func (d *serviceSurvey) Describe(ep *Episode, st State) {
	s := st.(*serviceState)
	ep.Severity, ep.Confidence = picket.SeverityMedium, 0.85
	ep.Summary = fmt.Sprintf("One source asked for %d different services below %s within ten minutes: it takes stock of the services that DNS announces.", s.best, ep.Zone.Name)
	ep.Limits = "A resolver that serves many kinds of clients asks for several services; the count is over what one client needs. What was answered is public."
	ep.Features = append(ep.Features, picket.Feature{Name: "different services in 10 min", Value: float64(s.best), Threshold: serviceMin})
	if s.misspelt > 0 {
		ep.Confidence, ep.Intent = 0.95, picket.IntentCommodity
		ep.Features = append(ep.Features, picket.Feature{Name: "names that only a tool misspells so", Value: float64(s.misspelt), Threshold: 1})
	}
}
