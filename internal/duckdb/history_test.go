package duckdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/pickettest"
)

// TestQueries asks the same questions of history that is recent, sealed, and both.
func TestQueries(t *testing.T) {
	clients := []string{"192.0.2.7", "192.0.2.200", "198.51.100.1", "2001:db8:1::5", "2001:db8:2::5", ""}
	for _, seal := range []int{0, 30, 70} { // hours sealed, of 70: more than one statement's segments
		t.Run(fmt.Sprintf("sealed=%d", seal), func(t *testing.T) {
			s := openTest(t, t.TempDir())
			var (
				q      []picket.Query
				states []picket.NameState
				zones  []string
			)
			for i := range 70 * 6 {
				x := picket.Query{Time: hour0.Add(time.Duration(i) * 10 * time.Minute).UnixNano(), Type: uint16(i), Name: dnsname.MustParse(fmt.Sprintf("h%d.example.com", i%10))}
				if c := clients[i%6]; c != "" {
					x.Client = netip.MustParseAddr(c)
				}
				q, states, zones = append(q, x), append(states, picket.StateLive), append(zones, []string{"example.com.", "example.net."}[i%2])
			}
			if err := s.AppendQueries(t.Context(), q, states, zones, nil); err != nil {
				t.Fatal(err)
			}
			if sealed, err := s.Seal(t.Context(), hour0.Add(time.Duration(seal)*time.Hour+5*time.Minute)); err != nil || len(sealed) != seal {
				t.Fatal(len(sealed), err)
			}
			tests := []struct {
				name   string
				filter QueryFilter
				want   int
				first  uint16 // QTYPE of the newest, which numbers the query
			}{
				{"all", QueryFilter{Limit: 1000}, 420, 419},
				{"limit 0", QueryFilter{}, 100, 419},
				{"limit", QueryFilter{Limit: 7}, 7, 419},
				{"zone", QueryFilter{Zone: "example.com.", Limit: 1000}, 210, 418},
				{"name", QueryFilter{Name: "h3.example.com.", Limit: 1000}, 42, 413},
				{"client", QueryFilter{Client: "192.0.2.7", Limit: 1000}, 70, 414},
				{"client as prefix", QueryFilter{Client: "192.0.2.7/32", Limit: 1000}, 70, 414},
				{"IPv4 prefix", QueryFilter{Client: "192.0.2.99/24", Limit: 1000}, 140, 415},
				{"IPv6 prefix", QueryFilter{Client: "2001:db8::/32", Limit: 1000}, 140, 418},
				{"IPv6 /48", QueryFilter{Client: "2001:db8:1::/48", Limit: 3}, 3, 417},
				{"since", QueryFilter{Since: hour0.Add(68 * time.Hour), Limit: 1000}, 12, 419},
				{"until", QueryFilter{Until: hour0.Add(time.Hour), Limit: 1000}, 6, 5},
				{"between", QueryFilter{Since: hour0.Add(30 * time.Minute), Until: hour0.Add(90 * time.Minute)}, 6, 8},
				{"nothing", QueryFilter{Name: "' OR 1=1 --"}, 0, 0},
				{"all together", QueryFilter{Zone: "example.net.", Client: "192.0.2.0/24", Name: "h1.example.com", Until: hour0.Add(15 * time.Hour)}, 3, 61},
			}
			for _, tt := range tests {
				t.Run(tt.name, func(t *testing.T) {
					got, err := s.Queries(t.Context(), tt.filter)
					if err != nil || len(got) != tt.want {
						t.Fatalf("%d rows, want %d; %v", len(got), tt.want, err)
					}
					if len(got) > 0 && got[0].Type != tt.first {
						t.Errorf("newest is number %d, want %d", got[0].Type, tt.first)
					}
					for i := 1; i < len(got); i++ {
						if got[i].Time.After(got[i-1].Time) {
							t.Fatalf("row %d is newer than the one before", i)
						}
					}
				})
			}
			for _, c := range []string{"localhost", "192.0.2.0/33", "'"} {
				if _, err := s.Queries(t.Context(), QueryFilter{Client: c}); !errors.Is(err, picket.ErrBadValue) {
					t.Errorf("client %q: %v", c, err)
				}
			}
		})
	}
}

