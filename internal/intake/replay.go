package intake

import (
	"context"

	"github.com/picket-dns/picket"
)

// reasonNothing counts a quarantined record of which a decoder now says nothing.
const reasonNothing = "nothing to be read in it"

// Portion returns how many of list, from the first, one stream can replay: as many
// as it could keep if all of them were rejected again.
func Portion(list []picket.QuarantinedRecord) int {
	size := 0
	for i := range list {
		if size += len(list[i].Record); i > 0 && (i >= keepRecords || size > keepBytes) {
			return i
		}
	}
	return len(list)
}

// Replay is the Accounting of a decoder that reads one quarantined record once
// more, with the stream as its sink. What it makes of the record takes the place of
// the rejection, when the stream is committed with CommitReplay. What stands around
// the record to make it an input of its own, such as a header, is not counted: it
// was, with the input that the record came from.
type Replay struct {
	s        *Stream
	q        picket.QuarantinedRecord
	accepted bool
	rejected bool
	skipped  string // the reason given last
	skips    bool
}

// Replay begins with a record; format is what it is decoded as. End must follow.
func (s *Stream) Replay(q picket.QuarantinedRecord, format string) *Replay {
	q.ID, q.Format = 0, format
	return &Replay{s: s, q: q}
}

// Accept implements picket.Accounting.
func (r *Replay) Accept(t int64) {
	r.accepted = true
	r.s.Accept(t)
}

// Reject implements picket.Accounting. The record keeps the place it came from.
func (r *Replay) Reject(reason string, at picket.Position) {
	q := r.q
	q.Reason = reason
	if len(at.Record) > 0 {
		q.Record = at.Record
	} else if r.rejected {
		q.Record = nil // is kept already
	}
	r.rejected = true
	r.s.reject(q)
}

// Skip implements picket.Accounting.
func (r *Replay) Skip(reason string) { r.skipped, r.skips = reason, true }

// End says that the decoder is done; failed is why it, or telling the format, ended
// early, and nil when it did not. A record of which nothing came is rejected again.
func (r *Replay) End(failed error) {
	switch {
	case r.accepted || r.rejected:
	case failed != nil:
		r.Reject(r.q.Reason, picket.Position{})
	case r.skips:
		r.s.Skip(r.skipped)
	default:
		r.Reject(reasonNothing, picket.Position{})
	}
}

// CommitReplay is Commit of a stream into which list was replayed. The records are
// released and no longer count as rejected; what was made of them does, in the same
// commit.
func (s *Stream) CommitReplay(ctx context.Context, list []picket.QuarantinedRecord) error {
	k := picket.IntakeCommit{Add: picket.InputCounts{Rejected: map[string]int64{}}, Release: ids(list)}
	for _, q := range list {
		k.Add.Rejected[q.Reason]--
	}
	return s.commit(ctx, &k)
}

func ids(list []picket.QuarantinedRecord) []int64 {
	out := make([]int64, len(list))
	for i := range list {
		out[i] = list[i].ID
	}
	return out
}
