package input

import (
	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/signal"
)

// signalFormats are the formats whose records are suspicions of other sensors.
func signalFormats() []Format {
	return []Format{
		{Name: "zeek-conn", Title: "Zeek conn.log, TSV or JSON", Kind: picket.KindSignal, Shape: ShapeText, Detect: signal.DetectZeekConn, Decode: of(signal.ZeekConn)},
		{Name: "zeek-notice", Title: "Zeek notice.log, TSV or JSON", Kind: picket.KindSignal, Shape: ShapeText, Detect: signal.DetectZeekNotice, Decode: of(signal.ZeekNotice)},
		{Name: "suricata-alert", Title: "Suricata EVE JSON, alert events", Kind: picket.KindSignal, Shape: ShapeLines, Detect: signal.DetectSuricataAlert, Decode: of(signal.SuricataAlert)},
		{Name: "vpc-flow", Title: "AWS VPC flow log", Kind: picket.KindSignal, Shape: ShapeText, Detect: signal.DetectVPCFlow, Decode: of(signal.VPCFlow)},
		{Name: "iptables", Title: "iptables and nftables, kernel log", Kind: picket.KindSignal, Shape: ShapeLines, Syslog: true, Detect: signal.DetectIPTables, Decode: of(signal.IPTables)},
		{Name: "pf-filterlog", Title: "pfSense and OPNsense filterlog", Kind: picket.KindSignal, Shape: ShapeLines, Detect: signal.DetectFilterlog, Decode: of(signal.Filterlog)},
		{Name: "asa", Title: "Cisco ASA and FTD syslog", Kind: picket.KindSignal, Shape: ShapeLines, Syslog: true, Detect: signal.DetectASA, Decode: of(signal.ASA)},
		{Name: "fortigate", Title: "FortiGate traffic and UTM log", Kind: picket.KindSignal, Shape: ShapeLines, Detect: signal.DetectFortigate, Decode: of(signal.Fortigate)},
		{Name: "web-access", Title: "web access log, common or combined", Kind: picket.KindSignal, Shape: ShapeLines, Detect: signal.DetectWebAccess, Decode: of(signal.WebAccess)},
		{Name: "alb-access", Title: "AWS application load balancer access log", Kind: picket.KindSignal, Shape: ShapeLines, Detect: signal.DetectALBAccess, Decode: of(signal.ALBAccess)},
		{Name: "signal-csv", Title: "any sensor, CSV with a mapping", Kind: picket.KindSignal, Shape: ShapeText, Mapped: signal.Fields(), Decode: of(signal.CSV)},
		{Name: "signal-json", Title: "any sensor, JSON with a mapping", Kind: picket.KindSignal, Shape: ShapeLines, Mapped: signal.Fields(), Decode: of(signal.JSON)},
	}
}
