package catalog

import (
	"fmt"
	"time"

	"github.com/picket-dns/picket/internal/dnsname"
)

// Record types whose presence changes what a zone is or answers (IANA DNS
// parameters, resource record types).
const (
	typeNS         = 2
	typeSOA        = 6
	typeDNAME      = 39
	typeRRSIG      = 46
	typeNSEC       = 47
	typeDNSKEY     = 48
	typeNSEC3      = 50
	typeNSEC3PARAM = 51
)

// What is kept of an owner name while a zone is read (table flags of ZoneData).
const (
	ownsData  = 1 << iota // something besides RRSIG, NSEC and NSEC3
	ownsNS                //
	ownsDNAME             //
)

// Problem is something wrong in an input file, at its place, with what would be right.
type Problem struct {
	File string
	Line int // from 1
	Text string
}

// Error returns "file:line: text".
func (p Problem) Error() string { return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text) }

// maxProblems bounds the problems kept of one file; the others are counted.
const maxProblems = 100

// ZoneData is the contents of one zone as far as the catalog needs them: which
// names own records, and what kind.
type ZoneData struct {
	Apex     []byte    // canonical wire form
	Path     string    // the file it came from; "" when added record by record
	Modified time.Time // when the file was written; zero when added record by record
	Records  int       // records taken
	Skipped  int       // records not taken because of a Problem
	Problems []Problem
	MoreBad  int // problems beyond those kept

	Signed bool // has DNSKEY, NSEC or NSEC3
	NSEC3  bool // has NSEC3 or NSEC3PARAM
	SOA    bool // has its SOA

	owners *table
}

// NewZoneData returns an empty zone at apex, a canonical wire name. Inputs other
// than master files (zone transfers, provider exports) fill it with Add.
func NewZoneData(apex []byte) *ZoneData {
	return &ZoneData{Apex: append([]byte(nil), apex...), owners: newTable(dnsname.Hasher{}, 64, 2048)}
}

// Name returns the zone's name in presentation form with trailing dot.
func (z *ZoneData) Name() string { return dnsname.String(z.Apex) }

// Owners is the number of distinct owner names, those below a delegation
// included, those that own nothing but RRSIG, NSEC or NSEC3 not.
func (z *ZoneData) Owners() int {
	n := 0
	for off := uint32(headerLen); int(off) < len(z.owners.arena); off = z.owners.next(off) {
		if z.owners.flags(off)&ownsData != 0 {
			n++
		}
	}
	return n
}

// Add notes that owner, in canonical wire form, owns a record of a type.
func (z *ZoneData) Add(owner []byte, rrtype uint16) error {
	if !dnsname.IsSubdomain(owner, z.Apex) {
		return fmt.Errorf("%s is not at or below the zone's apex %s", dnsname.String(owner), z.Name())
	}
	flags := uint8(ownsData)
	switch rrtype {
	case typeRRSIG:
		flags = 0
	case typeNSEC:
		flags = 0
		z.Signed = true
	case typeNSEC3:
		flags = 0
		z.Signed, z.NSEC3 = true, true
	case typeNSEC3PARAM:
		z.NSEC3 = true
	case typeDNSKEY:
		z.Signed = z.Signed || len(owner) == len(z.Apex)
	case typeNS:
		flags |= ownsNS
	case typeDNAME:
		flags |= ownsDNAME
	case typeSOA:
		if len(owner) != len(z.Apex) {
			return fmt.Errorf("SOA of %s in the zone %s: a zone has one SOA, at its apex", dnsname.String(owner), z.Name())
		}
		z.SOA = true
	}
	z.Records++
	if flags == 0 {
		return nil
	}
	off, _, err := z.owners.insert(z.owners.hasher.Name(owner), owner, 0)
	if err != nil {
		return err
	}
	z.owners.or(off, flags)
	return nil
}

func (z *ZoneData) problem(file string, line int, format string, args ...any) {
	if len(z.Problems) >= maxProblems {
		z.MoreBad++
		return
	}
	z.Problems = append(z.Problems, Problem{file, line, fmt.Sprintf(format, args...)})
}
