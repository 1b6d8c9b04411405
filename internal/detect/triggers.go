package detect

import "github.com/picket-dns/picket"

// Query types that detectors tell apart (IANA DNS parameters).
const (
	typeA          = 1
	typeNS         = 2
	typeCNAME      = 5
	typeSOA        = 6
	typeWKS        = 11
	typePTR        = 12
	typeHINFO      = 13
	typeMX         = 15
	typeTXT        = 16
	typeRP         = 17
	typeAFSDB      = 18
	typeAAAA       = 28
	typeLOC        = 29
	typeSRV        = 33
	typeNAPTR      = 35
	typeDS         = 43
	typeRRSIG      = 46
	typeNSEC       = 47
	typeDNSKEY     = 48
	typeNSEC3      = 50
	typeNSEC3PARAM = 51
	typeTLSA       = 52
	typeCDS        = 59
	typeCDNSKEY    = 60
	typeHTTPS      = 65
	typeSPF        = 99
	typeIXFR       = 251
	typeAXFR       = 252
	typeANY        = 255
	typeCAA        = 257
)

const (
	classIN  = 1
	classCH  = 3
	classHS  = 4
	classANY = 255

	opcodeQuery  = 0
	opcodeNotify = 4
	opcodeUpdate = 5
)

// triggersOf works out, from the query and its context alone, what detectors may
// want it.
func triggersOf(q *picket.Query, c *picket.NameContext) Trigger {
	var on Trigger
	switch {
	case q.Class != classIN:
		if q.Class == classCH || q.Class == classHS || q.Class == classANY {
			on |= OnFingerprint
		}
		return on
	case q.Opcode != opcodeQuery:
		if q.Opcode != opcodeNotify && q.Opcode != opcodeUpdate {
			on |= OnFingerprint
		}
		return on
	}
	if q.Flags&(picket.FlagBadEDNS|picket.FlagNSID) != 0 {
		on |= OnFingerprint
	}
	switch q.Type {
	case typeA, typeAAAA, typeHTTPS, typeCNAME:
	case typeAXFR, typeIXFR:
		return on | OnTransfer
	case typeNSEC, typeNSEC3, typeDS:
		on |= OnDenial
	case typePTR, typeSRV, typeTLSA:
	default:
		on |= OnSurveyType
	}
	if c.Zone == nil {
		return on
	}
	if len(q.Response.Denials) != 0 {
		on |= OnDenial
	}
	if c.Depth == 0 {
		if q.Type != typeA && q.Type != typeAAAA && q.Type != typeHTTPS {
			on |= OnSurveyType
		}
	} else if q.Name[1] == '_' && q.Name[0] > 1 {
		on |= OnService
		if c.Depth == 1 {
			on |= OnSurveyType
		}
	}
	if q.Type == typeANY {
		on |= OnSurveyType
	}
	if c.Zone.Reverse && c.Depth > 0 {
		on |= OnReverse
	}
	// Without denials in the telemetry a walk of a signed zone still shows in the
	// names: the immediate successors \000.X and X\000 of a name.
	if q.Name[0] > 0 && (q.Name[1] == 0 || q.Name[q.Name[0]] == 0 || q.Name[q.Name[0]] == '-' || q.Name[0] == 1 && q.Name[1] == '0') {
		on |= OnDenial
	}
	return on
}
