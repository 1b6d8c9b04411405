package lab

import (
	"bytes"
	"crypto/sha1"
	"fmt"
	"net/netip"
	"slices"
	"sort"

	"github.com/picket-dns/picket/internal/dnsname"
)

// Signing is how a zone proves what does not exist.
type Signing uint8

// Ways of signing.
const (
	Unsigned Signing = iota
	NSEC             // RFC 4034 §4
	NSEC3            // RFC 5155, without salt and further iterations, as RFC 9276 wants it
)

// String returns the way as reports print it.
func (s Signing) String() string { return [...]string{"unsigned", "NSEC", "NSEC3"}[s] }

// Purpose is what a name is for, as far as traffic depends on it.
type Purpose uint8

// Purposes.
const (
	PurposeHost     Purpose = iota // any other host
	PurposeWeb                     // people visit it
	PurposeMail                    // mail exchangers and mail clients
	PurposeServer                  // name servers
	PurposeRemote                  // remote access
	PurposeInternal                // environments, management, what nobody outside should care for
	PurposePolicy                  // _dmarc, DKIM selectors, _mta-sts: TXT that mail software asks
	PurposeService                 // _service._proto
	PurposeApex
)

// Owner is a name that owns records, or did.
type Owner struct {
	Name    []byte // canonical wire form, below or at the zone's apex
	Types   Types
	TTL     uint32 // seconds; 0 means the zone's
	Purpose Purpose
	// Popularity is how often it is asked for, relative to the zone's other names; 0 is
	// a name that nobody asks for.
	Popularity float64
	// Public says that certificate logs show the name.
	Public bool
	// Until is, of a retired name, when it went, in days before the traffic begins.
	Until int
}

// Zone is an organisation's zone as its authoritative servers serve it. Fill its
// fields, then Seal it; from then on it is read only and may be shared.
type Zone struct {
	Apex         []byte // canonical wire form
	Signing      Signing
	TTL          uint32 // seconds
	NegativeTTL  uint32 // seconds (RFC 2308)
	OpenTransfer bool
	Servers      []netip.Addr
	Owners       []Owner // canonical order once sealed; those below a cut are glue
	Retired      []Owner

	hasher  dnsname.Hasher
	index   map[uint64]int32 // hash of an owner to its place
	between map[uint64]bool  // hashes of empty non-terminals
	chain   []int32          // NSEC: owners in the chain
	hashes  []nsec3Hash      // NSEC3: in the order of their hashes
}

type nsec3Hash struct {
	hash  [sha1.Size]byte
	owner int32 // -1: an empty non-terminal
}

// Seal sorts and indexes the zone. The apex must be among the owners.
func (z *Zone) Seal() error {
	z.hasher = dnsname.Hasher{Seed: 0x6c6162}
	slices.SortFunc(z.Owners, func(a, b Owner) int { return dnsname.Compare(a.Name, b.Name) })
	z.index, z.between = make(map[uint64]int32, len(z.Owners)), map[uint64]bool{}
	var sfx dnsname.Suffixes
	depth := dnsname.Labels(z.Apex)
	for i := range z.Owners {
		o := &z.Owners[i]
		if !dnsname.IsSubdomain(o.Name, z.Apex) {
			return fmt.Errorf("zone %s: %s is not in it", dnsname.String(z.Apex), dnsname.String(o.Name))
		}
		if o.TTL == 0 {
			o.TTL = z.TTL
		}
		z.hasher.Sum(o.Name, &sfx)
		if _, twice := z.index[sfx.Hash[0]]; twice {
			return fmt.Errorf("zone %s: %s is there twice", dnsname.String(z.Apex), dnsname.String(o.Name))
		}
		z.index[sfx.Hash[0]] = int32(i)
	}
	if len(z.Owners) == 0 || !bytes.Equal(z.Owners[0].Name, z.Apex) {
		return fmt.Errorf("zone %s: its apex owns nothing", dnsname.String(z.Apex))
	}
	for i := range z.Owners {
		z.hasher.Sum(z.Owners[i].Name, &sfx)
		for up := 1; up < sfx.N-depth; up++ {
			if _, owns := z.index[sfx.Hash[up]]; !owns {
				z.between[sfx.Hash[up]] = true
			}
		}
	}
	z.link()
	return nil
}

// link makes the chain of denial.
func (z *Zone) link() {
	seen := map[uint64]bool{}
	var sfx dnsname.Suffixes
	for i := range z.Owners {
		o := &z.Owners[i]
		if cut := z.cutAbove(o.Name); cut >= 0 && int(cut) != i {
			continue // glue
		}
		switch z.Signing {
		case NSEC:
			z.chain = append(z.chain, int32(i))
		case NSEC3:
			z.hashes = append(z.hashes, nsec3Hash{sha1.Sum(o.Name), int32(i)})
			z.hasher.Sum(o.Name, &sfx)
			for up := 1; up < sfx.N; up++ {
				if z.between[sfx.Hash[up]] && !seen[sfx.Hash[up]] {
					seen[sfx.Hash[up]] = true
					z.hashes = append(z.hashes, nsec3Hash{sha1.Sum(o.Name[sfx.At[up]:]), -1})
				}
			}
		}
	}
	slices.SortFunc(z.hashes, func(a, b nsec3Hash) int { return bytes.Compare(a.hash[:], b.hash[:]) })
}

// Find returns the place of an owner in Owners, -1 when it is none.
func (z *Zone) Find(name []byte) int {
	if i, ok := z.index[z.hasher.Name(name)]; ok && bytes.Equal(z.Owners[i].Name, name) {
		return int(i)
	}
	return -1
}

// cutAbove is the zone cut that name is at or below, -1 when there is none.
func (z *Zone) cutAbove(name []byte) int32 {
	var sfx dnsname.Suffixes
	z.hasher.Sum(name, &sfx)
	return z.cut(&sfx)
}

// cut is cutAbove for hashes that are known; the highest cut counts.
func (z *Zone) cut(sfx *dnsname.Suffixes) int32 {
	for up := sfx.N - dnsname.Labels(z.Apex) - 1; up >= 0; up-- {
		if i, ok := z.index[sfx.Hash[up]]; ok && z.Owners[i].Types.Has(TypeNS) {
			return i
		}
	}
	return -1
}

// Name returns the canonical wire form of labels below the apex, which are in
// presentation form without trailing dot; "" is the apex.
func (z *Zone) Name(labels string) []byte {
	if labels == "" {
		return z.Apex
	}
	wire, err := dnsname.AppendText(nil, labels)
	if err != nil {
		return nil
	}
	return append(wire[:len(wire)-1], z.Apex...)
}

// covering is the NSEC owner that name would come after, in Owners.
func (z *Zone) covering(name []byte) (owner, next int32) {
	i := sort.Search(len(z.chain), func(i int) bool { return dnsname.Compare(z.Owners[z.chain[i]].Name, name) > 0 })
	i = (i - 1 + len(z.chain)) % len(z.chain)
	return z.chain[i], z.chain[(i+1)%len(z.chain)]
}

// matching is the index in hashes of the NSEC3 record that matches or covers a name.
func (z *Zone) matching(name []byte) int {
	sum := sha1.Sum(name)
	i := sort.Search(len(z.hashes), func(i int) bool { return bytes.Compare(z.hashes[i].hash[:], sum[:]) > 0 })
	return (i - 1 + len(z.hashes)) % len(z.hashes)
}
