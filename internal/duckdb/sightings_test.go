package duckdb

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
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
				err = s.AppendSightings(t.Context(), picket.Origin{}, list)
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
	for _, at := range []string{"sightings built", "sightings merged", "sightings swapped", "import: sightings imported", "import: sightings merged"} {
		for _, reopen := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s reopen=%v", at, reopen), func(t *testing.T) {
				step, importing := strings.CutPrefix(at, "import: ")
				s := openTest(t, t.TempDir())
				observe := func() {
					t.Helper()
					if err := s.AppendSightings(t.Context(), picket.Origin{}, one); err != nil {
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
				if importing {
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
		if err := s.AppendSightings(t.Context(), picket.Origin{}, list); err != nil {
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

// importAll imports a list.
func importAll(t *testing.T, s *Store, list ...picket.Sighting) {
	t.Helper()
	want := int64(0)
	for _, v := range list {
		want += int64(max(len(v.Data), 1))
	}
	n, err := s.ImportSightings(t.Context(), func() (next []picket.Sighting, _ error) {
		next, list = list, nil
		return next, nil
	})
	if err != nil || n != want {
		t.Fatalf("imported %d, %v, want %d", n, err, want)
	}
}

func seen(name, rrtype string, first, last int64, data ...string) picket.Sighting {
	return picket.Sighting{Name: name, Type: rrtype, Data: data, Count: 1, FirstSeen: time.Unix(first, 0), LastSeen: time.Unix(last, 0)}
}

// wantSightings compares names and RDATA, in the order in which they come.
func wantSightings(t *testing.T, s *Store, f picket.SightingFilter, want ...string) {
	t.Helper()
	list, err := s.Sightings(t.Context(), f)
	got := []string{}
	for _, v := range list {
		got = append(got, v.Name+" "+strings.Join(v.Data, " "))
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v:\n got %q, %v\nwant %q", f, got, err, want)
	}
	if n, _, err := s.CountSightings(t.Context(), f); err != nil || n != int64(len(want)) {
		t.Errorf("%+v: counted %d, %v, want %d", f, n, err, len(want))
	}
}

// TestSightingRetainSome: what is old in all its parts goes from where it is, of any
// run, and nothing else; RDATA leads to what is left.
func TestSightingRetainSome(t *testing.T) {
	s := openTest(t, t.TempDir())
	old := []string{"192.0.2.1", "198.51.100.7"}
	list := []picket.Sighting{seen("old.example.", "A", 50, 100, old...), seen("renewed.example.", "A", 50, 110, old...),
		seen("held.example.", "A", 10, 20, old...), seen("twice.example.", "A", 50, 120, old...)}
	for i := range 40 {
		list = append(list, seen(fmt.Sprintf("h%d.example.", i), "A", 90, 300, "192.0.2.1"))
	}
	importAll(t, s, list...)
	importAll(t, s, seen("renewed.example.", "A", 60, 310, old...), seen("gone.example.", "A", 60, 130, old...), seen("twice.example.", "A", 60, 140, old...),
		picket.Sighting{Name: "undated.example.", Type: "A", Data: old[1:], Count: 1})
	if _, err := s.PlaceHold(t.Context(), Hold{Kind: KeptSightings, Since: time.Unix(15, 0), Until: time.Unix(40, 0), Reason: "r", By: "b"}); err != nil {
		t.Fatal(err)
	}
	by := picket.SightingFilter{Data: "198.51.100.7"}
	wantSightings(t, s, by, "renewed.example. 198.51.100.7", "twice.example. 198.51.100.7", "gone.example. 198.51.100.7",
		"old.example. 198.51.100.7", "held.example. 198.51.100.7", "undated.example. 198.51.100.7")
	for i, want := range []int64{8, 0} {
		if n, err := s.SightingRetain(t.Context(), time.Unix(200, 0)); err != nil || n != want {
			t.Errorf("time %d: removed %d, %v, want %d", i+1, n, err, want)
		}
	}
	runs, err := runsOf(t.Context(), s.db)
	if want := []sightingRun{{1, 44}, {2, 3}}; err != nil || !slices.Equal(runs, want) {
		t.Errorf("runs %v, %v, want %v: not deleted where they are", runs, err, want)
	}
	wantSightings(t, s, by, "renewed.example. 198.51.100.7", "held.example. 198.51.100.7", "undated.example. 198.51.100.7")
	if list, err := s.Sightings(t.Context(), picket.SightingFilter{Name: "renewed.example."}); err != nil || len(list) != 2 || !list[0].FirstSeen.Equal(time.Unix(50, 0)) || list[0].Count != 2 {
		t.Errorf("%+v, %v: the older part is gone", list, err)
	}
	verify(t, s)
}

// TestSightingsByData asks for RDATA while it is in several runs and in recent rows,
// when all is in one run, and when a part of it has gone.
func TestSightingsByData(t *testing.T) {
	s := openTest(t, t.TempDir())
	importAll(t, s, seen("www.a.example.", "A", 1, 900, "192.0.2.1"), seen("a.example.", "MX", 1, 800, "10 mx.b.example."),
		seen("x.a.example.", "CNAME", 1, 700, "cdn.b.example."), seen("a.example.", "TXT", 1, 600, "v=spf1 -all"))
	importAll(t, s, seen("www.c.example.", "A", 1, 890, "192.0.2.200"), seen("y.c.example.", "CNAME", 1, 690, "x.cdn.b.example."),
		seen("c.example.", "AAAA", 1, 590, "2001:db8::1"), seen("www.a.example.", "A", 1, 850, "192.0.2.1"))
	many := []picket.Sighting{}
	names := []string{}
	for i := range 12 { // more domains than are read one by one in a run of this size
		name := fmt.Sprintf("www.many%d.test.", i)
		many = append(many, seen(name, "A", 1, int64(500-i), "203.0.113.9"))
		names = append(names, name+" 203.0.113.9")
	}
	importAll(t, s, many...)
	if err := s.AppendSightings(t.Context(), picket.Origin{}, []picket.Sighting{seen("z.d.example.", "A", 1, 100, "192.0.2.1"), seen("old.d.example.", "A", 1, 2, "192.0.2.1", "203.0.113.77")}); err != nil {
		t.Fatal(err)
	}
	net := func(p string) picket.SightingFilter { return picket.SightingFilter{Net: netip.MustParsePrefix(p)} }
	check := func(when string, old bool) {
		t.Helper()
		t.Log(when)
		with := func(list []string, more string) []string {
			if old {
				return append(slices.Clip(list), more)
			}
			return list
		}
		hits := with([]string{"www.a.example. 192.0.2.1", "z.d.example. 192.0.2.1"}, "old.d.example. 192.0.2.1")
		wantSightings(t, s, picket.SightingFilter{Data: "192.0.2.1"}, hits...)
		wantSightings(t, s, picket.SightingFilter{Data: "mx.B.example"}, "a.example. 10 mx.b.example.")
		wantSightings(t, s, picket.SightingFilter{Data: "10 mx.b.example."}, "a.example. 10 mx.b.example.")
		wantSightings(t, s, picket.SightingFilter{Data: "v=spf1 -all"}, "a.example. v=spf1 -all")
		wantSightings(t, s, picket.SightingFilter{Data: "b.example.", DataBelow: true}, "a.example. 10 mx.b.example.", "x.a.example. cdn.b.example.", "y.c.example. x.cdn.b.example.")
		wantSightings(t, s, picket.SightingFilter{Data: "cdn.b.example.", DataBelow: true}, "x.a.example. cdn.b.example.", "y.c.example. x.cdn.b.example.")
		wantSightings(t, s, picket.SightingFilter{Data: "203.0.113.9"}, names...)
		wantSightings(t, s, net("203.0.113.0/24"), with(names, "old.d.example. 203.0.113.77")...)
		wantSightings(t, s, net("192.0.2.128/25"), "www.c.example. 192.0.2.200")
		wantSightings(t, s, net("2001:db8::/32"), "c.example. 2001:db8::1")
		wantSightings(t, s, net("2001:db8::1/128"), "c.example. 2001:db8::1")
		wantSightings(t, s, net("198.51.100.0/24"))
		wantSightings(t, s, picket.SightingFilter{Data: "192.0.2.1", Name: "d.example.", Below: true}, with([]string{"z.d.example. 192.0.2.1"}, "old.d.example. 192.0.2.1")...)
	}
	check("several runs and recent rows", true)
	if err := s.CompactSightings(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("compacted", true)
	runs, err := runsOf(t.Context(), s.db)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.replaceRuns(t.Context(), runs, ""); err != nil {
		t.Fatal(err)
	}
	check("in one run", true)
	if n, err := s.SightingRetain(t.Context(), time.Unix(50, 0)); err != nil || n != 2 {
		t.Fatal(n, err)
	}
	check("after retain", false)
	if n := count(t, s, `duckdb_tables() WHERE starts_with(table_name, 'sightings_data_')`); n != 1 {
		t.Errorf("%d tables by RDATA", n)
	}
}

// TestImportHostile: text of any kind comes back as it is, in UTF-8.
func TestImportHostile(t *testing.T) {
	s := openTest(t, t.TempDir())
	long := strings.Repeat("x\\\"'\x00,\n", 40_000)
	data := []string{"", "\x00", "a\x00b", "'\"'\"", ",;|\t\r\n\r\n", "\\N", "NULL", "PAR1", "\u202e\U0001f4a9", "=1+1", long}
	importAll(t, s, picket.Sighting{Name: "www.example.org.", Type: "TXT", Data: append(slices.Clone(data), "\xff\xfe"), Bailiwick: "a'\x00\n\",.", SensorID: "\x00\"", Count: 1},
		picket.Sighting{Name: long + ".", Type: long, Count: 1}, picket.Sighting{})
	list, err := s.Sightings(t.Context(), picket.SightingFilter{Name: "www.example.org."})
	if err != nil {
		t.Fatal(err)
	}
	got := []string{}
	for _, v := range list {
		got = append(got, strings.Join(v.Data, ""))
		if v.Bailiwick != "a'\x00\n\",." || v.SensorID != "\x00\"" {
			t.Errorf("%q %q", v.Bailiwick, v.SensorID)
		}
	}
	want := append(data, "\uFFFD")
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%.200q", got)
	}
	if list, err := s.Sightings(t.Context(), picket.SightingFilter{Name: long}); err != nil || len(list) != 1 || list[0].Type != strings.ToUpper(long) {
		t.Errorf("%d, %v", len(list), err)
	}
	wantSightings(t, s, picket.SightingFilter{Name: "."}, ". ")
}

// TestImportGroups: an import of several row groups, each row twice, some spilled
// apart from each other.
func TestImportGroups(t *testing.T) {
	const rows = 2*groupRows + 77
	s := openTest(t, t.TempDir())
	at := 0
	n, err := s.ImportSightings(t.Context(), func() (list []picket.Sighting, _ error) {
		for ; at < 2*rows && len(list) < 10_000; at++ {
			list = append(list, generatedSighting(at%rows, rows))
		}
		return list, nil
	})
	if err != nil || n != 2*rows {
		t.Fatal(n, err)
	}
	runs, err := runsOf(t.Context(), s.db)
	if want := []sightingRun{{1, rows}}; err != nil || !slices.Equal(runs, want) {
		t.Errorf("runs %v, %v, want %v", runs, err, want)
	}
	var want int64
	for i := range rows {
		want += 2 * int64(i%1000+1)
	}
	if n, sum, err := s.CountSightings(t.Context(), picket.SightingFilter{}); err != nil || n != rows || sum != want {
		t.Errorf("%d rows, count %d, %v, want %d, %d", n, sum, err, rows, want)
	}
	if n := count(t, s, `(SELECT key < lag(key) OVER (ORDER BY rowid) AS back FROM sightings_run_1) WHERE back`); n != 0 {
		t.Errorf("%d rows are not sorted", n)
	}
	for _, id := range []int{0, 1, 777, rows/20 - 1} {
		if list, err := s.Sightings(t.Context(), picket.SightingFilter{Name: generatedName(id)}); err != nil || len(list) != 20 {
			t.Errorf("%s: %d sightings, %v", generatedName(id), len(list), err)
		}
	}
	if _, err := os.Stat(filepath.Join(s.dir, importDir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("files are left: %v", err)
	}
}

// TestImportGivenUp: of an import that fails, or that a crash ends, nothing is left.
func TestImportGivenUp(t *testing.T) {
	s := openTest(t, t.TempDir())
	broken := errors.New("broken input")
	calls := 0
	n, err := s.ImportSightings(t.Context(), func() ([]picket.Sighting, error) {
		if calls++; calls > 2 {
			return nil, broken
		}
		return []picket.Sighting{seen("www.example.org.", "A", 1, 2, "192.0.2.1")}, nil
	})
	if n != 0 || !errors.Is(err, broken) {
		t.Errorf("%d, %v", n, err)
	}
	wantSightings(t, s, picket.SightingFilter{})
	dir := s.dir
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	stray := filepath.Join(dir, importDir)
	if err := os.Mkdir(stray, 0o700); err != nil { // that it is not there already is part of the test
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(stray, "part-1"), []byte("PAR1"), 0o600); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, dir)
	if _, err := os.Stat(stray); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stray files are left: %v", err)
	}
	// What cannot be written is an error.
	if err := os.WriteFile(filepath.Join(dir, "in the way"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	calls = 0
	n, err = s.ImportSightings(t.Context(), func() ([]picket.Sighting, error) {
		if calls++; calls > 1 {
			return nil, os.Rename(filepath.Join(dir, "in the way"), filepath.Join(stray, "rows-1"))
		}
		return []picket.Sighting{seen("www.example.org.", "A", 1, 2, "192.0.2.1")}, nil
	})
	if n != 0 || !errors.Is(err, fs.ErrExist) {
		t.Errorf("%d, %v", n, err)
	}
	wantSightings(t, s, picket.SightingFilter{})
	if n := count(t, s, `duckdb_tables() WHERE starts_with(table_name, 'sightings_run_')`); n != 0 {
		t.Errorf("%d tables of runs", n)
	}
}

// TestSpills: files that are broken are errors, not fewer rows.
func TestSpills(t *testing.T) {
	dir := t.TempDir()
	var files []string
	for n := range 3 {
		var c importChunk
		for i := range 3000 {
			c.add(&sightingRow{key: uint64(i % 1500), name: fmt.Sprint("name", i%1500), data: strings.Repeat("d", 20), count: int64(n + 1), last: int64(i + 1), first: int64(i + 1)})
		}
		imp := sightingImport{dir: dir, made: n}
		if err := imp.write(&spillWriter{}, &c); err != nil {
			t.Fatal(err)
		}
		files = append(files, imp.files...)
	}
	merge := func() (rows int, sum int64, err error) {
		err = mergeSpills(files, func(r packedSighting) error {
			rows, sum = rows+1, sum+r.number(4)
			if first, last := r.number(0), r.number(1); last-first != 1500 {
				return fmt.Errorf("%d to %d", first, last)
			}
			return nil
		})
		return
	}
	whole, err := os.ReadFile(files[1])
	if err != nil {
		t.Fatal(err)
	}
	for what, b := range map[string][]byte{"cut": whole[:len(whole)-1], "changed": slices.Concat(whole[:100], []byte{^whole[100]}, whole[101:]), "head only": whole[:5]} {
		if err := os.WriteFile(files[1], b, 0o600); err != nil {
			t.Fatal(err)
		}
		if n, _, err := merge(); err == nil {
			t.Errorf("%s: %d rows", what, n)
		}
	}
	if err := os.WriteFile(files[1], whole, 0o600); err != nil {
		t.Fatal(err)
	}
	rows, sum, err := merge()
	if err != nil || rows != 1500 || sum != 18000 {
		t.Errorf("%d rows, count %d, %v", rows, sum, err)
	}
}

// TestRegisteredText compares with dnsname, from whose answer the keys that are
// stored come.
func TestRegisteredText(t *testing.T) {
	for name, want := range map[string]string{
		"example.org.": "example.org.", "a.b.example.org.": "example.org.", "org.": "", "a.b.c.co.uk.": "c.co.uk.", "co.uk.": "", "x.github.io.": "github.io.",
		"github.io.": "github.io.", "a.b.blogspot.com.": "blogspot.com.", "foo.ck.": "", "a.foo.ck.": "a.foo.ck.", "www.ck.": "www.ck.", "b.test.": "b.test.", "test.": "",
		"a.b.c.kobe.jp.": "b.c.kobe.jp.", "city.kobe.jp.": "city.kobe.jp.", "x.y.s3.amazonaws.com.": "amazonaws.com.",
	} {
		if got := registeredText(name); got != want || !isPlain(name) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"", ".", "a..b.", "a", "a\\.b.c.", "1.2.0.192.in-addr.arpa.", "*.example.org.", "é.org.", strings.Repeat("a", 64) + ".org.", strings.Repeat("a.", 128)} {
		if isPlain(name) {
			t.Errorf("%q is plain", name)
		}
	}
	labels := []string{"a", "www", "com", "org", "uk", "co", "jp", "kobe", "city", "ck", "io", "github", "amazonaws", "s3", "blogspot", "no", "de", "test", "_x", "-"}
	rapid.Check(t, func(rt *rapid.T) {
		name := strings.Join(rapid.SliceOfN(rapid.SampledFrom(labels), 1, 6).Draw(rt, "labels"), ".") + "."
		wire, err := dnsname.AppendText(nil, name)
		if err != nil {
			rt.Fatal(err)
		}
		want := ""
		if reg := dnsname.Registered(wire); reg != nil {
			want = dnsname.String(reg)
		}
		if got := registeredText(name); got != want || !isPlain(name) {
			rt.Fatalf("%s: %q, want %q", name, got, want)
		}
	})
}
