package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// maxGitFile bounds one version of a file unless GitConfig says otherwise.
const maxGitFile = 64 << 20

// maxGitCommits bounds a history; the Linux kernel's has a tenth of it.
const maxGitCommits = 10_000_000

// GitConfig says which history to read.
type GitConfig struct {
	// Path is a repository on this machine: a work tree's folder, or a bare
	// repository. Nothing is fetched; whoever keeps the clone does that.
	Path string
	// Branch is read along its first parents; "" is what HEAD names. A remote's
	// branch is origin/NAME.
	Branch string
	// Globs are the files of interest, as in zones/*.yaml; ** is any number of
	// folders. None means all.
	Globs []string
	// Since is the commit that was read last; "" begins with the first.
	Since string
	// MaxFile bounds one version of a file, in bytes; 0 means 64 MiB.
	MaxFile int64
}

// GitCommit is one version of a repository.
type GitCommit struct {
	Hash       string
	Author     string // name and <address>
	AuthorTime time.Time
	Time       time.Time // when it was committed
	Subject    string
	Trailers   []GitTrailer // the Key: value lines at the end of the message
	// Boundary says that what came before is not in this (shallow) clone: all
	// files are told as new, and are not this commit's doing.
	Boundary bool
	// Rewritten says that this is no commit but the step from the one read last,
	// which the branch no longer has, back to Hash, from where both go on.
	Rewritten bool
}

// GitTrailer is a line such as "Ticket: DNS-17" (git interpret-trailers).
type GitTrailer struct{ Key, Value string }

// Trailer returns the value of the first trailer with one of the keys, in any
// case; "" when there is none.
func (c *GitCommit) Trailer(keys ...string) string {
	for _, k := range keys {
		for _, t := range c.Trailers {
			if strings.EqualFold(t.Key, k) {
				return t.Value
			}
		}
	}
	return ""
}

// GitFile is what a commit did to one file.
type GitFile struct {
	Path    string // slashed; of the version that is there, the old one's when it was deleted
	OldPath string // before; "" for a new file, another one when it was renamed
	Old     []byte // content before; nil when there was none
	New     []byte // content after; nil when it was deleted
	// TooLarge says that one of the versions is beyond the bound and not given.
	TooLarge bool
}

// GitHandler is told a history, oldest first.
type GitHandler interface {
	// GitFile is told what a commit did to a file.
	GitFile(*GitCommit, *GitFile) error
	// GitCommit is told when all files of a commit have been: from its Hash reading
	// can resume ("" being the beginning).
	GitCommit(*GitCommit) error
}

// GitResult says how far a history was read.
type GitResult struct {
	Head    string // the last commit; Since when there was nothing new
	Commits int
	// Rewritten says that Since is not on the branch, because history was rewritten,
	// another branch was named, or Since is gone for good. Base is where reading went
	// on from: the newest commit that Since and the branch share, "" for the beginning.
	Rewritten bool
	Base      string
	// Lost says that of Since not even the object is there, so that what it had is
	// not told as undone.
	Lost bool
}

// Git reads the history of a repository that lies on this machine. An error is
// one of reading the repository, or the handler's.
func Git(ctx context.Context, cfg GitConfig, h GitHandler) (GitResult, error) {
	g := &gitReader{ctx: ctx, cfg: cfg, h: h, limit: cfg.MaxFile}
	if g.limit <= 0 {
		g.limit = maxGitFile
	}
	if err := g.open(); err != nil {
		return GitResult{}, fmt.Errorf("git repository %s: %w", cfg.Path, err)
	}
	res, err := g.read()
	if err != nil && g.handlerErr == nil {
		err = fmt.Errorf("git repository %s: %w", cfg.Path, err)
	}
	return res, err
}

type gitReader struct {
	ctx        context.Context
	cfg        GitConfig
	h          GitHandler
	limit      int64
	globs      [][]string // by path element
	repo       *git.Repository
	handlerErr error
}

