package transfer

import (
	"errors"
	"fmt"

	"github.com/miekg/dns"

	"github.com/picket-dns/picket"
)

// Full is a whole zone.
type Full struct {
	Serial  uint32
	Records []picket.Record // the SOA first, and once
}

// Step is what changed from one serial to the next. The SOA is among both.
type Step struct {
	From, To       uint32
	Removed, Added []picket.Record
}

// Form makes a record of what came from the wire, or says why it cannot.
type Form func(dns.RR) (picket.Record, error)

// errIncremental are errors in what follows from an IXFR, after which the whole
// zone may still be had.
var errIncremental = errors.New("broken IXFR")

// stream makes sense of the records of an answer, in their order (RFC 5936 §2.2,
// RFC 1995 §4).
type stream struct {
	zone  string // canonical, with trailing dot
	known uint32 // the serial asked from
	ixfr  bool   // that was asked for
	form  Form
	room  int // records that may still come

	n     int // records so far
	last  *dns.SOA
	mode  mode
	done  bool
	full  Full
	steps []Step
	first picket.Record // the first SOA, until it is known what it begins
}

type mode int

const (
	modeStart mode = iota
	modeSecond
	modeFull
	modeRemoved
	modeAdded
)

// add takes the next record.
func (s *stream) add(rr dns.RR) error {
	if s.done {
		return fmt.Errorf("the transfer goes on behind its end: %s %s", rr.Header().Name, dns.TypeToString[rr.Header().Rrtype])
	}
	if s.n++; s.n > s.room {
		return fmt.Errorf("the transfer has more than %d records: raise max_records if the zone is that large", s.room)
	}
	h := rr.Header()
	name := dns.CanonicalName(h.Name)
	if !dns.IsSubDomain(s.zone, name) {
		return fmt.Errorf("the transfer has a record of another zone: %s", h.Name)
	}
	if h.Class != dns.ClassINET {
		return fmt.Errorf("the transfer has a record of class %d: %s", h.Class, h.Name)
	}
	switch h.Rrtype {
	case dns.TypeOPT, dns.TypeTSIG, dns.TypeTKEY, dns.TypeANY, dns.TypeAXFR, dns.TypeIXFR:
		return fmt.Errorf("the transfer has a %s record, which no zone holds", dns.TypeToString[h.Rrtype])
	}
	soa, _ := rr.(*dns.SOA)
	if soa != nil && name != s.zone {
		return fmt.Errorf("the transfer has a SOA of %s", h.Name)
	}
	r, err := s.form(rr)
	if err != nil {
		return fmt.Errorf("%s %s: %w", h.Name, dns.TypeToString[h.Rrtype], err)
	}
	r.Zone = s.zone
	return s.take(r, soa)
}

func (s *stream) take(r picket.Record, soa *dns.SOA) error {
	switch s.mode {
	case modeStart:
		if soa == nil {
			return fmt.Errorf("the transfer begins with %s %s, not with the zone's SOA", r.Name, r.Type)
		}
		s.last, s.first, s.mode = soa, r, modeSecond
		// A server that has nothing newer answers with its SOA alone (RFC 1995 §2).
		if s.ixfr && !Newer(soa.Serial, s.known) {
			s.done = true
		}
	case modeSecond:
		if soa != nil && s.ixfr && soa.Serial != s.last.Serial {
			if soa.Serial != s.known {
				return fmt.Errorf("%w: it begins at serial %d, asked for was %d", errIncremental, soa.Serial, s.known)
			}
			s.mode = modeRemoved
			s.steps = append(s.steps, Step{From: soa.Serial, Removed: []picket.Record{r}})
			return nil
		}
		s.mode = modeFull
		s.full = Full{Serial: s.last.Serial, Records: []picket.Record{s.first}}
		return s.take(r, soa)
	case modeFull:
		if soa == nil {
			s.full.Records = append(s.full.Records, r)
			return nil
		}
		if soa.Serial != s.last.Serial {
			return fmt.Errorf("the transfer ends with serial %d, it began with %d", soa.Serial, s.last.Serial)
		}
		s.done = true
	case modeRemoved:
		step := &s.steps[len(s.steps)-1]
		if soa == nil {
			step.Removed = append(step.Removed, r)
			return nil
		}
		if !Newer(soa.Serial, step.From) || Newer(soa.Serial, s.last.Serial) {
			return fmt.Errorf("%w: a step from serial %d to %d, while the server is at %d", errIncremental, step.From, soa.Serial, s.last.Serial)
		}
		step.To, step.Added, s.mode = soa.Serial, []picket.Record{r}, modeAdded
	case modeAdded:
		step := &s.steps[len(s.steps)-1]
		switch {
		case soa == nil:
			step.Added = append(step.Added, r)
		case soa.Serial != step.To:
			return fmt.Errorf("%w: serial %d follows %d", errIncremental, soa.Serial, step.To)
		case step.To == s.last.Serial:
			s.done = true
		default:
			s.mode = modeRemoved
			s.steps = append(s.steps, Step{From: soa.Serial, Removed: []picket.Record{r}})
		}
	}
	return nil
}
