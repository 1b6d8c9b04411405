package input

import (
	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/admin"
)

// adminFormats are the formats whose records are acts of administration.
func adminFormats() []Format {
	return []Format{
		{Name: "cloudtrail", Title: "AWS CloudTrail, events of Route 53", Kind: picket.KindAdminEvent, Shape: ShapeLines, Detect: admin.DetectCloudTrail, Decode: of(admin.CloudTrail)},
		{Name: "cloudflare-audit", Title: "Cloudflare audit logs, API or Logpush", Kind: picket.KindAdminEvent, Shape: ShapeLines, Detect: admin.DetectCloudflareAudit, Decode: of(admin.CloudflareAudit)},
		{Name: "gcp-audit", Title: "Google Cloud audit logs of Cloud DNS and Cloud Domains", Kind: picket.KindAdminEvent, Shape: ShapeLines, Detect: admin.DetectGCPAudit, Decode: of(admin.GCPAudit)},
		{Name: "azure-activity", Title: "Azure activity log, operations on DNS zones", Kind: picket.KindAdminEvent, Shape: ShapeLines, Detect: admin.DetectAzureActivity, Decode: of(admin.AzureActivity)},
		{Name: "bind-admin", Title: "BIND 9 updates, transfers and notifications", Kind: picket.KindAdminEvent, Shape: ShapeLines, Syslog: true, Detect: admin.DetectBindAdmin, Decode: of(admin.BindAdmin)},
		{Name: "rdap", Title: "RDAP domain objects", Kind: picket.KindAdminEvent, Shape: ShapeDocument, Detect: admin.DetectRDAP, Decode: of(admin.RDAP)},
		{Name: "admin-csv", Title: "any provider, CSV with a mapping", Kind: picket.KindAdminEvent, Shape: ShapeText, Mapped: admin.Fields(), Decode: of(admin.CSV)},
		{Name: "admin-json", Title: "any provider, JSON with a mapping", Kind: picket.KindAdminEvent, Shape: ShapeLines, Mapped: admin.Fields(), Decode: of(admin.JSON)},
	}
}