func (g *gitReader) open() (err error) {
	for _, pattern := range g.cfg.Globs {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			return fmt.Errorf("path %q: not a pattern such as zones/*.yaml", pattern)
		}
		g.globs = append(g.globs, strings.Split(strings.Trim(pattern, "/"), "/"))
	}
	g.repo, err = git.PlainOpenWithOptions(g.cfg.Path, &git.PlainOpenOptions{EnableDotGitCommonDir: true})
	return err
}

// tip is the branch's last commit; zero when the repository has none yet.
func (g *gitReader) tip() (plumbing.Hash, error) {
	if g.cfg.Branch == "" {
		ref, err := g.repo.Head()
		if errors.Is(err, plumbing.ErrReferenceNotFound) {
			return plumbing.ZeroHash, nil
		}
		if err != nil {
			return plumbing.ZeroHash, fmt.Errorf("HEAD: %w", err)
		}
		return ref.Hash(), nil
	}
	for _, folder := range []string{"refs/heads/", "refs/remotes/", "refs/remotes/origin/"} {
		ref, err := g.repo.Reference(plumbing.ReferenceName(folder+g.cfg.Branch), true)
		if err == nil {
			return ref.Hash(), nil
		}
		if !errors.Is(err, plumbing.ErrReferenceNotFound) {
			return plumbing.ZeroHash, fmt.Errorf("branch %s: %w", g.cfg.Branch, err)
		}
	}
	return plumbing.ZeroHash, fmt.Errorf("branch %s: there is none of that name", g.cfg.Branch)
}

func (g *gitReader) read() (res GitResult, err error) {
	res.Head = g.cfg.Since
	head, err := g.tip()
	if err != nil || head.IsZero() {
		return res, err
	}
	since := plumbing.NewHash(g.cfg.Since)
	chain, boundary, err := g.firstParents(head, since)
	if err != nil {
		return res, err
	}
	from := plumbing.ZeroHash // the commit that the next one is compared with
	if g.cfg.Since != "" {
		if at := slices.Index(chain, since); at >= 0 {
			chain, from, boundary = chain[:at], since, false
		} else {
			res.Rewritten = true
			at, lost, err := g.base(since, chain)
			if err != nil {
				return res, err
			}
			if res.Lost = lost; at >= 0 {
				from, boundary = chain[at], false
				res.Base, chain = from.String(), chain[:at]
			}
			if !lost {
				if err := g.undo(since, from); err != nil {
					return res, err
				}
			}
		}
	}
	for i := len(chain) - 1; i >= 0; i-- {
		if err := g.commit(from, chain[i], boundary && i == len(chain)-1); err != nil {
			return res, err
		}
		from = chain[i]
		res.Head = from.String()
		res.Commits++
	}
	res.Head = head.String()
	return res, nil
}

// firstParents are the commits from head along first parents, down to since, or
// to where history or a shallow clone ends; boundary says that it is the latter.
func (g *gitReader) firstParents(head, since plumbing.Hash) (chain []plumbing.Hash, boundary bool, err error) {
	for h := head; ; {
		if err := g.ctx.Err(); err != nil {
			return nil, false, err
		}
		c, err := g.repo.CommitObject(h)
		if errors.Is(err, plumbing.ErrObjectNotFound) && len(chain) > 0 {
			return chain, true, nil
		}
		if err != nil {
			return nil, false, fmt.Errorf("commit %s: %w", h, err)
		}
		chain = append(chain, h)
		if h == since || len(c.ParentHashes) == 0 || len(chain) >= maxGitCommits {
			return chain, false, nil
		}
		h = c.ParentHashes[0]
	}
}

// base finds the newest commit of the chain that since comes from: its place, or
// -1. lost says that since itself is not there.
func (g *gitReader) base(since plumbing.Hash, chain []plumbing.Hash) (at int, lost bool, err error) {
	place := make(map[plumbing.Hash]int, len(chain))
	for i, h := range chain {
		place[h] = i
	}
	at = -1
	seen := map[plumbing.Hash]bool{since: true}
	for queue := []plumbing.Hash{since}; len(queue) > 0; queue = queue[1:] {
		if err := g.ctx.Err(); err != nil {
			return -1, false, err
		}
		h := queue[0]
		if i, ok := place[h]; ok { // its ancestors are older
			if at < 0 || i < at {
				at = i
			}
			continue
		}
		c, err := g.repo.CommitObject(h)
		if err != nil {
			if h == since {
				return -1, true, nil
			}
			continue // beyond a shallow clone's end
		}
		for _, p := range c.ParentHashes {
			if !seen[p] && len(seen) < maxGitCommits {
				seen[p] = true
				queue = append(queue, p)
			}
		}
	}
	return at, false, nil
}

