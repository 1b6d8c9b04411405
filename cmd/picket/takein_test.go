package main

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input"
	"github.com/picket-dns/picket/internal/input/decode"
)

// TestDecoderBreaksDown: a panic of a decoder is an error of its stream.
func TestDecoderBreaksDown(t *testing.T) {
	var log strings.Builder
	in := &liveInput{cfg: inputConfig{Name: "in"}, d: &daemon{log: slog.New(slog.NewTextHandler(&log, nil))}}
	fm := input.Format{Name: "broken", Decode: func(context.Context, io.Reader, decode.Options, picket.Accounting, picket.Sink) error {
		panic("slice bounds out of range")
	}}
	err := in.run(t.Context(), fm, strings.NewReader("x"), "file", nil)
	if err == nil || !strings.Contains(err.Error(), "broken broke down: slice bounds") || !strings.Contains(log.String(), "takein_test.go") {
		t.Errorf("%v; log %q", err, log.String())
	}
}
