package coverage

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/picket-dns/picket"
)

// Bounds of what a statement names, so that it stays one or two sentences.
const (
	clauses   = 4 // kinds of problems
	someNames = 3 // zones, servers or inputs; the rest are counted
)

// watched reports whether what is asked at a cell's server would be seen.
func watched(c *picket.CoverageCell) bool {
	return c.Seen > 0 || c.Silence == picket.SilenceNoTraffic
}

// zoneSight is what is seen of a zone.
type zoneSight struct {
	name      string
	all, seen map[string]bool // name servers, and those that are watched
	others    map[string]bool // inputs that do not say which server was asked
	rcode     bool            // some of it carries response codes
	bare      bool            // some does not
}

func newZoneSight(name string) *zoneSight {
	return &zoneSight{name: name, all: map[string]bool{}, seen: map[string]bool{}, others: map[string]bool{}}
}

func (z *zoneSight) add(c *picket.CoverageCell) {
	switch {
	case isPseudo(c.Server):
		z.others[c.Server] = true
	default:
		z.all[c.Server] = true
		if watched(c) {
			z.seen[c.Server] = true
		}
	}
	if c.Seen > 0 {
		lacks := slices.Contains(c.Missing, "rcode")
		z.bare, z.rcode = z.bare || lacks, z.rcode || !lacks
	}
}

// String is the zone's part of a statement.
func (z *zoneSight) String() string {
	var text string
	switch n := len(z.others); {
	case len(z.all) == 0 && n > 0:
		text = fmt.Sprintf("%s at name servers that are not known", z.name)
	case n > 0:
		text = fmt.Sprintf("%d of %d name servers of %s and %s", len(z.seen), len(z.all), z.name,
			plural(n, "input that does not say which server was asked,", "inputs that do not say which server was asked,"))
	default:
		text = fmt.Sprintf("%d of %d name servers of %s", len(z.seen), len(z.all), z.name)
	}
	switch {
	case z.rcode && z.bare:
		text += " in part without response codes"
	case z.rcode:
		text += " with response codes"
	case z.bare:
		text += " without response codes"
	}
	return text
}

// sights are the zones that the report is about, those of which least is seen first.
func (a *analysis) sights() []*zoneSight {
	by := map[string]*zoneSight{}
	var list []*zoneSight
	for _, z := range a.setup.Zones {
		if a.only == "" || z.Name == a.only {
			by[z.Name] = newZoneSight(z.Name)
			list = append(list, by[z.Name])
		}
	}
	for i := range a.cells {
		if c := &a.cells[i]; c.Kind == picket.KindQuery && by[c.Zone] != nil {
			by[c.Zone].add(c)
		}
	}
	reverse := func(z *zoneSight) int { return strings.Count(z.name[max(len(z.name)-len(".arpa."), 0):], ".arpa.") }
	slices.SortStableFunc(list, func(x, y *zoneSight) int {
		return cmp.Or(cmp.Compare(len(y.all)-len(y.seen), len(x.all)-len(x.seen)), cmp.Compare(reverse(x), reverse(y)), cmp.Compare(x.name, y.name))
	})
	return list
}

// statement says in short what was watched and what was not.
func (a *analysis) statement() string {
	list := a.sights()
	if len(list) == 0 {
		return "Watched: no zone."
	}
	var out string
	if len(list) <= someNames {
		parts := make([]string, len(list))
		for i, z := range list {
			parts[i] = z.String()
		}
		out = "Watched: " + strings.Join(parts, ", ")
	} else {
		out = "Watched: " + together(list)
	}
	return strings.TrimSuffix(out+a.amiss(), ".") + "." // names end with one, too
}

// together is what a statement says of many zones.
func together(list []*zoneSight) string {
	names := make([]string, len(list))
	whole := newZoneSight("")
	var unseen []string
	for i, z := range list {
		names[i] = z.name
		for s := range z.all {
			whole.all[s] = true
		}
		for s := range z.seen {
			whole.seen[s] = true
		}
		for s := range z.others {
			whole.others[s] = true
		}
		whole.rcode, whole.bare = whole.rcode || z.rcode, whole.bare || z.bare
		if len(z.all) > 0 && len(z.seen)+len(z.others) == 0 {
			unseen = append(unseen, z.name)
		}
	}
	whole.name = fmt.Sprintf("%d zones (%s)", len(list), some(names))
	out := whole.String()
	if len(unseen) > 0 && len(whole.seen) > 0 {
		out += "; nothing has come for " + some(unseen)
	}
	return out
}

