// Package background makes everything that reaches an organisation's
// authoritative servers when nobody studies its zone: the questions of users that
// pass their resolvers' caches, what they ask in vain, mail, certificate
// validations, monitoring, crawlers, validators, scanners that have leave to scan,
// and the secondaries of the zone. Judging needs very much of it, so it is made at
// over a million queries a second on one core, as a stream and by seed.
//
// The story in the files: background.go puts the parts together. users.go is the
// main one: items.go says what can be asked for, interest.go how much interest there
// must be for so many questions to pass the caches, pairs.go which resolvers ask for
// which names when, missing.go and names.go what is asked in vain. Each further part
// has a file of its own. storms.go and the files after it hold benign sets that look
// like reconnaissance, and floods, which are attacks of another kind.
package background
