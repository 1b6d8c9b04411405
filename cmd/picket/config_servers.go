package main

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/picket-dns/picket/internal/dnsname"
)

// serverConfig is one name server that answers for zones: what is to be seen is
// held against it.
type serverConfig struct {
	// Name of the server as NS records have it, such as ns1.example.com.
	Name string `yaml:"name"`
	// Its addresses, with a port where it is not 53. Telemetry that carries the
	// server's address is told by them, and serials are asked for there.
	Addresses []string `yaml:"addresses"`
	// Zones that it answers for; left out, all that are watched.
	Zones []string `yaml:"zones"`
	// Who runs it, for reports.
	Provider string `yaml:"provider"`
	// Ask it for the serials of its zones now and then, to see whether it is behind.
	Serials bool `yaml:"serials" default:"false"`
	// How often it is asked for them; left out, every minute.
	SerialsPoll time.Duration `yaml:"serials_poll"`
	// What it counts itself, to be held against what is seen.
	Counters *counterConfig `yaml:"counters"`
}

// counterConfig says where a name server tells how many queries it has answered.
type counterConfig struct {
	// URL of the counters; or file.
	URL string `yaml:"url"`
	// Path of a file that something refreshes; or url.
	File string `yaml:"file"`
	// Form of the counters: bind-json (statistics channel), prometheus, or nsd
	// (nsd-control stats, NAME=VALUE lines).
	Format string `yaml:"format"`
	// Metrics or names that are added up; left out, the ones that the format is
	// known to have.
	Names []string `yaml:"names"`
	// How often they are read.
	Poll time.Duration `yaml:"poll" default:"1m"`
}

// name is a zone or server as the catalog writes it.
func apexOf(s string) string {
	return strings.ToLower(strings.TrimSuffix(strings.TrimSpace(s), ".")) + "."
}

// endpoints are the addresses of a server with their ports.
func (s *serverConfig) endpoints() []netip.AddrPort {
	var list []netip.AddrPort
	for _, a := range s.Addresses {
		if p, err := parseEndpoint(a); err == nil {
			list = append(list, p)
		}
	}
	return list
}

// parseEndpoint reads an address, with port 53 unless it has one.
func parseEndpoint(s string) (netip.AddrPort, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.AddrPortFrom(a.Unmap(), 53), nil
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return netip.AddrPort{}, err
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), nil
}

// validateServers checks the servers.
func (c *config) validateServers(lines lineIndex, p *problems) {
	seen := map[string]bool{}
	for i := range c.Servers {
		s := &c.Servers[i]
		at := lines.of("servers[%d]", i)
		if _, err := dnsname.Parse(s.Name); err != nil || s.Name == "" {
			p.add(at, "servers: name %q: want the server's name, such as ns1.example.com", s.Name)
		}
		if key := apexOf(s.Name); seen[key] {
			p.add(at, "servers: %s is there twice; give all its addresses in one entry", s.Name)
		} else {
			seen[key] = true
		}
		for _, a := range s.Addresses {
			if _, err := parseEndpoint(a); err != nil {
				p.add(at, "servers: address %q: want an address such as 192.0.2.53, or with a port 192.0.2.53:5300", a)
			}
		}
		if s.Serials && len(s.Addresses) == 0 {
			p.add(at, "servers: %s: serials need addresses to ask at", s.Name)
		}
		if s.SerialsPoll != 0 && s.SerialsPoll < time.Second {
			p.add(at, "servers: %s: serials_poll %s is too short; at least 1s", s.Name, s.SerialsPoll)
		}
		if k := s.Counters; k != nil {
			switch {
			case (k.URL == "") == (k.File == ""):
				p.add(at, "servers: %s: counters need url or file", s.Name)
			case k.Format != "bind-json" && k.Format != "prometheus" && k.Format != "nsd":
				p.add(at, "servers: %s: counters.format %q: want bind-json, prometheus or nsd", s.Name, k.Format)
			case k.Poll < 0:
				p.add(at, "servers: %s: counters.poll %s is negative", s.Name, k.Poll)
			}
		}
	}
	for i := range c.Inputs {
		if s := c.Inputs[i].Server; s != "" && !seen[apexOf(s)] {
			p.add(lines.of("inputs[%d]", i), "inputs: server %q is not among servers", s)
		}
	}
}
