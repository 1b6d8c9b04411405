package duckdb

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/pickettest"

	"pgregory.net/rapid"
)

func TestConformanceSightings(t *testing.T) {
	pickettest.Sightings(t, func(t *testing.T) *Store { return openTest(t, t.TempDir()) })
}

// sightingModel is the naive store: what was seen, one value of RDATA at a time.
type sightingModel map[string]*picket.Sighting

func (m sightingModel) add(v picket.Sighting) {
	for _, data := range v.Data {
		k := v.Name + " " + v.Type + " " + data
		have, ok := m[k]
		if !ok {
			v.Data = []string{data}
			c := v
			m[k] = &c
			continue
		}
		if v.FirstSeen.Before(have.FirstSeen) {
			have.FirstSeen = v.FirstSeen
		}
		if v.LastSeen.After(have.LastSeen) {
			have.LastSeen = v.LastSeen
		}
		have.Count += v.Count
		if !strings.Contains(have.Sensor, v.Sensor) {
			all := append(strings.Split(have.Sensor, ", "), v.Sensor)
			slices.Sort(all)
			have.Sensor = strings.Join(all, ", ")
		}
	}
}

func (m sightingModel) list(keep func(*picket.Sighting) bool) (list []picket.Sighting) {
	for _, v := range m {
		if keep(v) {
			list = append(list, *v)
		}
	}
	slices.SortFunc(list, func(a, b picket.Sighting) int {
		if c := b.LastSeen.Compare(a.LastSeen); c != 0 {
			return c
		}
		return strings.Compare(a.Name+" "+a.Type+" "+a.Data[0], b.Name+" "+b.Type+" "+b.Data[0])
	})
	return list
}

var generatedSightings = rapid.Custom(func(t *rapid.T) picket.Sighting {
	first := rapid.Int64Range(1, 50).Draw(t, "first")
	return picket.Sighting{
		Name: rapid.SampledFrom([]string{"example.org.", "www.example.org.", "a.b.example.org.", "example.net.", "www.example.net."}).Draw(t, "name"),
		Type: "A", Data: rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"192.0.2.1", "192.0.2.2", "198.51.100.1"}), 1, 3, rapid.ID).Draw(t, "data"),
		Count:     rapid.Int64Range(1, 1000).Draw(t, "count"),
		FirstSeen: time.Unix(first, 0).UTC(), LastSeen: time.Unix(first+rapid.Int64Range(0, 50).Draw(t, "for"), 0).UTC(),
		Channel: picket.SightingPassiveDNS, Sensor: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "sensor"),
	}
})

// TestSightingsModel compares with the naive store after any sequence of ways in.
func TestSightingsModel(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		s := openTest(t, fmt.Sprintf("%s/%d", dir, n))
		defer s.Close()
		model := sightingModel{}
		for range rapid.IntRange(1, 6).Draw(rt, "steps") {
			list := rapid.SliceOfN(generatedSightings, 0, 6).Draw(rt, "sightings")
			var err error
			switch rapid.IntRange(0, 3).Draw(rt, "way") {
			case 0:
				list = nil
				err = s.CompactSightings(t.Context())
			case 1:
				rest := slices.Clone(list)
				_, err = s.ImportSightings(t.Context(), func() ([]picket.Sighting, error) {
					next := rest[:min(2, len(rest))]
					rest = rest[len(next):]
					return next, nil
				})
			default:
				err = s.ObserveSightings(t.Context(), list)
			}
			if err != nil {
				rt.Fatal(err)
			}
			for _, v := range list {
				model.add(v)
			}
		}
		for _, f := range []picket.SightingFilter{{}, {Name: "www.example.org."}, {Name: "example.org.", Below: true}, {Data: "192.0.2.2"},
			{Name: "www.example.org.", LastAfter: time.Unix(40, 0), FirstBefore: time.Unix(30, 0)}} {
			want := model.list(func(v *picket.Sighting) bool {
				return (f.Name == "" || v.Name == f.Name || f.Below && strings.HasSuffix(v.Name, "."+f.Name)) && (f.Data == "" || v.Data[0] == f.Data) &&
					!v.LastSeen.Before(f.LastAfter) && (f.FirstBefore.IsZero() || !v.FirstSeen.After(f.FirstBefore))
			})
			got, err := s.Sightings(t.Context(), f)
			if err != nil || !reflect.DeepEqual(got, want) {
				rt.Fatalf("%+v:\n got %+v, %v\nwant %+v", f, got, err, want)
			}
		}
	})
}

