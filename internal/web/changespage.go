package web

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/picket-dns/picket"
)

const (
	valuesShown   = 12              // of one side of a change
	valueShown    = 400             // bytes of one value; the API has the whole
	commentShown  = 240             // bytes of what a source says of a change
	livesShown    = 200             // life lines on one page
	learnedLater  = 2 * time.Minute // from when on it is said that a change was learned of later
	lifeFigure    = 100.0           // width of the figure of a life line
	lifeFigureMin = 1.5             // least width of a bar in it
)

// changeView is a change as pages show it.
type changeView struct {
	ID         string
	Name, Zone string
	URL        string // of the name's life lines
	Type       string
	What       string // added, removed, changed
	Old, New   side
	Time       stamp
	Learned    stamp // zero unless well after Time
	Serial     string
	Source     string
	How        string
	Author     string
	Commit     string
	Comment    string
	Churn      bool
}

// side is one side of a change.
type side struct {
	Values []string
	More   string // "" or "and 3 more"
	TTL    string
}

type changesPage struct {
	Filter   historyView
	Rows     []changeView
	Total    string
	From, To string
	Page     int
	Pages    int
	Prev     string
	Next     string
	Start    string
	Beyond   bool
	Recorded bool // any zone's history is recorded
}

// historyView is the filter form of both pages.
type historyView struct {
	Zone, Name, Type, Source string
	Below, Churn             bool
	Zones                    []option // nil: too many, show a text field
	Active                   bool
	Since, Until             stamp  // zero where the range is open
	At                       bool   // the range is one moment
	ZoneURL                  string // of the versions of the zone; "" for all zones
	From, To                 string // RFC 3339, for the form; ""
	Toggle                   string // URL of the same page with churn or without
}

// lifeView is a life line.
type lifeView struct {
	Name, URL     string // where lines of several names are shown
	Type, Data    string
	Since, Until  stamp
	Began, Living bool
	X, Width      string // of the figure
	Source, How   string
	Zone          string
	TTL           string
	Serials       string
	Churn         bool
}

type namePage struct {
	Filter  historyView
	Name    string
	Asked   bool // a name was given
	Verdict string
	Lives   []lifeView
	Total   string
	More    string // "" or how many are not shown
	Changes []changeView
	All     string // URL of all changes of the name
	Raw     string // URL of the JSON
	From    stamp
}

// historyQuery reads the filters of both pages from a URL.
func historyQuery(q url.Values) (f picket.HistoryFilter, page int, err error) {
	f = picket.HistoryFilter{Zone: canonicalZone(q.Get("zone")), Name: canonicalZone(q.Get("name")), Below: q.Get("below") != "",
		Type: canonicalType(q.Get("type")), Source: strings.TrimSpace(q.Get("source")), Churn: q.Get("churn") != "", Limit: pageSize}
	if f.Since, f.Until, err = rangeOf(q); err != nil {
		return f, 0, err
	}
	page = 1
	if s := q.Get("page"); s != "" {
		if page, err = strconv.Atoi(s); err != nil || page < 1 || page > maxPage {
			return f, 0, fmt.Errorf("%w: page is not a number that can be", errBadFilter)
		}
	}
	if len(f.Zone) > 1024 || len(f.Name) > 1024 || len(f.Type) > 32 || len(f.Source) > 1024 {
		return f, 0, fmt.Errorf("%w: a value is too long", errBadFilter)
	}
	f.Offset = (page - 1) * pageSize
	return f, page, nil
}

func (c *Console) serveChanges(w http.ResponseWriter, r *http.Request) {
	f, page, err := historyQuery(r.URL.Query())
	if err != nil {
		c.fail(w, r, http.StatusBadRequest, "The filter cannot be used: one of its values is outside what it can be.")
		return
	}
	rev, model, err := c.changes(r.Context(), f, page)
	if err != nil {
		c.failStore(w, r, err)
		return
	}
	c.render(w, r, http.StatusOK, "changes", frame{Title: "Changes", Section: "changes", Live: true, Revision: rev, Refresh: 10, Page: model})
}

