package query

import (
	"bytes"

	"github.com/picket-dns/picket/internal/input/decode"
)

const (
	reasonAmbiguousDate = "ambiguous date"
	reasonDayHalf       = "unknown word for morning or afternoon"
	noteDateOrder       = "dates could be day or month first; say which with the date_order setting (dmy, mdy or ymd)"
)

// msWhen is the date and time at the beginning of a line, before it is known which
// number is the day.
type msWhen struct {
	n       [3]int // as written
	digits  [3]int
	sep     byte // between them; 0 for yyyymmdd
	h, m, s int
	half    int8 // of the day: see msHalves
}

// Halves of the day.
const (
	halfNone int8 = iota
	halfAM
	halfPM
	halfUnknown
)

// msHalves are the words for the halves of the day in Windows locales, without
// dots and blanks and in lower case where they are ASCII, in UTF-8 and in the code
// page of the language; and words after a date or a time that say neither.
var msHalves = map[string]int8{
	"": halfNone, "г": halfNone, "ч": halfNone, "uhr": halfNone, "h": halfNone, "kl": halfNone,
	"am": halfAM, "pm": halfPM, "a": halfAM, "p": halfPM, // English, Spanish a. m.
	"上午": halfAM, "下午": halfPM, "\xc9\xcf\xce\xe7": halfAM, "\xcf\xc2\xce\xe7": halfPM, "\xa4w\xa4\xc8": halfAM, "\xa4u\xa4\xc8": halfPM,
	"午前": halfAM, "午後": halfPM, "\x8c\xdf\x91o": halfAM, "\x8c\xdf\x8c\xe3": halfPM,
	"오전": halfAM, "오후": halfPM, "\xbf\xc0\xc0\xfc": halfAM, "\xbf\xc0\xc8\xc4": halfPM,
	"πμ": halfAM, "μμ": halfPM, "ΠΜ": halfAM, "ΜΜ": halfPM, "\xf0\xec": halfAM, "\xec\xec": halfPM,
	"ص": halfAM, "م": halfPM, "\xd5": halfAM, "\xe3": halfPM, // Arabic
	"قظ": halfAM, "بظ": halfPM, // Persian
	"öö": halfAM, "ös": halfPM, "ÖÖ": halfAM, "Ös": halfPM, "\xd6\xd6": halfAM, "\xd6s": halfPM, // Turkish
	"sa": halfAM, "ch": halfPM, // Vietnamese
	"de": halfAM, "du": halfPM, // Hungarian
	"fm": halfAM, "em": halfPM, // Swedish
	"vm": halfAM, "nm": halfPM, // Afrikaans, Dutch
	"ap": halfAM, "ip": halfPM, // Finnish
	"pd": halfAM, "md": halfPM, // Albanian
	"pg": halfAM, "ptg": halfPM, // Malay
	"dop": halfAM, "odp": halfPM, // Czech
	"дп": halfAM, "пп": halfPM, // Ukrainian
	"проб": halfAM, "слоб": halfPM, // Bulgarian
	"priekšp": halfAM, "pēcp": halfPM, // Latvian
	"priešpiet": halfAM, "popiet": halfPM, // Lithuanian
	"पूर्वाह्न": halfAM, "अपराह्न": halfPM, // Hindi
	"मपू": halfAM, "मनं": halfPM, // Marathi
}

// maxHalf bounds what may stand between date and time, and between time and
// thread, in bytes.
const maxHalf = 40

