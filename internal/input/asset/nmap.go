package asset

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// Reasons and skips of nmap.
const (
	skipHostDown  = "host that is down"
	skipNotOpen   = "port that is not open"
	reasonXMLHost = "broken host element"
)

// Bounds: maxHost is of a host element, in bytes, with 65,535 ports and the output
// of a script for some.
const (
	maxHost  = 16 << 20
	maxDepth = 64 // of elements within each other
)

// errNotNmap is XML of another kind; the others are beyond all bounds.
var (
	errNotNmap = errors.New("no nmaprun element")
	errDepth   = errors.New("elements within elements without end")
	errHost    = errors.New("host element larger than 16 MiB")
)

// nmapHost is what is read of a host element.
type nmapHost struct {
	Start  int64 `xml:"starttime,attr"`
	End    int64 `xml:"endtime,attr"`
	Status struct {
		State string `xml:"state,attr"`
	} `xml:"status"`
	Addresses []struct {
		Addr string `xml:"addr,attr"`
		Type string `xml:"addrtype,attr"`
	} `xml:"address"`
	Names []struct {
		Name string `xml:"name,attr"`
		Type string `xml:"type,attr"`
	} `xml:"hostnames>hostname"`
	Ports []nmapPort `xml:"ports>port"`
}

type nmapPort struct {
	Protocol string `xml:"protocol,attr"`
	ID       string `xml:"portid,attr"`
	State    struct {
		State string `xml:"state,attr"`
	} `xml:"state"`
	Service struct {
		Name    string `xml:"name,attr"`
		Product string `xml:"product,attr"`
		Version string `xml:"version,attr"`
		Tunnel  string `xml:"tunnel,attr"`
	} `xml:"service"`
}

// NmapXML decodes the report of nmap -oX. Each open port is an asset, and so is a
// host that is up and has none. Of a report that was cut off, the hosts before
// the cut are given, and then an error.
func NmapXML(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.AssetSink) error {
	out := &output{opt, acct, sink}
	limit := &limited{r: r}
	dec := xml.NewDecoder(limit)
	dec.CharsetReader = func(string, io.Reader) (io.Reader, error) { return nil, errors.New("report is not UTF-8") }
	seen, depth := false, 0
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		limit.left = maxHost
		tok, err := dec.Token()
		if err != nil {
			return nmapEnd(err, seen)
		}
		start, ok := tok.(xml.StartElement)
		if _, end := tok.(xml.EndElement); end {
			depth--
		} else if ok {
			depth++
		}
		switch {
		case depth > maxDepth:
			return errDepth
		case !ok:
		case !seen && start.Name.Local != "nmaprun":
			return errNotNmap
		case start.Name.Local == "nmaprun":
			seen = true
		case start.Name.Local == "host":
			var h nmapHost
			line, _ := dec.InputPos()
			if err := dec.DecodeElement(&h, &start); err == nil {
				depth--
			} else {
				if nmapBroken(err) {
					acct.Reject(reasonXMLHost, picket.Position{Line: int64(line)})
					continue
				}
				return nmapEnd(err, seen)
			}
			if err := h.emit(out, picket.Position{Line: int64(line)}); err != nil {
				return err
			}
		}
	}
}

// nmapBroken reports whether an element was well-formed, but a value in it was not
// of its type; reading can go on behind it.
func nmapBroken(err error) bool {
	var num *strconv.NumError
	return errors.As(err, &num)
}

func nmapEnd(err error, seen bool) error {
	var syntax *xml.SyntaxError
	switch {
	case err == io.EOF && seen: //nolint:errorlint // the decoder returns it bare
		return nil
	case err == io.EOF:
		return errNotNmap
	case errors.As(err, &syntax):
		return fmt.Errorf("nmap report broken or cut off: %w", err)
	}
	return err
}

