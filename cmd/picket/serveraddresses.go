package main

import (
	"cmp"
	"context"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/masterfile"
)

// addressesMost bounds the addresses that are taken of one name server.
const addressesMost = 32

// readAddresses looks in the zone files for the addresses of name servers: in the
// zone that holds a name they stand as its data, in a zone that delegates to it as
// glue (RFC 1034 §4.2.1). A file is read again when it or what is looked for has changed.
func (g *delegations) readAddresses() {
	g.mu.Lock()
	defer g.mu.Unlock()
	wanted := map[string]bool{}
	for _, a := range g.asked {
		for _, name := range a.Delegation {
			wanted[name] = true
		}
	}
	for _, f := range g.files {
		for _, names := range f.ns {
			for _, name := range names {
				wanted[name] = true
			}
		}
	}
	for path, f := range g.files {
		want := map[string]bool{}
		for name := range wanted {
			if belowOrAt(name, f.apex) {
				want[name] = true
			}
		}
		if f.addresses != nil && maps.Equal(want, f.wanted) {
			continue
		}
		found, err := readZoneAddresses(path, f.apex, want)
		if err != nil {
			continue // it was read before; whoever loads the zone says what is wrong
		}
		f.addresses, f.wanted = found, want
		g.changed++
	}
}

// belowOrAt reports whether a name is in a zone, or below a cut of it.
func belowOrAt(name, apex string) bool {
	return name == apex || apex == "." || strings.HasSuffix(name, "."+apex)
}

// readZoneAddresses reads the addresses of the wanted names in a zone file.
func readZoneAddresses(path, apex string, wanted map[string]bool) (map[string][]string, error) {
	h := &addressCollector{wanted: wanted, found: map[string][]string{}}
	if len(wanted) == 0 {
		return h.found, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	start, err := dnsname.Parse(apex)
	if err != nil {
		return nil, err
	}
	r := masterfile.Reader{Folder: filepath.Dir(path), Budget: masterfile.MaxBytes, Generate: masterfile.MaxGenerated}
	if err := r.Read(f, path, start, h); err != nil {
		return nil, err
	}
	return h.found, nil
}

// addressCollector takes A and AAAA records of the wanted names. It implements masterfile.Handler.
type addressCollector struct {
	wanted map[string]bool
	found  map[string][]string
}

// Record implements masterfile.Handler.
func (c *addressCollector) Record(r masterfile.Record) error {
	if r.Type != dns.TypeA && r.Type != dns.TypeAAAA {
		return nil
	}
	owner := dnsname.String(r.Owner)
	if !c.wanted[owner] || len(c.found[owner]) >= addressesMost {
		return nil
	}
	if rr, err := dns.NewRR(r.String()); err == nil {
		c.found[owner] = append(c.found[owner], addressIn(rr)...)
	}
	return nil
}

// Directive implements masterfile.Handler.
func (c *addressCollector) Directive(string, []byte) {}

// Problem implements masterfile.Handler.
func (c *addressCollector) Problem(masterfile.Problem) {}

// addressIn is the address of an A or AAAA record, as setups have it.
func addressIn(rr dns.RR) []string {
	var a netip.Addr
	switch rr := rr.(type) {
	case *dns.A:
		a, _ = netip.AddrFromSlice(rr.A)
	case *dns.AAAA:
		a, _ = netip.AddrFromSlice(rr.AAAA)
	}
	if !a.IsValid() {
		return nil
	}
	return []string{a.Unmap().String()}
}

// addressesOf are the addresses of a name server by the zone files, by what a
// parent's server has added to the delegation, and by recorded zones. g.mu is held.
func (g *delegations) addressesOf(ctx context.Context, name string) []string {
	list := slices.Clone(g.glue[name])
	for _, f := range g.files {
		list = append(list, f.addresses[name]...)
	}
	if g.history != nil {
		for _, t := range []string{"A", "AAAA"} {
			lives, _, err := g.history.Lives(ctx, picket.HistoryFilter{Name: name, Type: t, Living: true, Limit: addressesMost})
			if err != nil {
				if ctx.Err() == nil {
					g.log.Error("read addresses", "server", name, "error", err)
				}
				break
			}
			for _, l := range lives {
				if a, err := netip.ParseAddr(l.Data); err == nil && l.Method != picket.MethodGit {
					list = append(list, a.Unmap().String())
				}
			}
		}
	}
	slices.Sort(list)
	list = slices.Compact(list)
	return list[:min(len(list), addressesMost)]
}

// servers are the configured name servers, with the addresses that zones have for
// them, too, and after them those that zones are delegated to beside them. g.mu is held.
func (g *delegations) servers(ctx context.Context, configured []picket.SetupServer, zones []picket.SetupZone) []picket.SetupServer {
	list := slices.Clone(configured)
	of := map[string][]string{} // zones by server
	for _, z := range zones {
		for _, name := range z.Delegation {
			of[name] = append(of[name], z.Name)
		}
	}
	for i := range list {
		s := &list[i]
		if of[s.Name] == nil {
			continue
		}
		s.Addresses = slices.Clone(s.Addresses)
		for _, a := range g.addressesOf(ctx, s.Name) {
			if !slices.Contains(s.Addresses, a) {
				s.Addresses = append(s.Addresses, a)
			}
		}
		delete(of, s.Name)
	}
	for _, name := range slices.SortedFunc(maps.Keys(of), cmp.Compare[string]) {
		list = append(list, picket.SetupServer{Name: name, Addresses: g.addressesOf(ctx, name), Zones: of[name]})
	}
	return list
}
