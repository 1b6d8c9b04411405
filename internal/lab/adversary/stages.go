package adversary

import (
	"strings"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
)

// open makes a stage ready to work.
func (r *Run) open(s *Stage) stage {
	switch s.Do {
	case DoList:
		return newList(r, s, r.words)
	case DoHits:
		return newList(r, s, r.hits)
	case DoService:
		return newList(r, s, services(s))
	case DoProbe:
		return &probing{r: r, s: s}
	case DoWalk:
		return &walking{r: r, s: s, at: r.zone.Apex}
	case DoHashes:
		r.hashes = &hashing{r: r, s: s}
		return r.hashes
	case DoSweep:
		return newSweep(r, s)
	case DoTree:
		return newTree(r, s)
	case DoTargets:
		return &surveying{r: r, s: s, list: r.targets()}
	case DoPoison:
		return newPoison(r, s)
	}
	return &surveying{r: r, list: r.expand(s), s: s}
}

// surveying asks fixed questions one after another.
type surveying struct {
	r    *Run
	s    *Stage
	list []concrete
	at   int
}

// concrete is a question whose name and server are known.
type concrete struct {
	name  []byte
	qtype uint16
	how   how
}

// expand fills in what a survey's placeholders stand for.
func (r *Run) expand(s *Stage) (list []concrete) {
	for i := range s.Questions {
		q := &s.Questions[i]
		for _, name := range r.meant(q.Name) {
			h := how{class: q.Class, stream: q.Stream, flags: q.Flags, opcode: q.Opcode, quiet: q.NoRD}
			if !q.Each {
				list = append(list, concrete{name, q.Type, h})
				continue
			}
			for server := range r.zone.Servers {
				h.server = server + 1
				list = append(list, concrete{name, q.Type, h})
			}
		}
	}
	return list
}

// targets are questions for what the records of a transferred zone name: hosts of
// the zone, and what tools make of aliases (single labels, and hosts of clouds).
func (r *Run) targets() (list []concrete) {
	if !r.transferred {
		return nil
	}
	var names [][]byte
	add := func(name []byte) { names = append(names, name) }
	for i := range r.zone.Owners {
		switch o := &r.zone.Owners[i]; {
		case o.Purpose == lab.PurposeServer && o.Types.Has(lab.TypeA):
			add(o.Name)
		case o.Types.Has(lab.TypeCNAME) && i%2 == 0:
			add(append(append([]byte(nil), o.Name[:1+o.Name[0]]...), 0))
		case o.Types.Has(lab.TypeCNAME):
			add(append(append([]byte(nil), o.Name[:1+o.Name[0]]...), "\x0acloudfront\x03net\x00"...))
		}
	}
	r.rnd.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for _, name := range names {
		list = append(list, concrete{name, lab.TypeA, how{}}, concrete{name, lab.TypeAAAA, how{}})
	}
	return list
}

// meant are the names that a survey's name stands for.
func (r *Run) meant(text string) (names [][]byte) {
	switch text {
	case "{ns}":
		return r.purpose(lab.PurposeServer, 2)
	case "{mx}":
		return r.purpose(lab.PurposeMail, 2)
	case "{hit}":
		return r.popular(7)
	case "{reverse}":
		if r.o.Reverse == nil {
			return nil
		}
		return [][]byte{r.o.Reverse.Apex}
	case "{random}.com.":
		text = randomLabel(r.rnd, alphanum, 20, 20, true) + ".com."
	}
	name := r.name(text)
	if strings.HasSuffix(text, ".") {
		name, _ = dnsname.Parse(text)
	}
	if name == nil {
		return nil
	}
	return [][]byte{append([]byte(nil), name...)}
}

// purpose are the first names of a purpose that own an address.
func (r *Run) purpose(p lab.Purpose, most int) (names [][]byte) {
	for i := range r.zone.Owners {
		if o := &r.zone.Owners[i]; o.Purpose == p && o.Types.Has(lab.TypeA) && len(names) < most {
			names = append(names, o.Name)
		}
	}
	return names
}

