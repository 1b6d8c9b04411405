package organisation

import (
	"bytes"
	"math"
	"slices"
	"strconv"

	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
)

// Names have been gone for so many days: the longest is as far back as passive-DNS
// databases commonly answer for.
const (
	shortest = 3.0
	longest  = 2500.0
)

// retire makes the names that are gone: older siblings of those that live, of
// products, brands, numbers and ways of naming that are given up.
func (b *builder) retire() {
	want := int(float64(b.o.Names) * max(b.o.Retired, 0))
	if want == 0 {
		return
	}
	b.seen = make(map[uint64]struct{}, want)
	b.z.Retired = make([]lab.Owner, 0, want)
	for tries := 0; len(b.z.Retired) < want && tries < 100*want; tries++ {
		like := &b.z.Owners[b.r.IntN(len(b.z.Owners))]
		if like.Purpose == lab.PurposeApex || like.Purpose == lab.PurposeServer || like.Name[1] == '*' {
			continue
		}
		if like.Purpose == lab.PurposePolicy && b.r.IntN(2) == 0 {
			continue
		}
		b.text = b.text[:0]
		b.sibling(like)
		name, ok := b.name(b.text)
		if !ok || b.z.Find(name) >= 0 || b.below(name) {
			continue
		}
		hash := b.hasher.Name(name)
		if _, twice := b.seen[hash]; twice {
			continue
		}
		b.seen[hash] = struct{}{}
		// Log-uniform: many went lately, some long ago.
		days := int(shortest * math.Pow(longest/shortest, b.r.Float64()))
		o := lab.Owner{Name: b.keep(name), Types: like.Types, TTL: like.TTL, Purpose: like.Purpose, Public: like.Public, Until: days}
		// Old names are replayed; how much depends on what they were, less with time.
		if b.r.IntN(2) == 0 {
			o.Popularity = (like.Popularity + 0.1/float64(len(b.z.Owners))) * 0.2 * math.Pow(b.r.Float64(), 2) / (1 + float64(days)/180)
		}
		b.z.Retired = append(b.z.Retired, o)
	}
	b.seen = nil
}

// below reports whether a name is at or below a delegated subzone.
func (b *builder) below(name []byte) bool {
	var sfx dnsname.Suffixes
	b.hasher.Sum(name, &sfx)
	for up := range sfx.N - dnsname.Labels(b.z.Apex) {
		if _, cut := b.cuts[sfx.Hash[up]]; cut {
			return true
		}
	}
	return false
}

// sibling writes to b.text what a name like the given one was called before.
func (b *builder) sibling(like *lab.Owner) {
	labels := dnsname.Text(like.Name[:len(like.Name)-len(b.z.Apex)])
	first, rest := labels, ""
	if at := bytes.IndexByte([]byte(labels), '.'); at >= 0 {
		first, rest = labels[:at], labels[at:]
	}
	digits := len(first)
	for digits > 0 && first[digits-1] >= '0' && first[digits-1] <= '9' {
		digits--
	}
	number, _ := strconv.Atoi(first[digits:])
	switch kind := b.r.IntN(10); {
	case kind < 4: // a product that is gone takes the place of one that lives
		b.replaced(labels)
	case kind < 7 && digits < len(first) && digits > 0: // an old number
		old := number - 1 - b.r.IntN(4)
		if old < 0 {
			old = number + 1 + b.r.IntN(9)
		}
		b.say(first[:digits])
		b.text = appendNumber(b.text, old, len(first)-digits)
		b.say(rest)
	case kind < 7 && first[0] != '_': // it had a number before it was the only one
		b.say(first)
		b.text = appendNumber(b.text, 1+b.r.IntN(3), 1)
		b.say(rest)
	case kind < 8 && first[0] != '_':
		b.say(pick(b.r, []string{"old-", "legacy-", "v1-", "tmp-"}), first, rest)
	case kind < 9: // under a former brand
		b.say(labels, ".", pick(b.r, b.style.gone))
	default: // in another environment
		b.say(first, "-", pick(b.r, pick(b.r, environments[:])), rest)
	}
}

// replaced writes labels with the part before the first hyphen of one label, or a
// whole label, replaced by the name of something that is gone: a place by a place.
func (b *builder) replaced(labels string) {
	gone := pick(b.r, b.style.gone)
	parts := bytes.Split([]byte(labels), []byte{'.'})
	i := b.r.IntN(len(parts))
	for range parts {
		if parts[i][0] != '_' {
			break
		}
		i = (i + 1) % len(parts)
	}
	if parts[i][0] == '_' { // of a policy record, which was below a product
		b.say(labels, ".", gone)
		return
	}
	at := bytes.IndexByte(parts[i], '-')
	if at < 0 {
		at = len(parts[i])
	}
	head, tail := parts[i][:at], parts[i][at:]
	if slices.Contains(b.style.places, string(head)) {
		gone = pick(b.r, b.style.left)
	}
	parts[i] = append([]byte(gone), tail...)
	b.text = append(b.text, bytes.Join(parts, []byte{'.'})...)
}
