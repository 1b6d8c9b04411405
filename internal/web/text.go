package web

import (
	"fmt"
	"math"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// detectorWords says in plain words what a detector sees; other names are shown
// with their hyphens as spaces.
var detectorWords = map[string]string{
	"brute-force":             "Guessing names",
	"canary":                  "Planted name asked for",
	"dictionary-core":         "Names from a known wordlist",
	"distributed-enumeration": "Guessing names from many sources",
	"list-verification":       "Checking a list of names",
	"new-name-interest":       "Early interest in a new name",
	"nsec-walk":               "Walking the zone by NSEC",
	"nsec3-walk":              "Collecting NSEC3 hashes",
	"open-resolver-probe":     "Probing for an open resolver",
	"ordered-names":           "Names asked in sorted order",
	"permutation":             "Variations of existing names",
	"random-flood":            "Flood of random names",
	"recon-sequence":          "Sequence of reconnaissance steps",
	"record-survey":           "Survey of record types",
	"retired-names":           "Retired names asked for",
	"reverse-sweep":           "Sweep of reverse names",
	"sensitive-interest":      "Interest in sensitive names",
	"server-fingerprint":      "Fingerprinting the server",
	"service-survey":          "Survey of services",
	"takeover-probe":          "Probing for a takeover",
	"wildcard-probe":          "Probing for a wildcard",
	"zone-transfer":           "Attempted zone transfer",
}

// operationalWords does so for what is wrong with the watch itself.
var operationalWords = map[string]string{
	"clock-skew":     "Clock of a feed is off",
	"feed-silent":    "Feed went silent",
	"input-error":    "Input failing",
	"notify-refused": "Zone change notice refused",
	"server-lag":     "Name server is behind",
}

func detectorTitle(name string) string {
	if w, ok := detectorWords[name]; ok {
		return w
	}
	if w, ok := operationalWords[name]; ok {
		return w
	}
	return sentence(name)
}

// acronyms are the words of feature names that are not written in lower case.
var acronyms = map[string]string{
	"axfr": "AXFR", "ct": "CT", "dns": "DNS", "edns": "EDNS", "ixfr": "IXFR", "nodata": "NODATA", "nsec": "NSEC", "nsec3": "NSEC3",
	"nx": "NX", "nxdomain": "NXDOMAIN", "ptr": "PTR", "qtype": "QTYPE", "soa": "SOA", "srv": "SRV", "ttl": "TTL", "udp": "UDP",
}

// sentence turns kebab-case and snake_case into words.
func sentence(s string) string {
	words := strings.FieldsFunc(visible(s), func(r rune) bool { return r == '-' || r == '_' || r == ' ' })
	for i, w := range words {
		if a, ok := acronyms[w]; ok {
			words[i] = a
		}
	}
	if len(words) == 0 {
		return "Unnamed"
	}
	s = strings.Join(words, " ")
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[size:]
}

// stateWords explains the name states of picket.NameState.
var stateWords = map[string]string{
	"live":               "has records now",
	"wildcard":           "has none of its own; a wildcard answers for it",
	"empty-non-terminal": "owns nothing, but names exist below it",
	"delegated":          "at or below a delegation",
	"retired":            "existed once: zone history or passive DNS",
	"canary":             "planted; nobody has an ordinary reason to ask",
	"never":              "no trace that it ever existed",
	"out-of-zone":        "in no zone that is watched",
	"unknown":            "not known: the zone’s contents were not available",
}

var techniqueWords = map[string]string{
	"T1498":     "Network Denial of Service",
	"T1584.001": "Compromise Infrastructure: Domains",
	"T1590":     "Gather Victim Network Information",
	"T1590.002": "Gather Victim Network Information: DNS",
	"T1590.005": "Gather Victim Network Information: IP Addresses",
	"T1592.002": "Gather Victim Host Information: Software",
	"T1595":     "Active Scanning",
	"T1595.003": "Active Scanning: Wordlist Scanning",
	"T1596":     "Search Open Technical Databases",
	"T1596.001": "Search Open Technical Databases: DNS/Passive DNS",
	"T1596.003": "Search Open Technical Databases: Digital Certificates",
}

var techniqueID = regexp.MustCompile(`^T[0-9]{4}(\.[0-9]{3})?$`)

// techniqueURL is the ATT&CK page of a technique, "" if id is none.
func techniqueURL(id string) string {
	if !techniqueID.MatchString(id) {
		return ""
	}
	return "https://attack.mitre.org/techniques/" + strings.ReplaceAll(id, ".", "/") + "/"
}

// telemetryWords explains the levels of telemetry that findings rest on.
var telemetryWords = map[string]string{
	"Q": "query log: who asked for what, and when",
	"R": "response codes, seen or derived from the zone",
	"D": "flags, EDNS and transport, from dnstap or packets",
	"Z": "the zone’s contents and history",
	"X": "an outside feed",
}

// dnsText returns a name as presentation form writes it: every byte that is not
// printable US-ASCII as \DDD. Names mostly arrive so; this holds if one does not.
func dnsText(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] > 0x20 && s[i] < 0x7f {
			b.WriteByte(s[i])
		} else {
			fmt.Fprintf(&b, `\%03d`, s[i])
		}
	}
	return b.String()
}

