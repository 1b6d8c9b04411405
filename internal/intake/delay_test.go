package intake

import (
	"context"
	"testing"
	"time"

	"github.com/picket-dns/picket"
)

// delayKeeper remembers the delay of the last commit.
type delayKeeper struct {
	*keeper
	delay int64
}

func (k *delayKeeper) CommitIntake(ctx context.Context, c *picket.IntakeCommit) error {
	k.delay = c.Delay
	return k.keeper.CommitIntake(ctx, c)
}

// TestCommitDelay: a commit says how long after its event time the newest record is
// stored, early ones too, and nothing where nothing was taken in or no time is known.
func TestCommitDelay(t *testing.T) {
	for name, c := range map[string]struct {
		ages  []time.Duration // of records, when they are taken in
		least time.Duration
		most  time.Duration
	}{
		"behind":   {[]time.Duration{10 * time.Minute, 90 * time.Second, 5 * time.Minute}, 90 * time.Second, 2 * time.Minute},
		"ahead":    {[]time.Duration{time.Minute, -time.Hour}, -time.Hour, -59 * time.Minute},
		"no time":  {[]time.Duration{0}, 0, 0},
		"rejected": {nil, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			k := &delayKeeper{keeper: newKeeper()}
			d, err := NewHouse(k, 10, func() Feed { return &fakeFeed{k: k.keeper} }, nil).Desk(t.Context(), "in", true)
			if err != nil {
				t.Fatal(err)
			}
			s := d.Stream(StreamConfig{Name: "log", Format: "test"})
			for _, age := range c.ages {
				if age == 0 {
					s.Accept(0)
					continue
				}
				s.Accept(time.Now().Add(-age).UnixNano())
			}
			if c.ages == nil {
				s.Reject("bad", picket.Position{})
			}
			if err := s.Commit(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			if d := time.Duration(k.delay); d < c.least || d > c.most {
				t.Errorf("delay %s, want %s to %s", d, c.least, c.most)
			}
		})
	}
}
