package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/picket-dns/picket"
)

// TestKillRecords kills the daemon at random moments while zone files, objects and commits say
// anew what is in a zone. Each state counts exactly once: for each there is one change, one
// life line and one version, whatever was killed in between.
func TestKillRecords(t *testing.T) {
	const states = 10
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	d := newZoneDocuments(t)
	d.git("init", "-q")
	text := func(n int) string { return zoneOf(n, fmt.Sprintf("www A 192.0.2.%d", n), "mail A 192.0.2.200") }
	d.start()
	kills := 0
	for n := 1; n <= states; n++ {
		d.file("zones/org.zone", text(n))
		d.object("dns/org.zone", text(n))
		d.file("repo/org.zone", text(n))
		d.git("add", ".")
		d.git("commit", "-q", "-m", fmt.Sprintf("State %d", n))
		for range 1 + r.IntN(2) {
			time.Sleep(time.Duration(r.Int64N(int64(1200 * time.Millisecond))))
			if err := d.signal(syscall.SIGKILL); err == nil {
				t.Fatal("SIGKILL ended the daemon without an error")
			}
			kills++
			d.start()
		}
		for _, input := range []string{"files", "objects", "repo"} { // what is counted may not be stored yet; what is in the history is
			d.until(fmt.Sprintf("state %d of %s is stored", n, input), func() bool {
				text, err := d.get("/api/names/www.example.org.?living=true&source=" + input)
				return err == nil && strings.Contains(text, fmt.Sprintf(`"192.0.2.%d"`, n))
			})
		}
	}
	// The end of a document counts once, too.
	d.file("zones/other.zone", strings.ReplaceAll(text(1), "example.org", "example.net"))
	d.until("the other zone is stored", func() bool {
		text, err := d.get("/api/names/www.example.net.?source=files")
		return err == nil && strings.Contains(text, `"192.0.2.1"`)
	})
	if err := os.Remove(d.path("zones/org.zone")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(goneAfter - time.Second + time.Duration(r.Int64N(int64(2*time.Second)))) // about when it is noticed
	if err := d.signal(syscall.SIGKILL); err == nil {
		t.Fatal("SIGKILL ended the daemon without an error")
	}
	kills++
	d.start()
	d.gone("files", "mail.example.org.")
	for input, want := range map[string]int64{"files": 3*states + 3, "objects": 3 * states, "repo": 3 + 4*(states-1)} {
		if got := d.account(input); got.Accepted != want || got.Received != want {
			t.Errorf("%s: %d accepted of %d received, want %d", input, got.Accepted, got.Received, want)
		}
	}
	d.stop()
	t.Logf("%d states through %d kills", states, kills)

	store := d.store()
	for _, input := range []string{"files", "objects", "repo"} {
		var want []string
		if input == "files" {
			want = append(want, fmt.Sprintf(`["192.0.2.%d"] > []`, states))
		}
		for n := states; n > 1; n-- {
			want = append(want, fmt.Sprintf(`["192.0.2.%d"] > ["192.0.2.%d"]`, n-1, n))
		}
		if input == "repo" { // which knows when it began
			want = append(want, `[] > ["192.0.2.1"]`)
		}
		list, _, err := store.Changes(t.Context(), picket.HistoryFilter{Source: input, Name: "www.example.org."})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range list {
			got = append(got, fmt.Sprintf("%q > %q", c.Old, c.New))
		}
		wantLines(t, "changes of "+input, got, want)
		lives, _, err := store.Lives(t.Context(), picket.HistoryFilter{Source: input, Name: "www.example.org."})
		living := slices.DeleteFunc(slices.Clone(lives), func(l picket.RecordLife) bool { return !l.Until.IsZero() })
		wantLiving := 1
		if input == "files" {
			wantLiving = 0
		}
		if err != nil || len(lives) != states || len(living) != wantLiving {
			t.Errorf("%s: %d lives, of which %d living: %v", input, len(lives), len(living), err)
		}
		mail, _, err := store.Lives(t.Context(), picket.HistoryFilter{Source: input, Name: "mail.example.org."})
		if err != nil || len(mail) != 1 {
			t.Errorf("%s: what never changed has %d lives: %v", input, len(mail), err)
		}
	}
	var versions int
	list, err := store.ZoneVersions(t.Context(), "example.org.", 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range list {
		if v.Source == "objects" {
			versions++
		}
	}
	if versions != states {
		t.Errorf("%d versions of the object, want %d", versions, states)
	}
}
