package intake

import "github.com/picket-dns/picket"

// Observe has f called with every query that counts, and the name of the input that
// it came from, before the pipeline gets it. It is called by many streams at once; the
// query is borrowed. Call Observe before the first stream is opened.
//
// A query of a delivery that is abandoned is observed again when it comes again.
func (h *House) Observe(f func(q *picket.Query, input string)) { h.observer = f }
