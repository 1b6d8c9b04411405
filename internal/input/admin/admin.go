// Package admin decodes records of administration: who did what to zones and
// domains at a registrar, a DNS provider or an own name server. There is one file
// per format, each a function of the type Decode that turns a stream of bytes
// into picket.AdminEvent values.
//
// An event says what was asked for and what became of it. The records of a denied
// or failed change are those that somebody wanted to change.
package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// Decode is the shape of every decoder in this package. It reads r to its end
// or until ctx is done, passes events to sink in the order found, and tells acct
// what became of each record. An error from sink is returned as it is.
type Decode func(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.AdminEventSink) error

// Outcomes of an event.
const (
	success = "success"
	failure = "failure"
	denied  = "denied"
)

// maxText bounds what is kept of a free text, in bytes.
const maxText = 300

// events reads JSON objects, bare, listed or wrapped, and makes an event of each.
type events struct {
	opt   decode.Options
	acct  picket.Accounting
	sink  picket.AdminEventSink
	clock decode.Clock
	text  decode.Interner
	skips map[string]string // reasons by category
	names map[string]bool   // of the current event
}

// read turns one object into e. skip and reason as in the account; both "" for an
// event. It may hand over more than one event by itself.
type readFunc func(d *events, v decode.Value, e *picket.AdminEvent) (skip, reason string)

// readEvents is the loop of the formats whose events are JSON objects.
func readEvents(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.AdminEventSink, read readFunc, wrap ...string) error {
	d := &events{opt: opt, acct: acct, sink: sink, clock: decode.NewClock(opt), skips: map[string]string{}, names: map[string]bool{}}
	in := decode.NewItems(ctx, r, acct, wrap...)
	for {
		rec, err := in.Next()
		if err != nil {
			return decode.Ended(err)
		}
		if !json.Valid(rec) {
			acct.Reject(decode.ReasonBrokenJSON, in.Fault())
			continue
		}
		e := &picket.AdminEvent{Sensor: opt.Sensor}
		skip, reason := read(d, decode.Value(rec), e)
		switch {
		case reason != "":
			acct.Reject(reason, in.Fault())
		case skip != "":
			acct.Skip(skip)
		default:
			acct.Accept(unix(e.Time))
			if err := sink.AdminEvent(e); err != nil {
				return err
			}
		}
	}
}

// unix is a time for the account, 0 when it is not known.
func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// category is a reason for skipping events of another category, as long as there
// are few of them.
func (d *events) category(what string, name []byte) string {
	if s, ok := d.skips[string(name)]; ok {
		return s
	}
	if len(d.skips) >= 32 || len(name) > 64 {
		return "other " + what
	}
	s := what + " " + decode.Text(name)
	if len(name) == 0 {
		s = "no " + what
	}
	d.skips[string(name)] = s
	return s
}

// at sets the event's time.
func (d *events) at(e *picket.AdminEvent, v decode.Value) (reason string) {
	b := v.Bytes()
	if len(b) == 0 {
		return decode.ReasonNoTime
	}
	ns, ok := decode.Instant(&d.clock, b)
	if !ok {
		return decode.ReasonTime
	}
	e.Time = time.Unix(0, ns).UTC()
	return ""
}

// say is a scalar as text that can be shown, of bounded length.
func (d *events) say(v decode.Value) string {
	b := v.Bytes()
	if len(b) > maxText {
		return decode.Text(b[:maxText])
	}
	return d.text.Text(b)
}

// name is a DNS name in canonical form, "" when there is none.
func (d *events) name(v decode.Value) (string, bool) {
	b := v.Bytes()
	if len(b) == 0 {
		return "", true
	}
	return d.text.Name(b)
}

// touch adds a name to those that an event touched.
func (d *events) touch(e *picket.AdminEvent, name string) {
	if name == "" {
		return
	}
	if len(e.Names) == 0 {
		clear(d.names)
	}
	if !d.names[name] {
		d.names[name] = true
		e.Names = append(e.Names, name)
	}
}

// detail keeps a fact in an event, unless it is empty.
func detail(e *picket.AdminEvent, key string, value any) {
	switch v := value.(type) {
	case string:
		if v == "" {
			return
		}
	case bool:
		if !v {
			return
		}
	case int:
		if v == 0 {
			return
		}
	case []string:
		if len(v) == 0 {
			return
		}
	}
	if e.Details == nil {
		e.Details = map[string]any{}
	}
	e.Details[key] = value
}

