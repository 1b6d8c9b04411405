package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/picket-dns/picket/internal/input"
)

func checkCommand(std streams) *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check configuration, telemetry and permissions",
		Long: `Check reads the configuration and everything it names, and says what is wrong and
where. It changes nothing. It exits 0 when picket run would work, 1 when something
would not, 2 when the configuration itself is wrong.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := loadConfig(path)
			if err != nil {
				return &exitError{exitUsage, err}
			}
			c := &checker{w: std.out, cfg: cfg}
			c.ok("configuration", path)
			c.run()
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
}

func (c *checker) ok(what, text string)   { fmt.Fprintf(c.w, "ok    %-14s %s\n", what, text) }
func (c *checker) warn(what, text string) { fmt.Fprintf(c.w, "warn  %-14s %s\n", what, text) }
func (c *checker) fail(what, text string) {
	c.failed = true
	fmt.Fprintf(c.w, "FAIL  %-14s %s\n", what, text)
}

func (c *checker) run() {
	c.dataDir()
	c.knowledge()
	if len(c.cfg.Inputs) == 0 {
		c.warn("inputs", "none: nothing will be seen; add one under inputs")
	}
	for i := range c.cfg.Inputs {
		c.input(&c.cfg.Inputs[i])
	}
	c.address("console", "tcp", c.cfg.Listen)
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

// input checks one input.
func (c *checker) input(in *inputConfig) {
	what := "input " + in.Name
	switch {
	case in.File != "":
		c.file(what, in)
	case in.Unix != "":
		c.socket(what, in.Unix)
	case in.TCP != "":
		c.address(what, "tcp", in.TCP)
	case in.SyslogUDP != "":
		c.address(what, "udp", in.SyslogUDP)
	default:
		c.address(what, "tcp", in.SyslogTCP)
	}
}

func (c *checker) file(what string, in *inputConfig) {
	r, _, shut, err := openInput(in.File, nil)
	if errors.Is(err, os.ErrNotExist) {
		c.warn(what, in.File+" does not exist yet; it will be waited for")
		return
	}
	if err != nil {
		c.fail(what, err.Error())
		return
	}
	defer shut()
	f, _, err := input.Open(r, in.Format)
	switch {
	case errors.Is(err, input.ErrEmpty):
		c.warn(what, in.File+" is empty so far")
		return
	case err != nil:
		c.fail(what, in.File+": "+err.Error())
		return
	}
	c.ok(what, fmt.Sprintf("%s: %s (telemetry %s)", in.File, f.Name, f.Levels))
}

func (c *checker) socket(what, path string) {
	st, err := os.Stat(filepath.Dir(path))
	switch {
	case err != nil:
		c.fail(what, fmt.Sprintf("the socket's folder: %v", err))
	case !st.IsDir():
		c.fail(what, filepath.Dir(path)+" is no folder")
	default:
		c.ok(what, "will listen on "+path)
	}
}

func (c *checker) address(what, network, addr string) {
	var err error
	var shut io.Closer
	if network == "udp" {
		shut, err = net.ListenPacket(network, addr)
	} else {
		shut, err = net.Listen(network, addr)
	}
	if err != nil {
		c.fail(what, fmt.Sprintf("cannot listen on %s: %v (is picket running already?)", addr, err))
		return
	}
	shut.Close()
	c.ok(what, "can listen on "+network+" "+addr)
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
