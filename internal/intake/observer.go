package intake

import (
	"context"

	"github.com/picket-dns/picket"
)

// Answers gathers the answers to the queries of one stream. It is used by one
// goroutine at a time.
type Answers interface {
	// Observe takes in a query, which is borrowed. drain asks for a Drain soon.
	Observe(q *picket.Query) (drain bool)
	// Drain returns what was gathered since the last Drain.
	Drain() []picket.Sighting
	// Close ends it. What was not drained is given up.
	Close()
}

// Gather has open called for every stream of queries, with the name of its input. What
// is gathered of the queries that count is stored with the stream's next commit: it
// counts exactly as often as they do. Call Gather before the first stream is opened.
func (h *House) Gather(open func(input string) Answers) { h.answers = open }

// observe shows a query to who gathers answers. What is gathered early, for want of
// room, is stored under the delivery.
func (s *Stream) observe(q *picket.Query) error {
	if s.answers == nil {
		if s.desk.house.answers == nil || len(q.Response.Message) == 0 && len(q.Response.Told) == 0 {
			return nil
		}
		s.answers = s.desk.house.answers(s.desk.name)
	}
	if !s.answers.Observe(q) {
		return nil
	}
	if list := s.answers.Drain(); len(list) > 0 {
		return s.desk.house.keeper.AppendSightings(context.Background(), s.origin(), list)
	}
	return nil
}

// drain returns what has been gathered and not stored.
func (s *Stream) drain() []picket.Sighting {
	if s.answers == nil {
		return nil
	}
	return s.answers.Drain()
}
