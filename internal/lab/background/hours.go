package background

import (
	"math"
	"math/rand/v2"

	"github.com/picket-dns/picket/internal/lab"
)

const (
	hour     = 3600 * lab.Second
	weekLong = 168 // hours
)

// hours are factors of a rate, one for each hour of the week, from Monday 00:00 UTC.
type hours [weekLong]float64

// newHours is how the questions of users swing: their mean over a week is 1, the
// least hour of a day is its mean times one less swing, Saturday and Sunday have a
// part dip less than the other days.
func newHours(swing, dip float64) (h hours) {
	week := 7 / (5 + 2*(1-dip))
	for i := range h {
		h[i] = week * (1 + swing*math.Cos(2*math.Pi*float64(i%24-15)/24))
		if i >= 5*24 {
			h[i] *= 1 - dip
		}
	}
	return h
}

// flatHours are those of what does not know the hour.
func flatHours() (h hours) {
	for i := range h {
		h[i] = 1
	}
	return h
}

// hourOfWeek is the hour in which a time lies; the epoch was a Thursday.
func hourOfWeek(at int64) int { return int((at/hour + 3*24) % weekLong) }

// never is later than any end.
const never = math.MaxInt64

// wait draws when the next event of a Poisson process comes after from, whose rate
// is so many a second times the hour's factor; never when that is not before end.
func (h *hours) wait(rnd *rand.Rand, from, end int64, rate float64) int64 {
	if rate <= 0 {
		return never
	}
	left := rnd.ExpFloat64() / rate // seconds at a factor of 1
	for from < end {
		f := h[hourOfWeek(from)]
		rest := hour - from%hour
		if span := f * float64(rest) * 1e-9; left >= span {
			left -= span
			from += rest
			continue
		}
		return from + int64(left/f*1e9)
	}
	return never
}
