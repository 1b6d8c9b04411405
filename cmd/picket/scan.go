package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input"
	"github.com/picket-dns/picket/internal/input/decode"
)

// scanOptions are the flags of scan.
type scanOptions struct {
	know              knowledgeOptions
	read              readFlags
	output            string
	withoutSignatures bool
	history           string
	pseudonymise      string
}

func scanCommand(std streams) *cobra.Command {
	var opt scanOptions
	cmd := &cobra.Command{
		Use:   "scan [flags] FILE...",
		Short: "Look for reconnaissance in captured telemetry",
		Long: `Scan reads telemetry from files ("-" is standard input), tells formats apart by
content (gzip, zstd and xz too) and prints the findings. Progress and notes go to
standard error. It exits 0 when all inputs were read, 1 when any could not be
(the others are still done) and 2 for wrong usage.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return scan(cmd.Context(), std, opt, args)
		},
	}
	f := cmd.Flags()
	opt.know.flags(f)
	opt.read.flags(f)
	f.StringVar(&opt.history, "history", "", "data directory whose recorded zones and passive DNS say which names are live and which retired")
	f.StringVar(&opt.pseudonymise, "pseudonymise", "", "file with a key (picket privacy key): replace client addresses by pseudonyms, as the daemon does with privacy.pseudonymise")
	f.StringVarP(&opt.output, "output", "o", "table", "output: table or ndjson")
	f.BoolVar(&opt.withoutSignatures, "without-signatures", false, "switch every tool-specific pattern off")
	return cmd
}

// scanSeed keys the hashes of a scan, so that scanning a file twice gives the same
// figures to the last.
const scanSeed = 0x5069636b6574

func scan(ctx context.Context, std streams, opt scanOptions, files []string) error {
	if opt.output != "table" && opt.output != "ndjson" {
		return usageError("scan: -o %q: want table or ndjson", opt.output)
	}
	qopt, err := opt.read.options()
	if err != nil {
		return err
	}
	know, err := opt.know.load(scanSeed, std.err)
	if err != nil {
		return err
	}
	if opt.history != "" {
		if err := learnFrom(ctx, know, opt.history, std.err); err != nil {
			return err
		}
	}
	p, err := openPrivacy(config{Privacy: privacyConfig{Pseudonymise: opt.pseudonymise != "", KeyFile: opt.pseudonymise}})
	if err != nil {
		return &exitError{exitUsage, err}
	}
	p.mapRoles(know)
	out := &findingPrinter{w: std.out, ndjson: opt.output == "ndjson"}
	rec := newRecognizer(know, recognizerOptions{WithoutSignatures: opt.withoutSignatures, Sink: out,
		OnError: func(err error) { fmt.Fprintf(std.err, "scan: %v\n", err) }})
	failed := false
	levels := ""
	for _, name := range files {
		err := scanFile(ctx, std, opt.read.format, qopt, name, rec, p, func(f input.Format) {
			levels += f.Levels
			out.cover(statementOf(scanKnown(rec.Notes(levels))))
		})
		if err != nil {
			failed = true
			fmt.Fprintf(std.err, "scan: %v\n", err)
		}
	}
	out.hold()
	if err := rec.Close(); err != nil {
		return &exitError{exitSome, err}
	}
	if err := out.release(); err != nil {
		return &exitError{exitSome, fmt.Errorf("write findings: %w", err)}
	}
	scanNotes(std.err, rec, out.count, levels)
	if failed {
		return &exitError{code: exitSome}
	}
	return nil
}

// scanFile looks through one file; told is called once its format is known.
func scanFile(ctx context.Context, std streams, format string, opt decode.Options, name string, rec *recognizer, p *privacy, told func(input.Format)) error {
	r, size, shut, err := openInput(name, std.in)
	if err != nil {
		return err
	}
	defer shut()
	bar := startProgress(std.err, name, size)
	acct := input.NewCounter()
	feed := rec.Feed()
	used, plain, err := input.Open(bar.reader(r), format)
	if err == nil {
		told(used)
		used, err = input.DecodeQueries(ctx, plain, used.Name, opt, acct, p.mapQueries(feed))
	}
	feed.Flush()
	bar.stop()
	s := acct.Snapshot()
	if used.Name != "" {
		fmt.Fprintf(std.err, "%s: %s, %d queries%s\n", name, used.Name, s.Accepted, countNotes(s))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// scanKnown leaves out of notes what changes while a scan runs, so that the same
// scan gives the same findings.
func scanKnown(notes []string) []string {
	return slices.DeleteFunc(notes, func(n string) bool { return strings.HasPrefix(n, notedInferred) })
}

// openInput opens a file, or standard input for "-". size is 0 when not known.
func openInput(name string, stdin io.Reader) (r io.Reader, size int64, shut func(), err error) {
	if name == "-" {
		return stdin, 0, func() {}, nil
	}
	f, err := os.Open(name)
	if err != nil {
		var pe *os.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return nil, 0, nil, fmt.Errorf("%s: open: %w", name, err)
	}
	st, err := f.Stat()
	if err == nil && st.IsDir() {
		err = errors.New("is a directory; name the files in it")
	}
	if err != nil {
		f.Close()
		return nil, 0, nil, fmt.Errorf("%s: %w", name, err)
	}
	return f, st.Size(), func() { f.Close() }, nil
}

// countNotes says what was not taken of an input, the first place of each reason.
func countNotes(s input.Snapshot) string {
	var b strings.Builder
	for _, r := range s.Rejected {
		fmt.Fprintf(&b, "; %d rejected: %s, first at %s", r.Count, r.Reason, place(r.First.Line, r.First.Offset))
	}
	return b.String()
}

// place says where something is in an input.
func place(line, offset int64) string {
	if line > 0 {
		return fmt.Sprintf("line %d", line)
	}
	return fmt.Sprintf("offset %d", offset)
}

// scanNotes qualifies the result: what was watched and what could not be seen.
func scanNotes(w io.Writer, rec *recognizer, found int, levels string) {
	fmt.Fprintf(w, "scan: %d findings in %d queries\n", found, rec.Queries())
	for _, note := range rec.Notes(levels) {
		fmt.Fprintf(w, "scan: %s\n", note)
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// findingPrinter is a sink that prints each finding once, when it is closed.
type findingPrinter struct {
	mu      sync.Mutex
	w       io.Writer
	ndjson  bool
	held    []*picket.Finding
	holding bool
	covered string // what findings say of coverage
	count   int
	err     error
}

// Finding takes a finding.
func (p *findingPrinter) Finding(f *picket.Finding, closed bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !closed {
		return nil
	}
	p.count++
	if f.Coverage == "" {
		f.Coverage = p.covered
	}
	if p.holding || !p.ndjson {
		p.held = append(p.held, f)
		return nil
	}
	p.print(f)
	return p.err
}

// cover says what is watched from now on.
func (p *findingPrinter) cover(statement string) {
	p.mu.Lock()
	p.covered = statement
	p.mu.Unlock()
}

// hold keeps what comes from now on until release, to print it in order.
func (p *findingPrinter) hold() {
	p.mu.Lock()
	p.holding = true
	p.mu.Unlock()
}

// release prints what was held, earliest first.
func (p *findingPrinter) release() error {
	slices.SortFunc(p.held, func(a, b *picket.Finding) int {
		return cmp.Or(a.FirstSeen.Compare(b.FirstSeen), strings.Compare(a.Detector, b.Detector), strings.Compare(a.ID, b.ID))
	})
	if !p.ndjson {
		return p.table()
	}
	for _, f := range p.held {
		p.print(f)
	}
	return p.err
}

func (p *findingPrinter) print(f *picket.Finding) {
	b, err := json.Marshal(f)
	if err == nil {
		_, err = p.w.Write(append(b, '\n'))
	}
	if err != nil && p.err == nil {
		p.err = err
	}
}

func (p *findingPrinter) table() error {
	if len(p.held) == 0 {
		return nil
	}
	tw := tabwriter.NewWriter(p.w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, "SEVERITY\tDETECTOR\tZONE\tSOURCE\tFIRST SEEN\tQUERIES\tNAMES\tAT\tCONFIDENCE")
	for _, f := range p.held {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%.2f\n", f.Severity, f.Detector, f.Zone, sourceText(f.Source),
			f.FirstSeen.Format("2006-01-02T15:04:05Z"), f.Queries, f.Names, f.DetectedAtQuery, f.Confidence)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, f := range p.held {
		if _, err := fmt.Fprintf(p.w, "\n%s %s (%s)\n  %s\n  Limits: %s\n", f.ID, f.Detector, f.Severity, f.Summary, f.Limits); err != nil {
			return err
		}
	}
	return nil
}
