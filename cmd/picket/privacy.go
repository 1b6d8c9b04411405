package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/intake"
	"github.com/picket-dns/picket/internal/pseudonym"
)

// privacyConfig says what becomes of the addresses of who asks.
type privacyConfig struct {
	// Replace addresses of clients, EDNS client subnets and sources of signals by
	// pseudonyms, before anything is stored or detected. See [privacy](privacy.md).
	Pseudonymise bool `yaml:"pseudonymise" default:"false"`
	// File with the key of the pseudonyms: 32 bytes, hexadecimal or base64, as picket
	// privacy key writes it. Only its owner may be able to read it, and it must not be
	// in data_dir: whoever has both has the addresses.
	KeyFile string `yaml:"key_file"`
	// Roles that may re-identify for a case, each with the OS users that have it.
	Roles map[string][]string `yaml:"roles"`
}

func (c *privacyConfig) validate(dataDir string, lines lineIndex, p *problems) {
	if c.Pseudonymise && c.KeyFile == "" {
		p.add(lines.of("privacy.pseudonymise"), "privacy: pseudonymise needs key_file; picket privacy key FILE makes one")
	}
	if c.KeyFile != "" && within(c.KeyFile, dataDir) {
		p.add(lines.of("privacy.key_file"), "privacy.key_file: %s is in data_dir; keep the key apart from what it protects", c.KeyFile)
	}
	for _, role := range sortedKeys(c.Roles) {
		if len(c.Roles[role]) == 0 || slices.Contains(c.Roles[role], "") {
			p.add(lines.of("privacy.roles.%s", role), "privacy.roles: role %s needs a list of OS users", role)
		}
	}
}

// within reports whether a path lies below a folder, by name.
func within(path, dir string) bool {
	path, err1 := filepath.Abs(path)
	dir, err2 := filepath.Abs(dir)
	rel, err3 := filepath.Rel(dir, path)
	return errors.Join(err1, err2, err3) == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// loadKey reads a key file, and refuses one that others could have read.
func loadKey(path, dataDir string) (*pseudonym.Mapper, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("key file %s: is no regular file", path)
	}
	if open := st.Mode().Perm() & 0o077; open != 0 {
		return nil, fmt.Errorf("key file %s: its mode %#o lets others than its owner at it; chmod 600 it, or make a new key if others may have read it", path, st.Mode().Perm())
	}
	if dataDir != "" { // links are followed: the configuration was held against names only
		real, err1 := filepath.EvalSymlinks(path)
		dir, err2 := filepath.EvalSymlinks(dataDir)
		if err1 == nil && err2 == nil && within(real, dir) {
			return nil, fmt.Errorf("key file %s: is in the data directory %s; keep the key apart from what it protects", path, dataDir)
		}
	}
	var text [512]byte // more than any key has
	n, err := f.Read(text[:])
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	key, err := pseudonym.ParseKey(string(text[:n]))
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	return pseudonym.New(key)
}

// privacy is what the configuration says, with the key loaded.
type privacy struct {
	cfg    privacyConfig
	mapper *pseudonym.Mapper // nil without a key
}

// openPrivacy loads the key, if one is configured.
func openPrivacy(cfg config) (*privacy, error) {
	p := &privacy{cfg: cfg.Privacy}
	if p.cfg.KeyFile == "" {
		return p, nil
	}
	var err error
	if p.mapper, err = loadKey(p.cfg.KeyFile, cfg.DataDir); err != nil {
		return nil, fmt.Errorf("privacy: %w", err)
	}
	return p, nil
}

// mapRoles has listed secondaries and own prefixes known by their pseudonyms.
func (p *privacy) mapRoles(k *knowledge) {
	if p.cfg.Pseudonymise {
		k.sources = k.sources.Map(p.mapper.Prefix)
	}
}

// mapIntake has addresses replaced at the way in.
func (p *privacy) mapIntake(h *intake.House) {
	if p.cfg.Pseudonymise {
		h.Pseudonymise(p.mapper)
	}
}

// alias is an address as it is kept: its pseudonym, where addresses are replaced.
func (p *privacy) alias(a netip.Addr) netip.Addr {
	if !p.cfg.Pseudonymise || !a.IsValid() {
		return a
	}
	return p.mapper.Pseudonym(a)
}

// mapQueries returns a sink that replaces addresses on the way to another.
func (p *privacy) mapQueries(to picket.QuerySink) picket.QuerySink {
	if !p.cfg.Pseudonymise {
		return to
	}
	return &pseudonymousQueries{mapper: p.mapper, to: to}
}

// pseudonymousQueries replaces addresses on the way to a sink, for scan.
type pseudonymousQueries struct {
	mapper *pseudonym.Mapper
	to     picket.QuerySink
	mapped picket.Query
}

// Query implements picket.QuerySink.
func (s *pseudonymousQueries) Query(q *picket.Query) error {
	s.mapped = *q
	s.mapped.Client, s.mapped.ClientSubnet = s.mapper.Pseudonym(q.Client), s.mapper.Prefix(q.ClientSubnet)
	return s.to.Query(&s.mapped)
}

func privacyCommand(std streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "privacy",
		Short: "Make the key of pseudonyms",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "key FILE",
		Short: "Write a new random key that only you can read",
		Long: `Key writes a new key for privacy.key_file, with mode 0600. It never overwrites a
file. Who has the key can undo the pseudonyms; without it nobody can, so keep a copy
where you keep other keys, and not with the data.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := writeKey(args[0]); err != nil {
				return &exitError{exitSome, err}
			}
			fmt.Fprintf(std.out, "Wrote %s. Name it in privacy.key_file.\n", args[0])
			return nil
		},
	})
	return cmd
}

func writeKey(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already; it was left as it is", path)
	}
	if err != nil {
		return fmt.Errorf("create key file: %w", err)
	}
	_, err = f.WriteString(pseudonym.NewKey() + "\n")
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write key file: %w", err)
	}
	return nil
}

// parseAddrs reads addresses and prefixes; a single address is the prefix of itself.
func parseAddrs(args []string) ([]netip.Prefix, error) {
	var list []netip.Prefix
	for _, arg := range args {
		if p, err := netip.ParsePrefix(arg); err == nil && !p.Addr().Is4In6() {
			list = append(list, p.Masked())
			continue
		}
		a, err := netip.ParseAddr(arg)
		if err != nil || a.Zone() != "" {
			return nil, fmt.Errorf("%q: want an address such as 192.0.2.7, or a prefix such as 2001:db8::/64", arg)
		}
		a = a.Unmap()
		list = append(list, netip.PrefixFrom(a, a.BitLen()))
	}
	return list, nil
}

// prefixText writes a prefix, a single address without its length.
func prefixText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
