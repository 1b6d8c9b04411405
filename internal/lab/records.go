package lab

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"

	"github.com/miekg/dns"

	"github.com/picket-dns/picket/internal/dnsname"
)

// Records returns the records of one type that a name owns, with the same data
// whenever it is asked: for master files and for responses that are written out. z
// may be nil, and the name need not be in it; then hosts of providers stand in for
// those of the zone. Addresses are from 198.18.0.0/15 (RFC 2544) and 2001:db8::/32
// (RFC 3849), foreign names from "example". Types that are not in the list of
// Types get data without meaning (RFC 3597).
func Records(z *Zone, owner []byte, t uint16, ttl uint32) []dns.RR {
	m := recordMaker{z: z, owner: owner, sum: sha256.Sum256(owner), head: dns.RR_Header{Name: dnsname.String(owner), Rrtype: t, Class: dns.ClassINET, Ttl: ttl}}
	switch t {
	case TypeNS:
		return m.servers()
	case TypeMX:
		return m.exchangers()
	}
	return []dns.RR{m.record(t)}
}

type recordMaker struct {
	z     *Zone
	owner []byte
	sum   [sha256.Size]byte
	head  dns.RR_Header
}

// within is the presentation form of labels below the zone's apex, if that name
// owns an address.
func (m *recordMaker) within(labels string) (name string, ok bool) {
	if m.z == nil {
		return "", false
	}
	i := m.z.Find(m.z.Name(labels))
	if i < 0 || !m.z.Owners[i].Types.Has(TypeA) && !m.z.Owners[i].Types.Has(TypeAAAA) {
		return "", false
	}
	return dnsname.String(m.z.Owners[i].Name), true
}

func (m *recordMaker) isApex() bool { return m.z != nil && bytes.Equal(m.owner, m.z.Apex) }

// servers are the NS records: of the zone itself, or of a delegation with glue
// where there is some.
func (m *recordMaker) servers() (list []dns.RR) {
	if m.isApex() {
		for i := range m.z.Servers {
			if name, ok := m.within(fmt.Sprintf("ns%d", i+1)); ok {
				list = append(list, &dns.NS{Hdr: m.head, Ns: name})
			}
		}
	} else if m.z != nil {
		glue := append([]byte("\x03ns1"), m.owner...)
		if m.z.Find(glue) >= 0 {
			list = append(list, &dns.NS{Hdr: m.head, Ns: dnsname.String(glue)})
		}
	}
	if len(list) == 0 {
		list = append(list, &dns.NS{Hdr: m.head, Ns: "ns1.dns-provider.example."})
	}
	return list
}

func (m *recordMaker) exchangers() (list []dns.RR) {
	for i := range uint16(3) {
		if name, ok := m.within(fmt.Sprintf("mx%d", i+1)); ok {
			list = append(list, &dns.MX{Hdr: m.head, Preference: 10 * (i + 1), Mx: name})
		}
	}
	if len(list) == 0 {
		list = append(list, &dns.MX{Hdr: m.head, Preference: 10, Mx: "mx.mail-provider.example."})
	}
	return list
}

