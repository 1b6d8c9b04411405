package intake

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/picket-dns/picket"
)

// capturing keeps the events, too.
type capturing struct {
	*memory
	data []string
}

func (c *capturing) AppendEvents(_ context.Context, _ picket.Origin, rows []picket.EventRow) error {
	for _, r := range rows {
		c.data = append(c.data, string(r.Data))
	}
	return nil
}

// fixedMapper maps every address to one.
type fixedMapper struct{}

func (fixedMapper) Pseudonym(netip.Addr) netip.Addr  { return netip.MustParseAddr("203.0.113.9") }
func (fixedMapper) Prefix(netip.Prefix) netip.Prefix { return netip.MustParsePrefix("203.0.113.0/24") }

// TestPseudonymise: sources of signals are replaced, what was handed in and admin
// events are left, and rejected records are kept without their bytes.
func TestPseudonymise(t *testing.T) {
	k := &capturing{memory: &memory{}}
	h := NewHouse(k, 0, nil, nil)
	h.Pseudonymise(fixedMapper{})
	d, err := h.Desk(t.Context(), "in", true)
	if err != nil {
		t.Fatal(err)
	}
	s := d.Stream(StreamConfig{Name: "file", Format: "f"})
	v := &picket.Signal{Source: netip.MustParseAddr("192.0.2.7"), Kind: picket.SignalAlert, Tool: "x"}
	e := &picket.AdminEvent{ActorIP: netip.MustParseAddr("192.0.2.8"), Provider: "x"}
	for _, err := range []error{s.Signal(v), s.AdminEvent(e)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s.Reject("bad", picket.Position{Line: 3, Record: []byte("from 192.0.2.9")})
	q := &picket.Query{Client: netip.MustParseAddr("192.0.2.7")}
	if got := s.pseudonymous(q); got.Client.String() != "203.0.113.9" || got.ClientSubnet.String() != "203.0.113.0/24" || q.Client.String() != "192.0.2.7" {
		t.Errorf("query %+v, handed in %+v", got, q)
	}
	if err := s.Commit(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	all := strings.Join(k.data, "\n")
	if v.Source.String() != "192.0.2.7" || strings.Contains(all, "192.0.2.7") || !strings.Contains(all, `"source":"203.0.113.9"`) || !strings.Contains(all, `"actor_ip":"192.0.2.8"`) {
		t.Errorf("stored %s", all)
	}
	if len(k.kept) != 1 || k.kept[0].Record != nil || k.kept[0].Reason != "bad" || k.kept[0].Line != 3 {
		t.Errorf("kept %+v", k.kept)
	}
}
