package intake

import (
	"slices"
	"strings"
)

// Streams lists the streams that have a position and whose names begin with
// prefix, in order.
func (d *Desk) Streams(prefix string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []string
	for stream := range d.positions {
		if strings.HasPrefix(stream, prefix) {
			list = append(list, stream)
		}
	}
	slices.Sort(list)
	return list
}
