// Package coverage says what was collected of what there was. It compares the
// counts that a store keeps of every minute with what is configured, with what
// sibling name servers brought at the same time, with what servers count
// themselves and with earlier weeks, and tells silence apart: nobody asked, the
// feed is broken, it was never configured, or that cannot be told.
//
// A Reporter loads everything about a range of time into a view, finds the gaps
// of each name server and zone in it (gaps.go), works out what should have come
// (rates.go), judges inputs by themselves (inputs.go), and puts cells, problems
// and a short statement together (report.go). What is judged is Poisson counts
// with a rate that changes over the day; since real traffic is burstier than
// that, rates are estimated from below and by how many minutes are not empty, so
// that a burst does not make ordinary quiet look like a gap.
//
// The package is pure: it reads roles and asks the functions in its Options.
package coverage
