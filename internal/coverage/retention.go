package coverage

import (
	"fmt"
	"slices"
	"time"

	"github.com/picket-dns/picket"
)

// lateRetention is how much younger than it should be the oldest row may be:
// segments are of whole hours, and removed now and then.
const lateRetention = 3 * time.Hour

// keptNames are the kinds that retention is judged of, as a sentence begins with them.
// Records that are there stay for as long as they are.
var keptNames = map[picket.Kind]string{
	picket.KindQuery: "Queries", "change": "Changes of zones", picket.KindSighting: "Sightings", picket.KindAdminEvent: "Administrative events",
	picket.KindAsset: "Assets", picket.KindSignal: "Signals", "finding": "Findings", "activity": "Counts of queries",
}

// dense reports whether there is something of a kind at any time, so that what is
// left has to reach back as far as it is to be kept.
func dense(kind picket.Kind) bool { return kind == picket.KindQuery || kind == "activity" }

// retain compares what is to be kept with what is there. What was there once is
// noted while it is, and of queries it is also known from their counts, which are
// kept longer; what retention itself has removed is known from the ledger.
func (a *analysis) retain() {
	for _, have := range a.retained {
		c := picket.RetentionCoverage{Retained: have}
		kind := have.Kind
		if kind == picket.KindRecord {
			kind = "change" // records that have ended are kept as long
		}
		i := slices.IndexFunc(a.setup.Retention, func(r picket.SetupRetain) bool { return r.Kind == kind })
		if i < 0 {
			c.Text = "No time is configured; " + a.present(&c, have.Since)
			a.retention = append(a.retention, c)
			continue
		}
		c.Configured = a.setup.Retention[i].Keep
		keep := "To be kept for " + days(c.Configured) + "; "
		if c.Configured == 0 {
			keep = "To be kept for ever; "
		}
		since := have.Since
		if since.IsZero() && have.Kind == picket.KindQuery {
			since = a.firstQuery()
		}
		want := a.shouldReach(&c, since)
		switch {
		case have.Kind == picket.KindRecord:
			c.Text = "Records stay while they are there, and for " + days(c.Configured) + " after; " + a.present(&c, time.Time{})
		case want.IsZero() || a.now.Sub(want) <= lateRetention || !have.Oldest.IsZero() && !have.Oldest.After(want.Add(lateRetention)):
			c.Text = keep + a.present(&c, since)
		default:
			left := "nothing is left"
			if !have.Oldest.IsZero() {
				left = "what is left begins " + stamp(have.Oldest)
			}
			c.Text = keep + "it was there from " + stamp(want) + " on, but " + left + "."
			a.problem(picket.CoverageProblem{Code: "retention-short", From: want, To: have.Oldest},
				"%s are to be kept for %s and were there from %s on, but %s.", keptNames[have.Kind], days(c.Configured), stamp(want), left)
		}
		a.retention = append(a.retention, c)
	}
}

// firstQuery is when the first query came that is counted; zero when none is.
func (a *analysis) firstQuery() time.Time {
	was := int64(0)
	for k, s := range a.series {
		for h := range s.hours {
			if k.zone == allZones && (was == 0 || h < was) {
				was = h
			}
		}
	}
	if was == 0 {
		return time.Time{}
	}
	return time.Unix(was*3600, 0).UTC()
}

// shouldReach is how far back what is there has to reach; zero when nothing says.
func (a *analysis) shouldReach(c *picket.RetentionCoverage, since time.Time) time.Time {
	if since.IsZero() || keptNames[c.Kind] == "" {
		return time.Time{}
	}
	limit := c.Expired
	if c.Configured > 0 {
		limit = latest(limit, a.now.Add(-c.Configured))
	}
	switch {
	case !since.Before(limit):
		return since
	case dense(c.Kind):
		return limit
	}
	return time.Time{} // what was there may have gone as it should, and nothing else have come
}

// present says what is there, and why it is no more where nothing is wrong.
func (a *analysis) present(c *picket.RetentionCoverage, since time.Time) string {
	if c.Rows == 0 {
		return "nothing is there."
	}
	if c.Oldest.IsZero() {
		return plural(int(c.Rows), "row is", "rows are") + " there, without a time."
	}
	age := a.now.Sub(c.Oldest)
	switch {
	case c.Configured > 0 && age >= c.Configured-lateRetention:
		return "all of that time is there."
	case !c.Expired.IsZero():
		return lasting(age) + " are there: what was older was removed while less was configured."
	case !since.IsZero() && !c.Oldest.After(since.Add(lateRetention)):
		return lasting(age) + " are there, since collection began " + stamp(c.Oldest) + "."
	}
	return lasting(age) + " are there, since " + stamp(c.Oldest) + "."
}

// lasting is a length of time in its greatest whole units.
func lasting(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", d/time.Hour)
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d minutes", d/time.Minute)
	}
	return fmt.Sprintf("%d seconds", max(d, 0)/time.Second)
}

func days(d time.Duration) string {
	switch {
	case d == 0:
		return "ever"
	case d == 24*time.Hour:
		return "a day"
	case d%(24*time.Hour) == 0:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
	return lasting(d)
}
