package background

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
)

// storm collects a storm that begins an hour after the world.
func storm(t *testing.T, w *lab.World, name string) []picket.Query {
	t.Helper()
	for _, s := range Storms() {
		if s.Name == name {
			return lab.Collect(s.New(w, w.Begin+hour, lab.Rand(9, s.Name)))
		}
	}
	t.Fatalf("no storm %s", name)
	return nil
}

// figures are what is told of a storm.
type figures struct {
	queries, names, sources int
	nx                      float64
	seconds                 float64
}

func measure(list []picket.Query) (f figures) {
	names, sources := map[string]bool{}, map[netip.Addr]bool{}
	for i := range list {
		names[string(list[i].Name)], sources[list[i].Client] = true, true
		if list[i].Rcode == picket.RcodeNXDomain {
			f.nx++
		}
	}
	f.queries, f.names, f.sources = len(list), len(names), len(sources)
	f.nx /= float64(len(list))
	f.seconds = float64(list[len(list)-1].Time-list[0].Time) / 1e9
	return f
}

// TestStorms: each begins when it should, is in order, the same with the same seed, and
// about as large as it says.
func TestStorms(t *testing.T) {
	w := testWorld(t, 1, 400, lab.Unsigned)
	least := map[string]figures{
		"acme-storm":             {1500, 200, 10, 0, 700},
		"mail-blast":             {10_000, 8, 500, 0, 1700},
		"attack-surface-vendor":  {300, 300, 4, 0.15, 30},
		"zonemaster":             {36, 4, 1, 0.04, 1},
		"directory-suffix-leak":  {2000, 100, 2, 0.9, 7000},
		"replayed-old-names":     {3000, 3000, 20, 0.9, 3400},
		"random-flood-few":       {60_000, 59_900, 5, 1, 290},
		"random-flood-forged":    {60_000, 59_900, 9900, 1, 290},
		"random-flood-resolvers": {60_000, 59_000, 1000, 1, 290},
		"sorted-monitor":         {14_000, 60, 2, 0, 7000},
		"typo-deployment":        {10_000, 1, 1000, 0.99, 7000},
		"owner-inventory":        {400, 400, 1, 0, 15},
	}
	most := map[string]figures{
		"acme-storm":             {5000, 2000, 15, 0.1, 960},
		"mail-blast":             {90_000, 40, 4000, 0.4, 2000},
		"attack-surface-vendor":  {700, 480, 4, 0.35, 200},
		"zonemaster":             {60, 20, 1, 0.2, 30},
		"directory-suffix-leak":  {20_000, 1500, 3, 1, 7500},
		"replayed-old-names":     {6000, 4200, 400, 1, 3900},
		"random-flood-few":       {60_000, 60_000, 5, 1, 310},
		"random-flood-forged":    {60_000, 60_000, 10_000, 1, 310},
		"random-flood-resolvers": {62_000, 60_000, 4000, 1, 330},
		"sorted-monitor":         {14_400, 60, 2, 0, 7200},
		"typo-deployment":        {80_000, 3, 4000, 1, 7400},
		"owner-inventory":        {420, 420, 1, 0, 30},
	}
	for _, s := range Storms() {
		list := storm(t, w, s.Name)
		if len(list) == 0 {
			t.Errorf("%s: nothing", s.Name)
			continue
		}
		f, lo, hi := measure(list), least[s.Name], most[s.Name]
		if f.queries < lo.queries || f.queries > hi.queries || f.names < lo.names || f.names > hi.names || f.sources < lo.sources || f.sources > hi.sources ||
			f.nx < lo.nx || f.nx > hi.nx || f.seconds < lo.seconds || f.seconds > hi.seconds {
			t.Errorf("%s: %+v, want %+v to %+v", s.Name, f, lo, hi)
		}
		if first := list[0].Time - w.Begin - hour; first < 0 || first > 60*lab.Second {
			t.Errorf("%s begins %d s after its time", s.Name, first/lab.Second)
		}
		if !slices.IsSortedFunc(list, func(a, b picket.Query) int { return int(min(max(a.Time-b.Time, -1), 1)) }) {
			t.Errorf("%s is not in order", s.Name)
		}
		again := s.New(w, w.Begin+hour, lab.Rand(9, s.Name))
		for i := range min(len(list), 3000) {
			if q := again.Next(); q == nil || q.Time != list[i].Time || q.Client != list[i].Client || string(q.Name) != string(list[i].Name) {
				t.Errorf("%s: query %d is another one with the same seed", s.Name, i)
				break
			}
		}
		want := LabelBenign
		if len(s.Name) > 12 && s.Name[:12] == "random-flood" {
			want = LabelAttackOther
		}
		if s.Label != want {
			t.Errorf("%s is labelled %s, want %s", s.Name, s.Label, want)
		}
	}
}

// TestStormShapes: what makes each storm look like what it is not.
func TestStormShapes(t *testing.T) {
	w := testWorld(t, 2, 400, lab.NSEC)
	w.Zone.Signing = lab.NSEC
	b := newTest(t, w, Options{})

	list := storm(t, w, "sorted-monitor")[:120]
	var names [][]byte
	for i := range list {
		if list[i].Client == list[0].Client {
			names = append(names, list[i].Name)
		}
	}
	if len(names) != 60 || !slices.IsSortedFunc(names, dnsname.Compare) {
		t.Errorf("the sorted monitor's first round has %d names, sorted %t", len(names), slices.IsSortedFunc(names, dnsname.Compare))
	}

	if list = storm(t, w, "attack-surface-vendor"); !within(list, b.Vendors()...) {
		t.Error("the vendor does not ask from its networks")
	}
	retired := map[string]bool{}
	for i := range w.Zone.Retired {
		retired[string(w.Zone.Retired[i].Name)] = true
	}
	for i := range list {
		delete(retired, string(list[i].Name))
	}
	if len(retired) > 0 {
		t.Errorf("the vendor leaves out %d retired names", len(retired))
	}

	if list = storm(t, w, "owner-inventory"); !within(list, b.Own()...) || !slices.IsSortedFunc(list, func(a, b picket.Query) int { return dnsname.Compare(a.Name, b.Name) }) {
		t.Error("the inventory is not the own scanner's, in the order of the zone")
	}

	list = storm(t, w, "typo-deployment")
	wrong := list[len(list)/2].Name
	if w.Zone.Find(wrong) >= 0 {
		t.Errorf("the wrong name %s exists", dnsname.Text(wrong))
	}
	close := false
	for _, right := range known(w.Zone, 5) {
		close = close || distance(dnsname.First(right), dnsname.First(wrong)) <= 4
	}
	if !close {
		t.Errorf("the wrong name %s is like no popular one", dnsname.Text(wrong))
	}

	types := map[uint16]bool{}
	transfers, refused := 0, 0
	for _, q := range storm(t, w, "zonemaster") {
		types[q.Type] = true
		if q.Type == lab.TypeAXFR && q.Transport == picket.TransportTCP {
			transfers++
		}
		if q.Rcode == picket.RcodeRefused {
			refused++
		}
	}
	if len(types) < 11 || transfers != len(w.Zone.Servers) || refused != 2*len(w.Zone.Servers) {
		t.Errorf("the check asks %d types, %d transfers, %d refused", len(types), transfers, refused)
	}

	services, below := 0, 0
	for _, q := range storm(t, w, "directory-suffix-leak") {
		if q.Type == lab.TypeSRV {
			services++
		}
		if dnsname.Labels(q.Name) > 3 {
			below++
		}
	}
	if services == 0 || below == 0 {
		t.Errorf("the leak has %d questions for services, %d deep names", services, below)
	}
}