// breaks cuts a name or an address where a line may be broken: after a label or
// a group, before a prefix length.
func breaks(s string) []string {
	var parts []string
	from := 0
	for i := range len(s) {
		switch {
		case s[i] == '/' && i > from:
			parts, from = append(parts, s[from:i]), i
		case s[i] == ':' || s[i] == '.' && (i == 0 || s[i-1] != '\\'):
			parts, from = append(parts, s[from:i+1]), i+1
		}
	}
	if from < len(s) {
		parts = append(parts, s[from:])
	}
	return parts
}

// visible returns text with everything that cannot be seen, or that moves what
// can, written out: controls, direction changes, joiners, broken UTF-8.
func visible(s string) string {
	var b strings.Builder
	for i, size := 0, 0; i < len(s); i += size {
		var r rune
		r, size = utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == ' ' || unicode.IsGraphic(r) && !unicode.Is(unicode.Zs, r):
			b.WriteRune(r)
		case unicode.Is(unicode.Zs, r):
			b.WriteByte(' ')
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// stamp is a time in the forms that <time> needs.
type stamp struct {
	Zero     bool
	Machine  string // RFC 3339, for datetime
	Absolute string // UTC, for title and tables
	Relative string // "3 min ago"; the script refreshes it by the same rule
}

func newStamp(t, now time.Time) stamp {
	if t.IsZero() {
		return stamp{Zero: true, Absolute: "never", Relative: "never"}
	}
	t = t.UTC()
	return stamp{
		Machine:  t.Format(time.RFC3339),
		Absolute: t.Format("2006-01-02 15:04:05") + " UTC",
		Relative: relative(now.Sub(t)),
	}
}

func relative(d time.Duration) string {
	past := d >= 0
	d = d.Abs()
	var s string
	switch {
	case d < 10*time.Second:
		return "just now"
	case d < time.Minute:
		s = fmt.Sprintf("%d s", d/time.Second)
	case d < 2*time.Hour:
		s = fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		s = fmt.Sprintf("%d h", d/time.Hour)
	default:
		s = fmt.Sprintf("%d days", d/(24*time.Hour))
	}
	if past {
		return s + " ago"
	}
	return "in " + s
}

// span says how long something lasted, in at most two units.
func span(d time.Duration) string {
	two := func(n time.Duration, unit string, m time.Duration, sub string) string {
		if m == 0 {
			return fmt.Sprintf("%d %s", n, unit)
		}
		return fmt.Sprintf("%d %s %d %s", n, unit, m, sub)
	}
	switch {
	case d < time.Second:
		return "under a second"
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return two(d/time.Minute, "min", d%time.Minute/time.Second, "s")
	case d < 48*time.Hour:
		return two(d/time.Hour, "h", d%time.Hour/time.Minute, "min")
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}

// count writes a number with narrow no-break spaces between thousands.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "−", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return sign + s
}

// measure writes a feature's value with three significant digits or, where it is
// a whole number, in full.
func measure(v float64) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "not a number"
	case v == math.Trunc(v) && math.Abs(v) < 1e15:
		return count(int64(v))
	case math.Abs(v) >= 1000:
		return count(int64(math.Round(v)))
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

func plural(n int64, one, many string) string {
	if n == 1 {
		return count(n) + " " + one
	}
	return count(n) + " " + many
}

// percent rounds down, so that 100 % is said only of certainty.
func percent(v float64) int {
	if !(v > 0) { // also NaN
		return 0
	}
	return int(math.Floor(min(v, 1)*100 + 1e-9))
}

// canonicalZone lets people leave the trailing dot off.
func canonicalZone(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	if s != "" && !strings.HasSuffix(s, ".") {
		s += "."
	}
	return s
}

func findingURL(id string) string { return "/findings/" + url.PathEscape(id) }
func apiURL(id string) string     { return "/api/findings/" + url.PathEscape(id) }
