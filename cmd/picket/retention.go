package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/duckdb"
)

// validate fills in what follows events, and refuses negative durations.
func (c *retentionConfig) validate(lines lineIndex, p *problems) {
	for _, k := range []struct {
		key  string
		keep *time.Duration
	}{{"admin_events", &c.AdminEvents}, {"assets", &c.Assets}, {"signals", &c.Signals}} {
		if _, given := lines["retention."+k.key]; !given {
			*k.keep = c.Events
		}
	}
	keys := append([]keptFor{{"events", "", c.Events}}, c.kinds()...)
	for _, k := range keys {
		if _, given := lines["retention."+k.key]; given && k.keep < 0 {
			p.add(lines.of("retention.%s", k.key), "retention.%s: %s is negative; 0 keeps everything", k.key, k.keep)
		}
	}
}

// keptFor is how long a kind is kept; 0 is for ever.
type keptFor struct {
	key, kind string // of the configuration, of the store
	keep      time.Duration
}

func (c *retentionConfig) kinds() []keptFor {
	return []keptFor{
		{"queries", duckdb.KeptQueries, c.Queries}, {"admin_events", duckdb.KeptAdminEvents, c.AdminEvents},
		{"assets", duckdb.KeptAssets, c.Assets}, {"signals", duckdb.KeptSignals, c.Signals},
		{"sightings", duckdb.KeptSightings, c.Sightings}, {"changes", duckdb.KeptChanges, c.Changes},
		{"findings", duckdb.KeptFindings, c.Findings}, {"quarantine", duckdb.KeptQuarantine, c.Quarantine},
		{"marks", duckdb.KeptMarks, c.Marks}, {"activity", duckdb.KeptActivity, c.Activity}, {"intake", duckdb.KeptIntake, c.Intake},
	}
}

// keepStore seals full hours and days, and removes what is past its retention. What
// goes by rows goes once an hour, sightings once a day: each time is an entry in the ledger.
func (d *daemon) keepStore(ctx context.Context) {
	now := time.Now()
	sealed, err := d.store.Seal(ctx, now)
	if err != nil && ctx.Err() == nil {
		d.log.Error("seal", "error", err)
	}
	for _, s := range sealed {
		d.log.Info("sealed", "segment", s.Path)
	}
	if err := d.store.CompactSightings(ctx); err != nil && ctx.Err() == nil {
		d.log.Error("compact sightings", "error", err)
	}
	hour, last := now.Truncate(time.Hour), d.expired
	hourly := hour != last
	// Removing sightings writes all that are left anew.
	daily := hour.Truncate(24*time.Hour) != last.Truncate(24*time.Hour)
	d.expired = hour
	for _, k := range d.cfg.Retention.kinds() {
		if k.keep == 0 {
			continue
		}
		old := now.Add(-k.keep)
		if _, err := d.store.Retain(ctx, k.kind, old); err != nil && ctx.Err() == nil {
			d.log.Error("apply retention", "error", err)
		}
		if !hourly || k.kind == duckdb.KeptSightings && !daily {
			continue
		}
		if _, err := d.store.Expire(ctx, k.kind, old); err != nil && ctx.Err() == nil {
			d.log.Error("apply retention", "error", err)
		}
	}
}

// retentionReader says of what the store keeps how long it is to be kept.
type retentionReader struct {
	*duckdb.Store
	cfg *retentionConfig
}

// Kept implements picket.RetentionReader.
func (r retentionReader) Kept(ctx context.Context) ([]picket.KindKept, error) {
	list, err := r.Store.Kept(ctx)
	for i := range list {
		for _, k := range r.cfg.kinds() {
			if k.kind == list[i].Kind {
				list[i].Configured = durationText(k.keep)
			}
		}
	}
	return list, err
}

// durationText says a retention in days where it is whole days.
func durationText(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d == 0:
		return "for ever"
	case d%day == 0:
		return strconv.FormatInt(int64(d/day), 10) + " days"
	}
	return d.String()
}