// popular are the names that are asked for most, the apex left out.
func (r *Run) popular(most int) (names [][]byte) {
	var top []*lab.Owner
	for i := range r.zone.Owners {
		o := &r.zone.Owners[i]
		if len(o.Name) == len(r.zone.Apex) || wild(o.Name) || o.Name[1] == '_' || !(o.Types.Has(lab.TypeA) || o.Types.Has(lab.TypeCNAME)) {
			continue
		}
		at := len(top)
		for at > 0 && top[at-1].Popularity < o.Popularity {
			at--
		}
		if at < most {
			top = append(top[:at], append([]*lab.Owner{o}, top[at:]...)...)
			top = top[:min(len(top), most)]
		}
	}
	for _, o := range top {
		names = append(names, o.Name)
	}
	return names
}

func (s *surveying) work(_ int, now int64, out *lab.Outbox) (int64, bool) {
	if s.at == len(s.list) {
		return now, false
	}
	q := &s.list[s.at]
	s.at++
	q.how.lane, now = s.r.source(now, s.s.Rest)
	done, _ := s.r.ask(s.r.slack(now, s.s), q.name, q.qtype, q.how, out)
	return done + s.r.pause(s.s), true
}

// probing asks for labels that nobody can have.
type probing struct {
	r    *Run
	s    *Stage
	made int
}

func (p *probing) work(_ int, now int64, out *lab.Outbox) (int64, bool) {
	if p.made == max(p.s.Probe.Count, 1) {
		return now, false
	}
	p.made++
	r, probe := p.r, &p.s.Probe
	types := probe.Types
	if types == nil {
		types = []uint16{lab.TypeA}
	}
	label := probe.label(r.rnd, now)
	lane, now := r.source(now, Rest{})
	var flags picket.QueryFlags
	if probe.Mixed {
		flags = picket.FlagMixed
	}
	var below [][]byte
	if probe.Depth > 0 {
		below = r.popular(probe.Depth)
	}
	for depth := -1; depth < len(below); depth++ {
		rel := ""
		if depth >= 0 {
			rel = "." + relative(below[depth], r.zone.Apex)
		}
		for i, t := range types {
			if i > 0 && probe.Fresh {
				label = probe.label(r.rnd, now)
			}
			if name := r.name(label + rel); name != nil {
				now, _ = r.ask(now, name, t, how{lane: lane, flags: flags}, out)
			}
		}
	}
	return now + r.pause(p.s), true
}

// poisoning asks, for days, for names that do not exist and for some that do, so
// that misses look ordinary.
type poisoning struct {
	r       *Run
	s       *Stage
	until   int64
	missing []string
	good    [][]byte
}

// poisonNames is how many different missing names a poisoner repeats.
const poisonNames = 60

func newPoison(r *Run, s *Stage) *poisoning {
	p := &poisoning{r: r, s: s, until: r.clock + int64(s.Days*86400*1e9), good: r.popular(40)}
	for len(p.missing) < poisonNames {
		if w := invented(r.rnd); r.zone.Find(r.name(w)) < 0 {
			p.missing = append(p.missing, w)
		}
	}
	return p
}

func (p *poisoning) work(_ int, now int64, out *lab.Outbox) (int64, bool) {
	rate := float64(p.s.Each) / 86400
	if p.r.o.Rate > 0 {
		rate = min(rate, p.r.o.Rate/2)
	}
	now += lab.Exp(p.r.rnd, rate)
	if now > p.until || p.r.over {
		return min(now, p.until), false
	}
	r := p.r
	lane, _ := r.source(now, Rest{})
	h := how{lane: lane, cover: true}
	// The share of misses grows from nothing to two thirds.
	if grown := 1 - float64(p.until-now)/(p.s.Days*86400*1e9); r.rnd.Float64() < grown*2/3 || len(p.good) == 0 {
		r.ask(now, r.name(p.missing[r.rnd.IntN(len(p.missing))]), lab.TypeA, h, out)
	} else {
		r.ask(now, p.good[r.rnd.IntN(len(p.good))], lab.TypeA, h, out)
	}
	return now, true
}
