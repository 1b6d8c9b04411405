//go:build unix

package transport

import (
	"io/fs"
	"syscall"
)

// links is how many names a file has; 0 when it was deleted.
func links(info fs.FileInfo) int {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Nlink)
	}
	return 1
}