// parse reads the beginning of a line, up to the thread's number, and returns how
// much it is; 0 when it is no date and time.
func (w *msWhen) parse(b []byte) int {
	i := w.date(b)
	if i == 0 {
		return 0
	}
	from := i
	if !blankAt(b, i) {
		return 0
	}
	for i < len(b) && !decode.Digit(b[i]) {
		i++
	}
	if i-from > maxHalf || i == len(b) {
		return 0
	}
	w.half = msHalf(b[from:i])
	if i = w.time(b, i); i == 0 || !blankAt(b, i) {
		return 0
	}
	// The thread's number is the first word of three or more hexadecimal digits.
	from = i
	for i < len(b) && i-from <= maxHalf {
		for i < len(b) && b[i] == ' ' {
			i++
		}
		end := i
		for end < len(b) && b[end] != ' ' {
			end++
		}
		if isThread(b[i:end]) {
			if half := msHalf(b[from:i]); half != halfNone {
				w.half = half
			}
			return i
		}
		i = end
	}
	return 0
}

// blankAt reports whether a blank of some kind is at b[i].
func blankAt(b []byte, i int) bool {
	if i >= len(b) {
		return false
	}
	return b[i] == ' ' || bytes.HasPrefix(b[i:], []byte("\u00a0")) || bytes.HasPrefix(b[i:], []byte("\u202f"))
}

func isThread(b []byte) bool {
	if len(b) < 3 || len(b) > 8 {
		return false
	}
	for _, c := range b {
		if decode.HexValue(c) < 0 {
			return false
		}
	}
	return true
}

// date reads three numbers, or yyyymmdd, and returns the offset after them.
func (w *msWhen) date(b []byte) int {
	i := mark(b, 0)
	w.sep = 0
	if i+8 < len(b) && b[i+8] == ' ' {
		if v, ok := decode.ParseUint(b[i:i+8], 99999999); ok {
			w.n = [3]int{int(v / 10000), int(v / 100 % 100), int(v % 100)}
			w.digits = [3]int{4, 2, 2}
			return i + 8
		}
	}
	for part := range 3 {
		if part > 0 {
			if i >= len(b) || (b[i] != '/' && b[i] != '.' && b[i] != '-') || (part == 2 && b[i] != w.sep) {
				return 0
			}
			w.sep = b[i]
			for i++; i < len(b) && b[i] == ' '; i++ {
			}
		}
		i = mark(b, i)
		v, n := 0, 0
		for ; i < len(b) && decode.Digit(b[i]) && n < 5; i, n = i+1, n+1 {
			v = v*10 + int(b[i]-'0')
		}
		if n == 0 || n == 3 || n > 4 {
			return 0
		}
		w.n[part], w.digits[part] = v, n
		i = mark(b, i)
	}
	if i < len(b) && b[i] == '.' {
		i++
	}
	return i
}

// mark passes over a right-to-left or left-to-right mark, which some locales have
// in their dates.
func mark(b []byte, i int) int {
	for i+2 < len(b) && b[i] == 0xe2 && b[i+1] == 0x80 && (b[i+2] == 0x8e || b[i+2] == 0x8f) {
		i += 3
	}
	return i
}

// time reads [h]h:mm:ss, with dots in some locales, and returns the offset after.
func (w *msWhen) time(b []byte, i int) int {
	w.h = 0
	n := 0
	for ; i < len(b) && decode.Digit(b[i]) && n < 3; i, n = i+1, n+1 {
		w.h = w.h*10 + int(b[i]-'0')
	}
	if n > 2 || i+6 >= len(b) || (b[i] != ':' && b[i] != '.') || b[i+3] != b[i] {
		return 0
	}
	w.m, w.s = decode.Two(b, i+1), decode.Two(b, i+4)
	if w.h > 23 || w.m < 0 || w.m > 59 || w.s < 0 || w.s > 60 || decode.Digit(b[i+6]) {
		return 0
	}
	return i + 6
}

