package lab

import (
	"bytes"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
)

// Respond fills in the response of the zone's authoritative servers to q: response
// code, flags, the sections as far as picket.Response has them. What it puts into q
// belongs to the zone and stays valid.
func (z *Zone) Respond(q *picket.Query) {
	q.Flags |= picket.FlagResponse | picket.FlagFlags
	q.Flags &^= picket.FlagAA | picket.FlagReferral
	q.Response = picket.Response{Denials: q.Response.Denials[:0]}
	q.Rcode = picket.RcodeRefused
	if q.Class != 1 || !dnsname.IsSubdomain(q.Name, z.Apex) {
		return
	}
	if q.Type == TypeAXFR || q.Type == TypeIXFR {
		if z.OpenTransfer {
			q.Rcode, q.Response.Answers = picket.RcodeNoError, uint16(min(len(z.Owners)*2, 65535))
			q.Flags |= picket.FlagAA
		}
		return
	}
	var sfx dnsname.Suffixes
	z.hasher.Sum(q.Name, &sfx)
	q.Rcode = picket.RcodeNoError
	if cut := z.cut(&sfx); cut >= 0 && !(q.Type == TypeDS && bytes.Equal(z.Owners[cut].Name, q.Name)) {
		q.Flags |= picket.FlagReferral
		q.Response.Authority = z.Owners[cut].Name
		return
	}
	q.Flags |= picket.FlagAA
	z.answer(q, &sfx)
}

// answer fills in an authoritative answer.
func (z *Zone) answer(q *picket.Query, sfx *dnsname.Suffixes) {
	if i, ok := z.index[sfx.Hash[0]]; ok {
		z.exact(q, i)
		return
	}
	if z.between[sfx.Hash[0]] {
		z.negative(q)
		z.deny(q, q.Name)
		return
	}
	up := 1
	for ; up < sfx.N; up++ {
		if _, owns := z.index[sfx.Hash[up]]; owns || z.between[sfx.Hash[up]] {
			break
		}
	}
	encloser := q.Name[sfx.At[up]:]
	var buf [dnsname.MaxLen + 2]byte
	star := append(append(buf[:0], 1, '*'), encloser...)
	if i := z.Find(star); i >= 0 {
		o := &z.Owners[i]
		if o.Types.Has(q.Type) || o.Types.Has(TypeCNAME) {
			q.Response.Answers = 1
		} else {
			z.negative(q)
		}
		z.deny(q, q.Name)
		return
	}
	q.Rcode = picket.RcodeNXDomain
	z.negative(q)
	if z.Signing == NSEC3 {
		z.deny(q, encloser)
		z.deny(q, q.Name[sfx.At[up-1]:])
	} else {
		z.deny(q, q.Name)
	}
	z.deny(q, star)
}

// exact answers for the owner at place i.
func (z *Zone) exact(q *picket.Query, i int32) {
	o := &z.Owners[i]
	switch {
	case q.Type == TypeANY:
		o.Types.Each(func(uint16) { q.Response.Answers++ })
	case q.Type == TypeNSEC && z.Signing == NSEC:
		q.Response.Answers = 1
		z.addDenial(q, o.Name)
	case o.Types.Has(q.Type) || o.Types.Has(TypeCNAME):
		q.Response.Answers = 1
	default:
		z.negative(q)
		z.deny(q, o.Name)
	}
}

func (z *Zone) negative(q *picket.Query) {
	q.Response.Authority, q.Response.HasSOA = z.Apex, true
}

// deny adds the record that proves what name lacks, when the query wanted proofs.
func (z *Zone) deny(q *picket.Query, name []byte) {
	if z.Signing != Unsigned && q.Has(picket.FlagDO) {
		z.addDenial(q, name)
	}
}

func (z *Zone) addDenial(q *picket.Query, name []byte) {
	var d picket.Denial
	switch z.Signing {
	case NSEC:
		owner, next := z.covering(name)
		d.Owner, d.Next = z.Owners[owner].Name, z.Owners[next].Name
	case NSEC3:
		i := z.matching(name)
		d = picket.Denial{NSEC3: true, Owner: z.hashes[i].hash[:], Next: z.hashes[(i+1)%len(z.hashes)].hash[:]}
	default:
		return
	}
	for i := range q.Response.Denials {
		if bytes.Equal(q.Response.Denials[i].Owner, d.Owner) {
			return
		}
	}
	if len(q.Response.Denials) < picket.MaxDenials {
		q.Response.Denials = append(q.Response.Denials, d)
	}
}

// RespondAt is Respond for a question about the owner at place i of Owners, which
// must not be at or below a cut; for streams that know what they ask.
func (z *Zone) RespondAt(q *picket.Query, i int) {
	q.Flags = q.Flags&^picket.FlagReferral | picket.FlagResponse | picket.FlagFlags | picket.FlagAA
	q.Response = picket.Response{Denials: q.Response.Denials[:0]}
	q.Rcode = picket.RcodeNoError
	z.exact(q, int32(i))
}