// TestBrokenTimes appends what only broken inputs bring; it must be taken and
// must not keep anything from being sealed.
func TestBrokenTimes(t *testing.T) {
	s := openTest(t, t.TempDir())
	q, states, zones, _ := pickettest.QueryBatch(0, 5)
	for i, ns := range []int64{-1 << 63, -1, 0, 1<<63 - 1, 1<<63 - 2} {
		q[i].Time = ns
	}
	if err := s.AppendQueries(t.Context(), q, states, zones, nil); err != nil {
		t.Fatal(err)
	}
	sealed, err := s.Seal(t.Context(), future)
	if err != nil || len(sealed) != 1 || sealed[0].Rows != 3 {
		t.Errorf("sealed %+v, %v", sealed, err)
	}
	if sealed, err = s.Seal(t.Context(), time.Date(2270, 1, 1, 0, 0, 0, 0, time.UTC)); err != nil || len(sealed) != 1 {
		t.Errorf("sealed %+v, %v", sealed, err)
	}
	if n := len(readAll(t, s)); n != 5 {
		t.Errorf("%d rows", n)
	}
}

// TestFailedOperation checks that an operation that fails does not take those
// with it that share its transaction.
func TestFailedOperation(t *testing.T) {
	s := openTest(t, t.TempDir())
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			if i%4 == 0 {
				err := s.write(t.Context(), func(ctx context.Context, c *sql.Conn) error {
					s.lastBatch += 1000
					_, err := c.ExecContext(ctx, `INSERT INTO ledger VALUES (1, 'no', 'such', 'json', 'x')`)
					return err
				})
				if err == nil {
					t.Error("a failing operation succeeded")
				}
				return
			}
			if err := s.PutFinding(t.Context(), pickettest.NewFinding(i), true); err != nil {
				t.Error(err)
			}
			q, states, zones, _ := pickettest.QueryBatch(0, 10)
			if err := s.AppendQueries(t.Context(), q, states, zones, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := count(t, s, "findings"); n != 30 {
		t.Errorf("%d findings, want 30", n)
	}
	if n := count(t, s, "queries_recent"); n != 300 {
		t.Errorf("%d queries, want 300", n)
	}
	if got := s.committed.Load(); got != 30 {
		t.Errorf("last batch %d, want 30", got)
	}
}

func TestObserve(t *testing.T) {
	var mu sync.Mutex
	ok, failed := map[string]int{}, map[string]int{}
	s := openTest(t, t.TempDir(), func(o *Options) {
		o.Observe = func(op string, d time.Duration, err error) {
			mu.Lock()
			defer mu.Unlock()
			if ok[op]++; err != nil {
				failed[op]++
			}
			if d < 0 {
				t.Errorf("%s took %v", op, d)
			}
		}
	})
	_ = s.PutFinding(t.Context(), pickettest.NewFinding(1), true)
	_ = s.PutFinding(t.Context(), &picket.Finding{}, true)
	_, _ = s.Finding(t.Context(), "none")
	appendAt(t, s, 0, 1)
	_, _ = s.Seal(t.Context(), future)
	_, _ = s.VerifyLedger(t.Context())
	_, _ = s.Retain(t.Context(), KeptQueries, hour0)
	got := strings.Fields(fmt.Sprint(ok["put-finding"], failed["put-finding"], ok["finding"], failed["finding"], ok["append-queries"], ok["seal"], ok["verify-ledger"], ok["retain"]))
	if want := "2 1 1 1 1 1 1 1"; strings.Join(got, " ") != want {
		t.Errorf("observed %v, want %s (%v)", got, want, ok)
	}
}
