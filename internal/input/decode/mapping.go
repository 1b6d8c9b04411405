package decode

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Mapping says which fields of a generic JSON or CSV input mean what.
type Mapping struct {
	// Fields names, for each field of the telemetry kind (time, actor, action, zone,
	// source …), the column or the dotted path it is read from.
	Fields map[string]string `yaml:"fields" json:"fields"`
	// Constants are values for fields that the input does not carry, or that are
	// empty in a record.
	Constants map[string]string `yaml:"constants" json:"constants"`
	// Time is how times are written: rfc3339, unix, unix-ms, unix-us, unix-ns, or a
	// layout as in Go's time package; "" tries rfc3339 and unix.
	Time string `yaml:"time" json:"time"`
	// Records is the dotted path of the array that holds the records, where they come
	// wrapped in an object; an object without it is a record itself.
	Records string `yaml:"records" json:"records"`
	// Delimiter parts the columns of CSV; "" is a comma.
	Delimiter string `yaml:"delimiter" json:"delimiter"`
}

// Errors of mappings.
var (
	ErrNoMapping  = errors.New("this format needs a mapping that says which fields mean what")
	errNoFields   = errors.New("mapping names no fields")
	errDelimiter  = errors.New("delimiter must be one character, neither a quote nor a line end")
	errTimeLayout = errors.New("time must be rfc3339, unix, unix-ms, unix-us, unix-ns, or a layout as in Go's time package, such as 2006-01-02 15:04:05")
)

// details begins the names of fields that a telemetry kind takes without knowing
// them, where its list of fields has details.*.
const details = "details."

// Check reports everything wrong with a mapping for a kind of telemetry that has
// these fields. A nil mapping is ErrNoMapping.
func (m *Mapping) Check(kind string, fields []string) error {
	if m == nil {
		return ErrNoMapping
	}
	var errs []error
	if len(m.Fields) == 0 {
		errs = append(errs, errNoFields)
	}
	for _, part := range []struct {
		name string
		m    map[string]string
	}{{"fields", m.Fields}, {"constants", m.Constants}} {
		for _, f := range sortedKeys(part.m) {
			if !known(f, fields) {
				errs = append(errs, fmt.Errorf("%s: %s has no field %q; it has %s", part.name, kind, f, strings.Join(fields, ", ")))
			} else if part.m[f] == "" {
				errs = append(errs, fmt.Errorf("%s: %s is empty", part.name, f))
			} else if part.name == "fields" {
				if err := checkPath(part.m[f]); err != nil {
					errs = append(errs, fmt.Errorf("fields: %s: %q: %w", f, part.m[f], err))
				}
			}
		}
	}
	if m.Delimiter != "" {
		if _, n := utf8.DecodeRuneInString(m.Delimiter); n != len(m.Delimiter) || strings.ContainsAny(m.Delimiter, "\"\r\n") {
			errs = append(errs, fmt.Errorf("%q: %w", m.Delimiter, errDelimiter))
		}
	}
	if !timeKnown(m.Time) {
		errs = append(errs, fmt.Errorf("%q: %w", m.Time, errTimeLayout))
	}
	return errors.Join(errs...)
}

func known(field string, fields []string) bool {
	if slices.Contains(fields, field) {
		return true
	}
	return slices.Contains(fields, details+"*") && len(field) > len(details) && strings.HasPrefix(field, details)
}

// checkPath looks for brackets that are no index.
func checkPath(path string) error {
	for rest := path; ; {
		i := strings.IndexByte(rest, '[')
		if i < 0 {
			return nil
		}
		j := strings.IndexByte(rest[i:], ']')
		if j < 0 {
			return errors.New("bracket not closed")
		}
		for _, c := range []byte(rest[i+1 : i+j]) {
			if !Digit(c) {
				return errors.New("an index is a number from 0, or nothing for all")
			}
		}
		rest = rest[i+j+1:]
	}
}

// Ways of writing times.
const (
	timeRFC3339 = "rfc3339"
	timeUnix    = "unix"
	timeUnixMs  = "unix-ms"
	timeUnixUs  = "unix-us"
	timeUnixNs  = "unix-ns"
)

// timeKnown reports whether a way of writing times is one: a layout must carry at
// least year, day and hour.
func timeKnown(s string) bool {
	switch s {
	case "", timeRFC3339, timeUnix, timeUnixMs, timeUnixUs, timeUnixNs:
		return true
	}
	at := time.Date(1987, 11, 23, 17, 48, 59, 0, time.UTC)
	back, err := time.Parse(s, at.Format(s))
	return err == nil && back.Truncate(time.Hour).Equal(at.Truncate(time.Hour))
}

// MappedTime reads times as a mapping says they are written.
type MappedTime struct {
	clock Clock
	how   string
	loc   *time.Location
	zoned bool // the layout has a zone
}

// NewMappedTime returns a reader of times for opt.
func NewMappedTime(opt Options) MappedTime {
	t := MappedTime{clock: NewClock(opt), loc: opt.Location}
	if opt.Mapping != nil {
		t.how = opt.Mapping.Time
	}
	if t.loc == nil {
		t.loc = time.UTC
	}
	t.zoned = strings.Contains(t.how, "07") || strings.Contains(t.how, "MST")
	return t
}

// Parse reads a time as Unix nanoseconds.
func (t *MappedTime) Parse(b []byte) (ns int64, ok bool) {
	switch t.how {
	case "", timeRFC3339:
		if ns, n := t.clock.IsoTime(b); n > 0 && n == len(b) {
			return ns, true
		}
		if t.how == "" {
			return EpochTime(b)
		}
		return 0, false
	case timeUnix:
		return scaled(b, NsPerSecond)
	case timeUnixMs:
		return scaled(b, 1e6)
	case timeUnixUs:
		return scaled(b, 1e3)
	case timeUnixNs:
		return scaled(b, 1)
	}
	at, err := time.ParseInLocation(t.how, string(b), t.loc)
	if err != nil || at.Year() < 1970 || at.Year() > 2254 {
		return 0, false
	}
	if !t.zoned && t.clock.note != nil {
		t.clock.note(NoteNoZone)
		t.clock.note = nil
	}
	return at.UnixNano(), true
}

// scaled reads a number of units since 1970, with or without fraction, within the
// years that int64 nanoseconds have.
func scaled(b []byte, unit int64) (ns int64, ok bool) {
	i := 0
	for i < len(b) && Digit(b[i]) {
		i++
	}
	whole, ok := ParseUint(b[:i], 1<<63-1)
	frac, next := Fraction(b, i)
	if !ok || next != len(b) || whole > uint64(9e18/unit) {
		return 0, false
	}
	return int64(whole)*unit + frac/(NsPerSecond/unit), true
}
