// Package adversary makes the questions of those who study a zone: the public
// tools, people with a list and no tool, and evaders who know how Picket watches.
//
// A Tool is data: stages (a survey, a wildcard probe, a list, a walk, a sweep)
// with order, types, pace, retries and what hits lead to. New lets a tool work on
// a world; the Run is a lab.Stream and knows the truth: what was asked, and which
// existing names the adversary had learned by when. Tools lists the public tools
// and the adversaries without one, Evaders those who adapt to Picket.
//
// What the tools do follows descriptions of their sources and, where there are captures
// of them, was compared with these; docs/lab-tools.md has the comparison. Word lists are
// generated (see Vocabulary), none is a tool's own: order, length, share of common
// labels and the share that exists are those of real lists, the words are not.
// Options.Words takes a real list.
package adversary
