package signal

import (
	"context"
	"io"
	"strings"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// Fields returns the fields that a mapping for signals may name. Whatever follows
// "details." is a key of Details.
func Fields() []string {
	return []string{"time", "source", "source_port", "target", "target_port", "target_name", "protocol", "kind", "title", "rule", "severity", "action", "bytes", "packets", "tool", "details.*"}
}

// JSON decodes objects of any sensor by a mapping.
func JSON(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.SignalSink) error {
	if err := opt.Mapping.Check("signal", Fields()); err != nil {
		return err
	}
	return decode.MappedJSON(ctx, r, opt.Mapping, acct, newMapped(opt, acct, sink).take)
}

// CSV decodes rows of any sensor by a mapping.
func CSV(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.SignalSink) error {
	if err := opt.Mapping.Check("signal", Fields()); err != nil {
		return err
	}
	return decode.MappedCSV(ctx, r, opt.Mapping, acct, newMapped(opt, acct, sink).take)
}

// mapped makes signals of mapped values.
type mapped struct {
	*output
	time decode.MappedTime
}

func newMapped(opt decode.Options, acct picket.Accounting, sink picket.SignalSink) *mapped {
	return &mapped{output: newOutput(opt, acct, sink), time: decode.NewMappedTime(opt)}
}

func (d *mapped) take(v *decode.Values) (reason string, err error) {
	s := &picket.Signal{Kind: picket.SignalAlert, Tool: "other"}
	var ns int64
	timed := false
	for i, field := range v.Names() {
		all := v.All(i)
		if len(all) == 0 {
			continue
		}
		if field == "time" {
			if ns, timed = d.time.Parse(all[0]); !timed {
				return decode.ReasonTime, nil
			}
		} else if reason := d.set(s, field, all[0]); reason != "" {
			return reason, nil
		}
	}
	if !timed {
		return decode.ReasonNoTime, nil
	}
	if !s.Source.IsValid() {
		return decode.ReasonAddress, nil
	}
	return "", d.emit(s, ns)
}

func (d *mapped) set(s *picket.Signal, field string, b []byte) (reason string) {
	ok := true
	switch field {
	case "source":
		// Some write address and port in one.
		if s.Source, ok = decode.ParseAddr(b); !ok {
			s.Source, s.SourcePort, ok = addrPort(b)
		}
		if !ok {
			return decode.ReasonAddress
		}
	case "target":
		if s.Target, ok = decode.ParseAddr(b); !ok {
			s.Target, s.TargetPort, ok = addrPort(b)
		}
		if !ok {
			return decode.ReasonAddress
		}
	case "source_port":
		return mappedPort(&s.SourcePort, b)
	case "target_port":
		return mappedPort(&s.TargetPort, b)
	case "target_name":
		if d.host(s, b); s.TargetName == "" && !s.Target.IsValid() {
			return decode.ReasonBadName
		}
	case "protocol":
		s.Protocol = d.protocol(b)
	case "kind":
		switch k := strings.ToLower(string(b)); k {
		case picket.SignalConnection, picket.SignalRefused, picket.SignalAlert, picket.SignalNotice, picket.SignalRequest:
			s.Kind = k
		default:
			return reasonKind
		}
	case "bytes", "packets":
		n, ok := decode.ParseUint(b, 1<<62)
		if !ok {
			return reasonNumber
		}
		if field == "bytes" {
			s.Bytes = int64(n)
		} else {
			s.Packets = int64(n)
		}
	case "title":
		s.Title = d.text.Text(b)
	case "rule":
		s.Rule = d.text.Text(b)
	case "severity":
		s.Severity = d.text.Text(b)
	case "action":
		s.Action = d.text.Text(b)
	case "tool":
		s.Tool = d.text.Text(b)
	default:
		if key, ok := strings.CutPrefix(field, "details."); ok {
			d.detail(s, key, b)
		}
	}
	return ""
}

func mappedPort(to *uint16, b []byte) (reason string) {
	v, ok := decode.ParseUint(b, 65535)
	if !ok {
		return reasonPort
	}
	*to = uint16(v)
	return ""
}