func (m *recordMaker) record(t uint16) dns.RR {
	h, s := m.head, &m.sum
	switch t {
	case TypeA:
		return &dns.A{Hdr: h, A: m.address(false)}
	case TypeAAAA:
		return &dns.AAAA{Hdr: h, AAAA: m.address(true)}
	case TypeCNAME:
		return &dns.CNAME{Hdr: h, Target: m.host("cdn-provider")}
	case TypePTR:
		return &dns.PTR{Hdr: h, Ptr: m.host("provider")}
	case TypeSOA:
		return soa(m.z, h)
	case TypeTXT, TypeSPF:
		return &dns.TXT{Hdr: h, Txt: []string{m.text()}}
	case TypeSRV:
		return m.service()
	case TypeDS:
		return &dns.DS{Hdr: h, KeyTag: uint16(s[0])<<8 | uint16(s[1]), Algorithm: dns.ECDSAP256SHA256, DigestType: dns.SHA256, Digest: hex.EncodeToString(s[:])}
	case TypeDNSKEY:
		return &dns.DNSKEY{Hdr: h, Flags: 257, Protocol: 3, Algorithm: dns.ECDSAP256SHA256, PublicKey: base64.StdEncoding.EncodeToString(append(s[:], s[:]...))}
	case TypeTLSA:
		return &dns.TLSA{Hdr: h, Usage: 3, Selector: 1, MatchingType: 1, Certificate: hex.EncodeToString(s[:])}
	case TypeHTTPS:
		return &dns.HTTPS{SVCB: dns.SVCB{Hdr: h, Priority: 1, Target: ".", Value: []dns.SVCBKeyValue{&dns.SVCBAlpn{Alpn: []string{"h2"}}}}}
	case TypeCAA:
		return &dns.CAA{Hdr: h, Tag: "issue", Value: "ca.example"}
	case TypeNAPTR:
		return &dns.NAPTR{Hdr: h, Order: 10, Preference: 10, Flags: "s", Service: "SIPS+D2T", Replacement: m.host("provider")}
	case TypeHINFO:
		return &dns.HINFO{Hdr: h, Cpu: "X86-64", Os: "LINUX"}
	case TypeNSEC3PARAM:
		return &dns.NSEC3PARAM{Hdr: h, Hash: dns.SHA1}
	}
	return &dns.RFC3597{Hdr: h, Rdata: hex.EncodeToString(s[:4])}
}

// address is that of a server of the zone, or one that goes with the name.
func (m *recordMaker) address(six bool) net.IP {
	if m.z != nil {
		for i, a := range m.z.Servers {
			if a.Is6() == six && bytes.Equal(m.owner, m.z.Name(fmt.Sprintf("ns%d", i+1))) {
				return a.AsSlice()
			}
		}
	}
	s := &m.sum
	a := netip.AddrFrom4([4]byte{198, 18 + s[0]&1, s[1], s[2]})
	if six {
		a = netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, s[0], s[1], 14: s[2], 15: s[3]})
	}
	return a.AsSlice()
}

// host is a name at a provider.
func (m *recordMaker) host(provider string) string {
	return fmt.Sprintf("h%x.%s.example.", m.sum[:4], provider)
}

// text is what TXT records say, by what they are for.
func (m *recordMaker) text() string {
	label := string(dnsname.First(m.owner))
	parent := string(dnsname.First(dnsname.Parent(m.owner)))
	switch {
	case m.isApex() || label == "_spf":
		return "v=spf1 mx ip4:198.18.0.0/15 -all"
	case label == "_dmarc":
		return "v=DMARC1; p=quarantine"
	case parent == "_domainkey":
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(m.sum[:])
	case label == "_mta-sts":
		return fmt.Sprintf("v=STSv1; id=%x", m.sum[:4])
	case label == "_smtp" && parent == "_tls":
		return "v=TLSRPTv1; rua=mailto:tls@report-provider.example"
	}
	return base64.RawURLEncoding.EncodeToString(m.sum[:])
}

// service is an SRV record, whose target must own addresses (RFC 2782).
func (m *recordMaker) service() dns.RR {
	rr := &dns.SRV{Hdr: m.head, Priority: 10, Weight: 5, Port: 443, Target: "service.provider.example."}
	for _, s := range [...]struct {
		label, host string
		port        uint16
	}{{"_ldap", "dc1", 389}, {"_kerberos", "dc1", 88}, {"_sip", "sip", 5061}, {"_sipfederationtls", "sip", 5061}, {"_imaps", "imap", 993}, {"_submission", "smtp", 587}} {
		if string(dnsname.First(m.owner)) == s.label {
			rr.Port = s.port
			if name, ok := m.within(s.host); ok {
				rr.Target = name
			}
		}
	}
	return rr
}

// soa is the SOA record of a zone, or of a zone about which nothing is known.
func soa(z *Zone, h dns.RR_Header) dns.RR {
	rr := &dns.SOA{Hdr: h, Ns: "ns1.dns-provider.example.", Mbox: "hostmaster." + h.Name, Serial: 2026010101, Refresh: 3600, Retry: 900, Expire: 1209600, Minttl: 300}
	if h.Name == "." {
		rr.Mbox = "hostmaster."
	}
	if z == nil {
		return rr
	}
	if i := z.Find(z.Name("ns1")); i >= 0 {
		rr.Ns = dnsname.String(z.Owners[i].Name)
	}
	rr.Minttl = z.NegativeTTL
	return rr
}
