package pickettest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"sort"
	"strings"
	"sync"
	"testing"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
)

// QueryRow is a query as a store gives it back, for comparison. "" and 0 stand
// for what the query did not have.
type QueryRow struct {
	Time           int64 // Unix nanoseconds
	Client, Server string
	ClientPort     uint16
	Transport      string
	Name, Zone     string // Name in presentation form without trailing dot
	State          string
	Opcode         uint8
	Type, Class    uint16
	Rcode          picket.Rcode
	Flags          picket.QueryFlags
	ClientSubnet   string
	Sensor         string
}

// QueryStore tests the role picket.QueryAppender. open returns an empty store
// and leaves closing it to t.Cleanup; read returns all its rows in any order.
func QueryStore[S picket.QueryAppender](t *testing.T, open func(t *testing.T) S, read func(t *testing.T, s S) []QueryRow) {
	check := func(t *testing.T, s S, want []QueryRow) {
		t.Helper()
		got := read(t, s)
		for _, l := range [][]QueryRow{got, want} {
			sort.Slice(l, func(i, j int) bool {
				return fmt.Sprintf("%020d %v", l[i].Time, l[i]) < fmt.Sprintf("%020d %v", l[j].Time, l[j])
			})
		}
		if len(got) != len(want) {
			t.Fatalf("%d rows, want %d", len(got), len(want))
		}
		for i := range got {
			if !reflect.DeepEqual(got[i], want[i]) {
				t.Errorf("row %d:\ngot  %+v\nwant %+v", i, got[i], want[i])
			}
		}
	}
	t.Run("round trip", func(t *testing.T) {
		s := open(t)
		q, states, zones, want := everyQuery()
		if err := s.AppendQueries(t.Context(), q, states, zones, nil); err != nil {
			t.Fatal(err)
		}
		// The batch was lent: what becomes of it is no concern of the store.
		for i := range q {
			clear(q[i].Name)
			q[i] = picket.Query{}
		}
		clear(states)
		clear(zones)
		check(t, s, want)
	})
	t.Run("nothing", func(t *testing.T) {
		s := open(t)
		if err := s.AppendQueries(t.Context(), nil, nil, nil, nil); err != nil {
			t.Errorf("empty batch: %v", err)
		}
		q, states, zones, _ := everyQuery()
		if err := s.AppendQueries(t.Context(), q, states[1:], zones, nil); err == nil {
			t.Error("a batch with too few states was taken")
		}
		if err := s.AppendQueries(t.Context(), q, states, zones[1:], nil); err == nil {
			t.Error("a batch with too few zones was taken")
		}
		check(t, s, nil)
	})
	t.Run("cancelled", func(t *testing.T) {
		s := open(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var want []QueryRow
		for range 10 {
			q, states, zones, rows := everyQuery()
			switch err := s.AppendQueries(ctx, q, states, zones, nil); {
			case err == nil:
				want = append(want, rows...)
			case !errors.Is(err, context.Canceled):
				t.Errorf("cancelled: %v", err)
			}
		}
		check(t, s, want)
	})
	t.Run("concurrent", func(t *testing.T) {
		s := open(t)
		const writers, batches, each = 4, 5, 300
		var (
			wg   sync.WaitGroup
			mu   sync.Mutex
			want []QueryRow
		)
		for w := range writers {
			wg.Go(func() {
				for b := range batches {
					q, states, zones, rows := QueryBatch((w*batches+b)*each, each)
					if err := s.AppendQueries(t.Context(), q, states, zones, nil); err != nil {
						t.Error(err)
					}
					mu.Lock()
					want = append(want, rows...)
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		check(t, s, want)
	})
}

// QueryBatch returns n ordinary queries, numbered from first, and what a store
// has to make of them. They are a millisecond apart.
func QueryBatch(first, n int) (q []picket.Query, states []picket.NameState, zones []string, rows []QueryRow) {
	for i := first; i < first+n; i++ {
		name := fmt.Sprintf("host%d.example.com", i)
		q = append(q, picket.Query{
			Time:   base.UnixNano() + int64(i)*1e6,
			Client: netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), Server: netip.AddrFrom4([4]byte{198, 51, 100, 53}),
			ClientPort: uint16(1024 + i%60000), Transport: picket.TransportUDP, Type: 1, Class: 1, Rcode: picket.RcodeNXDomain,
			Flags: picket.FlagEDNS | picket.FlagResponse, Name: dnsname.MustParse(name), Sensor: "ns1",
		})
		states, zones = append(states, picket.StateNever), append(zones, "example.com.")
		rows = append(rows, rowOf(&q[len(q)-1], name, picket.StateNever, "example.com."))
	}
	return q, states, zones, rows
}

func rowOf(q *picket.Query, name string, state picket.NameState, zone string) QueryRow {
	r := QueryRow{
		Time: q.Time, ClientPort: q.ClientPort, Transport: q.Transport.String(), Name: name, Zone: zone, State: state.String(),
		Opcode: q.Opcode, Type: q.Type, Class: q.Class, Rcode: q.Rcode, Flags: q.Flags, Sensor: q.Sensor,
	}
	if q.Client.IsValid() {
		r.Client = q.Client.Unmap().String()
	}
	if q.Server.IsValid() {
		r.Server = q.Server.Unmap().String()
	}
	if q.ClientSubnet.IsValid() {
		r.ClientSubnet = q.ClientSubnet.String()
	}
	return r
}

// everyQuery returns queries that try every column at its edges.
func everyQuery() (q []picket.Query, states []picket.NameState, zones []string, rows []QueryRow) {
	add := func(x picket.Query, name string, state picket.NameState, zone string) {
		x.Time = base.UnixNano() + int64(len(q))
		x.Name = dnsname.MustParse(name)
		q, states, zones = append(q, x), append(states, state), append(zones, zone)
		rows = append(rows, rowOf(&x, name, state, zone))
	}
	add(picket.Query{Rcode: picket.RcodeUnknown}, "www.example.com", picket.StateOutOfZone, "")
	add(picket.Query{
		Client: netip.MustParseAddr("2001:db8::7"), Server: netip.MustParseAddr("::ffff:192.0.2.53"), ClientPort: 65535,
		Transport: picket.TransportQUIC, Opcode: 15, Type: 65535, Class: 65535, Rcode: 4095, Flags: 1<<32 - 1,
		ClientSubnet: netip.MustParsePrefix("2001:db8::/56"), Sensor: "sensor with 'quotes' and ünïcode",
	}, "*.example.com", picket.StateCanary, "example.com.")
	for i, name := range []string{
		".", "com", `a\.b.example.com`, `\000\001\255.example.com`, `x'\;drop\032table\032queries\;--.example.com`,
		`\"\(\)\;\@\$\\.example.com`, "_dmarc.example.com", "xn--bcher-kva.example.com",
		strings.Repeat(strings.Repeat("a", 63)+".", 3) + strings.Repeat("b", 61),
	} {
		add(picket.Query{Client: netip.MustParseAddr("192.0.2.1"), Type: uint16(i)}, name, picket.NameState(i%9), "zone'\"%_\\.")
	}
	return q, states, zones, rows
}
