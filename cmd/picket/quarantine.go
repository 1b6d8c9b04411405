package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode/utf16"

	"github.com/spf13/cobra"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/duckdb"
)

// quarantineOptions are the flags of picket quarantine's commands.
type quarantineOptions struct {
	config, output string
	sel            quarantineSelection
	after          int64
	limit          int
	raw            bool
}

func quarantineCommand(std streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "quarantine",
		Short: "Look at rejected records that were kept, and replay them after a fix",
		Long: `What an input cannot read is counted as rejected and kept, up to 10,000 records and
64 MiB an input; the oldest go first. Look at them with list and show, mend the input's
configuration, restart, and replay: what can be read now counts as accepted and no
longer as rejected. What is not worth a replay is given up with release; it still
counts as rejected.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(quarantineListCommand(std), quarantineShowCommand(std),
		quarantineChangeCommand(std, "replay", "Decode records once more, as their input is configured now", `Replay decodes quarantined records once more, with the options their input has now. In
one step the records leave the quarantine, no longer count as rejected, and what was
made of them counts: accepted, rejected again (and kept again), or skipped. It is done
by the running daemon.`),
		quarantineChangeCommand(std, "release", "Give records up", `Release removes records from the quarantine. They still count as rejected: they were
received, and could not be read. It is done by the running daemon.`))
	return cmd
}

func (o *quarantineOptions) flags(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&o.config, "config", "c", "picket.yaml", "configuration file")
	cmd.Flags().StringVarP(&o.output, "output", "o", "table", "output: table or ndjson")
}

// load checks the flags that all commands have, and reads the configuration.
func (o *quarantineOptions) load() (config, error) {
	if o.output != "table" && o.output != "ndjson" {
		return config{}, usageError("quarantine: -o %q: want table or ndjson", o.output)
	}
	cfg, err := loadConfig(o.config)
	if err != nil {
		return config{}, &exitError{exitUsage, err}
	}
	return cfg, nil
}

func quarantineListCommand(std streams) *cobra.Command {
	var opt quarantineOptions
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List rejected records, oldest first",
		Long: `List prints rejected records that were kept, oldest first. While the daemon runs it is
asked; otherwise the store is opened. Bytes that are not printable US-ASCII are written
as escapes; with -o ndjson, record is the record in base64.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return quarantineList(cmd.Context(), std, opt) },
	}
	opt.flags(cmd)
	cmd.Flags().StringVar(&opt.sel.Input, "input", "", "only this input's")
	cmd.Flags().Int64Var(&opt.after, "after", 0, "only records with a greater id")
	cmd.Flags().IntVar(&opt.limit, "limit", 100, "at most so many")
	return cmd
}

func quarantineList(ctx context.Context, std streams, opt quarantineOptions) error {
	cfg, err := opt.load()
	if err != nil {
		return err
	}
	if opt.limit < 1 {
		return usageError("quarantine list: --limit %d: want at least 1", opt.limit)
	}
	r, _, shut, err := openInputs(ctx, cfg)
	if err != nil {
		return &exitError{exitSome, err}
	}
	defer shut()
	tw := tabwriter.NewWriter(std.out, 0, 4, 2, ' ', 0)
	if opt.output == "table" {
		fmt.Fprintln(tw, "ID\tINPUT\tREJECTED AT\tREASON\tFORMAT\tPLACE\tRECORD")
	}
	var shown, total int64
	for after, left := opt.after, opt.limit; left > 0; {
		page, err := r.page(ctx, opt.sel.Input, after, left)
		if err != nil {
			return &exitError{exitSome, err}
		}
		for i := range page.Records {
			if err := printQuarantined(tw, std.out, opt.output, &page.Records[i]); err != nil {
				return &exitError{exitSome, fmt.Errorf("write: %w", err)}
			}
			after = page.Records[i].ID
		}
		left -= len(page.Records)
		shown, total = shown+int64(len(page.Records)), page.Total
		if !page.More || len(page.Records) == 0 {
			break
		}
	}
	if err := tw.Flush(); err != nil {
		return &exitError{exitSome, fmt.Errorf("write: %w", err)}
	}
	fmt.Fprintf(std.err, "quarantine: %d of %d\n", shown, total)
	return nil
}

