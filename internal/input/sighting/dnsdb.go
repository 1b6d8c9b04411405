package sighting

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// Reasons of the Streaming API Framing protocol.
const (
	skipFrame     = "framing"
	skipKeepAlive = "keep-alive"
	reasonFailed  = "query failed at the database"
	reasonFrame   = "neither a condition nor an object"
)

// DNSDB decodes answers of DNSDB's second API: objects of the Common Output
// Format in DNSDB's Streaming API Framing. A stream that begins and does not end
// with "succeeded" or "limited" was cut: that is an error, as what is missing
// from it is unknown.
func DNSDB(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.SightingSink) error {
	d := &dnsdb{cof: newCOF(opt), opt: opt, acct: acct, noted: map[string]bool{}}
	in := decode.NewItems(ctx, r, acct)
	for {
		rec, err := in.Next()
		if err == io.EOF && d.open { //nolint:errorlint // readers return it bare
			return fmt.Errorf("stream was cut: it ends without a final condition: %w", io.ErrUnexpectedEOF)
		}
		if err != nil {
			return decode.Ended(err)
		}
		v, at, reason := d.frame(rec)
		switch {
		case reason != "":
			acct.Reject(reason, in.Fault())
		case v != nil:
			acct.Accept(at)
			if err := sink.Sighting(v); err != nil {
				return err
			}
		}
	}
}

type dnsdb struct {
	*cof
	opt   decode.Options
	acct  picket.Accounting
	open  bool // begun and not ended
	noted map[string]bool
}

// frame reads one frame: a sighting, or an act on the stream, which it accounts
// for itself unless there is a reason to reject it.
func (d *dnsdb) frame(rec []byte) (v *picket.Sighting, at int64, reason string) {
	frame := decode.Value(rec)
	if obj := frame.Get("obj"); obj != nil {
		v, at, skip, reason := d.read(obj)
		if reason == "" && skip != "" {
			d.acct.Skip(skip)
		}
		return v, at, reason
	}
	if !json.Valid(rec) {
		return nil, 0, decode.ReasonBrokenJSON
	}
	msg := frame.Get("msg").Bytes()
	switch frame.Get("cond").Text() {
	case "begin":
		d.open = true
	case "ongoing":
	case "succeeded":
		d.open = false
	case "limited":
		d.open = false
		d.note("the database says that there is more than it gave: ", msg)
	case "failed":
		d.open = false
		d.note("the database says that the query failed: ", msg)
		return nil, 0, reasonFailed
	default:
		if len(bytes.Trim(rec, "{} \t\r\n")) > 0 {
			return nil, 0, reasonFrame
		}
		d.acct.Skip(skipKeepAlive)
		return nil, 0, ""
	}
	d.acct.Skip(skipFrame)
	return nil, 0, ""
}

// note tells a reader, once for each kind, what the database said.
func (d *dnsdb) note(what string, msg []byte) {
	if d.opt.Note == nil || d.noted[what] {
		return
	}
	d.noted[what] = true
	text := "no reason given"
	if len(msg) > 0 {
		text = decode.Text(msg[:min(len(msg), 200)])
	}
	d.opt.Note(what + text)
}

// DetectDNSDB looks for frames.
func DetectDNSDB(head []byte) int {
	return decode.DetectItems(head, func(v decode.Value) int {
		if isCOF(v.Get("obj")) > 0 {
			return 95
		}
		switch v.Get("cond").Text() {
		case "begin", "ongoing", "succeeded", "limited", "failed":
			return 90
		}
		return 0
	})
}
