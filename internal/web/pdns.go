package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/picket-dns/picket"
)

// Bounds of one answer to a passive DNS client.
const (
	pdnsLimit    = 10_000  // sightings, when nothing is said
	pdnsMost     = 100_000 // whatever is said
	pdnsAtOnce   = 10_000  // read of the store at once
	epochYear10k = 253402300800
)

// cof is a sighting in the Common Output Format (draft-dulaunoy-dnsop-passive-dns-cof).
type cof struct {
	Name      string `json:"rrname"`
	Type      string `json:"rrtype"`
	Data      any    `json:"rdata"` // a string; a list where there are several, and where DNSDB has one
	First     int64  `json:"time_first,omitempty"`
	Last      int64  `json:"time_last,omitempty"`
	ZoneFirst int64  `json:"zone_time_first,omitempty"`
	ZoneLast  int64  `json:"zone_time_last,omitempty"`
	Count     int64  `json:"count,omitempty"`
	Bailiwick string `json:"bailiwick,omitempty"`
	SensorID  string `json:"sensor_id,omitempty"`
	Origin    string `json:"origin,omitempty"`
}

func cofOf(v *picket.Sighting, list bool) cof {
	c := cof{Name: v.Name, Type: v.Type, Data: notNil(v.Data), First: unixOf(v.FirstSeen), Last: unixOf(v.LastSeen), ZoneFirst: unixOf(v.ZoneFirst),
		ZoneLast: unixOf(v.ZoneLast), Count: v.Count, Bailiwick: v.Bailiwick, SensorID: v.SensorID, Origin: v.Origin}
	if !list && len(v.Data) == 1 {
		c.Data = v.Data[0]
	}
	return c
}

// unixOf is a time in seconds, 0 for none.
func unixOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// sightingKey is what one sighting is of.
type sightingKey struct{ name, typ, data string }

// servePDNS answers /pdns/query/VALUE as CIRCL's passive DNS does: an object of the
// Common Output Format a line. The value is a name, a left-hand wildcard, an address
// or a prefix (length after a comma). Clients of that protocol do not say whether a
// name is meant as owner or as RDATA, so both are answered, owners first.
func (c *Console) servePDNS(w http.ResponseWriter, r *http.Request) {
	filters, err := pdnsFilters(r.PathValue("value"))
	if err != nil {
		failPlain(w, http.StatusBadRequest, err.Error())
		return
	}
	var o pdnsOptions
	if err := o.read(r.URL.Query(), c.now()); err != nil {
		failPlain(w, http.StatusBadRequest, err.Error())
		return
	}
	c.answerPDNS(w, r, filters, &o, func(b *bytes.Buffer, v *picket.Sighting) error {
		return writeJSON(b, cofOf(v, false))
	}, nil)
}

// pdnsFilters are the searches that a value stands for.
func pdnsFilters(value string) ([]picket.SightingFilter, error) {
	if p, err := prefixOf(value); err == nil {
		return []picket.SightingFilter{{Net: p}}, nil
	}
	name, below, err := ownerOf(value)
	if err != nil {
		return nil, fmt.Errorf("%w, an address or a prefix", err)
	}
	return []picket.SightingFilter{{Name: name, Below: below}, {Data: name, DataBelow: below}}, nil
}

// serveDNSDB answers /pdns/dnsdb/v2/lookup/… and /dnsdb/v2/lookup/… as the second
// version of DNSDB's interface does, as far as dnsdbq uses it for lookups: rrset/name,
// rdata/name and rdata/ip with type, bailiwick, time fences, limit and offset.
func (c *Console) serveDNSDB(w http.ResponseWriter, r *http.Request) {
	f, err := dnsdbFilter(r.PathValue("of"), r.PathValue("by"), r.PathValue("what"))
	if err != nil {
		failPlain(w, http.StatusBadRequest, err.Error())
		return
	}
	var o pdnsOptions
	if err := o.read(r.URL.Query(), c.now()); err != nil {
		failPlain(w, http.StatusBadRequest, err.Error())
		return
	}
	list := r.PathValue("of") == "rrset"
	c.answerPDNS(w, r, []picket.SightingFilter{f}, &o, func(b *bytes.Buffer, v *picket.Sighting) error {
		return writeJSON(b, struct {
			Object cof `json:"obj"`
		}{cofOf(v, list)})
	}, safConditions)
}

// safConditions are the lines around an answer in Streaming API Framing.
func safConditions(limited bool) (before, after string) {
	if limited {
		return `{"cond":"begin"}`, `{"cond":"limited","msg":"there may be more"}`
	}
	return `{"cond":"begin"}`, `{"cond":"succeeded"}`
}

// dnsdbFilter reads the end of a DNSDB path: VALUE[/TYPE[/BAILIWICK]].
func dnsdbFilter(of, by, what string) (f picket.SightingFilter, err error) {
	part := strings.SplitN(what, "/", 3)
	if len(part) > 1 {
		if f.Type, err = typeOf(part[1]); err != nil {
			return f, err
		}
	}
	switch {
	case of == "rrset" && by == "name":
		if len(part) == 3 {
			if f.Bailiwick, _, err = ownerOf(part[2]); err != nil {
				return f, err
			}
		}
		f.Name, f.Below, err = ownerOf(part[0])
		return f, err
	case of == "rdata" && by == "name":
		f.Data, f.DataBelow, err = ownerOf(part[0])
		return f, err
	case of == "rdata" && by == "ip":
		f.Net, err = prefixOf(part[0])
		return f, err
	}
	return f, errors.New("want rrset/name/NAME, rdata/name/NAME or rdata/ip/ADDRESS")
}