// actorAt sets the address that an act came from; what is none, such as a
// provider's own service, is kept as a detail.
func (d *events) actorAt(e *picket.AdminEvent, v decode.Value) {
	b := v.Bytes()
	if len(b) == 0 {
		return
	}
	if a, ok := address(b); ok {
		e.ActorIP = a
		return
	}
	detail(e, "source", d.say(v))
}

// address reads an address, also with the port that some providers append.
func address(b []byte) (netip.Addr, bool) {
	if a, ok := decode.ParseAddr(b); ok {
		return a, true
	}
	if ap, err := netip.ParseAddrPort(string(b)); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	return netip.Addr{}, false
}

// record adds a record that an event changes, and touches its name.
func (d *events) record(e *picket.AdminEvent, r picket.Record) {
	r.Time, r.Sensor = e.Time, d.opt.Sensor
	d.touch(e, r.Name)
	e.Records = append(e.Records, r)
}

// data brings RDATA of types that end with a name into absolute form; providers
// leave the last dot out as they like.
func (d *events) data(typ string, b []byte) string {
	switch typ {
	case "NS", "CNAME", "PTR", "DNAME", "ALIAS", "MX", "SRV":
		i := bytes.LastIndexByte(b, ' ') + 1
		if name, ok := d.text.Name(b[i:]); ok {
			return decode.Text(b[:i]) + name
		}
	}
	return decode.Text(b)
}

// typeOf is a type's mnemonic; what providers add to DNS keeps their word.
func typeOf(b []byte) string {
	if t, ok := decode.ParseType(b); ok {
		return string(decode.AppendTypeName(nil, t))
	}
	return decode.Text(b[:min(len(b), 32)])
}

// verbs are the words that operations' names begin with, in lower case, by what
// they do. Those of several words come before their beginnings.
var verbs = []struct{ word, effect string }{
	{"changetags", picket.EffectOther},
	{"checkdomain", picket.EffectRead}, {"describe", picket.EffectRead}, {"export", picket.EffectRead}, {"get", picket.EffectRead},
	{"list", picket.EffectRead}, {"read", picket.EffectRead}, {"retrieve", picket.EffectRead}, {"search", picket.EffectRead},
	{"test", picket.EffectRead}, {"view", picket.EffectRead}, {"query", picket.EffectRead}, {"check", picket.EffectRead},
	{"accept", picket.EffectTransfer}, {"canceldomaintransfer", picket.EffectTransfer}, {"rejectdomaintransfer", picket.EffectTransfer},
	{"transfer", picket.EffectTransfer}, {"initiatepushtransfer", picket.EffectTransfer}, {"push", picket.EffectTransfer}, {"import", picket.EffectTransfer},
	{"create", picket.EffectCreate}, {"add", picket.EffectCreate}, {"insert", picket.EffectCreate}, {"register", picket.EffectCreate},
	{"delete", picket.EffectDelete}, {"del", picket.EffectDelete}, {"remove", picket.EffectDelete}, {"destroy", picket.EffectDelete},
	{"activate", picket.EffectChange}, {"associate", picket.EffectChange}, {"change", picket.EffectChange}, {"configure", picket.EffectChange},
	{"deactivate", picket.EffectChange}, {"disable", picket.EffectChange}, {"disassociate", picket.EffectChange}, {"edit", picket.EffectChange},
	{"enable", picket.EffectChange}, {"modify", picket.EffectChange}, {"patch", picket.EffectChange}, {"put", picket.EffectChange},
	{"renew", picket.EffectChange}, {"reset", picket.EffectChange}, {"set", picket.EffectChange}, {"update", picket.EffectChange}, {"write", picket.EffectChange},
}

// effectOf tells what an operation does by its name, such as CreateHostedZone.
func effectOf(operation string) string {
	op := strings.ToLower(operation)
	if strings.Contains(op, "domaintransfer") {
		return picket.EffectTransfer
	}
	for _, v := range verbs {
		if strings.HasPrefix(op, v.word) {
			return v.effect
		}
	}
	return picket.EffectOther
}

// ttl reads a TTL in seconds, 0 when there is none.
func ttl(v decode.Value) int64 {
	n, _ := decode.ParseUint(v.Bytes(), 1<<31-1)
	return int64(n)
}
