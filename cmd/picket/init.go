package main

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

//go:embed picket.example.yaml
var exampleConfig []byte

func initCommand(std streams) *cobra.Command {
	return &cobra.Command{
		Use:   "init [DIR]",
		Short: "Write a commented configuration to start from",
		Long: `Init writes DIR/picket.yaml (DIR defaults to the current folder) and the folders it
names. It never overwrites a file.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			return initDir(std, dir)
		},
	}
}

func initDir(std streams, dir string) error {
	for _, d := range []string{dir, filepath.Join(dir, "zones")} {
		if err := os.MkdirAll(d, 0o750); err != nil {
			return &exitError{exitSome, fmt.Errorf("create folder: %w", err)}
		}
	}
	path := filepath.Join(dir, "picket.yaml")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if errors.Is(err, os.ErrExist) {
		return &exitError{exitSome, fmt.Errorf("%s is there already; it was left as it is", path)}
	}
	if err != nil {
		return &exitError{exitSome, fmt.Errorf("create configuration: %w", err)}
	}
	if _, err := f.Write(exampleConfig); err != nil {
		f.Close()
		return &exitError{exitSome, fmt.Errorf("write configuration: %w", err)}
	}
	if err := f.Close(); err != nil {
		return &exitError{exitSome, fmt.Errorf("write configuration: %w", err)}
	}
	fmt.Fprintf(std.out, "Wrote %s. Next: name your zones and inputs in it, then\n  picket check -c %s\n  picket run -c %s\n", path, path, path)
	return nil
}
