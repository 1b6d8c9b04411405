package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

func checkCommand(std streams) *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check configuration, telemetry and permissions",
		Long: `Check reads the configuration and everything it names, and says what is wrong and
where; then, for each input, exactly what has come in so far. It changes nothing and
opens no connection to the network. It exits 0 when picket run would work, 1 when
something would not, 2 when the configuration itself is wrong.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(path)
			if err != nil {
				return &exitError{exitUsage, err}
			}
			c := &checker{w: std.out, cfg: cfg}
			c.ok("configuration", path)
			c.run(cmd.Context())
			if c.failed {
				return &exitError{code: exitSome}
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "picket.yaml", "configuration file")
	return cmd
}

// checker prints one line for each thing checked.
type checker struct {
	w      io.Writer
	cfg    config
	failed bool
	// running: a daemon answers on this data directory, so that addresses are taken.
	running bool
}

func (c *checker) ok(what, text string)   { c.line("ok", what, text) }
func (c *checker) warn(what, text string) { c.line("warn", what, text) }
func (c *checker) fail(what, text string) {
	c.failed = true
	c.line("FAIL", what, text)
}

// line prints one line, in columns that fit the longest input's name.
func (c *checker) line(state, what, text string) {
	width := 14
	for i := range c.cfg.Inputs {
		width = max(width, len("account ")+len(c.cfg.Inputs[i].Name))
	}
	fmt.Fprintf(c.w, "%-4s  %-*s %s\n", state, min(width, 40), what, text)
}

func (c *checker) run(ctx context.Context) {
	c.dataDir()
	accounts := c.accounts(ctx)
	c.knowledge()
	if len(c.cfg.Inputs) == 0 {
		c.warn("inputs", "none: nothing will be seen; add one under inputs")
	}
	for i := range c.cfg.Inputs {
		c.input(&c.cfg.Inputs[i])
	}
	c.address("console", "tcp", c.cfg.Listen)
	accounts()
}

func (c *checker) dataDir() {
	dir := c.cfg.DataDir
	for {
		st, err := os.Stat(dir)
		if errors.Is(err, os.ErrNotExist) && filepath.Dir(dir) != dir {
			dir = filepath.Dir(dir)
			continue
		}
		switch {
		case err != nil:
			c.fail("data_dir", err.Error())
			return
		case !st.IsDir():
			c.fail("data_dir", dir+" is no folder")
			return
		}
		break
	}
	f, err := os.CreateTemp(dir, ".picket-check-*")
	if err != nil {
		c.fail("data_dir", "cannot write: "+err.Error())
		return
	}
	f.Close()
	if err := os.Remove(f.Name()); err != nil {
		c.fail("data_dir", err.Error())
		return
	}
	c.ok("data_dir", c.cfg.DataDir+" can be written")
}

func (c *checker) knowledge() {
	opt := c.cfg.knowledgeOptions()
	know, err := opt.load(0, lineWriter(func(line string) { c.warn("zone data", line) }))
	if err != nil {
		c.fail("zone data", err.Error())
		return
	}
	zones := know.catalog.Zones()
	if len(zones) == 0 {
		c.warn("zone data", "no zones: they will be inferred from traffic, and retired-names is blind")
	}
	for _, z := range zones {
		c.ok("zone", fmt.Sprintf("%s %d names, %d retired", z.Name, z.Live, z.Retired))
	}
}

// lineWriter calls itself with each line written to it.
type lineWriter func(string)

// Write implements io.Writer for whole lines.
func (f lineWriter) Write(b []byte) (int, error) {
	line := string(b)
	for len(line) > 0 && line[len(line)-1] == '\n' {
		line = line[:len(line)-1]
	}
	f(line)
	return len(b), nil
}
