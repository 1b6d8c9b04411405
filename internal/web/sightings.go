package web

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
)

// SightingsInput is what sightings are selected by; exported for huma alone, which
// reads embedded parameters only then.
type SightingsInput struct {
	Name        string    `query:"name" maxLength:"1024" doc:"Owner name; *.NAME for NAME and everything below it"`
	Type        string    `query:"type" maxLength:"32" doc:"Record type, such as MX; ANY for all"`
	Data        string    `query:"data" maxLength:"65536" doc:"RDATA in presentation form; *.NAME for RDATA that is NAME or below it"`
	Net         string    `query:"net" maxLength:"64" doc:"RDATA that is this address or in this prefix"`
	Bailiwick   string    `query:"bailiwick" maxLength:"1024" doc:"Zone of the server that answered"`
	Channel     string    `query:"channel" enum:"passive-dns,certificate" doc:"How it became known"`
	FirstAfter  time.Time `query:"first_after" doc:"First seen at or after this time (RFC 3339)"`
	FirstBefore time.Time `query:"first_before" doc:"First seen at or before this time (RFC 3339)"`
	LastAfter   time.Time `query:"last_after" doc:"Last seen at or after this time (RFC 3339)"`
	LastBefore  time.Time `query:"last_before" doc:"Last seen at or before this time (RFC 3339)"`
}

type sightingsListInput struct {
	SightingsInput
	Limit  int `query:"limit" minimum:"1" maximum:"10000" default:"1000" doc:"At most this many sightings"`
	Offset int `query:"offset" minimum:"0" maximum:"100000000" default:"0" doc:"Skip this many sightings"`
}

type sightingsOutput struct {
	Body struct {
		Sightings []picket.Sighting `json:"sightings" doc:"Latest time_last first"`
		Limit     int               `json:"limit"`
		Offset    int               `json:"offset"`
	}
}

type sightingsCountOutput struct {
	Body struct {
		Rows  int64 `json:"rows" doc:"Sightings that match: one for each name, type and RDATA"`
		Count int64 `json:"count" doc:"How often they were seen, together"`
	}
}

// Errors of what is asked for.
var (
	errNoSightings = errors.New("this console has no passive DNS")
	errBadName     = errors.New("not a DNS name; want one such as www.example.com or *.example.com")
	errBadNet      = errors.New("neither an address nor a prefix; want 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32")
	errBadType     = errors.New("not a record type; want one such as MX or TYPE65280")
)

// filter makes a filter of what was asked for. The error says what would be right.
func (in *SightingsInput) filter() (f picket.SightingFilter, err error) {
	f = picket.SightingFilter{Channel: in.Channel, FirstAfter: in.FirstAfter, FirstBefore: in.FirstBefore,
		LastAfter: in.LastAfter, LastBefore: in.LastBefore}
	if in.Name != "" {
		if f.Name, f.Below, err = ownerOf(in.Name); err != nil {
			return f, huma.Error422UnprocessableEntity("name", err)
		}
	}
	if f.Type, err = typeOf(in.Type); err != nil {
		return f, huma.Error422UnprocessableEntity("type", err)
	}
	if in.Data != "" {
		f.Data, f.DataBelow = dataOf(in.Data)
	}
	if in.Net != "" {
		if f.Net, err = prefixOf(in.Net); err != nil {
			return f, huma.Error422UnprocessableEntity("net", err)
		}
	}
	if in.Bailiwick != "" {
		if f.Bailiwick, _, err = ownerOf(in.Bailiwick); err != nil {
			return f, huma.Error422UnprocessableEntity("bailiwick", err)
		}
	}
	return f, nil
}

// ownerOf reads a name, or the wildcard *.NAME that stands for NAME and everything below.
func ownerOf(s string) (name string, below bool, err error) {
	if rest, ok := strings.CutPrefix(s, "*."); ok {
		s, below = rest, true
		if s == "" {
			s = "."
		}
	}
	wire, err := dnsname.Parse(s)
	if err != nil {
		return "", false, errBadName
	}
	return dnsname.String(wire), below, nil
}

// typeOf reads a record type's mnemonic; "" is any.
func typeOf(s string) (string, error) {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' {
			return "", errBadType
		}
	}
	if s = strings.ToUpper(s); s == "ANY" {
		s = ""
	}
	return s, nil
}

// dataOf reads RDATA. What is a host name is taken as a name, all else as it stands:
// an address, or text such as "10 mx.example.com.".
func dataOf(s string) (data string, below bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.String(), false
	}
	if strings.ContainsAny(s, " \"") {
		return s, false
	}
	if name, below, err := ownerOf(s); err == nil {
		return name, below
	}
	return s, false
}

// prefixOf reads an address or a prefix; the length may come after a comma too, as
// passive DNS clients write it into paths.
func prefixOf(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(strings.Replace(s, ",", "/", 1))
	if err != nil {
		return p, errBadNet
	}
	return p.Masked(), nil
}

func (c *Console) apiSightings(ctx context.Context, in *sightingsListInput) (*sightingsOutput, error) {
	f, err := in.filter()
	if err != nil {
		return nil, err
	}
	out := &sightingsOutput{}
	out.Body.Sightings, out.Body.Limit, out.Body.Offset = []picket.Sighting{}, in.Limit, in.Offset
	if c.sightings == nil {
		return out, nil
	}
	f.Limit, f.Offset = in.Limit, in.Offset
	list, err := c.sightings.Sightings(ctx, f)
	if err != nil {
		return nil, c.apiError(err)
	}
	out.Body.Sightings = notNil(list)
	return out, nil
}

func (c *Console) apiSightingsCount(ctx context.Context, in *SightingsInput) (*sightingsCountOutput, error) {
	f, err := in.filter()
	if err != nil {
		return nil, err
	}
	out := &sightingsCountOutput{}
	if c.sightings == nil {
		return out, nil
	}
	if out.Body.Rows, out.Body.Count, err = c.sightings.CountSightings(ctx, f); err != nil {
		return nil, c.apiError(err)
	}
	return out, nil
}
