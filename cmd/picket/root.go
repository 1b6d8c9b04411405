package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
)

// Exit codes, the same for all subcommands.
const (
	exitOK    = 0
	exitSome  = 1 // something could not be done; the rest was
	exitUsage = 2
)

// exitError carries an exit code through cobra. Its message, if any, has not
// been printed yet.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func usageError(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// timeFlag reads the time that a command's flag has.
func timeFlag(command, flag, text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, usageError("%s: %s %q: want a time as in RFC 3339, such as 2026-11-23T12:00:00Z", command, flag, text)
	}
	return t, nil
}

// streams are where a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// run is the whole program, for main and for tests.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	std := streams{stdin, stdout, stderr}
	root := newRoot(std)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	var exit *exitError
	if !errors.As(err, &exit) {
		// Everything that cobra itself refuses is wrong usage.
		fmt.Fprintf(stderr, "picket: %v\nRun 'picket --help' for usage.\n", err)
		return exitUsage
	}
	if exit.err != nil {
		fmt.Fprintf(stderr, "picket: %v\n", exit.err)
	}
	return exit.code
}

func newRoot(std streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "picket",
		Short: "Early warning that somebody is studying your DNS",
		Long: `Picket watches what authoritative name servers are asked and gives early warning
of reconnaissance (ATT&CK T1596.001 and its neighbours). A finding says what was
seen, how sure that is, and what it does not prove. It is never a verdict.`,
		SilenceErrors: true, SilenceUsage: true,
		Version: version(),
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
	}
	root.SetIn(std.in)
	root.SetOut(std.out)
	root.SetErr(std.err)
	root.CompletionOptions.HiddenDefaultCmd = true
	for _, add := range commands() {
		root.AddCommand(add(std))
	}
	return root
}

// commands lists the subcommands.
func commands() []func(streams) *cobra.Command {
	return []func(streams) *cobra.Command{
		initCommand,
		checkCommand,
		runCommand,
		scanCommand,
		findingsCommand,
		coverageCommand,
		changesCommand,
		namesCommand,
		pdnsCommand,
		quarantineCommand,
		retentionCommand,
		holdCommand,
		privacyCommand,
		reidentifyCommand,
		inspectCommand,
		labCommand,
	}
}

// version is the module's version as the build recorded it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "development"
}
