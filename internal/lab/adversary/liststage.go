package adversary

import (
	"net/netip"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
)

// listing goes through a list.
type listing struct {
	r      *Run
	s      *Stage
	words  []string
	next   []int // for each worker with a block of its own, else for all
	end    []int
	good   [][]byte // CoverGood
	turn   []int    // of each source: how many it has asked
	others []string // CoverWords
}

func newList(r *Run, s *Stage, words []string) *listing {
	l := &listing{r: r, s: s, words: words}
	if s.Shuffle {
		l.words = append([]string(nil), words...)
		shuffle(l.words, r.rnd)
	}
	parts := 1
	if s.Blocks {
		parts = max(s.Workers, 1)
	}
	for i := range parts {
		l.next = append(l.next, len(words)*i/parts)
		l.end = append(l.end, len(words)*(i+1)/parts)
	}
	switch s.Cover.Kind {
	case CoverGood:
		for _, o := range r.known(r.rnd, 0.5) {
			if o.Types.Has(lab.TypeA) || o.Types.Has(lab.TypeCNAME) {
				l.good = append(l.good, o.Name)
			}
		}
		r.rnd.Shuffle(len(l.good), func(i, j int) { l.good[i], l.good[j] = l.good[j], l.good[i] })
	case CoverWords:
		l.others = NewVocabulary(20_000).words
	}
	return l
}

func (l *listing) work(id int, now int64, out *lab.Outbox) (int64, bool) {
	part := id % len(l.next)
	if l.next[part] == l.end[part] || l.r.over {
		return now, false
	}
	word := l.words[l.next[part]]
	l.next[part]++
	r, s := l.r, l.s
	name := r.name(word)
	if name == nil {
		return now, true
	}
	lane, now := r.source(now, s.Rest)
	now = l.disguise(now, lane, out)
	name = r.name(word) // the cover used the buffer
	done, rcode := l.types(now, lane, name, out)
	if rcode == picket.RcodeNoError && r.zone.Find(name) >= 0 {
		if s.Do == DoList {
			r.hits = append(r.hits, word)
		}
		done = l.follow(done, lane, name, out)
	}
	return done + r.pause(s), true
}

// types asks one name for all types.
func (l *listing) types(now int64, lane int, name []byte, out *lab.Outbox) (done int64, rcode picket.Rcode) {
	r, s := l.r, l.s
	types := s.Types
	var one [1]uint16
	switch {
	case s.Hide.Types:
		one[0] = [...]uint16{lab.TypeA, lab.TypeA, lab.TypeA, lab.TypeA, lab.TypeAAAA, lab.TypeAAAA, lab.TypeHTTPS, lab.TypeMX, lab.TypeTXT}[r.rnd.IntN(9)]
		types = one[:]
	case s.Do == DoService:
		one[0] = lab.TypeSRV
		types = one[:]
	case types == nil:
		one[0] = lab.TypeA
		types = one[:]
	}
	done, at := now, now
	for i, t := range types {
		if i > 0 && s.OnlyHits && rcode != picket.RcodeNoError {
			break
		}
		if i > 0 && s.Together {
			at = now + int64(i)*30e3
		}
		at = r.slack(at, s)
		tries := 1
		if s.Misses > 1 {
			tries += r.rnd.IntN(s.Misses)
		}
		for try := 0; ; try++ {
			free, code := r.ask(at, name, t, how{lane: lane}, out)
			if i == 0 {
				rcode = code
			}
			if s.Lost > 0 && r.rnd.Float64() < s.Lost {
				free, _ = r.ask(free+1e9, name, t, how{lane: r.other(lane)}, out)
			}
			done = max(done, free)
			if code != picket.RcodeNXDomain || try+1 >= tries {
				break
			}
			at, lane = free, r.other(lane)
		}
		if !s.Together {
			at = done
		}
	}
	return done, rcode
}

// other is the source of a second try.
func (r *Run) other(lane int) int {
	if r.tool.Habits.Spread == SpreadRandom {
		return r.rnd.IntN(r.o.Path.Sources())
	}
	return lane
}

// follow asks what a hit leads to: the addresses beside it, a service's host.
func (l *listing) follow(now int64, lane int, name []byte, out *lab.Outbox) int64 {
	r := l.r
	if l.s.Do == DoService {
		hosts := r.purpose(lab.PurposeMail, 4)
		if len(hosts) > 0 {
			host := hosts[r.truth.hasher.Name(name)%uint64(len(hosts))]
			now, _ = r.ask(now, host, lab.TypeA, how{lane: lane}, out)
			now, _ = r.ask(now, host, lab.TypeAAAA, how{lane: lane}, out)
		}
		return now
	}
	v := r.o.Reverse
	if l.s.Follow == 0 || v == nil || !v.Prefix.Addr().Is4() {
		return now
	}
	a := v.of(r.truth.hasher.Name(name)).As4()
	for i := -l.s.Follow; i <= l.s.Follow; i++ {
		last := int(a[3]) + i
		if last < 0 || last > 255 {
			continue
		}
		if beside := addr4(a, byte(last)); !r.swept[beside] {
			if r.swept == nil {
				r.swept = map[netip.Addr]bool{}
			}
			r.swept[beside] = true
			now, _ = r.ask(now, v.PTR(beside), lab.TypePTR, how{lane: lane}, out)
		}
	}
	return now
}

// disguise asks the cover that comes before a real question.
func (l *listing) disguise(now int64, lane int, out *lab.Outbox) int64 {
	r, c := l.r, &l.s.Cover
	for range c.Each {
		h := how{lane: lane, cover: true, forged: c.Forged}
		if c.Forged {
			h.lane = r.rnd.IntN(r.cover.Sources())
		}
		at := now
		var name []byte
		switch c.Kind {
		case CoverGood:
			if len(l.good) == 0 {
				return now
			}
			if l.turn == nil {
				l.turn = make([]int, r.o.Path.Sources())
			}
			name = l.good[(lane+l.turn[lane])%len(l.good)] // new to this source, as long as there are any
			l.turn[lane]++
		case CoverLeak:
			host := leakHosts[r.rnd.IntN(len(leakHosts))]
			name = r.name(invented(r.rnd) + "." + host)
		case CoverFlood:
			name = r.name(randomLabel(r.rnd, alphanum, 9, 14, false))
		case CoverWords:
			name = r.name(l.others[r.rnd.IntN(len(l.others))])
		}
		if name == nil || len(name) > dnsname.MaxLen {
			continue
		}
		done, _ := r.ask(at, name, lab.TypeA, h, out)
		if !c.Forged {
			now = done
		} else {
			now = at + 1e6
		}
	}
	return now
}

// leakHosts are ends of foreign names that search lists append the zone to.
var leakHosts = [...]string{"google.com", "windows.com", "github.com", "office365.com", "microsoft.com", "apple.com", "fritz.box", "amazonaws.com", "cloudfront.net", "gmail.com"}
