package decode

import "bytes"

// DetectJSON calls f on the first objects in a file's head, stepped into, until
// it says yes, and then returns score.
func DetectJSON(head []byte, f func(*Cursor) bool, score int) int {
	var c Cursor
	for tries, from := 0, 0; tries < 50 && from < len(head); tries++ {
		i := bytes.IndexByte(head[from:], '{')
		if i < 0 {
			return 0
		}
		// What comes before the first object may be white space, an array's
		// bracket, or lines of junk, but not a value that the object is part of.
		if before := bytes.TrimLeft(head[from:from+i], " \t\r\n,[]\xef\xbb\xbf"); len(before) > 0 {
			nl := bytes.IndexByte(before, '\n')
			if nl < 0 {
				nl = bytes.IndexByte(head[from+i:], '\n')
				if nl < 0 {
					return 0
				}
				from += i + nl
				continue
			}
			if nl = bytes.LastIndexByte(head[from:from+i], '\n'); len(bytes.TrimLeft(head[from+nl:from+i], " \t\r\n,[")) > 0 {
				nl = bytes.IndexByte(head[from+i:], '\n')
				if nl < 0 {
					return 0
				}
				from += i + nl
				continue
			}
		}
		c.Reset(head[from+i:])
		c.I = 1
		if f(&c) {
			return score
		}
		if c.Bad {
			nl := bytes.IndexByte(head[from+i:], '\n')
			if nl < 0 {
				return 0
			}
			from += i + nl
			continue
		}
		from += i + c.I
	}
	return 0
}
