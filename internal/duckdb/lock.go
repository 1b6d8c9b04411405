package duckdb

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ErrLocked is wrapped when another process has the store open.
var ErrLocked = errors.New("store is in use")

const lockName = "picket.lock"

// lockWrite takes the data directory for one writing process.
func lockWrite(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, err
	}
	ok, err := flock(f, false)
	if err == nil && !ok {
		err = fmt.Errorf("%w%s", ErrLocked, holder(f))
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// lockRead takes the data directory for one of several reading processes.
func lockRead(dir string) (*os.File, error) {
	f, err := os.Open(filepath.Join(dir, lockName))
	if err != nil {
		return nil, err
	}
	ok, err := flock(f, true)
	if err == nil && !ok {
		err = fmt.Errorf("%w%s", ErrLocked, holder(f))
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// holder says which process wrote the lock file, for the error message.
func holder(f *os.File) string {
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 32))
	pid := strings.TrimSpace(string(b))
	if err != nil || pid == "" {
		return ""
	}
	return " by process " + pid
}
