package input

import (
	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/sighting"
)

// sightingFormats are the formats whose records are what passive DNS and certificate logs have seen.
func sightingFormats() []Format {
	return []Format{
		{Name: "pdns-cof", Title: "passive DNS in the Common Output Format: CIRCL, DNSDB v1, dnsdbq -j", Kind: picket.KindSighting, Shape: ShapeLines, Detect: sighting.DetectCOF, Decode: of(sighting.COF)},
		{Name: "dnsdb-v2", Title: "DNSDB API v2, in Streaming API Framing", Kind: picket.KindSighting, Shape: ShapeText, Detect: sighting.DetectDNSDB, Decode: of(sighting.DNSDB)},
		{Name: "crtsh", Title: "crt.sh JSON", Kind: picket.KindSighting, Shape: ShapeDocument, Detect: sighting.DetectCrtSh, Decode: of(sighting.CrtSh)},
		{Name: "certspotter", Title: "Cert Spotter issuances", Kind: picket.KindSighting, Shape: ShapeDocument, Detect: sighting.DetectCertSpotter, Decode: of(sighting.CertSpotter)},
		{Name: "certstream", Title: "certstream messages", Kind: picket.KindSighting, Shape: ShapeLines, Detect: sighting.DetectCertStream, Decode: of(sighting.CertStream)},
	}
}