// previewSize is how much of a record a table shows, in bytes.
const previewSize = 72

func printQuarantined(tw, w io.Writer, output string, q *picket.QuarantinedRecord) error {
	if output == "ndjson" {
		return writeASCII(w, q)
	}
	record := bytes.TrimRight(q.Record, "\r\n")
	more := ""
	if len(record) > previewSize {
		record, more = record[:previewSize], "..."
	}
	_, err := fmt.Fprintf(tw, "%d\t%s\t%s\t%s\t%s\t%s\t%s%s\n", q.ID, safeText(q.Input), q.Time.UTC().Format("2006-01-02T15:04:05Z"),
		safeText(q.Reason), safeText(q.Format), safeText(placeOf(q)), safeText(string(record)), more)
	return err
}

// placeOf says where a record was found.
func placeOf(q *picket.QuarantinedRecord) string {
	at := ""
	switch {
	case q.Line > 0:
		at = "line " + strconv.FormatInt(q.Line, 10)
	case q.Offset > 0:
		at = "byte " + strconv.FormatInt(q.Offset, 10)
	}
	switch {
	case at == "" && q.Stream == "":
		return "-"
	case at == "" || q.Stream == "":
		return q.Stream + at
	}
	return q.Stream + " " + at
}

func quarantineShowCommand(std streams) *cobra.Command {
	var opt quarantineOptions
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show one record in full",
		Long: `Show prints one rejected record in full. Bytes that are not printable US-ASCII are
written as escapes; --raw writes the bytes as they are, into a file or a pipe:

    picket quarantine show --raw 17 | picket inspect --format bind-log -`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return quarantineShow(cmd.Context(), std, opt, args[0])
		},
	}
	opt.flags(cmd)
	cmd.Flags().BoolVar(&opt.raw, "raw", false, "only the record's bytes, as they are; not to a terminal")
	return cmd
}

func quarantineShow(ctx context.Context, std streams, opt quarantineOptions, arg string) error {
	cfg, err := opt.load()
	if err != nil {
		return err
	}
	id, err := strconv.ParseInt(arg, 10, 64)
	if err != nil {
		return usageError("quarantine show: %q is no id; want a number as list prints it", arg)
	}
	if opt.raw && isTerminal(std.out) {
		return usageError("quarantine show: --raw does not write to a terminal: the record may hold what commands it")
	}
	r, _, shut, err := openInputs(ctx, cfg)
	if err != nil {
		return &exitError{exitSome, err}
	}
	defer shut()
	q, err := r.record(ctx, id)
	if err != nil {
		return &exitError{exitSome, err}
	}
	switch {
	case opt.raw:
		_, err = std.out.Write(q.Record)
	case opt.output == "ndjson":
		err = writeASCII(std.out, &q)
	default:
		err = showQuarantined(std.out, &q)
	}
	if err != nil {
		return &exitError{exitSome, fmt.Errorf("write: %w", err)}
	}
	return nil
}

func showQuarantined(w io.Writer, q *picket.QuarantinedRecord) error {
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintf(tw, "id\t%d\ninput\t%s\nrejected at\t%s\nreason\t%s\nformat\t%s\nplace\t%s\nsize\t%d bytes\n", q.ID, safeText(q.Input),
		q.Time.UTC().Format("2006-01-02T15:04:05.000Z"), safeText(q.Reason), safeText(q.Format), safeText(placeOf(q)), len(q.Record))
	if err := tw.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	for line := range bytes.Lines(q.Record) {
		if _, err := fmt.Fprintf(w, "  %s\n", safeText(string(bytes.TrimSuffix(line, []byte("\n"))))); err != nil {
			return err
		}
	}
	return nil
}

