package asset

import (
	"bytes"
	"context"
	"io"
	"strings"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// skipNotMatched is a result that nuclei -matcher-status writes of what was not found.
const skipNotMatched = "template that did not match"

// nucleiResult is what is read of one result.
type nucleiResult struct {
	template, name, severity, typ, host, ip, port, matched, matcher, stamp, response []byte
	failed                                                                           bool
	tags, extracted                                                                  []string
}

// Nuclei decodes the results of nuclei, one an object, in lines or in an array.
// Records are those of the answer that came with a dns result.
func Nuclei(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.AssetSink) error {
	out := &output{opt, acct, sink}
	clock := decode.NewClock(opt)
	return objects(ctx, r, acct, func(c *decode.Cursor) (string, error) {
		var n nucleiResult
		n.read(c)
		if c.Bad {
			return decode.ReasonBrokenJSON, nil
		}
		if n.failed {
			acct.Skip(skipNotMatched)
			return "", nil
		}
		a := &picket.Asset{Tool: "nuclei", Title: decode.Text(n.name), Severity: decode.Text(n.severity), Tags: n.tags}
		var ok bool
		if a.Time, ok = isoTime(&clock, n.stamp); !ok {
			return decode.ReasonTime, nil
		}
		if reason := n.where(a); reason != "" {
			return reason, nil
		}
		detail(a, "template", n.template)
		detail(a, "type", n.typ)
		detail(a, "matcher", n.matcher)
		detail(a, "matched_at", n.matched)
		detail(a, "extracted", []byte(strings.Join(n.extracted, "\n")))
		if string(n.typ) == "dns" {
			a.Records = answers(n.response)
		}
		return "", out.emit(a)
	})
}

func (n *nucleiResult) read(c *decode.Cursor) {
	c.Open('{')
	for k, ok := c.Key(); ok; k, ok = c.Key() {
		switch string(k) {
		case "template-id", "templateID":
			n.template = c.Scalar()
		case "info":
			n.info(c)
		case "type":
			n.typ = c.Scalar()
		case "host":
			n.host = c.Scalar()
		case "ip":
			n.ip = c.Scalar()
		case "port":
			n.port = c.Scalar()
		case "matched-at", "matched":
			n.matched = c.Scalar()
		case "matcher-name", "matcher_name":
			n.matcher = c.Scalar()
		case "matcher-status":
			n.failed = string(c.Scalar()) == "false"
		case "timestamp":
			n.stamp = c.Scalar()
		case "response":
			n.response = c.Scalar()
		case "extracted-results", "extracted_results":
			n.extracted = strs(c, maxLabelValues)
		default:
			c.Skip()
		}
	}
}

func (n *nucleiResult) info(c *decode.Cursor) {
	if !c.Open('{') {
		c.Skip()
		return
	}
	for k, ok := c.Key(); ok; k, ok = c.Key() {
		switch string(k) {
		case "name":
			n.name = c.Scalar()
		case "severity":
			n.severity = c.Scalar()
		case "tags":
			for _, t := range strs(c, maxLabelValues) {
				n.tags = append(n.tags, strings.Split(t, ",")...)
			}
		default:
			c.Skip()
		}
	}
}

// where sets what a result is about. host may be a name, an address or a URL; the
// port is told, or that of matched-at.
func (n *nucleiResult) where(a *picket.Asset) (reason string) {
	host := n.host
	if len(host) == 0 {
		host = n.matched
	}
	if reason := fill(a, host, n.ip); reason != "" {
		return reason
	}
	if string(n.typ) == "dns" {
		a.Port = 0 // that of the URL given to nuclei, not of what it looked at
		return ""
	}
	if p, ok := decode.ParseUint(n.port, 65535); ok {
		a.Port = uint16(p)
	} else if t, ok := parseTarget(n.matched); ok && t.port != 0 {
		a.Port = t.port
	}
	if a.Port != 0 {
		a.Protocol = "tcp"
	}
	if scheme, _, ok := bytes.Cut(n.matched, []byte("://")); ok && len(scheme) < 16 {
		a.Service = decode.Text(scheme)
	}
	return ""
}

// answers reads the answer section of a DNS message in the form of dig.
func answers(b []byte) (recs []picket.Record) {
	in := false
	for line := range bytes.SplitSeq(b, []byte{'\n'}) {
		switch {
		case bytes.HasPrefix(line, []byte(";; ANSWER SECTION")):
			in = true
		case len(line) == 0 || line[0] == ';':
			in = false
		case in:
			if rec, ok := recordLine(line); ok && len(recs) < maxRecords {
				recs = append(recs, rec)
			}
		}
	}
	return recs
}

// DetectNuclei knows a result by its template and what it matched.
func DetectNuclei(head []byte) int {
	return decode.DetectJSON(head, func(c *decode.Cursor) bool {
		var template, info, host bool
		for {
			k, ok := c.Key()
			if !ok {
				return false
			}
			switch string(k) {
			case "template-id", "templateID":
				template = true
			case "info":
				info = true
			case "host", "matched-at", "matched":
				host = true
			}
			if template && info && host {
				return true
			}
			c.Skip()
		}
	}, 95)
}
