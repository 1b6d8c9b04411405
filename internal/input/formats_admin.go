package input

import (
	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/admin"
)

// adminFormats are the formats whose records are acts of administration.
func adminFormats() []Format {
	return []Format{
		{Name: "admin-csv", Title: "any provider, CSV with a mapping", Kind: picket.KindAdminEvent, Shape: ShapeText, Decode: of(admin.CSV)},
		{Name: "admin-json", Title: "any provider, JSON with a mapping", Kind: picket.KindAdminEvent, Shape: ShapeLines, Decode: of(admin.JSON)},
	}
}
