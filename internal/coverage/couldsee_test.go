package coverage

import (
	"slices"
	"strings"
	"testing"

	"github.com/picket-dns/picket"
)

// TestCouldSeeByContents: what a zone's contents say of response codes makes up for
// telemetry without them, wholly where all that is asked about is known.
func TestCouldSeeByContents(t *testing.T) {
	for _, c := range []struct {
		known        []string
		zone, answer string
		reason       string // part of the first
	}{
		{[]string{"example.com.", "example.org."}, "example.com.", "yes", "input b carries no rcode; the zone's contents supply it from "},
		{[]string{"example.com.", "example.org."}, "", "yes", "input b carries no rcode; the zone's contents supply it from "},
		{[]string{"example.com."}, "example.com.", "yes", "input b carries no rcode; the zone's contents supply it from "},
		{[]string{"example.com."}, "", "partly", "input b carries no rcode, which the contents of 1 of 2 zones supply from "},
		{nil, "example.com.", "partly", "input b carries no rcode from "},
	} {
		w := three(func(l []feed) {
			l[1].bare = true
			for i := range l {
				l[i].zones = map[string]float64{"example.com.": 20, "example.org.": 15}
			}
		}).zone("example.org.", "ns1.example.com.", "ns2.example.com.", "ns3.example.com.")
		r := w.reporter(func(o *Options) { o.ZoneKnown = func(z string) bool { return slices.Contains(c.known, z) } })
		a, err := r.CouldSee(t.Context(), "brute-force", picket.CoverageFilter{From: at(19, 3, 0), To: at(20, 3, 0), Zone: c.zone})
		if err != nil {
			t.Fatal(err)
		}
		if a.Answer != c.answer || len(a.Reasons) == 0 || !strings.HasPrefix(a.Reasons[0], c.reason) {
			t.Errorf("known %q, asked of %q: %+v", c.known, c.zone, a)
		}
	}
}