func (c *Console) changes(ctx context.Context, f picket.HistoryFilter, page int) (int64, *changesPage, error) {
	rev, err := c.findings.FindingsRevision(ctx)
	if err != nil || c.history == nil {
		return rev, &changesPage{Page: 1, Pages: 1, Start: "/changes", Filter: newHistoryView(f, nil, "/changes")}, err
	}
	versions, err := c.history.ZoneVersions(ctx, "", 1000)
	if err != nil {
		return 0, nil, err
	}
	list, total, err := c.history.Changes(ctx, f)
	if err != nil {
		return 0, nil, err
	}
	m := &changesPage{Filter: newHistoryView(f, versions, "/changes"), Total: plural(total, "change", "changes"), Page: page,
		Pages: int(max(1, (total+pageSize-1)/pageSize)), Start: historyURL("/changes", f, 1), Recorded: len(versions) > 0 || total > 0}
	for i := range list {
		m.Rows = append(m.Rows, c.newChange(&list[i]))
	}
	m.Beyond = len(m.Rows) == 0 && total > 0
	if n := len(m.Rows); n > 0 {
		m.From, m.To = count(int64(f.Offset+1)), count(int64(f.Offset+n))
	}
	if page > 1 {
		m.Prev = historyURL("/changes", f, min(page-1, m.Pages))
	}
	if page < m.Pages {
		m.Next = historyURL("/changes", f, page+1)
	}
	return rev, m, nil
}

func (c *Console) serveName(w http.ResponseWriter, r *http.Request) {
	f, _, err := historyQuery(r.URL.Query())
	if err != nil {
		c.fail(w, r, http.StatusBadRequest, "The filter cannot be used: one of its values is outside what it can be.")
		return
	}
	f.Offset, f.Limit = 0, livesShown
	rev, model, err := c.name(r.Context(), f)
	if err != nil {
		c.failStore(w, r, err)
		return
	}
	title := "Life of a name"
	if model.Asked {
		title = model.Name
	}
	c.render(w, r, http.StatusOK, "name", frame{Title: title, Section: "name", Live: true, Revision: rev, Refresh: 30, Page: model})
}

func (c *Console) name(ctx context.Context, f picket.HistoryFilter) (int64, *namePage, error) {
	rev, err := c.findings.FindingsRevision(ctx)
	m := &namePage{Filter: newHistoryView(f, nil, "/names"), Name: dnsText(f.Name), Asked: f.Name != "", All: historyURL("/changes", f, 1),
		Raw: "/api/names/" + url.PathEscape(f.Name)}
	if err != nil || c.history == nil || !m.Asked {
		return rev, m, err
	}
	lives, total, err := c.history.Lives(ctx, f)
	if err != nil {
		return 0, nil, err
	}
	f.Limit = pageSize
	changes, _, err := c.history.Changes(ctx, f)
	if err != nil {
		return 0, nil, err
	}
	m.Total, m.Verdict = plural(total, "life line", "life lines"), c.verdict(lives)
	if n := total - int64(len(lives)); n > 0 {
		m.More = plural(n, "more life line is", "more life lines are")
	}
	from := c.now()
	for _, l := range lives {
		if !l.Since.IsZero() && l.Since.Before(from) {
			from = l.Since
		}
	}
	m.From = c.stampNow(from)
	for i := range lives {
		m.Lives = append(m.Lives, c.newLife(&lives[i], from, f.Below))
	}
	for i := range changes {
		m.Changes = append(m.Changes, c.newChange(&changes[i]))
	}
	return rev, m, nil
}

// verdict says in one sentence whether a name is there.
func (c *Console) verdict(lives []picket.RecordLife) string {
	if len(lives) == 0 {
		return "Nothing is recorded of this name."
	}
	living, last := 0, time.Time{}
	for i := range lives {
		if lives[i].Until.IsZero() {
			living++
		} else if lives[i].Until.After(last) {
			last = lives[i].Until
		}
	}
	if living > 0 {
		return plural(int64(living), "record is", "records are") + " there now."
	}
	return "Gone: the last record went " + c.stampNow(last).Relative + "."
}

func (c *Console) newLife(l *picket.RecordLife, from time.Time, named bool) lifeView {
	now := c.now()
	v := lifeView{Type: visible(l.Type), Data: cut(dnsData(l.Data), valueShown), Since: c.stampNow(l.Since), Until: c.stampNow(l.Until), Began: l.Began,
		Living: l.Until.IsZero(), Source: visible(l.Source), How: methodWords(l.Method), Zone: dnsText(l.Zone), Churn: l.Churn}
	if named {
		v.Name, v.URL = dnsText(l.Name), nameURL(l.Name)
	}
	if l.TTL > 0 {
		v.TTL = count(l.TTL) + " s"
	}
	switch {
	case l.SinceSerial != 0 && l.UntilSerial != 0:
		v.Serials = fmt.Sprintf("serial %d until %d", l.SinceSerial, l.UntilSerial)
	case l.SinceSerial != 0:
		v.Serials = fmt.Sprintf("since serial %d", l.SinceSerial)
	}
	end := l.Until
	if end.IsZero() || end.After(now) {
		end = now
	}
	all := now.Sub(from).Seconds()
	x, width := 0.0, lifeFigure
	if all > 0 {
		x = min(max(l.Since.Sub(from).Seconds()/all, 0), 1) * lifeFigure
		width = max(min(max(end.Sub(from).Seconds()/all, 0), 1)*lifeFigure-x, lifeFigureMin)
		x = min(x, lifeFigure-lifeFigureMin)
	}
	v.X, v.Width = figure(x), figure(width)
	return v
}

