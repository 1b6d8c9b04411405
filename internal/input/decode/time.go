package decode

import (
	"time"
)

const NsPerSecond = int64(time.Second)

// NoteNoZone is what a reader is told when a time zone had to be assumed.
const NoteNoZone = "times carry no zone and are read as UTC; name theirs with the timezone setting"

// Clock turns civil times into Unix time in one zone. The zone's offset is
// looked up once per hour of input; a repeated hour (end of summer time) counts
// as the first of the two.
type Clock struct {
	loc  *time.Location
	hour int64 // hours since 1970 in civil time of the cached offset
	off  int64 // civil minus UTC, seconds
	have bool
	note func(string) // told when a time without a zone is read as UTC for want of a setting
}

// NewClock returns a clock in the zone of opt.
func NewClock(opt Options) Clock {
	if opt.Location == nil {
		return Clock{loc: time.UTC, note: opt.Note}
	}
	return Clock{loc: opt.Location}
}

// days returns the days since 1970-01-01 of a date in the Gregorian calendar.
func days(y, m, d int) int64 {
	if m <= 2 {
		y--
		m += 12
	}
	era := y / 400 // years here are 1 to 9999
	yoe := y - era*400
	doy := (153*(m-3)+2)/5 + d - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return int64(era)*146097 + int64(doe) - 719468
}

// Unix returns the Unix time in seconds of a civil time in the clock's zone.
func (c *Clock) Unix(y, mo, d, h, mi, s int) int64 {
	civil := days(y, mo, d)*86400 + int64(h)*3600 + int64(mi)*60 + int64(s)
	if c.loc == time.UTC {
		if c.note != nil {
			c.note(NoteNoZone)
			c.note = nil
		}
		return civil
	}
	if hour := days(y, mo, d)*24 + int64(h); !c.have || hour != c.hour {
		t := time.Date(y, time.Month(mo), d, h, 0, 0, 0, c.loc).Unix()
		c.have, c.hour, c.off = true, hour, hour*3600-t
	}
	return civil - c.off
}

func Digit(b byte) bool { return b-'0' <= 9 }

// Two reads two digits at b[i:]; -1 when they are not there.
func Two(b []byte, i int) int {
	if i+1 >= len(b) || !Digit(b[i]) || !Digit(b[i+1]) {
		return -1
	}
	return int(b[i]-'0')*10 + int(b[i+1]-'0')
}

