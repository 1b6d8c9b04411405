package adversary

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"sort"
	"strconv"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
)

// proofs are the denials that the adversary is shown with the answer to a question:
// those of the zone, if DO reaches the servers.
func (r *Run) proofs(name []byte, qtype uint16, lane int, into []picket.Denial) []picket.Denial {
	q := picket.Query{Name: name, Type: qtype, Class: 1, Response: picket.Response{Denials: into[:0]}}
	path := r.o.Path
	shown := r.tool.Habits.DO
	if len(path.Resolvers) > 0 {
		shown = path.Resolvers[lane%len(path.Resolvers)].Validates
	}
	if shown {
		q.Flags |= picket.FlagDO
	}
	r.zone.Respond(&q)
	return q.Response.Denials
}

// walking follows the chain of NSEC records.
type walking struct {
	r       *Run
	s       *Stage
	at      []byte // the name that was reached
	denials []picket.Denial
	buf     []byte
}

// work is one step: all forms until one leads on.
func (w *walking) work(_ int, now int64, out *lab.Outbox) (int64, bool) {
	r := w.r
	qtype := w.s.Type
	if qtype == 0 {
		qtype = lab.TypeA
	}
	for _, f := range w.s.Forms {
		name := w.form(f)
		if name == nil || r.over {
			continue
		}
		now = w.question(now, name, qtype, out)
		for i := range w.denials {
			d := &w.denials[i]
			if d.NSEC3 || f == FormOrdinal && !bytes.Equal(d.Owner, w.at) {
				continue // names between this one and the owner would be missed
			}
			if dnsname.Compare(d.Next, w.at) > 0 && dnsname.Compare(d.Owner, name) <= 0 {
				r.truth.learned(r.zone, d.Next, now)
				w.at = d.Next
				return now + r.pause(w.s), true
			}
			if bytes.Equal(d.Next, r.zone.Apex) && dnsname.Compare(d.Owner, w.at) >= 0 {
				return now, false // the end of the chain
			}
		}
	}
	return now, false // a wildcard or a cut stops it
}

// otherResolvers is how many more resolvers are tried when one shows no proofs.
const otherResolvers = 4

// question asks one question and keeps the proofs that came with the answer. A
// resolver that does not validate shows none; then another one is asked.
func (w *walking) question(now int64, name []byte, qtype uint16, out *lab.Outbox) int64 {
	r := w.r
	for range 1 + min(otherResolvers, len(r.o.Path.Resolvers)) {
		var lane int
		lane, now = r.source(now, w.s.Rest)
		now, _ = r.ask(now, name, qtype, how{lane: lane}, out)
		if w.denials = r.proofs(name, qtype, lane, w.denials); len(w.denials) > 0 {
			break
		}
	}
	return now
}

// form makes the next question of the name that was reached, nil when it would be
// none in the zone.
func (w *walking) form(f Form) []byte {
	b := w.buf[:0]
	apex := len(w.at) == len(w.r.zone.Apex)
	switch f {
	case FormZero:
		b = append(b, 1, 0)
	case FormChild0:
		b = append(b, 1, '0')
	case FormChildH:
		if b = append(b, 1, '0'); apex {
			b[1] = 'h'
		}
	case FormOrdinal:
		label := invented(w.r.rnd)
		b = append(append(b, byte(len(label))), label...)
	case FormDash:
		if apex || w.at[0] == dnsname.MaxLabel {
			return nil
		}
		b = append(append(b, w.at[0]+1), w.at[1:1+w.at[0]]...)
		b = append(append(b, '-'), w.at[1+w.at[0]:]...)
		w.buf = b
		return b
	}
	if len(b)+len(w.at) > dnsname.MaxLen {
		return nil
	}
	w.buf = append(b, w.at...)
	return w.buf
}

// hashing collects NSEC3 intervals.
type hashing struct {
	r        *Run
	s        *Stage
	known    []interval // by owner
	share    float64    // of the hashes that known covers
	counter  uint64
	asked    int
	denials  []picket.Denial
	complete bool
}

type interval struct{ owner, next [sha1.Size]byte }

// mostCandidates is how many names are hashed before the adversary takes it that what
// is left is not worth it.
const mostCandidates = 1 << 17

// mostHashes bounds what is collected: an adversary has enough then.
const mostHashes = 20_000

func (h *hashing) work(_ int, now int64, out *lab.Outbox) (int64, bool) {
	r := h.r
	name := h.candidate()
	if name == nil || r.over {
		return now, false
	}
	h.asked++
	qtype := h.s.Type
	if qtype == 0 {
		qtype = lab.TypeA
	}
	lane, now := r.source(now, h.s.Rest)
	now, _ = r.ask(now, name, qtype, how{lane: lane}, out)
	h.denials = r.proofs(name, qtype, lane, h.denials)
	for i := range h.denials {
		if d := &h.denials[i]; d.NSEC3 && len(d.Owner) == sha1.Size {
			h.add(interval{[sha1.Size]byte(d.Owner), [sha1.Size]byte(d.Next)})
		}
	}
	return now + r.pause(h.s), true
}

// candidate is the next name whose hash lies in no interval that is known: the
// adversary hashes names itself until it finds one.
func (h *hashing) candidate() []byte {
	if h.complete || h.asked >= mostHashes || h.s.Count > 0 && h.asked >= h.s.Count {
		return nil
	}
	for range mostCandidates {
		var name []byte
		if h.s.Probe.Alphabet != "" {
			name = h.r.name(h.s.Probe.label(h.r.rnd, 0))
		} else {
			name = h.r.name(strconv.FormatUint(h.counter, 16))
			h.counter++
		}
		if h.s.Probe.Alphabet != "" || !h.covered(sha1.Sum(name)) {
			return name
		}
	}
	return nil
}

// find is the index of the last interval that begins at or before a hash.
func (h *hashing) find(sum [sha1.Size]byte) int {
	return sort.Search(len(h.known), func(i int) bool { return bytes.Compare(h.known[i].owner[:], sum[:]) > 0 }) - 1
}

func (h *hashing) covered(sum [sha1.Size]byte) bool {
	if len(h.known) == 0 {
		return false
	}
	i := h.find(sum)
	if i < 0 {
		i = len(h.known) - 1 // the last one goes around
	}
	k := &h.known[i]
	around := bytes.Compare(k.next[:], k.owner[:]) <= 0
	below := bytes.Compare(sum[:], k.next[:]) < 0
	if around {
		return below || bytes.Compare(sum[:], k.owner[:]) >= 0
	}
	return below && bytes.Compare(sum[:], k.owner[:]) >= 0
}

func (h *hashing) add(k interval) {
	i := h.find(k.owner)
	if i >= 0 && h.known[i].owner == k.owner {
		return
	}
	h.known = append(h.known, k)
	copy(h.known[i+2:], h.known[i+1:])
	h.known[i+1] = k
	width := binary.BigEndian.Uint64(k.next[:8]) - binary.BigEndian.Uint64(k.owner[:8])
	h.share += float64(width) / (1 << 32) / (1 << 32)
	h.complete = h.share > 1-1e-9
}

// Intervals is how many NSEC3 intervals the run has collected, and the share of all
// hashes that they cover.
func (r *Run) Intervals() (n int, share float64) {
	if h := r.hashes; h != nil {
		return len(h.known), h.share
	}
	return 0, 0
}
