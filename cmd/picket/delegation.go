package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/masterfile"
)

// How long a name server of a parent zone is given, and how many NS records of one
// zone are taken of whoever says them.
const (
	delegationTimeout = 5 * time.Second
	delegationMost    = 64
)

// delegations know to which name servers each watched zone is delegated. The parent's
// word counts (RFC 1034 §4.2.2 wants it to agree with the zone's own), asked at the
// address that the configuration gives, or as the records of a parent that is
// watched have it; else the zone's own NS records stand in.
type delegations struct {
	zones   []zoneConfig
	history picket.ZoneHistory // nil when there is none
	log     *slog.Logger

	mu      sync.Mutex
	asked   map[string]picket.SetupZone // what parents' servers said, by apex
	glue    map[string][]string         // addresses that they added, by name server
	files   map[string]*zoneFileNS      // by path
	told    map[string]string           // last failure of each zone, logged once
	changed int                         // grows with asked, glue and files
	last    lastDelegations
}

// lastDelegations is what was worked out last, and of what.
type lastDelegations struct {
	changed  int
	revision int64 // of the history
	names    []string
	zones    []picket.SetupZone
	servers  []picket.SetupServer
}

// zoneFileNS are the NS records of a zone file, and addresses of name servers.
type zoneFileNS struct {
	modified  time.Time
	size      int64
	apex      string
	ns        map[string][]string // by owner
	wanted    map[string]bool     // whose addresses were looked for
	addresses map[string][]string // by owner; nil when nobody has looked
}

func newDelegations(zones []zoneConfig, history picket.ZoneHistory, log *slog.Logger) *delegations {
	return &delegations{zones: zones, history: history, log: log, asked: map[string]picket.SetupZone{},
		glue: map[string][]string{}, files: map[string]*zoneFileNS{}, told: map[string]string{}}
}

// refresh reads the zone files that have changed and asks the parents' servers.
func (g *delegations) refresh(ctx context.Context) {
	for _, z := range g.zones {
		f := g.readFile(z)
		apex := apexOf(z.Origin)
		if z.Origin == "" && f != nil {
			apex = f.apex
		}
		if z.Parent == "" || apex == "" || apex == "." {
			continue
		}
		at, err := parseEndpoint(z.Parent)
		if err != nil {
			continue // the configuration was checked
		}
		names, glue, err := askDelegation(ctx, net.JoinHostPort(at.Addr().String(), fmt.Sprint(at.Port())), apex)
		if ctx.Err() != nil {
			return
		}
		g.mu.Lock()
		if err == nil {
			g.asked[apex] = picket.SetupZone{Name: apex, Delegation: names, Parent: "name server " + at.String()}
			maps.Copy(g.glue, glue)
			g.changed++
			delete(g.told, apex)
		} else if g.told[apex] != err.Error() {
			g.told[apex] = err.Error()
			g.log.Warn("ask the parent for a delegation", "zone", apex, "server", at.String(), "error", err)
		}
		g.mu.Unlock()
	}
	g.readAddresses()
}

// askDelegation asks one name server, non-recursively, to whom zone is delegated. It
// refers to the name servers (RFC 1034 §4.3.2), or answers itself when it has the zone,
// too. glue are addresses that it adds.
func askDelegation(ctx context.Context, server, zone string) (names []string, glue map[string][]string, err error) {
	ctx, cancel := context.WithTimeout(ctx, delegationTimeout)
	defer cancel()
	q := new(dns.Msg)
	q.SetQuestion(zone, dns.TypeNS)
	q.RecursionDesired = false
	q.SetEdns0(1232, false)
	var r *dns.Msg
	for _, network := range []string{"udp", "tcp"} {
		c := &dns.Client{Net: network, Timeout: delegationTimeout}
		if r, _, err = c.ExchangeContext(ctx, q, server); err == nil && !r.Truncated {
			break
		}
	}
	if err != nil {
		return nil, nil, err
	}
	if r.Rcode != dns.RcodeSuccess {
		return nil, nil, fmt.Errorf("it answers %s", dns.RcodeToString[r.Rcode])
	}
	for _, rr := range slices.Concat(r.Answer, r.Ns) {
		if ns, ok := rr.(*dns.NS); ok && strings.EqualFold(ns.Hdr.Name, zone) {
			names = append(names, nsName(ns.Ns))
		}
	}
	if len(names) == 0 {
		return nil, nil, errors.New("it delegates the zone to nobody")
	}
	names, glue = sortedNames(names), map[string][]string{}
	for _, rr := range r.Extra {
		if owner := nsName(rr.Header().Name); slices.Contains(names, owner) && len(glue[owner]) < addressesMost {
			glue[owner] = append(glue[owner], addressIn(rr)...)
		}
	}
	return names, glue, nil
}

// nsName is a name server's name as setups have it.
func nsName(s string) string {
	n, err := dnsname.Parse(s)
	if err != nil {
		return strings.ToLower(s)
	}
	return dnsname.String(n)
}

func sortedNames(names []string) []string {
	slices.Sort(names)
	names = slices.Compact(names)
	return names[:min(len(names), delegationMost)]
}

