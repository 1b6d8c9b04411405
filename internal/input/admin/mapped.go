package admin

import (
	"bytes"
	"context"
	"io"
	"strings"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// Reasons of mapped input.
const (
	mappedNoAction = "no action"
	mappedEffect   = "bad effect"
)

// maxMappedNames bounds the names of one event; the rest is dropped.
const maxMappedNames = 1000

// Fields returns the fields that a mapping for admin events may name. Whatever
// follows "details." is a key of Details.
func Fields() []string {
	return []string{"time", "provider", "service", "action", "effect", "outcome", "reason", "actor", "actor_ip", "agent", "zone", "names", "target", "id", "ticket", "details.*"}
}

// JSON decodes objects of any provider by a mapping.
func JSON(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.AdminEventSink) error {
	if err := opt.Mapping.Check("admin-event", Fields()); err != nil {
		return err
	}
	return decode.MappedJSON(ctx, r, opt.Mapping, acct, newMapped(opt, acct, sink).take)
}

// CSV decodes rows of any provider by a mapping.
func CSV(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.AdminEventSink) error {
	if err := opt.Mapping.Check("admin-event", Fields()); err != nil {
		return err
	}
	return decode.MappedCSV(ctx, r, opt.Mapping, acct, newMapped(opt, acct, sink).take)
}

// mapped makes admin events of mapped values.
type mapped struct {
	opt  decode.Options
	acct picket.Accounting
	sink picket.AdminEventSink
	time decode.MappedTime
	text decode.Interner
}

func newMapped(opt decode.Options, acct picket.Accounting, sink picket.AdminEventSink) *mapped {
	return &mapped{opt: opt, acct: acct, sink: sink, time: decode.NewMappedTime(opt)}
}

func (d *mapped) take(v *decode.Values) (reason string, err error) {
	e := &picket.AdminEvent{Provider: "other", Sensor: d.opt.Sensor}
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
		} else if reason := d.set(e, field, all); reason != "" {
			return reason, nil
		}
	}
	switch {
	case !timed:
		return decode.ReasonNoTime, nil
	case e.Action == "":
		return mappedNoAction, nil
	case e.Effect == "":
		e.Effect = mappedEffectOf(e.Action)
	}
	e.Time = decode.UnixTime(ns)
	d.acct.Accept(ns)
	return "", d.sink.AdminEvent(e)
}

func (d *mapped) set(e *picket.AdminEvent, field string, all [][]byte) (reason string) {
	b := all[0]
	ok := true
	switch field {
	case "provider":
		e.Provider = d.text.Text(b)
	case "service":
		e.Service = d.text.Text(b)
	case "action":
		e.Action = d.text.Text(b)
	case "effect":
		switch v := strings.ToLower(string(b)); v {
		case picket.EffectRead, picket.EffectCreate, picket.EffectChange, picket.EffectDelete, picket.EffectTransfer, picket.EffectSnapshot, picket.EffectOther:
			e.Effect = v
		default:
			return mappedEffect
		}
	case "outcome":
		e.Outcome = mappedOutcome(b)
	case "reason":
		e.Reason = d.text.Text(b)
	case "actor":
		e.Actor = d.text.Text(b)
	case "actor_ip":
		if e.ActorIP, ok = decode.ParseAddr(b); !ok {
			return decode.ReasonAddress
		}
	case "agent":
		e.Agent = d.text.Text(b)
	case "zone":
		if e.Zone, ok = d.text.Name(b); !ok {
			return decode.ReasonBadName
		}
	case "names":
		for _, b := range all {
			for n := range bytes.FieldsFuncSeq(b, func(r rune) bool { return r == ',' || r == ';' || r == ' ' || r == '\n' }) {
				name, ok := d.text.Name(n)
				if !ok {
					return decode.ReasonBadName
				}
				if len(e.Names) < maxMappedNames {
					e.Names = append(e.Names, name)
				}
			}
		}
	case "target":
		e.Target = d.text.Text(b)
	case "id":
		e.ID = d.text.Text(b)
	case "ticket":
		e.Ticket = d.text.Text(b)
	default:
		if key, ok := strings.CutPrefix(field, "details."); ok {
			if e.Details == nil {
				e.Details = map[string]any{}
			}
			e.Details[key] = decode.Text(bytes.Join(all[:min(len(all), 20)], []byte(", ")))
		}
	}
	return ""
}

// mappedOutcome brings the usual words for success and failure to one.
func mappedOutcome(b []byte) string {
	switch strings.ToLower(string(b)) {
	case "success", "succeeded", "successful", "ok", "true", "allowed", "200":
		return "success"
	case "failure", "failed", "error", "false":
		return "failure"
	case "denied", "forbidden", "unauthorized", "accessdenied", "403", "401":
		return "denied"
	}
	return decode.Text(b)
}

// mappedEffectOf reads an effect from the words of an action, as nearly all APIs name
// theirs after one of a few verbs.
func mappedEffectOf(action string) string {
	a := strings.ToLower(action)
	for _, v := range []struct{ word, effect string }{
		{"transfer", picket.EffectTransfer}, {"delete", picket.EffectDelete}, {"remove", picket.EffectDelete},
		{"create", picket.EffectCreate}, {"add", picket.EffectCreate}, {"insert", picket.EffectCreate},
		{"update", picket.EffectChange}, {"change", picket.EffectChange}, {"modify", picket.EffectChange}, {"patch", picket.EffectChange}, {"edit", picket.EffectChange},
		{"get", picket.EffectRead}, {"list", picket.EffectRead}, {"read", picket.EffectRead}, {"export", picket.EffectRead}, {"describe", picket.EffectRead},
	} {
		if strings.Contains(a, v.word) {
			return v.effect
		}
	}
	return picket.EffectOther
}