// undo tells the step back from a commit that the branch no longer has.
func (g *gitReader) undo(from, to plumbing.Hash) error {
	c := &GitCommit{Rewritten: true}
	if !to.IsZero() {
		base, err := g.describe(to)
		if err != nil {
			return err
		}
		*c = *base
		c.Rewritten = true
	}
	if err := g.changes(c, from, to); err != nil {
		return err
	}
	return g.told(g.h.GitCommit(c))
}

// commit tells what one commit did.
func (g *gitReader) commit(from, to plumbing.Hash, boundary bool) error {
	c, err := g.describe(to)
	if err != nil {
		return err
	}
	c.Boundary = boundary
	if err := g.changes(c, from, to); err != nil {
		return err
	}
	return g.told(g.h.GitCommit(c))
}

// told notes an error as the handler's.
func (g *gitReader) told(err error) error {
	if err != nil {
		g.handlerErr = err
	}
	return err
}

// changes tells the files that differ between two commits, of which from may be
// none.
func (g *gitReader) changes(c *GitCommit, from, to plumbing.Hash) error {
	if err := g.ctx.Err(); err != nil {
		return err
	}
	a, err := g.tree(from)
	if err != nil {
		return err
	}
	b, err := g.tree(to)
	if err != nil {
		return err
	}
	list, err := object.DiffTreeWithOptions(g.ctx, a, b, &object.DiffTreeOptions{DetectRenames: true, OnlyExactRenames: true})
	if err != nil {
		return fmt.Errorf("compare %s with %s: %w", from, to, err)
	}
	slices.SortFunc(list, func(x, y *object.Change) int { return strings.Compare(changedPath(x), changedPath(y)) })
	for _, ch := range list {
		f := &GitFile{Path: changedPath(ch)}
		old, new := ch.From, ch.To
		hadOld, hasNew := g.wanted(old), g.wanted(new)
		if hadOld {
			f.OldPath = old.Name
			if f.Old, err = g.content(old, f); err != nil {
				return err
			}
		}
		if hasNew {
			f.Path = new.Name
			if f.New, err = g.content(new, f); err != nil {
				return err
			}
		} else {
			f.Path = old.Name
		}
		if hadOld || hasNew {
			if err := g.told(g.h.GitFile(c, f)); err != nil {
				return err
			}
		}
	}
	return nil
}

func changedPath(c *object.Change) string {
	if c.To.Name != "" {
		return c.To.Name
	}
	return c.From.Name
}

// tree is a commit's; nil for none.
func (g *gitReader) tree(h plumbing.Hash) (*object.Tree, error) {
	if h.IsZero() {
		return nil, nil
	}
	c, err := g.repo.CommitObject(h)
	if err != nil {
		return nil, fmt.Errorf("commit %s: %w", h, err)
	}
	t, err := c.Tree()
	if err != nil {
		return nil, fmt.Errorf("tree of commit %s: %w", h, err)
	}
	return t, nil
}

// wanted reports whether one side of a change is a file of interest: no symbolic
// link, no submodule.
func (g *gitReader) wanted(e object.ChangeEntry) bool {
	if e.Name == "" || !g.matches(e.Name) {
		return false
	}
	switch e.TreeEntry.Mode {
	case filemode.Regular, filemode.Executable, filemode.Deprecated:
		return true
	}
	return false
}

