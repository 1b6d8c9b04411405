package lab_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
)

// track makes a track with queries at the given seconds of an old day.
func track(t *testing.T, name string, begin time.Duration, seconds ...float64) *lab.Track {
	t.Helper()
	tr := &lab.Track{Name: name, Begin: begin}
	wire := dnsname.MustParse(name + ".example")
	for _, s := range seconds {
		q := picket.Query{Time: 1_600_000_000e9 + int64(s*1e9), Name: wire, Type: 1,
			Response: picket.Response{Denials: []picket.Denial{{Owner: wire, Next: wire}}}}
		if err := tr.Query(&q); err != nil {
			t.Fatal(err)
		}
	}
	clear(wire[1:]) // a track keeps copies
	return tr
}

// encode writes a line: seconds since start, and the name.
func encode(start time.Time) func([]byte, *picket.Query) []byte {
	return func(dst []byte, q *picket.Query) []byte {
		return fmt.Appendf(dst, "%.1f %s\n", time.Unix(0, q.Time).Sub(start).Seconds(), dnsname.Text(q.Name))
	}
}

func TestReplayOrderAndStamps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var out bytes.Buffer
		var began []string
		tracks := []*lab.Track{track(t, "b", 2*time.Second, 100, 101, 103), track(t, "a", 0, 5, 6, 9), track(t, "empty", 0)}
		n, err := lab.Replay(context.Background(), &out, tracks, lab.ReplayOptions{Encode: encode(start),
			Started: func(tr *lab.Track) { began = append(began, fmt.Sprintf("%s@%v", tr.Name, time.Since(start))) }})
		if n != 6 || err != nil {
			t.Fatal(n, err)
		}
		want := "0.0 a.example\n1.0 a.example\n2.0 b.example\n3.0 b.example\n4.0 a.example\n5.0 b.example\n"
		if out.String() != want {
			t.Errorf("wrote\n%swant\n%s", &out, want)
		}
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("took %v, want 5s", took)
		}
		if want := []string{"a@0s", "b@2s"}; !slices.Equal(began, want) {
			t.Errorf("began %v, want %v", began, want)
		}
		if tracks[0].Queries[0].Time != 1_600_000_100e9 {
			t.Error("a track was changed by its replay")
		}
	})
}

func TestReplaySpeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var out bytes.Buffer
		if _, err := lab.Replay(context.Background(), &out, []*lab.Track{track(t, "a", time.Second, 0, 10, 5, 40)}, lab.ReplayOptions{Speed: 10, Encode: encode(start)}); err != nil {
			t.Fatal(err)
		}
		// What a capture has out of order comes in order of time.
		if want := "1.0 a.example\n1.5 a.example\n2.0 a.example\n5.0 a.example\n"; out.String() != want {
			t.Errorf("wrote\n%swant\n%s", &out, want)
		}
	})
}

func TestReplayStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		defer cancel()
		var out bytes.Buffer
		n, err := lab.Replay(ctx, &out, []*lab.Track{track(t, "a", 0, 0, 10, 20, 30)}, lab.ReplayOptions{Encode: encode(start)})
		if n != 2 || !errors.Is(err, context.DeadlineExceeded) || strings.Count(out.String(), "\n") != 2 {
			t.Errorf("n = %d, err = %v, wrote %q", n, err, &out)
		}
	})
}

func TestReplayReportsWriteErrors(t *testing.T) {
	_, err := lab.Replay(context.Background(), &full{}, []*lab.Track{track(t, "a", 0, 0)}, lab.ReplayOptions{Encode: encode(time.Now())})
	if !errors.Is(err, os.ErrNoDeadline) {
		t.Errorf("err = %v", err)
	}
}