// msHalf reads a word, or two, for half a day.
func msHalf(b []byte) int8 {
	for len(b) > 0 && b[0] == ' ' {
		b = b[1:]
	}
	if len(b) == 0 {
		return halfNone
	}
	var word [maxHalf]byte
	n := 0
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch {
		case c == ' ' || c == '.' || c == '\t':
			continue
		case c == 0xc2 && i+1 < len(b) && b[i+1] == 0xa0: // no-break space
			i++
			continue
		case c == 0xe2 && i+2 < len(b) && b[i+1] == 0x80 && (b[i+2] == 0xaf || b[i+2] == 0x8e || b[i+2] == 0x8f):
			i += 2
			continue
		case c >= 'A' && c <= 'Z':
			c |= 0x20
		}
		if n == len(word) {
			return halfUnknown
		}
		word[n] = c
		n++
	}
	half, ok := msHalves[string(word[:n])]
	if !ok {
		return halfUnknown
	}
	return half
}

// yearLast reports whether the date has its year at the end, and so day and month
// in an order that its numbers may not tell.
func (w *msWhen) yearLast() bool { return w.digits[0] <= 2 }

// msOrder is what is known of the order of day and month.
type msOrder struct {
	set      string // by the user: mdy, dmy, ymd
	dmy, mdy bool   // seen in dates that can be only that
}

// learn takes what a date tells.
func (o *msOrder) learn(w *msWhen) {
	if !w.yearLast() || w.digits[2] != 4 {
		return
	}
	a, b := w.n[0], w.n[1]
	o.dmy = o.dmy || (a > 12 && a <= 31 && b <= 12)
	o.mdy = o.mdy || (b > 12 && b <= 31 && a <= 12)
}

// date tells year, month and day.
func (o *msOrder) date(w *msWhen) (y, mo, d int, reason string) {
	order := "ymd"
	if w.yearLast() {
		order = o.of(w)
	}
	switch order {
	case "ymd":
		y, mo, d = w.n[0], w.n[1], w.n[2]
	case "dmy":
		d, mo, y = w.n[0], w.n[1], w.n[2]
	case "mdy":
		mo, d, y = w.n[0], w.n[1], w.n[2]
	default:
		return 0, 0, 0, reasonAmbiguousDate
	}
	if y < 100 {
		y += 2000
	}
	if y > 2400 && y < 2800 {
		y -= 543 // the Buddhist era, as in Thai locales
	}
	if !decode.ValidDate(y, mo, d) {
		return 0, 0, 0, decode.ReasonTime
	}
	return y, mo, d, ""
}

// of tells the order of a date whose year does not come first with four digits; ""
// when it is not known. In Windows locales dates with dots have the day first.
func (o *msOrder) of(w *msWhen) string {
	a, b := w.n[0], w.n[1]
	switch {
	case o.set != "":
		return o.set
	case w.digits[2] != 4: // any of the three may be the year
		if w.sep == '.' {
			return "dmy"
		}
		return ""
	case a > 12 || a == b:
		return "dmy"
	case b > 12, o.mdy && !o.dmy:
		return "mdy"
	case o.dmy && !o.mdy, w.sep == '.' && !o.mdy:
		return "dmy"
	}
	return ""
}

// clock24 tells the hour of the day.
func (w *msWhen) clock24() (h int, reason string) {
	switch {
	case w.h == 0 || w.h > 12:
		return w.h, ""
	case w.half == halfUnknown:
		return 0, reasonDayHalf
	case w.half == halfAM:
		return w.h % 12, ""
	case w.half == halfPM:
		return w.h%12 + 12, ""
	}
	return w.h, ""
}

// unix is the time in nanoseconds since 1970.
func (w *msWhen) unix(o *msOrder, clock *decode.Clock) (ns int64, reason string) {
	y, mo, d, reason := o.date(w)
	if reason != "" {
		return 0, reason
	}
	h, reason := w.clock24()
	if reason != "" {
		return 0, reason
	}
	return clock.Unix(y, mo, d, h, w.m, w.s) * decode.NsPerSecond, ""
}

var msCreation = []byte("log file creation at ")

// headerDate reads the date of the line that begins a file.
func (w *msWhen) headerDate(line []byte) bool {
	i := bytes.Index(line, msCreation)
	return i >= 0 && w.date(line[i+len(msCreation):]) > 0
}
