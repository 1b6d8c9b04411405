//go:build !linux

package transport

import (
	"context"
	"errors"
	"io"
)

// NewCapture is for Linux only.
func NewCapture(context.Context, CaptureConfig) (io.ReadCloser, error) {
	return nil, errors.New("capture: live capture needs Linux; read a pcap file or standard input")
}

// DropPrivileges is for Linux only.
func DropPrivileges(string) error {
	return errors.New("drop privileges: needs Linux")
}
