package input

import (
	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/record"
)

// recordFormats are the formats whose records are resource records of zones.
func recordFormats() []Format {
	return []Format{
		{Name: "zone-file", Title: "zone file (RFC 1035 master file)", Kind: picket.KindRecord, Shape: ShapeDocument, Detect: record.DetectZoneFile, Decode: of(record.ZoneFile)},
		{Name: "octodns", Title: "octoDNS zone in YAML", Kind: picket.KindRecord, Shape: ShapeDocument, Detect: record.DetectOctoDNS, Decode: of(record.OctoDNS)},
		{Name: "dnscontrol", Title: "DNSControl print-ir JSON", Kind: picket.KindRecord, Shape: ShapeDocument, Detect: record.DetectDNSControl, Decode: of(record.DNSControl)},
		{Name: "terraform-state", Title: "Terraform state", Kind: picket.KindRecord, Shape: ShapeDocument, Detect: record.DetectTerraformState, Decode: of(record.TerraformState)},
		{Name: "terraform-plan", Title: "terraform show -json of a plan or state", Kind: picket.KindRecord, Shape: ShapeDocument, Detect: record.DetectTerraformPlan, Decode: of(record.TerraformPlan)},
		{Name: "route53-export", Title: "Route 53 record sets", Kind: picket.KindRecord, Shape: ShapeDocument, Detect: record.DetectRoute53Export, Decode: of(record.Route53Export)},
		{Name: "cloudflare-export", Title: "Cloudflare dns_records answer", Kind: picket.KindRecord, Shape: ShapeDocument, Detect: record.DetectCloudflareExport, Decode: of(record.CloudflareExport)},
		{Name: "gcp-export", Title: "Google Cloud DNS record sets", Kind: picket.KindRecord, Shape: ShapeDocument, Detect: record.DetectGCPExport, Decode: of(record.GCPExport)},
		{Name: "azure-export", Title: "Azure DNS record sets", Kind: picket.KindRecord, Shape: ShapeDocument, Detect: record.DetectAzureExport, Decode: of(record.AzureExport)},
	}
}
