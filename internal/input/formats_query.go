package input

import (
	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/query"
)

// queryFormats are the formats whose records are transactions at a name server.
func queryFormats() []Format {
	return []Format{
		{Name: "pcap", Title: "packet capture, pcap or pcapng", Kind: picket.KindQuery, Levels: "QRD", Shape: ShapeBinary, Detect: query.DetectPcap, Decode: of(query.Pcap)},
		{Name: "dnstap", Title: "dnstap in Frame Streams", Kind: picket.KindQuery, Levels: "QRD", Shape: ShapeBinary, Detect: query.DetectDnstap, Decode: of(query.Dnstap)},
		{Name: "dnstap-message", Title: "dnstap messages without Frame Streams", Kind: picket.KindQuery, Levels: "QRD", Shape: ShapeBinary, Prefixed: true, Detect: query.DetectDnstapMessage, Decode: of(query.DnstapMessage)},
		{Name: "powerdns-protobuf", Title: "protobuf messages of dnsdist and PowerDNS Recursor", Kind: picket.KindQuery, Levels: "QR", Shape: ShapeBinary, Prefixed: true, Detect: query.DetectPowerDNS, Decode: of(query.PowerDNS)},
		{Name: "c-dns", Title: "C-DNS (RFC 8618)", Kind: picket.KindQuery, Levels: "QRD", Shape: ShapeBinary, Detect: query.DetectCDNS, Decode: of(query.CDNS)},
		{Name: "bind-log", Title: "BIND 9 query log", Kind: picket.KindQuery, Levels: "Q", Shape: ShapeText, Syslog: true, Detect: query.DetectBindLog, Decode: of(query.BindLog)},
		{Name: "zeek-dns", Title: "Zeek dns.log, TSV or JSON", Kind: picket.KindQuery, Levels: "QR", Shape: ShapeText, Detect: query.DetectZeekDNS, Decode: of(query.ZeekDNS)},
		{Name: "suricata-eve", Title: "Suricata EVE JSON, dns events", Kind: picket.KindQuery, Levels: "QR", Shape: ShapeText, Detect: query.DetectSuricataDNS, Decode: of(query.SuricataDNS)},
		{Name: "msdns-debug", Title: "Microsoft DNS Server debug log", Kind: picket.KindQuery, Levels: "QR", Shape: ShapeText, Detect: query.DetectMSDNSDebug, Decode: of(query.MSDNSDebug)},
		{Name: "route53-log", Title: "Amazon Route 53 public hosted zone query log", Kind: picket.KindQuery, Levels: "QR", Shape: ShapeLines, Detect: query.DetectRoute53Log, Decode: of(query.Route53Log)},
		{Name: "route53-resolver", Title: "Amazon Route 53 VPC Resolver query log", Kind: picket.KindQuery, Levels: "QR", Shape: ShapeLines, Detect: query.DetectRoute53Resolver, Decode: of(query.Route53Resolver)},
		{Name: "cloudflare-dns", Title: "Cloudflare Logpush, data sets dns_logs and dns_firewall_logs", Kind: picket.KindQuery, Levels: "QR", Shape: ShapeText, Detect: query.DetectCloudflareDNS, Decode: of(query.CloudflareDNS)},
		{Name: "gcp-dns", Title: "Google Cloud DNS query log", Kind: picket.KindQuery, Levels: "QR", Shape: ShapeLines, Detect: query.DetectGCPDNS, Decode: of(query.GCPDNS)},
		{Name: "azure-dns", Title: "Azure DNS security policy query log", Kind: picket.KindQuery, Levels: "QR", Shape: ShapeLines, Detect: query.DetectAzureDNS, Decode: of(query.AzureDNS)},
		{Name: "nsd-log", Title: "NSD log, zone transfers and notifications", Kind: picket.KindQuery, Levels: "Q", Shape: ShapeLines, Syslog: true, Detect: query.DetectNSDLog, Decode: of(query.NSDLog)},
		{Name: "knot-log", Title: "Knot DNS log, zone transfers, notifications and updates", Kind: picket.KindQuery, Levels: "Q", Shape: ShapeText, Syslog: true, Detect: query.DetectKnotLog, Decode: of(query.KnotLog)},
		{Name: "powerdns-log", Title: "PowerDNS log, Authoritative Server and Recursor", Kind: picket.KindQuery, Levels: "Q", Shape: ShapeText, Syslog: true, Detect: query.DetectPowerDNSLog, Decode: of(query.PowerDNSLog)},
		{Name: "coredns-log", Title: "CoreDNS query log", Kind: picket.KindQuery, Levels: "QR", Shape: ShapeLines, Syslog: true, Detect: query.DetectCoreDNSLog, Decode: of(query.CoreDNSLog)},
		{Name: "unbound-log", Title: "Unbound query and reply log", Kind: picket.KindQuery, Levels: "QR", Shape: ShapeText, Syslog: true, Detect: query.DetectUnboundLog, Decode: of(query.UnboundLog)},
		{Name: "ndjson", Title: "Picket's own JSON lines", Kind: picket.KindQuery, Levels: "QRD", Shape: ShapeLines, Detect: query.DetectNDJSON, Decode: of(query.NDJSON)},
	}
}