func retentionCommand(std streams) *cobra.Command {
	var path, output string
	cmd := &cobra.Command{
		Use:   "retention",
		Short: "Say what is kept how long, what is there, and what was removed",
		Long: `Retention prints for each kind how long it is kept by the configuration, the oldest
and the newest that is really there, how many rows and segments there are and how many
of them are under legal hold, and the last removals by the ledger.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "table" && output != "ndjson" {
				return usageError("retention: -o %q: want table or ndjson", output)
			}
			var body struct{ Kinds []picket.KindKept }
			if err := readAPI(cmd.Context(), path, "/api/retention", &body); err != nil {
				return err
			}
			return printKept(std, output, body.Kinds)
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "picket.yaml", "configuration file")
	cmd.Flags().StringVarP(&output, "output", "o", "table", "output: table or ndjson")
	return cmd
}

// readAPI reads one resource of the API.
func readAPI(ctx context.Context, config, path string, dst any) error {
	api, shut, err := openConfiguredAPI(ctx, config)
	if err != nil {
		return err
	}
	defer shut()
	if err := api.get(ctx, path, dst); err != nil {
		return &exitError{exitSome, err}
	}
	return nil
}

func printKept(std streams, output string, list []picket.KindKept) error {
	if output == "ndjson" {
		return printLines(std, list)
	}
	tw := tabwriter.NewWriter(std.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, "KIND\tKEPT\tOLDEST\tNEWEST\tROWS\tHELD\tSEGMENTS\tHELD\tSEALED ROWS\tBYTES")
	for _, k := range list {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\n", safeText(k.Kind), safeText(k.Configured), timeText(k.Oldest), timeText(k.Newest), k.Rows, k.HeldRows, k.Segments, k.Held, k.Sealed, k.Bytes)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, k := range list {
		for _, r := range k.Removed {
			what := fmt.Sprintf("%d rows", r.Rows)
			if r.Path != "" {
				what = fmt.Sprintf("%s (%d rows, SHA-256 %s)", safeText(r.Path), r.Rows, safeText(r.SHA256))
			}
			if r.Held > 0 {
				what += fmt.Sprintf(", %d held", r.Held)
			}
			if _, err := fmt.Fprintf(std.out, "removed %s: %s %s, older than %s, ledger entry %d\n", safeText(r.Time), safeText(k.Kind), what, safeText(r.OlderThan), r.Seq); err != nil {
				return err
			}
		}
	}
	return nil
}

// timeText is a time to the second, "-" when there is none.
func timeText(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

// printLines writes each element as a line of JSON.
func printLines[T any](std streams, list []T) error {
	enc := json.NewEncoder(std.out)
	for _, x := range list {
		if err := enc.Encode(x); err != nil {
			return err
		}
	}
	return nil
}

func holdCommand(std streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hold",
		Short: "Place, list and release legal holds",
		Long: `Hold keeps retention from what may be evidence. A hold is on a kind and a range of
event time: what is there of it, and what still comes, is not removed until the hold
is released. Who has placed or released it, and why, is in the ledger.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(holdAddCommand(std), holdListCommand(std), holdReleaseCommand(std))
	return cmd
}

func holdAddCommand(std streams) *cobra.Command {
	var path, from, to string
	var h picket.Hold
	cmd := &cobra.Command{
		Use:   "add --kind KIND --from TIME --to TIME --reason TEXT",
		Short: "Place a legal hold on a range",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if h.Since, err = dayOrTime(from); err != nil {
				return usageError("hold add: --from: %v", err)
			}
			if h.Until, err = dayOrTime(to); err != nil {
				return usageError("hold add: --to: %v", err)
			}
			if h.Reason == "" {
				return usageError("hold add: --reason is needed")
			}
			return withCustody(cmd.Context(), path, func(c custodian) error {
				placed, err := c.placeHold(cmd.Context(), h)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(std.out, "hold %d on %s from %s to %s\n", placed.ID, placed.Kind, timeText(placed.Since), timeText(placed.Until))
				return err
			})
		},
	}
	f := cmd.Flags()
	f.StringVarP(&path, "config", "c", "picket.yaml", "configuration file")
	f.StringVar(&h.Kind, "kind", duckdb.KeptAll, "kind, as picket retention prints it, or all")
	f.StringVar(&from, "from", "", "beginning: a day such as 2026-11-23, or a time (RFC 3339)")
	f.StringVar(&to, "to", "", "end, exclusive, likewise")
	f.StringVar(&h.Reason, "reason", "", "why, such as the case")
	return cmd
}

// dayOrTime reads a time of RFC 3339, or a day in UTC.
func dayOrTime(s string) (time.Time, error) {
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, fmt.Errorf("%q: want a day such as 2026-11-23, or a time such as 2026-11-23T12:00:00Z", s)
	}
	return t, nil
}

func holdListCommand(std streams) *cobra.Command {
	var path, output string
	var all bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the legal holds",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "table" && output != "ndjson" {
				return usageError("hold list: -o %q: want table or ndjson", output)
			}
			what := "/api/holds"
			if all {
				what += "?all=true"
			}
			var body struct{ Holds []picket.Hold }
			if err := readAPI(cmd.Context(), path, what, &body); err != nil {
				return err
			}
			return printHolds(std, output, body.Holds)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&path, "config", "c", "picket.yaml", "configuration file")
	f.StringVarP(&output, "output", "o", "table", "output: table or ndjson")
	f.BoolVar(&all, "all", false, "also those that were released")
	return cmd
}

func printHolds(std streams, output string, list []picket.Hold) error {
	if output == "ndjson" {
		return printLines(std, list)
	}
	if len(list) == 0 {
		return nil
	}
	tw := tabwriter.NewWriter(std.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, "ID\tKIND\tFROM\tTO\tPLACED\tBY\tREASON\tRELEASED")
	for _, h := range list {
		released := "-"
		if h.Released != "" {
			released = fmt.Sprintf("%s by %s: %s", safeText(h.Released), safeText(h.ReleasedBy), safeText(h.ReleaseReason))
		}
		fmt.Fprintf(tw, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", h.ID, safeText(h.Kind), timeText(h.Since), timeText(h.Until), safeText(h.Placed), safeText(h.By), safeText(h.Reason), released)
	}
	return tw.Flush()
}

func holdReleaseCommand(std streams) *cobra.Command {
	var path string
	var r holdRelease
	cmd := &cobra.Command{
		Use:   "release --reason TEXT ID",
		Short: "Release a legal hold",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if r.ID, err = strconv.ParseInt(args[0], 10, 64); err != nil {
				return usageError("hold release: %q: want the number of a hold, as picket hold list prints it", args[0])
			}
			if r.Reason == "" {
				return usageError("hold release: --reason is needed")
			}
			return withCustody(cmd.Context(), path, func(c custodian) error {
				if err := c.releaseHold(cmd.Context(), r); err != nil {
					return err
				}
				_, err := fmt.Fprintf(std.out, "hold %d is released\n", r.ID)
				return err
			})
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "picket.yaml", "configuration file")
	cmd.Flags().StringVar(&r.Reason, "reason", "", "why")
	return cmd
}
