package record

import (
	"cmp"
	"errors"
	"strconv"

	"github.com/picket-dns/picket"
)

// Diff says what was done between two versions of the same zone or file: records
// that only old has are removed, those that only new has are added. Records are
// the same when name, type, class, TTL and data are; where they stand in a file
// and who says so is no difference. A record that occurs more often in one than in
// the other is counted. The result has removals before additions, each in the
// order of its version; its records are copies.
//
// What a version carries beside its content (time, commit, author) is for the
// caller to set.
func Diff(old, new []picket.Record) []picket.Record {
	changes, _ := compare(pointers(old), pointers(new))
	out := make([]picket.Record, len(changes))
	for i, r := range changes {
		out[i] = *r
	}
	return out
}

func pointers(list []picket.Record) []*picket.Record {
	out := make([]*picket.Record, len(list))
	for i := range list {
		out[i] = &list[i]
	}
	return out
}

// compare is Diff, and gives the records that both have as new has them.
func compare(old, new []*picket.Record) (changes, same []*picket.Record) {
	count := map[string]int{}
	for _, r := range new {
		count[identity(r)]++
	}
	for _, r := range old {
		k := identity(r)
		if count[k]--; count[k] < 0 {
			changes = append(changes, changed(r, picket.ChangeRemove))
		}
	}
	clear(count)
	for _, r := range old {
		count[identity(r)]++
	}
	for _, r := range new {
		k := identity(r)
		if count[k]--; count[k] < 0 {
			changes = append(changes, changed(r, picket.ChangeAdd))
		} else {
			same = append(same, r)
		}
	}
	return changes, same
}

func changed(r *picket.Record, c picket.Change) *picket.Record {
	n := *r
	n.Change = c
	return &n
}

// identity is what makes a record the same in two versions.
func identity(r *picket.Record) string {
	return r.Name + "\x00" + r.Type + "\x00" + r.Class + "\x00" + strconv.FormatInt(r.TTL, 10) + "\x00" + r.Data
}

// ErrTooMany ends a Collector that would keep too much.
var ErrTooMany = errors.New("more records than one version of a file may have")

// Collector is a sink that keeps records, for Diff.
type Collector struct {
	Records []picket.Record
	// Limit bounds how many are kept; 0 means one million. Beyond it Record gives
	// ErrTooMany.
	Limit int
}

// Record implements picket.RecordSink.
func (c *Collector) Record(r *picket.Record) error {
	if len(c.Records) >= cmp.Or(c.Limit, 1_000_000) {
		return ErrTooMany
	}
	c.Records = append(c.Records, *r)
	return nil
}
