package query

import (
	"encoding/hex"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/input/decode"
)

// AppendNDJSON appends q as one line of JSON, with the newline, as NDJSON reads
// it. Fields with nothing in them are left out.
func AppendNDJSON(dst []byte, q *picket.Query) []byte {
	dst = append(dst, `{"time":"`...)
	dst = time.Unix(0, q.Time).UTC().AppendFormat(dst, time.RFC3339Nano)
	dst = append(dst, '"')
	if q.Client.IsValid() {
		dst = append(q.Client.AppendTo(append(dst, `,"client":"`...)), '"')
	}
	dst = appendNumber(dst, `,"client_port":`, q.ClientPort)
	if q.Server.IsValid() {
		dst = append(q.Server.AppendTo(append(dst, `,"server":"`...)), '"')
	}
	if t := q.Transport.String(); t != "" {
		dst = append(append(append(dst, `,"transport":"`...), t...), '"')
	}
	dst = appendNumber(dst, `,"opcode":`, uint16(q.Opcode))
	dst = appendNameKey(dst, `,"name":`, q.Name)
	dst = append(decode.AppendTypeName(append(dst, `,"type":"`...), q.Type), '"')
	dst = append(decode.AppendClassName(append(dst, `,"class":"`...), q.Class), '"')
	if q.Rcode >= 0 {
		dst = append(decode.AppendRcodeName(append(dst, `,"rcode":"`...), q.Rcode), '"')
	}
	sep := `,"flags":["`
	for _, f := range flagNames {
		if q.Flags&f.flag != 0 {
			dst = append(append(append(dst, sep...), f.name...), '"')
			sep = `,"`
		}
	}
	if sep == `,"` {
		dst = append(dst, ']')
	}
	dst = appendNumber(dst, `,"edns_size":`, q.EDNSSize)
	if q.ClientSubnet.IsValid() {
		dst = append(q.ClientSubnet.AppendTo(append(dst, `,"ecs":"`...)), '"')
	}
	dst = appendResponse(dst, &q.Response)
	if q.Sensor != "" {
		dst = appendQuoted(append(dst, `,"sensor":`...), q.Sensor)
	}
	return append(dst, '}', '\n')
}

func appendResponse(dst []byte, r *picket.Response) []byte {
	dst = appendNumber(dst, `,"answers":`, r.Answers)
	if len(r.Owner) > 0 {
		dst = appendNameKey(dst, `,"owner":`, r.Owner)
	}
	if len(r.Authority) > 0 {
		dst = appendNameKey(dst, `,"authority":`, r.Authority)
	}
	if r.HasSOA {
		dst = append(dst, `,"soa":true`...)
	}
	if len(r.Denials) == 0 {
		return dst
	}
	dst = append(dst, `,"denials":[`...)
	for i, n := range r.Denials {
		if i > 0 {
			dst = append(dst, ',')
		}
		if n.NSEC3 {
			dst = hex.AppendEncode(append(dst, `{"nsec3":true,"owner":"`...), n.Owner)
			dst = hex.AppendEncode(append(dst, `","next":"`...), n.Next)
			dst = append(dst, `"}`...)
			continue
		}
		dst = appendNameKey(append(dst, '{'), `"owner":`, n.Owner)
		dst = append(appendNameKey(dst, `,"next":`, n.Next), '}')
	}
	return append(dst, ']')
}

func appendNumber(dst []byte, key string, v uint16) []byte {
	if v == 0 {
		return dst
	}
	return strconv.AppendUint(append(dst, key...), uint64(v), 10)
}

// appendNameKey writes a name in presentation form without trailing dot. The
// form is printable ASCII; only backslash and quote need escaping.
func appendNameKey(dst []byte, key string, name []byte) []byte {
	var buf [1024]byte
	text := dnsname.AppendString(buf[:0], name)
	if len(text) > 1 {
		text = text[:len(text)-1]
	}
	dst = append(append(dst, key...), '"')
	for _, c := range text {
		if c == '\\' || c == '"' {
			dst = append(dst, '\\')
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}

// appendQuoted writes any string as JSON.
func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r < 0x20:
			const digits = "0123456789abcdef"
			dst = append(dst, '\\', 'u', '0', '0', digits[r>>4], digits[r&15])
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}
