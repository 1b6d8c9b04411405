package lab

// World is everything a run takes place in. Whoever reads it may do so from
// several goroutines.
type World struct {
	Seed   uint64
	Params Parameters
	Zone   *Zone
	Fleet  *Fleet
	Begin  int64 // when the traffic begins, Unix nanoseconds
}
