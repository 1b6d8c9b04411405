package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/ulikunitz/xz"
)

// TestMain lets the test binary be the picket command: for scripts, and for tests
// that need a process of their own to stop or kill.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"picket": picketMain})
}

func picketMain() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// TestScripts runs testdata/script. Beside testscript's own commands there are
//
//	code N picket ARG...        run it and want exit code N
//	finding FILE KEY=VALUE...   want a line of JSON with these values; ! for none
//	keys FILE KEY...            want every line to have exactly these keys
//	lines FILE N                want so many lines
//	ids FILE FILE               want the same ids in the same order
//	compress gz|xz|zst FROM TO  compress a file
//	until PATTERN COMMAND...    run it again and again until its standard output matches
//
// KEY may be dotted; FILE may be stdout. $DATA is testdata/data.
func TestScripts(t *testing.T) {
	data, err := filepath.Abs("testdata/data")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("DATA", data)
			env.Setenv("SHARED", sharedDir())
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond == "shared" {
				_, err := os.Stat(sharedDir())
				return err == nil || os.Getenv("CI") != "", nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code": scriptCode, "finding": scriptFinding, "keys": scriptKeys, "lines": scriptLines, "ids": scriptIDs, "compress": scriptCompress,
			"until": scriptUntil,
		},
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
	})
}

// sharedDir is where the shared sample tree should be; see pickettest.Shared.
func sharedDir() string {
	if dir := os.Getenv("PICKET_SHARED"); dir != "" {
		return dir
	}
	dir, err := filepath.Abs(filepath.Join("..", "..", "..", "shared"))
	if err != nil {
		return ""
	}
	return dir
}

func scriptCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// jsonLines reads lines of JSON.
func jsonLines(ts *testscript.TestScript, file string) []map[string]any {
	var list []map[string]any
	sc := bufio.NewScanner(strings.NewReader(ts.ReadFile(file)))
	sc.Buffer(nil, 1<<24)
	for sc.Scan() {
		var m map[string]any
		if err := json.Unmarshal(sc.Bytes(), &m); err != nil {
			ts.Fatalf("%s: %v in %q", file, err, sc.Text())
		}
		list = append(list, m)
	}
	ts.Check(sc.Err())
	return list
}

// lookUp follows a dotted path; numbers index lists.
func lookUp(v any, path string) (any, bool) {
	for key := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			var ok bool
			if v, ok = x[key]; !ok {
				return nil, false
			}
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i < 0 || i >= len(x) {
				return nil, false
			}
			v = x[i]
		default:
			return nil, false
		}
	}
	return v, true
}

func scriptFinding(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 1 {
		ts.Fatalf("usage: [!] finding FILE KEY=VALUE...")
	}
	list := jsonLines(ts, args[0])
	found := slices.ContainsFunc(list, func(m map[string]any) bool {
		for _, arg := range args[1:] {
			key, want, _ := strings.Cut(arg, "=")
			v, ok := lookUp(m, key)
			if !ok || fmt.Sprint(v) != want {
				return false
			}
		}
		return true
	})
	if found == neg {
		ts.Fatalf("%v: found %t among %d lines", args[1:], found, len(list))
	}
}

func scriptKeys(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: keys FILE KEY...")
	}
	want := slices.Sorted(slices.Values(args[1:]))
	list := jsonLines(ts, args[0])
	if len(list) == 0 {
		ts.Fatalf("%s is empty", args[0])
	}
	for i, m := range list {
		if got := sortedKeys(m); !slices.Equal(got, want) {
			ts.Fatalf("line %d has the keys %v, want %v", i+1, got, want)
		}
	}
}

func scriptLines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: lines FILE N")
	}
	text := ts.ReadFile(args[0])
	if got := strconv.Itoa(strings.Count(text, "\n")); got != args[1] {
		ts.Fatalf("%s has %s lines, want %s:\n%s", args[0], got, args[1], text)
	}
}

func scriptIDs(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: ids FILE FILE")
	}
	var ids [2][]string
	for i, file := range args {
		for _, m := range jsonLines(ts, file) {
			ids[i] = append(ids[i], fmt.Sprint(m["detector"], " ", m["id"]))
		}
	}
	if len(ids[0]) == 0 || !slices.Equal(ids[0], ids[1]) {
		ts.Fatalf("%s has %v, %s has %v", args[0], ids[0], args[1], ids[1])
	}
}

func scriptCompress(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: compress gz|xz|zst FROM TO")
	}
	var out bytes.Buffer
	var w io.WriteCloser
	var err error
	switch args[0] {
	case "gz":
		w = gzip.NewWriter(&out)
	case "xz":
		w, err = xz.NewWriter(&out)
	case "zst":
		w, err = zstd.NewWriter(&out)
	default:
		ts.Fatalf("compress: %s?", args[0])
	}
	ts.Check(err)
	_, err = w.Write([]byte(ts.ReadFile(args[1])))
	ts.Check(err)
	ts.Check(w.Close())
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), out.Bytes(), 0o644))
}

func scriptUntil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until PATTERN COMMAND ARG...")
	}
	want, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err := ts.Exec(args[1], args[2:]...)
		if out := ts.ReadFile("stdout"); err == nil && want.MatchString(out) {
			return
		} else if time.Now().After(end) {
			ts.Fatalf("it never came that %q is in %q (%v)", args[0], out, err)
		}
	}
}