func figure(v float64) string { return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64) }

func (c *Console) newChange(x *picket.RecordChange) changeView {
	v := changeView{ID: strconv.FormatInt(x.ID, 10), Name: dnsText(x.Name), Zone: dnsText(x.Zone), URL: nameURL(x.Name), Type: visible(x.Type), What: "changed",
		Old: newSide(x.Old, x.OldTTL), New: newSide(x.New, x.NewTTL), Time: c.stampNow(x.Time), Source: visible(x.Source), How: methodWords(x.Method),
		Author: cut(visible(x.Author), commentShown), Commit: cut(visible(x.Commit), 12), Comment: cut(visible(x.Comment), commentShown), Churn: x.Churn,
		Learned: stamp{Zero: true}}
	switch {
	case len(x.Old) == 0:
		v.What = "added"
	case len(x.New) == 0:
		v.What = "removed"
	}
	if x.HasSerial {
		v.Serial = fmt.Sprintf("%d → %d", x.SerialFrom, x.SerialTo)
		if x.SerialFrom == x.SerialTo || x.SerialFrom == 0 {
			v.Serial = strconv.FormatUint(uint64(x.SerialTo), 10)
		}
	}
	if x.Received.Sub(x.Time) > learnedLater {
		v.Learned = c.stampNow(x.Received)
	}
	return v
}

func newSide(values []string, ttl int64) side {
	var s side
	for i, d := range values {
		if i == valuesShown {
			s.More = "and " + count(int64(len(values)-i)) + " more"
			break
		}
		s.Values = append(s.Values, cut(dnsData(d), valueShown))
	}
	if ttl > 0 && len(values) > 0 {
		s.TTL = count(ttl) + " s"
	}
	return s
}

// dnsData is RDATA in presentation form: as dnsText, but with its spaces.
func dnsData(s string) string {
	parts := strings.Split(s, " ")
	for i := range parts {
		parts[i] = dnsText(parts[i])
	}
	return strings.Join(parts, " ")
}

// cut shortens text to at most n bytes, of whole characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n] + "…"
}

func methodWords(method string) string {
	switch method {
	case picket.MethodTransfer:
		return "zone transfer"
	case picket.MethodFile:
		return "file"
	case picket.MethodGit:
		return "git history"
	case picket.MethodPush:
		return "export"
	}
	return visible(method)
}

func newHistoryView(f picket.HistoryFilter, versions []picket.ZoneVersion, path string) historyView {
	v := historyView{Zone: dnsText(f.Zone), Name: dnsText(f.Name), Type: dnsText(f.Type), Source: visible(f.Source), Below: f.Below, Churn: f.Churn,
		Active: f.Zone != "" || f.Name != "" || f.Type != "" || f.Source != "" || f.Below || f.Churn || !f.Since.IsZero() || !f.Until.IsZero(),
		Since:  newStamp(f.Since, f.Since), Until: newStamp(f.Until, f.Until), At: !f.Since.IsZero() && f.Until.Sub(f.Since) == time.Nanosecond, From: rangeText(f.Since), To: rangeText(f.Until)}
	if f.Zone != "" {
		v.ZoneURL = zoneURL(f.Zone)
	}
	turned := f
	turned.Churn = !f.Churn
	v.Toggle = historyURL(path, turned, 1)
	var zones []string
	for i := range versions {
		if !slices.Contains(zones, versions[i].Zone) {
			zones = append(zones, versions[i].Zone)
		}
		if len(zones) > zonesAsList {
			return v
		}
	}
	v.Zones = options("All zones", zones, f.Zone, dnsText, dnsText)
	return v
}

func historyURL(path string, f picket.HistoryFilter, page int) string {
	q := url.Values{}
	for key, value := range map[string]string{"zone": f.Zone, "name": f.Name, "type": f.Type, "source": f.Source, "since": rangeText(f.Since), "until": rangeText(f.Until)} {
		if value != "" {
			q.Set(key, value)
		}
	}
	for key, on := range map[string]bool{"below": f.Below, "churn": f.Churn} {
		if on {
			q.Set(key, "1")
		}
	}
	if page > 1 {
		q.Set("page", strconv.Itoa(page))
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// rangeText is an end of a range of time in a URL, "" when it is open.
func rangeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func nameURL(name string) string { return "/names?" + url.Values{"name": {name}}.Encode() }