// isTerminal reports whether what is written is seen by a person at once.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

func quarantineChangeCommand(std streams, verb, short, long string) *cobra.Command {
	var opt quarantineOptions
	cmd := &cobra.Command{
		Use: verb + " (--input NAME --all | --id ID,ID...)", Short: short, Long: long, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return quarantineChangeRun(cmd.Context(), std, opt, verb) },
	}
	opt.flags(cmd)
	cmd.Flags().StringVar(&opt.sel.Input, "input", "", "the input")
	cmd.Flags().Int64SliceVar(&opt.sel.IDs, "id", nil, "these records")
	cmd.Flags().BoolVar(&opt.sel.All, "all", false, "all records of the input")
	return cmd
}

func quarantineChangeRun(ctx context.Context, std streams, opt quarantineOptions, verb string) error {
	cfg, err := opt.load()
	if err != nil {
		return err
	}
	if opt.sel.All == (len(opt.sel.IDs) > 0) || opt.sel.All && opt.sel.Input == "" {
		return usageError("quarantine %s: want --id, or --input and --all", verb)
	}
	var res quarantineResult
	err = newControlClient(cfg).ask(ctx, http.MethodPost, "/quarantine/"+verb, opt.sel, &res)
	if errors.Is(err, errNotRunning) {
		err = fmt.Errorf("%w; only the daemon can %s: start it, then ask again", err, verb)
		// It may run and have no socket.
		if s, serr := duckdb.OpenReadOnly(ctx, duckdb.Options{Dir: cfg.DataDir}); serr == nil {
			s.Close()
		} else if errors.Is(serr, duckdb.ErrLocked) {
			err = fmt.Errorf("%w, and its control socket does not answer: see its log", duckdb.ErrLocked)
		}
	}
	if err != nil {
		return &exitError{exitSome, err}
	}
	if opt.output == "ndjson" {
		err = writeASCII(std.out, res)
	} else {
		_, err = fmt.Fprintln(std.out, resultText(verb, &res))
	}
	if err != nil {
		return &exitError{exitSome, fmt.Errorf("write: %w", err)}
	}
	if len(res.Missing) > 0 {
		return &exitError{exitSome, fmt.Errorf("quarantine %s: not kept, or not of that input: %v", verb, res.Missing)}
	}
	return nil
}

func resultText(verb string, res *quarantineResult) string {
	if verb == "release" {
		return fmt.Sprintf("released %d", res.Records)
	}
	return fmt.Sprintf("replayed %d: accepted %d, rejected again %s, skipped %s", res.Records, res.Counts.Accepted,
		outcome(res.Counts.Rejected), outcome(res.Counts.Skipped))
}

// outcome is a count with its reasons: 7 (4 bad name, 3 bad time).
func outcome(m map[string]int64) string {
	if len(m) == 0 {
		return "0"
	}
	var sum int64
	var parts []string
	for _, reason := range sortedKeys(m) {
		sum += m[reason]
		parts = append(parts, fmt.Sprintf("%d %s", m[reason], safeText(reason)))
	}
	return fmt.Sprintf("%d (%s)", sum, strings.Join(parts, ", "))
}

// safeText writes what is not printable US-ASCII as Go's escapes: what was rejected
// is what somebody else chose, and a terminal obeys what it is shown.
func safeText(s string) string {
	q := strconv.QuoteToASCII(s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

// writeASCII writes a line of JSON in US-ASCII.
func writeASCII(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	for _, r := range string(b) { // within strings only: everything else is US-ASCII
		if r < 0x7f {
			out.WriteByte(byte(r))
			continue
		}
		for _, u := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&out, `\u%04x`, u)
		}
	}
	out.WriteByte('\n')
	_, err = w.Write(out.Bytes())
	return err
}
