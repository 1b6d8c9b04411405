package organisation

import (
	"bufio"
	"fmt"
	"io"

	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
)

// WriteZone writes a zone as a master file (RFC 1035 §5) that name servers load.
// It is the zone as it is before it is signed: DNSKEY and NSEC3PARAM records are
// left to the signer.
func WriteZone(w io.Writer, z *lab.Zone) error {
	b := bufio.NewWriterSize(w, 1<<16)
	fmt.Fprintf(b, "$ORIGIN %s\n$TTL %d\n", dnsname.String(z.Apex), z.TTL)
	var types []uint16
	for i := range z.Owners {
		o := &z.Owners[i]
		types = types[:0]
		o.Types.Each(func(t uint16) {
			if t == lab.TypeSOA {
				types = append([]uint16{t}, types...) // first, whatever the order of types is
			} else if t != lab.TypeDNSKEY && t != lab.TypeNSEC3PARAM {
				types = append(types, t)
			}
		})
		for _, t := range types {
			for _, rr := range lab.Records(z, o.Name, t, o.TTL) {
				b.WriteString(rr.String())
				b.WriteByte('\n')
			}
		}
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("write zone %s: %w", dnsname.String(z.Apex), err)
	}
	return nil
}

// WriteRetired writes the names of a zone that are gone, one a line without
// trailing dot.
func WriteRetired(w io.Writer, z *lab.Zone) error {
	b := bufio.NewWriterSize(w, 1<<16)
	for i := range z.Retired {
		fmt.Fprintf(b, "%s\n", dnsname.Text(z.Retired[i].Name))
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("write retired names of %s: %w", dnsname.String(z.Apex), err)
	}
	return nil
}