// amiss says the problems: one clause for all of a kind.
func (a *analysis) amiss() string {
	var out string
	said, more := 0, 0
	for i := 0; i < len(a.problems); {
		j := i
		for j < len(a.problems) && a.problems[j].Code == a.problems[i].Code {
			j++
		}
		text := a.clause(a.problems[i:j])
		switch {
		case text == "":
		case said < clauses:
			out += "; " + text
			said++
		default:
			more += j - i
		}
		i = j
	}
	if more > 0 {
		out += "; and " + plural(more, "more problem", "more problems")
	}
	return out
}

// clause says problems of one code within a statement; "" when what precedes has
// said it, or a statement does not go into it.
func (a *analysis) clause(list []picket.CoverageProblem) string {
	p := &list[0]
	var servers, inputs []string
	for i := range list {
		if list[i].Server != "" && !slices.Contains(servers, list[i].Server) {
			servers = append(servers, list[i].Server)
		}
		if list[i].Input != "" && !slices.Contains(inputs, list[i].Input) {
			inputs = append(inputs, list[i].Input)
		}
	}
	switch p.Code {
	case "feed-silent":
		return a.silentClause(list)
	case "never-configured":
		return some(servers) + number(servers, " sends", " send") + " nothing (never configured)"
	case "gap":
		if len(list) == 1 {
			return "gap " + a.clock(p.From) + "-" + p.To.Format("15:04") + " at " + p.Server
		}
		return fmt.Sprintf("%d gaps at %s", len(list), some(servers))
	case "not-running":
		if len(list) == 1 {
			return "Picket not running " + a.clock(p.From) + "-" + p.To.Format("15:04")
		}
		return fmt.Sprintf("Picket not running at %d times, last %s-%s", len(list), a.clock(list[len(list)-1].From), list[len(list)-1].To.Format("15:04"))
	case "rate-low":
		return "fewer queries than expected at " + some(servers)
	case "loss":
		return "records lost at " + number(inputs, "input ", "inputs ") + some(inputs)
	case "clock-skew":
		off := number(inputs, "clock of input ", "clocks of inputs ") + some(inputs) + number(inputs, " is off", " are off")
		if slices.ContainsFunc(inputs, func(name string) bool { return a.inputs[name] != nil && a.inputs[name].late.kind == lateUnclear }) {
			off += ", or delivery slow"
		}
		return off
	case "input-error":
		return number(inputs, "input ", "inputs ") + some(inputs) + number(inputs, " has failed", " have failed")
	}
	return ""
}

// silentClause names the feeds that have stopped, and since when the first is.
func (a *analysis) silentClause(list []picket.CoverageProblem) string {
	var who []string
	first := list[0].From
	together := true
	for i := range list {
		name := list[i].Server
		if name == "" {
			name = "input " + list[i].Input
		}
		if !slices.Contains(who, name) {
			who = append(who, name)
		}
		together = together && list[i].From.Equal(list[0].From)
		first = earliest(first, list[i].From)
	}
	if together {
		return some(who) + " silent since " + a.clock(first)
	}
	return some(who) + " silent, the first since " + a.clock(first)
}

// some names a few, and counts the rest.
func some(list []string) string {
	if len(list) <= someNames {
		return and(list)
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:someNames], ", "), len(list)-someNames)
}

// number picks the word for one or for many.
func number(list []string, one, many string) string {
	if len(list) == 1 {
		return one
	}
	return many
}

// plural is a number with its noun.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// clock is a time of day, with the day where the range has more than one.
func (a *analysis) clock(t time.Time) string {
	if a.to.Sub(a.from) > 24*time.Hour {
		return t.Format("2006-01-02 15:04")
	}
	return t.Format("15:04")
}
