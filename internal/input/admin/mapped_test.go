package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// mappedTally keeps account of mapped input.
type mappedTally struct {
	accepted int
	rejected []string
	got      []string
}

func (a *mappedTally) Accept(int64) { a.accepted++ }
func (a *mappedTally) Skip(string)  {}
func (a *mappedTally) Reject(r string, at picket.Position) {
	a.rejected = append(a.rejected, fmt.Sprintf("%d %s", at.Line, r))
}
func (a *mappedTally) AdminEvent(e *picket.AdminEvent) error {
	b, err := json.Marshal(e)
	a.got = append(a.got, string(b))
	return err
}

func TestMapped(t *testing.T) {
	opt := decode.Options{Sensor: "s"}
	if err := JSON(context.Background(), strings.NewReader("{}"), opt, &mappedTally{}, &mappedTally{}); !errors.Is(err, decode.ErrNoMapping) {
		t.Errorf("without mapping: %v", err)
	}
	opt.Mapping = &decode.Mapping{Fields: map[string]string{"when": "t"}}
	if err := CSV(context.Background(), strings.NewReader("a"), opt, &mappedTally{}, &mappedTally{}); err == nil || !strings.Contains(err.Error(), `admin-event has no field "when"; it has time, provider,`) {
		t.Errorf("unknown field: %v", err)
	}
	opt.Mapping = &decode.Mapping{Fields: map[string]string{"time": "t", "action": "op", "effect": "e", "outcome": "res", "actor": "u", "actor_ip": "ip", "zone": "z", "names": "n", "details.ref": "ref"},
		Constants: map[string]string{"provider": "hoster"}}
	text := strings.Join([]string{
		`{"t":"2026-11-20T10:15:30Z","op":"record.update","res":"OK","u":"alice","ip":"2001:db8::7","z":"Example.com","n":["www.example.com","a.example.com, b.example.com"],"ref":[1,2]}`,
		`{"t":1763633730,"op":"Zone-Export"}`,
		`{"t":1763633730,"op":"Transfer out","res":"Forbidden"}`,
		`{"t":1763633730,"op":"login","e":"Read","res":"half"}`,
		`{"op":"x"}`, `{"t":"x","op":"x"}`, `{"t":1763633730}`, `{"t":1763633730,"op":"x","e":"boom"}`,
		`{"t":1763633730,"op":"x","ip":"host"}`, `{"t":1763633730,"op":"x","z":"a..b"}`, `{"t":1763633730,"op":"x","n":"a..b"}`,
	}, "\n")
	a := &mappedTally{}
	if err := JSON(context.Background(), strings.NewReader(text), opt, a, a); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`{"time":"2026-11-20T10:15:30Z","provider":"hoster","action":"record.update","effect":"change","outcome":"success","actor":"alice","actor_ip":"2001:db8::7","zone":"example.com.","names":["www.example.com.","a.example.com.","b.example.com."],"details":{"ref":"1, 2"},"sensor":"s"}`,
		`{"time":"2025-11-20T10:15:30Z","provider":"hoster","action":"Zone-Export","effect":"read","sensor":"s"}`,
		`{"time":"2025-11-20T10:15:30Z","provider":"hoster","action":"Transfer out","effect":"transfer","outcome":"denied","sensor":"s"}`,
		`{"time":"2025-11-20T10:15:30Z","provider":"hoster","action":"login","effect":"read","outcome":"half","sensor":"s"}`,
	}
	rejected := []string{"5 no time stamp", "6 bad time stamp", "7 no action", "8 bad effect", "9 bad address", "10 bad name", "11 bad name"}
	if !slices.Equal(a.got, want) || !slices.Equal(a.rejected, rejected) || a.accepted != len(want) {
		t.Errorf("got\n%s\nwant\n%s\nrejected %q, accepted %d", strings.Join(a.got, "\n"), strings.Join(want, "\n"), a.rejected, a.accepted)
	}
}

func FuzzMapped(f *testing.F) {
	f.Add([]byte(`{"t":1763633730,"op":"update","z":"example.com","n":["a","b c"]}`))
	f.Add([]byte(`[{"t":"2026-11-20T10:15:30Z","op":"x","n":"a\\032b"}]`))
	opt := decode.Options{Mapping: &decode.Mapping{Fields: map[string]string{"time": "t", "action": "op", "zone": "z", "names": "n", "details.x": "x"}}}
	f.Fuzz(func(t *testing.T, b []byte) {
		a := &mappedTally{}
		if err := JSON(context.Background(), strings.NewReader(string(b)), opt, a, a); err != nil {
			t.Fatal(err)
		}
		if len(a.got) != a.accepted || len(a.got)+len(a.rejected) > len(b) {
			t.Fatalf("%d events, %d accepted, %d rejected of %d bytes", len(a.got), a.accepted, len(a.rejected), len(b))
		}
	})
}
