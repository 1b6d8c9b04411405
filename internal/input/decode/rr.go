package decode

import (
	"bytes"
	"strconv"

	"github.com/picket-dns/picket"
)

// rrTypes are the mnemonics of the IANA registry "Resource Record (RR) TYPEs",
// and those that BIND still writes by an older name.
var rrTypes = map[string]uint16{
	"A": 1, "NS": 2, "MD": 3, "MF": 4, "CNAME": 5, "SOA": 6, "MB": 7, "MG": 8, "MR": 9, "NULL": 10, "WKS": 11, "PTR": 12,
	"HINFO": 13, "MINFO": 14, "MX": 15, "TXT": 16, "RP": 17, "AFSDB": 18, "X25": 19, "ISDN": 20, "RT": 21, "NSAP": 22,
	"NSAP-PTR": 23, "SIG": 24, "KEY": 25, "PX": 26, "GPOS": 27, "AAAA": 28, "LOC": 29, "NXT": 30, "EID": 31, "NIMLOC": 32,
	"SRV": 33, "ATMA": 34, "NAPTR": 35, "KX": 36, "CERT": 37, "A6": 38, "DNAME": 39, "SINK": 40, "OPT": 41, "APL": 42,
	"DS": 43, "SSHFP": 44, "IPSECKEY": 45, "RRSIG": 46, "NSEC": 47, "DNSKEY": 48, "DHCID": 49, "NSEC3": 50,
	"NSEC3PARAM": 51, "TLSA": 52, "SMIMEA": 53, "HIP": 55, "NINFO": 56, "RKEY": 57, "TALINK": 58, "CDS": 59,
	"CDNSKEY": 60, "OPENPGPKEY": 61, "CSYNC": 62, "ZONEMD": 63, "SVCB": 64, "HTTPS": 65, "DSYNC": 66, "HHIT": 67, "BRID": 68,
	"SPF": 99, "UINFO": 100, "UID": 101, "GID": 102, "UNSPEC": 103, "NID": 104, "L32": 105, "L64": 106, "LP": 107,
	"EUI48": 108, "EUI64": 109, "NXNAME": 128, "TKEY": 249, "TSIG": 250, "IXFR": 251, "AXFR": 252, "MAILB": 253,
	"MAILA": 254, "ANY": 255, "URI": 256, "CAA": 257, "AVC": 258, "DOA": 259, "AMTRELAY": 260, "RESINFO": 261,
	"WALLET": 262, "CLA": 263, "IPN": 264, "TA": 32768, "DLV": 32769,
}

var rrTypeNames = func() map[uint16]string {
	m := make(map[uint16]string, len(rrTypes))
	for n, t := range rrTypes {
		m[t] = n
	}
	return m
}()

// ParseType reads a type's mnemonic, TYPE123 (RFC 3597 §5) or "*" for ANY.
func ParseType(b []byte) (uint16, bool) {
	switch string(b) { // most that there are
	case "A":
		return 1, true
	case "AAAA":
		return 28, true
	case "HTTPS":
		return 65, true
	case "MX":
		return 15, true
	case "NS":
		return 2, true
	case "PTR":
		return 12, true
	case "SOA":
		return 6, true
	case "SRV":
		return 33, true
	case "TXT":
		return 16, true
	}
	if t, ok := rrTypes[string(b)]; ok {
		return t, true
	}
	if len(b) == 1 && b[0] == '*' {
		return 255, true
	}
	if v, ok := prefixed(b, "TYPE"); ok {
		return v, true
	}
	return parseFold(b, rrTypes)
}

// parseFold looks b up in upper case; mnemonics are short.
func parseFold(b []byte, table map[string]uint16) (uint16, bool) {
	var up [16]byte
	if len(b) > len(up) {
		return 0, false
	}
	for i, c := range b {
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		up[i] = c
	}
	t, ok := table[string(up[:len(b)])]
	return t, ok
}

func prefixed(b []byte, prefix string) (uint16, bool) {
	if len(b) <= len(prefix) || !bytes.EqualFold(b[:len(prefix)], []byte(prefix)) {
		return 0, false
	}
	v, ok := ParseUint(b[len(prefix):], 65535)
	return uint16(v), ok
}

var classes = map[string]uint16{
	"IN": 1, "CH": 3, "CHAOS": 3, "HS": 4, "HESIOD": 4, "NONE": 254, "ANY": 255, "RESERVED0": 0,
	"C_INTERNET": 1, "C_CHAOS": 3, "C_HESIOD": 4, "C_NONE": 254, "C_ANY": 255,
}

// ParseClass reads a class's mnemonic or CLASS123 (RFC 3597 §5).
func ParseClass(b []byte) (uint16, bool) {
	if string(b) == "IN" {
		return 1, true
	}
	if c, ok := classes[string(b)]; ok {
		return c, true
	}
	if v, ok := prefixed(b, "CLASS"); ok {
		return v, true
	}
	return parseFold(b, classes)
}

var Rcodes = map[string]uint16{
	"NOERROR": 0, "FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3, "NOTIMP": 4, "NOTIMPL": 4, "REFUSED": 5, "YXDOMAIN": 6,
	"YXRRSET": 7, "NXRRSET": 8, "NOTAUTH": 9, "NOTZONE": 10, "DSOTYPENI": 11, "BADVERS": 16, "BADSIG": 16, "BADKEY": 17,
	"BADTIME": 18, "BADMODE": 19, "BADNAME": 20, "BADALG": 21, "BADTRUNC": 22, "BADCOOKIE": 23,
}

// ParseRcode reads a response code's mnemonic or number.
func ParseRcode(b []byte) (picket.Rcode, bool) {
	switch string(b) { // most that there are
	case "NOERROR":
		return picket.RcodeNoError, true
	case "NXDOMAIN":
		return picket.RcodeNXDomain, true
	}
	if v, ok := Rcodes[string(b)]; ok {
		return picket.Rcode(v), true
	}
	if v, ok := ParseUint(b, 4095); ok {
		return picket.Rcode(v), true
	}
	if v, ok := prefixed(b, "RCODE"); ok && v <= 4095 {
		return picket.Rcode(v), true
	}
	v, ok := parseFold(b, Rcodes)
	return picket.Rcode(v), ok
}

var rcodeNames = [...]string{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET",
	"NXRRSET", "NOTAUTH", "NOTZONE", "DSOTYPENI", "", "", "", "", "BADVERS", "BADKEY", "BADTIME", "BADMODE", "BADNAME",
	"BADALG", "BADTRUNC", "BADCOOKIE"}

func AppendTypeName(dst []byte, t uint16) []byte {
	if n, ok := rrTypeNames[t]; ok {
		return append(dst, n...)
	}
	return strconv.AppendUint(append(dst, "TYPE"...), uint64(t), 10)
}

func AppendClassName(dst []byte, c uint16) []byte {
	switch c {
	case 1:
		return append(dst, "IN"...)
	case 3:
		return append(dst, "CH"...)
	case 4:
		return append(dst, "HS"...)
	case 254:
		return append(dst, "NONE"...)
	case 255:
		return append(dst, "ANY"...)
	}
	return strconv.AppendUint(append(dst, "CLASS"...), uint64(c), 10)
}

func AppendRcodeName(dst []byte, r picket.Rcode) []byte {
	if r >= 0 && int(r) < len(rcodeNames) && rcodeNames[r] != "" {
		return append(dst, rcodeNames[r]...)
	}
	return strconv.AppendInt(append(dst, "RCODE"...), int64(r), 10)
}
