package input

import (
	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/asset"
)

// assetFormats are the formats whose records are entries of an attack-surface inventory.
func assetFormats() []Format {
	return []Format{
		{Name: "amass", Title: "amass findings, JSON lines or relations", Kind: picket.KindAsset, Shape: ShapeLines, Detect: asset.DetectAmass, Decode: of(asset.Amass)},
		{Name: "subfinder", Title: "subfinder JSON lines", Kind: picket.KindAsset, Shape: ShapeLines, Detect: asset.DetectSubfinder, Decode: of(asset.Subfinder)},
		{Name: "nmap-xml", Title: "nmap report, XML", Kind: picket.KindAsset, Shape: ShapeDocument, Detect: asset.DetectNmapXML, Decode: of(asset.NmapXML)},
		{Name: "naabu", Title: "naabu JSON lines", Kind: picket.KindAsset, Shape: ShapeLines, Detect: asset.DetectNaabu, Decode: of(asset.Naabu)},
		{Name: "nuclei", Title: "nuclei results, JSON", Kind: picket.KindAsset, Shape: ShapeLines, Detect: asset.DetectNuclei, Decode: of(asset.Nuclei)},
		{Name: "zdns", Title: "zdns results, JSON", Kind: picket.KindAsset, Shape: ShapeLines, Detect: asset.DetectZDNS, Decode: of(asset.ZDNS)},
		{Name: "asset-csv", Title: "inventory, CSV with a mapping or a plain header", Kind: picket.KindAsset, Shape: ShapeText, Mapped: asset.Fields(), Unmapped: true, Decode: of(asset.CSV)},
		{Name: "asset-json", Title: "inventory, JSON with a mapping", Kind: picket.KindAsset, Shape: ShapeLines, Mapped: asset.Fields(), Decode: of(asset.JSON)},
	}
}
