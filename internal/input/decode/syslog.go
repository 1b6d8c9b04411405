package decode

import (
	"bytes"
	"time"
)

// SyslogLine is a line without what syslog or journald put in front of it.
type SyslogLine struct {
	Time  int64 // Unix nanoseconds; valid when Timed
	Timed bool
	Host  []byte
	Tag   []byte // program's name, without its pid
	Rest  []byte
}

// Syslog takes the header off a line: RFC 3164 or RFC 5424, with or without
// priority, with the time as either has it, also doubled by a relay. A line
// without a header is all Rest.
func (c *Clock) Syslog(line []byte, now time.Time) SyslogLine {
	h := SyslogLine{Rest: line}
	b, versioned := skipPriority(line)
	if versioned {
		return c.syslog5424(h, b)
	}
	for range 2 {
		ns, n := c.headTime(b, now)
		if n == 0 || n >= len(b) || b[n] != ' ' {
			break
		}
		h.Time, h.Timed = ns, true
		b = b[n+1:]
		h.Rest = b
		if _, again := c.headTime(b, now); again > 0 {
			continue // the program's own time
		}
		host, rest, ok := bytes.Cut(b, []byte{' '})
		if !ok {
			break
		}
		h.Host = bytes.TrimSuffix(host, []byte{':'})
		if len(h.Host) != len(host) { // no host was written: this is the tag
			h.Tag, h.Host = cutPID(h.Host), nil
			h.Rest = rest
		} else {
			h.Tag, h.Rest = cutTag(rest)
		}
		b = h.Rest
	}
	if !h.Timed {
		h.Rest = b
	}
	return h
}

// headTime reads the time at the start of a header.
func (c *Clock) headTime(b []byte, now time.Time) (ns int64, n int) {
	if len(b) < 15 {
		return 0, 0
	}
	if Digit(b[0]) {
		return c.IsoTime(b)
	}
	return c.SyslogTime(b, now)
}

// syslog5424 reads TIMESTAMP HOST APP PROCID MSGID SD MSG (RFC 5424 §6).
func (c *Clock) syslog5424(h SyslogLine, b []byte) SyslogLine {
	var part [5][]byte
	for i := range part {
		var ok bool
		if part[i], b, ok = bytes.Cut(b, []byte{' '}); !ok && i < 4 {
			return h
		}
	}
	if ns, n := c.IsoTime(part[0]); n > 0 && n == len(part[0]) {
		h.Time, h.Timed = ns, true
	} else if string(part[0]) != "-" {
		return h
	}
	h.Host, h.Tag = part[1], part[2]
	if len(b) > 0 && b[0] == '[' {
		b = skipStructured(b)
	} else {
		b = bytes.TrimPrefix(b, []byte{'-'})
	}
	b = bytes.TrimPrefix(b, []byte{' '})
	h.Rest = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	return h
}

// skipStructured passes over structured data, whose values may hold brackets.
func skipStructured(b []byte) []byte {
	quoted := false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == ']' && !quoted && (i+1 == len(b) || b[i+1] != '['):
			return b[i+1:]
		}
	}
	return nil
}

// cutTag reads "tag[pid]: " or "tag: ". What has no colon is not a tag.
func cutTag(b []byte) (tag, rest []byte) {
	i := bytes.IndexByte(b, ':')
	if i <= 0 || i > 64 || bytes.IndexByte(b[:i], ' ') >= 0 {
		return nil, b
	}
	if i+1 < len(b) && b[i+1] != ' ' {
		return nil, b
	}
	return cutPID(b[:i]), bytes.TrimPrefix(b[i+1:], []byte{' '})
}

func cutPID(tag []byte) []byte {
	name, _, _ := bytes.Cut(tag, []byte{'['})
	return name
}

// skipPriority drops <123>, and tells RFC 5424 by the version behind it.
func skipPriority(b []byte) (rest []byte, versioned bool) {
	if len(b) < 3 || b[0] != '<' {
		return b, false
	}
	i := 1
	for i < len(b) && i < 5 && Digit(b[i]) {
		i++
	}
	if i == 1 || i >= len(b) || b[i] != '>' {
		return b, false
	}
	b = b[i+1:]
	if len(b) > 2 && b[0] == '1' && b[1] == ' ' {
		return b[2:], true
	}
	return b, false
}

// UTC is the Unix time in seconds of a civil time in UTC, for formats whose offset
// is known.
func UTC(y, mo, d, h, mi, s int) int64 {
	return days(y, mo, d)*86400 + int64(h)*3600 + int64(mi)*60 + int64(s)
}

// UnixTime is a time in Unix nanoseconds as telemetry has it; 0 is none.
func UnixTime(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}
