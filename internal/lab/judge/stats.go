package judge

import (
	"math"
	"slices"
)

// Share is k of n, with the score interval at 95 % (Wilson 1927).
type Share struct{ K, N int }

// Interval returns the interval's ends; 0 and 1 of nothing.
func (s Share) Interval() (lo, hi float64) {
	if s.N == 0 {
		return 0, 1
	}
	const z = 1.959964
	p, n := float64(s.K)/float64(s.N), float64(s.N)
	c, r := p+z*z/(2*n), z*math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return max((c-r)/(1+z*z/n), 0), min((c+r)/(1+z*z/n), 1)
}

// Value is k/n, NaN of nothing.
func (s Share) Value() float64 { return float64(s.K) / float64(s.N) }

// Add counts one more.
func (s *Share) Add(yes bool) {
	s.N++
	if yes {
		s.K++
	}
}

// Quantile is the smallest value that a share q of all does not exceed; 0 of nothing.
func Quantile[T int64 | float64](x []T, q float64) T {
	if len(x) == 0 {
		return 0
	}
	x = slices.Sorted(slices.Values(x))
	return x[min(max(int(math.Ceil(q*float64(len(x))))-1, 0), len(x)-1)]
}

// RateBound is the upper bound, at 95 %, of how many events come per unit when k
// came in so many units: the exact one of the Poisson distribution. None in n bounds
// it at about 3/n (Hanley and Lippman-Hand 1983).
func RateBound(k int, units float64) float64 {
	if units <= 0 {
		return math.Inf(1)
	}
	// The mean at which k or fewer come with a probability of 5 %.
	lo, hi := float64(k), float64(k)*3+20
	for range 100 {
		mid := (lo + hi) / 2
		if poissonBelow(k, mid) > 0.05 {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi / units
}

// poissonBelow is the probability of k or fewer at a mean.
func poissonBelow(k int, mean float64) float64 {
	sum, logTerm := 0.0, -mean
	for i := 0; i <= k; i++ {
		if i > 0 {
			logTerm += math.Log(mean) - math.Log(float64(i))
		}
		sum += math.Exp(logTerm)
	}
	return sum
}
