package record

import (
	"fmt"

	"github.com/miekg/dns"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// FromWire makes a Record of what a name server has sent: the same that ZoneFile
// makes of it where it stands in a zone file.
func FromWire(rr dns.RR) (picket.Record, error) {
	h := rr.Header()
	name, ok := fqdn(h.Name)
	if !ok {
		return picket.Record{}, fmt.Errorf("%s: %q", decode.ReasonBadName, h.Name)
	}
	return picket.Record{Name: name, Type: string(decode.AppendTypeName(nil, h.Rrtype)), Class: string(decode.AppendClassName(nil, h.Class)),
		TTL: int64(h.Ttl), Data: fieldText(rr)}, nil
}