// content reads one version of a file within the bound.
func (g *gitReader) content(e object.ChangeEntry, f *GitFile) ([]byte, error) {
	size, err := g.repo.Storer.EncodedObjectSize(e.TreeEntry.Hash)
	if err != nil {
		return nil, fmt.Errorf("file %s: %w", e.Name, err)
	}
	if size > g.limit {
		f.TooLarge = true
		return nil, nil
	}
	blob, err := g.repo.BlobObject(e.TreeEntry.Hash)
	if err != nil {
		return nil, fmt.Errorf("file %s: %w", e.Name, err)
	}
	r, err := blob.Reader()
	if err != nil {
		return nil, fmt.Errorf("file %s: %w", e.Name, err)
	}
	defer func() { _ = r.Close() }()
	b, err := io.ReadAll(io.LimitReader(r, g.limit+1))
	if err != nil {
		return nil, fmt.Errorf("file %s: %w", e.Name, err)
	}
	if int64(len(b)) > g.limit {
		f.TooLarge = true
		return nil, nil
	}
	if b == nil {
		b = []byte{}
	}
	return b, nil
}

// describe reads what is known of a commit.
func (g *gitReader) describe(h plumbing.Hash) (*GitCommit, error) {
	c, err := g.repo.CommitObject(h)
	if err != nil {
		return nil, fmt.Errorf("commit %s: %w", h, err)
	}
	author := oneLine(c.Author.Name)
	if c.Author.Email != "" {
		author = strings.TrimSpace(author + " <" + oneLine(c.Author.Email) + ">")
	}
	message := strings.ReplaceAll(c.Message, "\r\n", "\n")
	subject, _, _ := strings.Cut(strings.TrimLeft(message, "\n"), "\n")
	return &GitCommit{Hash: h.String(), Author: author, AuthorTime: c.Author.When.UTC(), Time: c.Committer.When.UTC(),
		Subject: oneLine(subject), Trailers: trailers(message)}, nil
}

// maxGitText bounds an author's name, a subject and a trailer, in bytes.
const maxGitText = 1024

// oneLine is text of a commit fit to be shown: whoever may push chooses it.
func oneLine(s string) string {
	if len(s) > maxGitText {
		s = s[:maxGitText]
	}
	s = strings.Map(func(c rune) rune {
		if c < ' ' || (c >= 0x7f && c < 0xa0) || c == utf8.RuneError {
			return ' '
		}
		return c
	}, s)
	return strings.TrimSpace(s)
}

// trailers are the Key: value lines of a message's last paragraph, when it has
// nothing else and is not the first.
func trailers(message string) (list []GitTrailer) {
	message = strings.TrimRight(message, " \n")
	i := strings.LastIndex(message, "\n\n")
	if i < 0 {
		return nil
	}
	for line := range strings.SplitSeq(message[i+2:], "\n") {
		if len(line) > 0 && (line[0] == ' ' || line[0] == '\t') && len(list) > 0 {
			last := &list[len(list)-1]
			last.Value = oneLine(last.Value + " " + strings.TrimSpace(line))
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok || key == "" || strings.ContainsFunc(key, notTrailerKey) || strings.HasPrefix(value, "//") {
			return nil
		}
		list = append(list, GitTrailer{Key: key, Value: oneLine(value)})
	}
	return list
}

func notTrailerKey(c rune) bool {
	return c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
}

// matches reports whether a path is of interest.
func (g *gitReader) matches(name string) bool {
	if len(g.globs) == 0 {
		return true
	}
	parts := strings.Split(name, "/")
	for _, glob := range g.globs {
		if globMatch(glob, parts) {
			return true
		}
	}
	return false
}

// globMatch matches path elements; a pattern's element ** stands for any number of
// them. Each row holds which beginnings of the pattern match what was seen.
func globMatch(glob, parts []string) bool {
	row := make([]bool, len(glob)+1)
	row[0] = true
	for i := 0; i < len(glob) && glob[i] == "**"; i++ {
		row[i+1] = true
	}
	for _, part := range parts {
		next := make([]bool, len(glob)+1)
		for i, g := range glob {
			switch {
			case g == "**":
				next[i+1] = row[i] || row[i+1] || next[i] // takes the part, or nothing
			case row[i]:
				if ok, err := path.Match(g, part); err == nil && ok {
					next[i+1] = true
				}
			}
		}
		row = next
	}
	return row[len(glob)]
}
