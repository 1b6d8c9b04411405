// Package lab makes worlds whose truth is known, to measure how well
// reconnaissance is recognised: organisations' zones, the traffic of the
// resolvers that serve their users, and adversaries among it. It also replays
// real captures, re-addressed and stretched, into that traffic.
//
// The story in the folders: organisation (zones with a past) → background (what
// reaches their servers when nobody studies them) and adversary (tools, and people
// who know how they are watched for) → judge (runs, rules in use, statistics) →
// report. wire writes any of it as captures. This package holds what they share:
// streams of queries in the order of time, a zone that answers as an authoritative
// server does, resolvers with their caches and habits, recordings that take part in
// other traffic, and the parameters with their sources.
//
// Everything is deterministic by seed. Nothing holds the traffic in memory.
package lab
