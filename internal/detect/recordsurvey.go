package detect

import (
	"fmt"

	"github.com/picket-dns/picket"
)

// Start thresholds of record-survey.
const (
	surveyWindow   = 60e9
	surveyMin      = 6.0 // weighed kinds of records
	surveyResolver = 7.0 // the same behind a resolver, which asks for many people
	surveyAny      = 4   // names asked for ANY
)

var recordSurveySpec = Spec{
	Name: "record-survey", Techniques: []string{"T1590.002"}, Levels: "Q",
	On:  OnSurveyType,
	New: func(e *Engine) Detector { return &recordSurvey{e: e, det: len(e.specs) - 1} },
}

// recordSurvey sees one source ask the apex for one kind of record after
// another, or names for ANY, within a minute. Clients ask for the few kinds that
// they need; kinds that hardly any client needs weigh more.
type recordSurvey struct {
	e   *Engine
	det int
}

// surveyItems are the kinds of questions that count, with their weights.
const (
	itemSOA = iota
	itemNS
	itemMX
	itemTXT
	itemDNSKEY
	itemDS
	itemCAA
	itemDMARC
	itemDomainKey
	itemSPF
	itemANY
	itemHINFO
	itemNAPTR
	itemLOC
	itemCDS
	itemNSEC3PARAM
	itemSRV
	itemOld
	items
)

var itemWeight = [items]float64{
	itemSOA: 1, itemNS: 1, itemMX: 1, itemTXT: 1, itemDNSKEY: 1, itemDS: 0.5, itemCAA: 1, itemDMARC: 1,
	itemDomainKey: 1.5, itemSPF: 1.5, itemANY: 1.5, itemHINFO: 1.5, itemNAPTR: 1.5, itemLOC: 1.5,
	itemCDS: 1.5, itemNSEC3PARAM: 1.5, itemSRV: 1.5, itemOld: 1.5,
}

type surveyState struct {
	mark     Mark
	seen     [items]int64 // event time each kind was last asked
	anyNames int
	anyHash  [surveyAny * 2]uint64
	anyAt    int64
	best     float64
	kinds    int
}

func (s *surveyState) Reset() { *s = surveyState{} }

func (d *recordSurvey) NewState() State { return &surveyState{} }

// surveyItem returns what kind of question an event is, or -1.
func surveyItem(ev *Event) int {
	if ev.C.Zone.Reverse {
		return -1
	}
	t := ev.Q.Type
	if ev.C.Depth == 1 {
		switch label := firstLabel(ev.Q.Name); {
		case t == typeTXT && string(label) == "_dmarc":
			return itemDMARC
		case string(label) == "_domainkey":
			return itemDomainKey
		case t == typeANY:
			return itemANY
		}
		return -1
	}
	if ev.C.Depth > 1 {
		if t == typeANY {
			return itemANY
		}
		return -1
	}
	switch t {
	case typeSOA:
		return itemSOA
	case typeNS:
		return itemNS
	case typeMX:
		return itemMX
	case typeTXT:
		return itemTXT
	case typeDNSKEY:
		return itemDNSKEY
	case typeDS:
		return itemDS
	case typeCAA:
		return itemCAA
	case typeSPF:
		return itemSPF
	case typeANY:
		return itemANY
	case typeHINFO:
		return itemHINFO
	case typeNAPTR:
		return itemNAPTR
	case typeLOC:
		return itemLOC
	case typeCDS, typeCDNSKEY:
		return itemCDS
	case typeNSEC3PARAM:
		return itemNSEC3PARAM
	case typeSRV:
		return itemSRV
	case typeRP, typeWKS, typeAFSDB, typeRRSIG:
		return itemOld
	}
	return -1
}

func (d *recordSurvey) Observe(ev *Event, st State) {
	s := st.(*surveyState)
	if ev.C.Zone == nil {
		return
	}
	item := surveyItem(ev)
	if item < 0 {
		return
	}
	now := ev.Q.Time
	if !ev.Src.opened(d.det) && s.quiet(now) {
		s.Reset()
	}
	ev.markOnce(&s.mark)
	if item == itemANY {
		s.countAny(ev.C.Hash, now)
	}
	s.seen[item] = now
	sum, kinds, telling := 0.0, 0, false
	for i, at := range s.seen {
		if at != 0 && now-at <= surveyWindow {
			sum += itemWeight[i]
			kinds++
			telling = telling || i == itemSOA || itemWeight[i] > 1
		}
	}
	if s.anyNames > 1 {
		sum += float64(min(s.anyNames, 3)-1) * 1.5
	}
	s.best, s.kinds = max(s.best, sum), max(s.kinds, kinds)
	need := surveyMin
	if ev.Src.Kind() == picket.SourceResolver {
		need = surveyResolver
	}
	if telling && sum >= need || s.anyNames >= surveyAny {
		d.e.raise(ev, d.det, s.mark)
	}
}

// quiet reports that nothing that counts was asked within the window.
func (s *surveyState) quiet(now int64) bool {
	for _, at := range s.seen {
		if at != 0 && now-at <= surveyWindow {
			return false
		}
	}
	return s.mark.set
}

// countAny counts distinct names asked for ANY within the window: one name asked
// over and over is what a reflection attack looks like, not a survey.
func (s *surveyState) countAny(hash uint64, now int64) {
	if now-s.anyAt > surveyWindow {
		s.anyNames = 0
	}
	s.anyAt = now
	for _, h := range s.anyHash[:s.anyNames] {
		if h == hash {
			return
		}
	}
	if s.anyNames < len(s.anyHash) {
		s.anyHash[s.anyNames] = hash
		s.anyNames++
	}
}

func (d *recordSurvey) Describe(ep *Episode, st State) {
	s := st.(*surveyState)
	ep.Severity, ep.Confidence = picket.SeverityLow, 0.75
	if s.best >= surveyMin+2 {
		ep.Severity, ep.Confidence = picket.SeverityMedium, 0.85
	}
	ep.Summary = fmt.Sprintf("One source asked %s for %d kinds of records within a minute (%d names for ANY): it takes stock of what the zone publishes.", ep.Zone.Name, s.kinds, s.anyNames)
	ep.Limits = "Mail checkers, registrars and DNS health services take stock the same way; the records asked are public."
	ep.Features = append(ep.Features,
		picket.Feature{Name: "weighed kinds of records in 60 s", Value: round2(s.best), Threshold: surveyMin},
		picket.Feature{Name: "names asked for ANY in 60 s", Value: float64(s.anyNames), Threshold: surveyAny},
	)
}
