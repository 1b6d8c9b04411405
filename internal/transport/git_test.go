package transport

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// gitRepo is a repository that a test writes.
type gitRepo struct {
	t    *testing.T
	dir  string
	repo *git.Repository
	tree *git.Worktree
	when time.Time
}

func newGitRepo(t *testing.T) *gitRepo {
	t.Helper()
	dir := t.TempDir()
	repo, err := git.PlainInit(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := repo.Worktree()
	if err != nil {
		t.Fatal(err)
	}
	return &gitRepo{t, dir, repo, tree, time.Date(2026, 3, 1, 12, 0, 0, 0, time.FixedZone("", 3600))}
}

// commit writes files ("" deletes one) and returns the new commit.
func (r *gitRepo) commit(message string, files map[string]string, parents ...plumbing.Hash) string {
	r.t.Helper()
	for name, text := range files {
		full := filepath.Join(r.dir, name)
		var err error
		if text == "" {
			_, err = r.tree.Remove(name)
		} else {
			if err = os.MkdirAll(filepath.Dir(full), 0o755); err == nil {
				err = os.WriteFile(full, []byte(text), 0o644)
			}
			if err == nil {
				_, err = r.tree.Add(name)
			}
		}
		if err != nil {
			r.t.Fatal(err)
		}
	}
	r.when = r.when.Add(time.Hour)
	h, err := r.tree.Commit(message, &git.CommitOptions{
		Author:    &object.Signature{Name: "Ada Example", Email: "ada@example.com", When: r.when},
		Committer: &object.Signature{Name: "Bot", Email: "bot@example.com", When: r.when.Add(time.Minute)},
		Parents:   parents, AllowEmptyCommits: true,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return h.String()
}

func (r *gitRepo) reset(hash string) {
	r.t.Helper()
	if err := r.tree.Reset(&git.ResetOptions{Commit: plumbing.NewHash(hash), Mode: git.HardReset}); err != nil {
		r.t.Fatal(err)
	}
}

// gitLog writes down what it is told, a line each.
type gitLog struct {
	lines   []string
	commits []*GitCommit
	fail    error
}

func (l *gitLog) GitFile(c *GitCommit, f *GitFile) error {
	mark := ""
	if c.Rewritten {
		mark = "undo "
	}
	if c.Boundary {
		mark = "boundary "
	}
	text := func(b []byte) string {
		if b == nil {
			return "-"
		}
		return string(b)
	}
	name := f.Path
	if f.OldPath != "" && f.OldPath != f.Path {
		name = f.OldPath + ">" + f.Path
	}
	if f.TooLarge {
		mark += "large "
	}
	l.lines = append(l.lines, fmt.Sprintf("%s%s %s %s", mark, name, text(f.Old), text(f.New)))
	return l.fail
}

func (l *gitLog) GitCommit(c *GitCommit) error {
	l.commits = append(l.commits, c)
	return nil
}

func readGit(t *testing.T, cfg GitConfig) (*gitLog, GitResult) {
	t.Helper()
	l := &gitLog{}
	res, err := Git(context.Background(), cfg, l)
	if err != nil {
		t.Fatal(err)
	}
	return l, res
}

func wantLines(t *testing.T, l *gitLog, want ...string) {
	t.Helper()
	if !slices.Equal(l.lines, want) {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(l.lines, "\n"), strings.Join(want, "\n"))
	}
}

func TestGitHistory(t *testing.T) {
	r := newGitRepo(t)
	one := r.commit("zones: begin\n\nWhy it is so.\n\nTicket: DNS-17\nReviewed-by: Bo <bo@example.com>\n folded\n", map[string]string{"zones/a.zone": "a1", "README": "x"})
	two := r.commit("more", map[string]string{"zones/a.zone": "a2", "zones/deep/b.zone": "b1"})
	three := r.commit("move\x1b[31m it", map[string]string{"zones/deep/b.zone": "", "zones/c.zone": "b1"})
	four := r.commit("drop", map[string]string{"zones/a.zone": ""})

	l, res := readGit(t, GitConfig{Path: r.dir, Globs: []string{"zones/**/*.zone"}})
	wantLines(t, l, "zones/a.zone - a1", "zones/a.zone a1 a2", "zones/deep/b.zone - b1", "zones/deep/b.zone>zones/c.zone b1 b1", "zones/a.zone a2 -")
	if res != (GitResult{Head: four, Commits: 4}) {
		t.Errorf("%+v", res)
	}
	c := l.commits[0]
	if c.Hash != one || c.Author != "Ada Example <ada@example.com>" || c.Subject != "zones: begin" ||
		!c.AuthorTime.Equal(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)) || !c.Time.Equal(time.Date(2026, 3, 1, 12, 1, 0, 0, time.UTC)) {
		t.Errorf("%+v", c)
	}
	if c.Trailer("issue", "ticket") != "DNS-17" || c.Trailer("Reviewed-By") != "Bo <bo@example.com> folded" || len(c.Trailers) != 2 {
		t.Errorf("%q", c.Trailers)
	}
	if got := l.commits[2].Subject; got != "move [31m it" {
		t.Errorf("subject %q", got)
	}

	l, res = readGit(t, GitConfig{Path: r.dir, Since: two})
	wantLines(t, l, "zones/deep/b.zone>zones/c.zone b1 b1", "zones/a.zone a2 -")
	if res != (GitResult{Head: four, Commits: 2}) || l.commits[0].Hash != three {
		t.Errorf("%+v", res)
	}
	if l, res = readGit(t, GitConfig{Path: r.dir, Since: four}); len(l.lines)+len(l.commits) != 0 || res != (GitResult{Head: four}) {
		t.Errorf("%v %+v", l.lines, res)
	}
	l, _ = readGit(t, GitConfig{Path: r.dir, Since: one, Globs: []string{"*/*.zone"}, MaxFile: 1})
	wantLines(t, l, "large zones/a.zone - -", "large zones/c.zone - -", "large zones/a.zone - -")
}

// TestGitMerge: what a side branch did is told once, as the merge's.
func TestGitMerge(t *testing.T) {
	r := newGitRepo(t)
	base := r.commit("base", map[string]string{"z": "1"})
	side := r.commit("side", map[string]string{"y": "1"})
	r.reset(base)
	trunk := r.commit("trunk", map[string]string{"z": "2"})
	merge := r.commit("merge", map[string]string{"y": "1"}, plumbing.NewHash(trunk), plumbing.NewHash(side))

	l, res := readGit(t, GitConfig{Path: r.dir})
	wantLines(t, l, "z - 1", "z 1 2", "y - 1")
	if res.Commits != 3 || res.Head != merge || l.commits[2].Subject != "merge" {
		t.Errorf("%+v", res)
	}
	// Whoever had read the side branch goes back to where both part.
	l, res = readGit(t, GitConfig{Path: r.dir, Since: side})
	wantLines(t, l, "undo y 1 -", "z 1 2", "y - 1")
	if res != (GitResult{Head: merge, Commits: 2, Rewritten: true, Base: base}) {
		t.Errorf("%+v", res)
	}
}

func TestGitRewritten(t *testing.T) {
	r := newGitRepo(t)
	one := r.commit("one", map[string]string{"z": "1"})
	old := r.commit("old", map[string]string{"z": "old", "gone": "g"})
	r.reset(one)
	l, res := readGit(t, GitConfig{Path: r.dir, Since: old}) // back, and nothing new
	wantLines(t, l, "undo gone g -", "undo z old 1")
	if res != (GitResult{Head: one, Rewritten: true, Base: one}) || len(l.commits) != 1 || l.commits[0].Hash != one || !l.commits[0].Rewritten {
		t.Errorf("%+v %v", res, l.commits)
	}
	two := r.commit("two", map[string]string{"z": "2"})
	l, res = readGit(t, GitConfig{Path: r.dir, Since: old})
	wantLines(t, l, "undo gone g -", "undo z old 1", "z 1 2")
	if res != (GitResult{Head: two, Commits: 1, Rewritten: true, Base: one}) {
		t.Errorf("%+v", res)
	}
	for _, since := range []string{"0123456789012345678901234567890123456789", "nonsense"} {
		l, res = readGit(t, GitConfig{Path: r.dir, Since: since})
		wantLines(t, l, "z - 1", "z 1 2")
		if res != (GitResult{Head: two, Commits: 2, Rewritten: true, Lost: true}) {
			t.Errorf("%+v", res)
		}
	}
}

func TestGitShallow(t *testing.T) {
	r := newGitRepo(t)
	r.commit("one", map[string]string{"z": "1"})
	r.commit("two", map[string]string{"z": "2", "y": "2"})
	head := r.commit("three", map[string]string{"z": "3"})
	dir := t.TempDir()
	if _, err := git.PlainClone(dir, true, &git.CloneOptions{URL: r.dir, Depth: 2}); err != nil {
		t.Fatal(err)
	}
	l, res := readGit(t, GitConfig{Path: dir, Branch: "master"})
	wantLines(t, l, "boundary y - 2", "boundary z - 2", "z 2 3")
	if res != (GitResult{Head: head, Commits: 2}) {
		t.Errorf("%+v", res)
	}
}

func TestGitErrors(t *testing.T) {
	r := newGitRepo(t)
	if l, res := readGit(t, GitConfig{Path: r.dir}); len(l.lines) != 0 || res != (GitResult{}) { // no commit yet
		t.Errorf("%v %+v", l.lines, res)
	}
	r.commit("one", map[string]string{"z": "1"})
	for want, cfg := range map[string]GitConfig{
		"repository does not exist":        {Path: t.TempDir()},
		"branch nowhere: there is none":    {Path: r.dir, Branch: "nowhere"},
		`path "[": not a pattern such as`:  {Path: r.dir, Globs: []string{"["}},
		`path "": not a pattern such as z`: {Path: r.dir, Globs: []string{""}},
	} {
		if _, err := Git(context.Background(), cfg, &gitLog{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	mine := errors.New("mine")
	if _, err := Git(context.Background(), GitConfig{Path: r.dir}, &gitLog{fail: mine}); err != mine {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Git(ctx, GitConfig{Path: r.dir}, &gitLog{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestGitGlobs(t *testing.T) {
	for _, tc := range []struct {
		glob, path string
		want       bool
	}{
		{"zones/*.yaml", "zones/a.yaml", true}, {"zones/*.yaml", "zones/x/a.yaml", false}, {"*.yaml", "zones/a.yaml", false},
		{"**/*.yaml", "a.yaml", true}, {"**/*.yaml", "x/y/a.yaml", true}, {"zones/**", "zones/x/y", true}, {"zones/**", "zone", false},
		{"**", "a/b", true}, {"a/**/b", "a/b", true}, {"a/**/b", "a/x/y/b", true}, {"a/**/b", "a/x/y/c", false}, {"a/**/**/b", "a/b", true},
		{"a/**/x/**/b", "a/x/x/b", true}, {"[ab]/?", "b/z", true},
	} {
		if got := globMatch(strings.Split(tc.glob, "/"), strings.Split(tc.path, "/")); got != tc.want {
			t.Errorf("%s matches %s: %v", tc.glob, tc.path, got)
		}
	}
}