// daysIn is the greatest day of each month; February is checked no further.
var daysIn = [13]int{0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

// ValidDate reports whether a date is one, of years that nanoseconds in int64 have.
func ValidDate(y, mo, d int) bool {
	return y >= 1970 && y < 2255 && mo >= 1 && mo <= 12 && d >= 1 && d <= daysIn[mo]
}

// HMS reads hh:mm:ss at b[i:]; second 60 is a leap second.
func HMS(b []byte, i int) (h, m, s int, ok bool) {
	if i+8 > len(b) || b[i+2] != ':' || b[i+5] != ':' {
		return 0, 0, 0, false
	}
	h, m, s = Two(b, i), Two(b, i+3), Two(b, i+6)
	return h, m, s, h >= 0 && h < 24 && m >= 0 && m < 60 && s >= 0 && s <= 60
}

// Fraction reads .digits (or ,digits) at b[i:] as nanoseconds and returns the
// Offset after it; digits beyond the ninth are read and dropped.
func Fraction(b []byte, i int) (ns int64, next int) {
	if i >= len(b) || (b[i] != '.' && b[i] != ',') {
		return 0, i
	}
	scale := NsPerSecond / 10
	j := i + 1
	for ; j < len(b) && Digit(b[j]); j++ {
		ns += int64(b[j]-'0') * scale
		scale /= 10
	}
	if j == i+1 {
		return 0, i
	}
	return ns, j
}

// IsoTime reads YYYY-MM-DDThh:mm:ss[.frac][Z|±hh[:]mm] (RFC 3339, also with a
// blank for the T) at the start of b and returns the bytes read, 0 when there is
// no such time. Without an offset the clock's zone holds.
func (c *Clock) IsoTime(b []byte) (ns int64, n int) {
	if len(b) < 19 || b[4] != '-' || b[7] != '-' || (b[10] != 'T' && b[10] != ' ' && b[10] != 't') {
		return 0, 0
	}
	hi, lo := Two(b, 0), Two(b, 2)
	y, mo, d := hi*100+lo, Two(b, 5), Two(b, 8)
	h, mi, s, ok := HMS(b, 11)
	if hi < 0 || lo < 0 || !ok || !ValidDate(y, mo, d) {
		return 0, 0
	}
	frac, i := Fraction(b, 19)
	if i < len(b) {
		switch b[i] {
		case 'Z', 'z':
			sec := days(y, mo, d)*86400 + int64(h)*3600 + int64(mi)*60 + int64(s)
			return sec*NsPerSecond + frac, i + 1
		case '+', '-':
			if off, j := Offset(b, i); j > 0 {
				sec := days(y, mo, d)*86400 + int64(h)*3600 + int64(mi)*60 + int64(s) - off
				return sec*NsPerSecond + frac, j
			}
		}
	}
	return c.Unix(y, mo, d, h, mi, s)*NsPerSecond + frac, i
}

// Offset reads ±hh:mm or ±hhmm at b[i:] as seconds; next 0 means there is none.
func Offset(b []byte, i int) (sec int64, next int) {
	h := Two(b, i+1)
	j := i + 3
	if j < len(b) && b[j] == ':' {
		j++
	}
	m := Two(b, j)
	if h < 0 || h > 23 || m < 0 || m > 59 {
		return 0, 0
	}
	sec = int64(h)*3600 + int64(m)*60
	if b[i] == '-' {
		sec = -sec
	}
	return sec, j + 2
}

// Month reads a three-letter English month at b[i:], 0 when there is none.
func Month(b []byte, i int) int {
	if i+3 > len(b) {
		return 0
	}
	switch string(b[i : i+3]) {
	case "Jan":
		return 1
	case "Feb":
		return 2
	case "Mar":
		return 3
	case "Apr":
		return 4
	case "May":
		return 5
	case "Jun":
		return 6
	case "Jul":
		return 7
	case "Aug":
		return 8
	case "Sep":
		return 9
	case "Oct":
		return 10
	case "Nov":
		return 11
	case "Dec":
		return 12
	}
	return 0
}

// BindTime reads DD-Mon-YYYY hh:mm:ss[.frac], as BIND's print-time local writes it.
func (c *Clock) BindTime(b []byte) (ns int64, n int) {
	if len(b) < 20 || b[2] != '-' || b[6] != '-' || b[11] != ' ' {
		return 0, 0
	}
	d, mo, hi, lo := Two(b, 0), Month(b, 3), Two(b, 7), Two(b, 9)
	h, mi, s, ok := HMS(b, 12)
	if hi < 0 || lo < 0 || !ok || !ValidDate(hi*100+lo, mo, d) {
		return 0, 0
	}
	frac, i := Fraction(b, 20)
	return c.Unix(hi*100+lo, mo, d, h, mi, s)*NsPerSecond + frac, i
}

// SyslogTime reads Mmm [d]d hh:mm:ss[.frac] (RFC 3164 §4.1.2). The year is the
// latest that puts the time not more than a day after now.
func (c *Clock) SyslogTime(b []byte, now time.Time) (ns int64, n int) {
	mo := Month(b, 0)
	if mo == 0 || len(b) < 14 || b[3] != ' ' {
		return 0, 0
	}
	i := 4
	for i < 6 && b[i] == ' ' {
		i++
	}
	d := 0
	for j := 0; j < 2 && Digit(b[i]); j++ {
		d = d*10 + int(b[i]-'0')
		i++
	}
	if i >= len(b) || b[i] != ' ' {
		return 0, 0
	}
	h, mi, s, ok := HMS(b, i+1)
	y := now.Year() + 1
	if !ok || !ValidDate(y, mo, d) {
		return 0, 0
	}
	frac, end := Fraction(b, i+9)
	latest := now.Unix() + 86400
	for first := y - 8; y >= first; y-- {
		if mo == 2 && d == 29 && (y%4 != 0 || (y%100 == 0 && y%400 != 0)) {
			continue
		}
		if sec := c.Unix(y, mo, d, h, mi, s); sec <= latest {
			return sec*NsPerSecond + frac, end
		}
	}
	return 0, 0
}

// EpochTime reads seconds since 1970 with an optional fraction, as text. Values
// beyond 1e11 are milliseconds.
func EpochTime(b []byte) (ns int64, ok bool) {
	var whole int64
	i := 0
	for ; i < len(b) && Digit(b[i]); i++ {
		if i >= 13 {
			return 0, false
		}
		whole = whole*10 + int64(b[i]-'0')
	}
	if i == 0 {
		return 0, false
	}
	frac, j := Fraction(b, i)
	if j != len(b) {
		return 0, false
	}
	if whole > 1e11 {
		return whole*int64(time.Millisecond) + frac/1000, true
	}
	if whole > 9e9 { // year 2255: int64 nanoseconds end soon after
		return 0, false
	}
	return whole*NsPerSecond + frac, true
}
