package catalog

import (
	"net/netip"
	"testing"
)

// TestSourcesMap: roles go along with their prefixes.
func TestSourcesMap(t *testing.T) {
	s, err := NewSources([]string{"192.0.2.0/24"}, []string{"192.0.2.7", "2001:db8::/32"})
	if err != nil {
		t.Fatal(err)
	}
	m := s.Map(func(p netip.Prefix) netip.Prefix { // flips the first bit
		b := p.Addr().AsSlice()
		b[0] ^= 0x80
		a, _ := netip.AddrFromSlice(b)
		return netip.PrefixFrom(a, p.Bits())
	})
	for addr, want := range map[string]Role{"64.0.2.9": RoleSecondary, "64.0.2.7": RoleOwn, "a001:db8::1": RoleOwn, "192.0.2.9": RoleNone, "2001:db8::1": RoleNone} {
		if got := m.Role(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %q, want %q", addr, got, want)
		}
	}
	if (*Sources)(nil).Map(nil) != nil {
		t.Error("no roles became some")
	}
}