// emit hands on a host's ports.
func (h *nmapHost) emit(out *output, at picket.Position) error {
	if h.Status.State == "down" {
		out.acct.Skip(skipHostDown)
		return nil
	}
	base, reason := h.asset()
	if reason != "" {
		out.acct.Reject(reason, at)
		return nil
	}
	open := 0
	for i := range h.Ports {
		p := &h.Ports[i]
		if p.State.State != "open" {
			out.acct.Skip(skipNotOpen)
			continue
		}
		open++
		port, err := strconv.ParseUint(p.ID, 10, 16)
		if err != nil {
			out.acct.Reject(reasonPort, at)
			continue
		}
		a := *base
		a.Port, a.Protocol, a.Service = uint16(port), decode.Text([]byte(p.Protocol)), decode.Text([]byte(p.Service.Name))
		a.Title = decode.Text(bytes.TrimSpace([]byte(p.Service.Product + " " + p.Service.Version)))
		if p.Service.Tunnel != "" {
			a.Details = map[string]string{"tunnel": decode.Text([]byte(p.Service.Tunnel))}
		}
		if err := out.emit(&a); err != nil {
			return err
		}
	}
	if open > 0 {
		return nil
	}
	return out.emit(base)
}

// asset is what all ports of a host have in common. The name is the one that was
// scanned, else that of reverse lookup.
func (h *nmapHost) asset() (a *picket.Asset, reason string) {
	a = &picket.Asset{Tool: "nmap"}
	seconds := h.End
	if seconds == 0 {
		seconds = h.Start
	}
	if seconds < 0 || seconds > 9e9 {
		return nil, decode.ReasonTime
	}
	if seconds > 0 {
		a.Time = time.Unix(seconds, 0).UTC()
	}
	for _, x := range h.Addresses {
		if x.Type == "mac" {
			continue
		}
		addr, ok := decode.ParseAddr([]byte(x.Addr))
		if !ok {
			return nil, decode.ReasonAddress
		}
		if len(a.Addrs) < maxAddrs {
			a.Addrs = append(a.Addrs, addr)
		}
	}
	for _, n := range h.Names {
		name, ok := nameText([]byte(n.Name))
		if !ok {
			return nil, decode.ReasonBadName
		}
		if a.Name == "" || n.Type == "user" {
			a.Name = name
		}
		if n.Type == "PTR" && len(a.Addrs) > 0 && len(a.Records) < maxLabelValues {
			a.Records = append(a.Records, picket.Record{Name: reverseName(a.Addrs[0]), Type: "PTR", Class: "IN", Data: name})
		}
	}
	if a.Name == "" && len(a.Addrs) == 0 {
		return nil, reasonNothing
	}
	return a, ""
}

// reverseName is the name under in-addr.arpa or ip6.arpa (RFC 1035 §3.5, RFC 3596 §2.5).
func reverseName(a netip.Addr) string {
	const hex = "0123456789abcdef"
	if a.Is4() {
		v := a.As4()
		return fmt.Sprintf("%d.%d.%d.%d.in-addr.arpa.", v[3], v[2], v[1], v[0])
	}
	v := a.As16()
	b := make([]byte, 0, 72)
	for i := 15; i >= 0; i-- {
		b = append(b, hex[v[i]&15], '.', hex[v[i]>>4], '.')
	}
	return string(append(b, "ip6.arpa."...))
}

// limited fails a reader that gives more bytes than are left.
type limited struct {
	r    io.Reader
	left int
}

// Read implements io.Reader.
func (l *limited) Read(b []byte) (int, error) {
	if l.left <= 0 {
		return 0, errHost
	}
	n, err := l.r.Read(b[:min(len(b), l.left)])
	l.left -= n
	return n, err
}

// DetectNmapXML knows the report's root element.
func DetectNmapXML(head []byte) int {
	i := bytes.Index(head, []byte("<nmaprun"))
	if i < 0 {
		return 0
	}
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n")
	if !bytes.HasPrefix(head, []byte("<?xml")) && !bytes.HasPrefix(head, []byte("<!")) && !bytes.HasPrefix(head, []byte("<nmaprun")) {
		return 0
	}
	return 95
}