// TestSightingsInterrupted stops moving, merging and importing at each step, once
// going on in the same process and once after opening again: nothing is lost or
// counted twice, and no table is left behind.
func TestSightingsInterrupted(t *testing.T) {
	crash := errors.New("crash")
	one := []picket.Sighting{{Name: "www.example.org.", Type: "A", Data: []string{"192.0.2.1"}, Count: 1, LastSeen: time.Unix(1000, 0)}}
	for _, step := range []string{"sightings built", "sightings merged", "sightings swapped", "sightings imported"} {
		for _, reopen := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s reopen=%v", step, reopen), func(t *testing.T) {
				s := openTest(t, t.TempDir())
				observe := func() {
					t.Helper()
					if err := s.ObserveSightings(t.Context(), one); err != nil {
						t.Fatal(err)
					}
				}
				observe()
				if err := s.CompactSightings(t.Context()); err != nil {
					t.Fatal(err)
				}
				observe()
				want := int64(2)
				s.failAt = func(at string) error {
					if at == step {
						return crash
					}
					return nil
				}
				var err error
				if step == "sightings imported" {
					rest := one
					_, err = s.ImportSightings(t.Context(), func() (next []picket.Sighting, _ error) {
						next, rest = rest, nil
						return next, nil
					})
				} else {
					err = s.CompactSightings(t.Context())
				}
				if !errors.Is(err, crash) {
					t.Fatalf("%v", err)
				}
				s.failAt = nil
				if reopen {
					dir := s.dir
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
					s = openTest(t, dir)
				}
				check := func(when string) {
					t.Helper()
					for _, f := range []picket.SightingFilter{{}, {Name: "www.example.org."}} {
						list, err := s.Sightings(t.Context(), f)
						if err != nil || len(list) != 1 || list[0].Count != want {
							t.Errorf("%s: %+v, %v, want a count of %d", when, list, err, want)
						}
					}
				}
				check("after the crash")
				if err := s.CompactSightings(t.Context()); err != nil {
					t.Fatal(err)
				}
				check("compacted")
				if n := count(t, s, `duckdb_tables() WHERE starts_with(table_name, 'sightings_run_')`); n != 1 {
					t.Errorf("%d tables of runs", n)
				}
				if n := count(t, s, "sightings_recent"); n != 0 {
					t.Errorf("%d recent rows", n)
				}
			})
		}
	}
}

func TestSightingRetain(t *testing.T) {
	s := openTest(t, t.TempDir())
	at := func(name string, last int64) picket.Sighting {
		v := picket.Sighting{Name: name, Type: "A", Data: []string{"192.0.2.1"}, Count: 1}
		if last > 0 {
			v.LastSeen = time.Unix(last, 0)
		}
		return v
	}
	for _, list := range [][]picket.Sighting{
		{at("old.example.", 100), at("renewed.example.", 100), at("undated.example.", 0)},
		{at("new.example.", 300), at("renewed.example.", 300)},
	} {
		if err := s.ObserveSightings(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		if err := s.CompactSightings(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []int64{1, 0} {
		if n, err := s.SightingRetain(t.Context(), time.Unix(200, 0)); err != nil || n != want {
			t.Errorf("time %d: removed %d, %v, want %d", i+1, n, err, want)
		}
	}
	var names []string
	err := s.eachSeenName(t.Context(), func(name string, last time.Time) error {
		sec := int64(0)
		if !last.IsZero() {
			sec = last.Unix()
		}
		names = append(names, fmt.Sprint(name, " ", sec))
		return nil
	})
	slices.Sort(names)
	if want := []string{"new.example. 300", "renewed.example. 300", "undated.example. 0"}; err != nil || !reflect.DeepEqual(names, want) {
		t.Errorf("%q, %v", names, err)
	}
}

// TestUnmerged: runs grow by a factor, so that there are few.
func TestUnmerged(t *testing.T) {
	for _, c := range []struct {
		rows []int64
		want int
	}{{nil, 0}, {[]int64{5}, 0}, {[]int64{400, 100}, 0}, {[]int64{399, 100}, 2}, {[]int64{10_000, 100, 10, 16}, 3}, {[]int64{100, 20, 5, 1}, 4}} {
		var runs []sightingRun
		for i, n := range c.rows {
			runs = append(runs, sightingRun{int64(i), n})
		}
		if got := len(unmerged(runs)); got != c.want {
			t.Errorf("%v: %d runs are to be merged, want %d", c.rows, got, c.want)
		}
	}
}