// pdnsOptions are what a client may say beside what it asks for.
type pdnsOptions struct {
	limit, offset                                  int
	firstAfter, firstBefore, lastAfter, lastBefore time.Time
}

// read takes the parameters that DNSDB has; what else there is says who asks.
func (o *pdnsOptions) read(q url.Values, now time.Time) error {
	o.limit = pdnsLimit
	for _, p := range []struct {
		key string
		dst *int
	}{{"limit", &o.limit}, {"offset", &o.offset}} {
		if s := q.Get(p.key); s != "" {
			n, err := strconv.Atoi(s)
			if err != nil || n < 0 {
				return fmt.Errorf("%s: want a number from 0", p.key)
			}
			*p.dst = n
		}
	}
	if o.limit == 0 || o.limit > pdnsMost { // 0 is as much as there may be
		o.limit = pdnsMost
	}
	for _, p := range []struct {
		key string
		dst *time.Time
	}{{"time_first_after", &o.firstAfter}, {"time_first_before", &o.firstBefore}, {"time_last_after", &o.lastAfter}, {"time_last_before", &o.lastBefore}} {
		if s := q.Get(p.key); s != "" {
			n, err := strconv.ParseInt(s, 10, 64)
			if err != nil || n < -epochYear10k || n > epochYear10k {
				return fmt.Errorf("%s: want seconds since 1970, or negative ones before now", p.key)
			}
			if *p.dst = time.Unix(n, 0); n < 0 {
				*p.dst = now.Add(time.Duration(max(n, -9_000_000_000)) * time.Second)
			}
		}
	}
	return nil
}

// answerPDNS writes what the searches find, each sighting once, as it is read.
func (c *Console) answerPDNS(w http.ResponseWriter, r *http.Request, filters []picket.SightingFilter, o *pdnsOptions,
	write func(*bytes.Buffer, *picket.Sighting) error, frame func(limited bool) (before, after string)) {
	if c.sightings == nil {
		failPlain(w, http.StatusNotFound, errNoSightings.Error())
		return
	}
	var b bytes.Buffer
	begun := false
	send := func() bool { // what is in b
		if !begun {
			begun = true
			w.Header().Set("Content-Type", "application/x-ndjson")
		}
		_, err := b.WriteTo(w)
		return err == nil
	}
	if frame != nil {
		before, _ := frame(false)
		b.WriteString(before + "\n")
	}
	limited, err := c.eachSighting(r.Context(), filters, o, func(v *picket.Sighting) error {
		if err := write(&b, v); err != nil {
			return err
		}
		if b.Len() > 64<<10 && !send() {
			return context.Canceled
		}
		return nil
	})
	switch {
	case err != nil && r.Context().Err() == nil && !errors.Is(err, context.Canceled):
		c.log.Error("read passive DNS", "path", r.URL.Path, "err", err)
		if begun {
			panic(http.ErrAbortHandler) // a cut answer must not look like a whole one
		}
		failPlain(w, http.StatusInternalServerError, "the store did not answer; the log says why")
		return
	case err != nil:
		return
	}
	if frame != nil {
		_, after := frame(limited)
		b.WriteString(after + "\n")
	} else if limited && !begun {
		w.Header().Set("Picket-Limited", strconv.Itoa(o.limit))
	}
	send()
}

// eachSighting hands on what the searches find, each sighting once. limited says that
// there is more than was asked for.
func (c *Console) eachSighting(ctx context.Context, filters []picket.SightingFilter, o *pdnsOptions, each func(*picket.Sighting) error) (limited bool, err error) {
	skip, left := o.offset, o.limit
	seen := map[sightingKey]bool{} // of the first of several searches
	for i, f := range filters {
		f.Channel = picket.SightingPassiveDNS
		f.FirstAfter, f.FirstBefore, f.LastAfter, f.LastBefore = o.firstAfter, o.firstBefore, o.lastAfter, o.lastBefore
		if len(filters) == 1 { // the store can skip
			f.Offset, skip = skip, 0
		}
		for {
			f.Limit = min(pdnsAtOnce, left+skip+1)
			list, err := c.sightings.Sightings(ctx, f)
			if err != nil {
				return false, err
			}
			for j := range list {
				v := &list[j]
				k := sightingKey{v.Name, v.Type, strings.Join(v.Data, "\n")}
				if seen[k] {
					continue
				}
				if i+1 < len(filters) {
					seen[k] = true
				}
				if skip > 0 {
					skip--
					continue
				}
				if left == 0 {
					return true, nil
				}
				left--
				if err := each(v); err != nil {
					return false, err
				}
			}
			if len(list) < f.Limit {
				break
			}
			f.Offset += len(list)
		}
	}
	return false, nil
}

// failPlain answers programs: a line of text.
func failPlain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}

// COF is a sighting as the Common Output Format has it, for json.Marshal.
func COF(v *picket.Sighting) any { return cofOf(v, false) }