// readFile returns the NS records of a zone file; nil when it cannot be read.
func (g *delegations) readFile(z zoneConfig) *zoneFileNS {
	st, err := os.Stat(z.File)
	if err != nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if f := g.files[z.File]; f != nil && f.size == st.Size() && f.modified.Equal(st.ModTime()) {
		return f
	}
	f, err := readZoneNS(z.File, z.Origin)
	if err != nil {
		return g.files[z.File]
	}
	f.size, f.modified = st.Size(), st.ModTime()
	g.files[z.File] = f
	g.changed++
	return f
}

// readZoneNS reads the NS records of a zone file.
func readZoneNS(path, origin string) (*zoneFileNS, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var start []byte
	h := &nsCollector{zoneFileNS: zoneFileNS{ns: map[string][]string{}}}
	if origin != "" {
		if start, err = dnsname.Parse(apexOf(origin)); err != nil {
			return nil, err
		}
		h.apex = dnsname.String(start)
	} else if name := masterfile.OriginOf(path); name != nil {
		h.apex = dnsname.String(name)
	}
	r := masterfile.Reader{Folder: filepath.Dir(path), Budget: masterfile.MaxBytes, Generate: masterfile.MaxGenerated}
	if err := r.Read(f, path, start, h); err != nil {
		return nil, err
	}
	return &h.zoneFileNS, nil
}

// nsCollector takes NS records, and the apex by the SOA. It implements masterfile.Handler.
type nsCollector struct{ zoneFileNS }

// Record implements masterfile.Handler.
func (c *nsCollector) Record(r masterfile.Record) error {
	switch r.Type {
	case dns.TypeSOA:
		c.apex = dnsname.String(r.Owner)
	case dns.TypeNS:
		rr, err := dns.NewRR(r.String())
		if err != nil {
			return nil // whoever loads the zone says so
		}
		if ns, ok := rr.(*dns.NS); ok {
			owner := dnsname.String(r.Owner)
			c.ns[owner] = append(c.ns[owner], nsName(ns.Ns))
		}
	}
	return nil
}

// Directive implements masterfile.Handler.
func (c *nsCollector) Directive(string, []byte) {}

// Problem implements masterfile.Handler.
func (c *nsCollector) Problem(masterfile.Problem) {}

// of says to whom the zones are delegated, in their order, and which name servers
// there are: the configured ones, and those that the zones name. It works them out
// anew when the history or what parents and files say has changed.
func (g *delegations) of(ctx context.Context, zones []string, configured []picket.SetupServer) ([]picket.SetupZone, []picket.SetupServer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	revision := int64(0)
	if g.history != nil {
		var err error
		if revision, err = g.history.HistoryRevision(ctx); err != nil {
			if ctx.Err() == nil {
				g.log.Error("read the history of zones", "error", err)
			}
			return g.last.zones, g.last.servers
		}
	}
	l := &g.last
	if l.servers == nil || l.changed != g.changed || l.revision != revision || !slices.Equal(l.names, zones) {
		*l = lastDelegations{changed: g.changed, revision: revision, names: slices.Clone(zones), zones: g.delegated(ctx, zones)}
		l.servers = append([]picket.SetupServer{}, g.servers(ctx, configured, l.zones)...)
	}
	return l.zones, l.servers
}

// delegated says to whom the zones are delegated. g.mu is held.
func (g *delegations) delegated(ctx context.Context, zones []string) []picket.SetupZone {
	list := make([]picket.SetupZone, len(zones))
	for i, z := range zones {
		if a, ok := g.asked[z]; ok {
			list[i] = a
			continue
		}
		list[i] = picket.SetupZone{Name: z}
		for p := parentOf(z); p != "" && list[i].Delegation == nil; p = parentOf(p) {
			if !slices.Contains(zones, p) {
				continue
			}
			if list[i].Delegation = g.records(ctx, p, z); list[i].Delegation != nil {
				list[i].Parent = "zone " + p
			}
		}
		if list[i].Delegation == nil {
			list[i].Delegation = g.records(ctx, z, z)
		}
	}
	return list
}

// parentOf is the name above, "" above the root.
func parentOf(name string) string {
	n, err := dnsname.Parse(name)
	if err != nil || len(n) < 2 {
		return ""
	}
	return dnsname.String(n[1+int(n[0]):])
}

// records are the names in the NS records at owner that zone has, of its file or of
// its recorded history.
func (g *delegations) records(ctx context.Context, zone, owner string) []string {
	var names []string
	for _, f := range g.files {
		if f.apex == zone {
			names = append(names, f.ns[owner]...)
		}
	}
	if g.history != nil {
		lives, _, err := g.history.Lives(ctx, picket.HistoryFilter{Zone: zone, Name: owner, Type: "NS", Living: true, Limit: delegationMost})
		if err != nil && ctx.Err() == nil {
			g.log.Error("read NS records", "zone", zone, "error", err)
		}
		for _, l := range lives {
			if l.Method != picket.MethodGit {
				names = append(names, nsName(l.Data))
			}
		}
	}
	if names == nil {
		return nil
	}
	return sortedNames(names)
}
