// Package judge runs experiments and says how well reconnaissance was recognised
// in them: by Picket, with its tool-specific patterns and without, and by the rules
// in use, all on the same queries.
//
// The way of a run: a Cell names what is varied (tool, path, zone, list, rate); a
// seed makes an Experiment of it; Run merges the streams, feeds every judged system
// and notes when each first names the adversary rightly and what it raises beside;
// the Outcomes of many runs are summed up in a Tally.
package judge
