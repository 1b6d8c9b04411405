// Command measure runs programs over generated captures and prints what they
// cost, side by side, as Markdown: make bench.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
}

// harness knows the programs and where captures are made.
type harness struct {
	picket, floor, dir string
	out                io.Writer
}

// cost is what one run of a program took.
type cost struct {
	wall, cpu time.Duration
	peak      int64 // resident set, bytes
}

func run(ctx context.Context) error {
	var h harness
	queries := flag.Int("queries", 5_000_000, "queries of the large capture")
	sources := flag.Int("sources", 1_000_000, "distinct sources of the flat capture")
	flag.StringVar(&h.picket, "picket", "./picket", "the picket binary")
	flag.StringVar(&h.floor, "floor", "", "the floor binary")
	flag.Parse()
	h.out = os.Stdout
	var err error
	if h.dir, err = os.MkdirTemp("", "picket-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(h.dir)
	fmt.Fprintf(h.out, "%d processors, %s\n\n", runtime.NumCPU(), runtime.Version())
	fmt.Fprintln(h.out, "| run | queries | wall s | queries/s | CPU s | CPU s per million | peak MiB |")
	fmt.Fprintln(h.out, "|---|---:|---:|---:|---:|---:|---:|")
	return errors.Join(h.mixed(ctx, *queries), h.flat(ctx, *sources, *queries))
}

// mixed measures a capture in which a few resolvers ask most.
func (h *harness) mixed(ctx context.Context, n int) error {
	capture, zone, err := h.generate(ctx, "mixed", n)
	if err != nil {
		return err
	}
	defer os.Remove(capture)
	scan, err := h.measure(ctx, "picket scan", n, h.picket, "scan", "-o", "ndjson", "--zone-file", "bench.example="+zone, capture)
	if err != nil {
		return err
	}
	floor, err := h.measure(ctx, "floor: header and question only", n, h.floor, capture)
	if err != nil {
		return err
	}
	part := min(n, 200_000)
	var shark cost
	if _, err := exec.LookPath("tshark"); err == nil {
		small, _, err := h.generate(ctx, "small", part)
		if err != nil {
			return err
		}
		defer os.Remove(small)
		shark, err = h.measure(ctx, "tshark -T fields", part, "tshark", "-n", "-r", small, "-T", "fields",
			"-e", "ip.src", "-e", "dns.qry.name", "-e", "dns.qry.type", "-e", "dns.flags.rcode")
		if err != nil {
			return err
		}
	}
	fmt.Fprintf(h.out, "\nscan takes %.1f times the CPU of the floor", scan.cpu.Seconds()/floor.cpu.Seconds())
	if shark.cpu > 0 {
		perQuery := shark.cpu.Seconds() / float64(part)
		fmt.Fprintf(h.out, "; tshark, scaled to the same work, %.0f times the CPU of scan", perQuery*float64(n)/scan.cpu.Seconds())
	} else {
		fmt.Fprint(h.out, "; tshark is not installed")
	}
	fmt.Fprintln(h.out, ".")
	return nil
}

// flat measures a capture in which every source asks as much as any other, as a
// spoofed flood would: the worst case for memory.
func (h *harness) flat(ctx context.Context, sources, n int) error {
	capture, zone, err := h.generate(ctx, "flat", n, "--sources", strconv.Itoa(sources), "--uniform")
	if err != nil {
		return err
	}
	defer os.Remove(capture)
	fmt.Fprintln(h.out, "\n| run | queries | wall s | queries/s | CPU s | CPU s per million | peak MiB |")
	fmt.Fprintln(h.out, "|---|---:|---:|---:|---:|---:|---:|")
	_, err = h.measure(ctx, fmt.Sprintf("picket scan, %d sources", sources), n, h.picket, "scan", "-o", "ndjson", "--zone-file", "bench.example="+zone, capture)
	return err
}

// generate makes a capture and its zone, and reads the capture once so that it is
// in the page cache.
func (h *harness) generate(ctx context.Context, name string, n int, more ...string) (capture, zone string, err error) {
	capture, zone = filepath.Join(h.dir, name+".pcap"), filepath.Join(h.dir, name+".zone")
	args := append([]string{"lab", "capture", "--queries", strconv.Itoa(n), "-o", capture, "--zone-output", zone}, more...)
	if out, err := exec.CommandContext(ctx, h.picket, args...).CombinedOutput(); err != nil {
		return "", "", fmt.Errorf("make capture: %w: %s", err, out)
	}
	f, err := os.Open(capture)
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	_, err = io.Copy(io.Discard, f)
	return capture, zone, err
}

// measure runs a program and prints a row of the table.
func (h *harness) measure(ctx context.Context, what string, n int, name string, args ...string) (cost, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return cost{}, fmt.Errorf("%s: %w: %s", what, err, stderr.Bytes())
	}
	c := cost{wall: time.Since(start), cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		c.peak = u.Maxrss << 10 // Linux tells KiB
	}
	million := float64(n) / 1e6
	fmt.Fprintf(h.out, "| %s | %d | %.2f | %.0f | %.2f | %.2f | %.0f |\n", what, n, c.wall.Seconds(),
		float64(n)/c.wall.Seconds(), c.cpu.Seconds(), c.cpu.Seconds()/million, float64(c.peak)/(1<<20))
	return c, nil
}
