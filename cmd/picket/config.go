package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/picket-dns/picket/internal/detect"
)

// config is the whole configuration of picket run. The comments are the source
// of docs/config.md. Zero values work: every key may be left out.
type config struct {
	// Directory for the store: findings, query history, ledger. Relative paths,
	// here and below, start at the folder of the configuration file.
	DataDir string `yaml:"data_dir" default:"data"`
	// Address of the console, the API and the metrics. Only loopback addresses are
	// accepted unless allow_remote_console is set.
	Listen string `yaml:"listen" default:"127.0.0.1:8053"`
	// Let listen be an address that others can reach. The console has no log-in yet.
	AllowRemoteConsole bool `yaml:"allow_remote_console" default:"false"`
	// Names, without port, under which the console may be reached besides loopback
	// ones; requests for other names are refused, against DNS rebinding.
	ConsoleHosts []string `yaml:"console_hosts"`
	// User to become, when started as root, once inputs and console are open. The data
	// directory is given to that user. Capturing needs root, or CAP_NET_RAW, to begin with.
	User string `yaml:"user"`
	// Zones that are watched, as master files (RFC 1035 §5).
	Zones []zoneConfig `yaml:"zones"`
	// Files with retired names, one a line: names that passive DNS still shows.
	Retired []string `yaml:"retired"`
	// Files with planted names, NAME[,CHANNEL] a line.
	Canaries []string `yaml:"canaries"`
	// Addresses or prefixes of listed secondaries: their transfers are intended.
	Secondaries []string `yaml:"secondaries"`
	// Addresses or prefixes of own scanners: what they do is informational.
	Own []string `yaml:"own"`
	// Name servers that answer for the zones: what is seen is held against them.
	Servers []serverConfig `yaml:"servers"`
	// Where telemetry comes from. At least one is needed for anything to be seen.
	Inputs []inputConfig `yaml:"inputs"`
	// Bounds and switches of the detectors.
	Detect detectConfig `yaml:"detect"`
	// Passive DNS of the answers that the name servers give.
	PassiveDNS passiveDNSConfig `yaml:"passive_dns"`
	// What is kept and for how long.
	Retention retentionConfig `yaml:"retention"`
	// Pseudonyms in place of the addresses of who asks.
	Privacy privacyConfig `yaml:"privacy"`
}

// zoneConfig is one watched zone.
type zoneConfig struct {
	// Master file of the zone.
	File string `yaml:"file"`
	// Origin of the file; left out, it is taken from $ORIGIN, the SOA or the file's name.
	Origin string `yaml:"origin"`
	// Address of a name server of the parent zone, asked now and then which name
	// servers it delegates to. Left out, the parent is looked for among the watched
	// zones, and else the zone's own NS records count.
	Parent string `yaml:"parent"`
}

// detectConfig bounds and switches the detectors.
type detectConfig struct {
	// Source-and-zone pairs remembered, 64 bytes each.
	Sources int `yaml:"sources" default:"1048576"`
	// Pairs with full state, about 4 KiB each.
	Suspects int `yaml:"suspects" default:"16384"`
	// How long a finding stays open without new evidence, in event time.
	EpisodeIdle time.Duration `yaml:"episode_idle" default:"2h"`
	// Switch every tool-specific pattern off.
	WithoutSignatures bool `yaml:"without_signatures" default:"false"`
	// Detectors that are not run, by name.
	Disabled []string `yaml:"disabled"`
}

// retentionConfig says how long things are kept.
type retentionConfig struct {
	// How long the query history is kept, by event time; whole hours are removed. 0,
	// here and below, keeps everything.
	Queries time.Duration `yaml:"queries" default:"720h"`
	// How long admin events, assets and signals are kept where they have no value of
	// their own, from when they were received; whole days are removed.
	Events time.Duration `yaml:"events" default:"8760h"`
	// How long admin events are kept. Left out, as events says.
	AdminEvents time.Duration `yaml:"admin_events"`
	// How long assets are kept. Left out, as events says.
	Assets time.Duration `yaml:"assets"`
	// How long signals are kept. Left out, as events says.
	Signals time.Duration `yaml:"signals"`
	// How long sightings of passive DNS are kept, from when something was last seen.
	// Left out, for ever, as of the two keys below.
	Sightings time.Duration `yaml:"sightings"`
	// How long changes of zones are kept, and records that are there no more, from when they ended.
	Changes time.Duration `yaml:"changes"`
	// How long findings are kept, from when they were last seen; open ones stay.
	Findings time.Duration `yaml:"findings"`
	// How long rejected records are kept.
	Quarantine time.Duration `yaml:"quarantine" default:"2160h"`
	// How long idempotency keys of pushed requests and names of objects taken are
	// remembered; what comes again later counts again.
	Marks time.Duration `yaml:"marks" default:"2160h"`
	// How long the counts of sealed queries are kept, by minute, input, server and zone, which
	// coverage is judged by; whole days are removed.
	Activity time.Duration `yaml:"activity" default:"9600h"`
	// How long it is kept what became of each input's records, by the minute; likewise.
	Intake time.Duration `yaml:"intake" default:"9600h"`
}

func defaultConfig() config {
	return config{
		DataDir: "data", Listen: "127.0.0.1:8053", PassiveDNS: defaultPassiveDNS(),
		Detect: detectConfig{Sources: 1 << 20, Suspects: 16384, EpisodeIdle: 2 * time.Hour},
		Retention: retentionConfig{Queries: 720 * time.Hour, Events: 8760 * time.Hour, Quarantine: 2160 * time.Hour, Marks: 2160 * time.Hour,
			Activity: 9600 * time.Hour, Intake: 9600 * time.Hour},
	}
}

// problems are all that is wrong with a configuration.
type problems struct {
	file string
	list []problem
}

type problem struct {
	line int // 0 when it is about the whole file
	text string
}

func (p *problems) add(line int, format string, args ...any) {
	p.list = append(p.list, problem{line, fmt.Sprintf(format, args...)})
}

// Error lists all problems, one a line, in the order of the file.
func (p *problems) Error() string {
	slices.SortStableFunc(p.list, func(a, b problem) int { return a.line - b.line })
	var b strings.Builder
	for i, x := range p.list {
		if i > 0 {
			b.WriteByte('\n')
		}
		if x.line > 0 {
			fmt.Fprintf(&b, "%s:%d: %s", p.file, x.line, x.text)
		} else {
			fmt.Fprintf(&b, "%s: %s", p.file, x.text)
		}
	}
	return b.String()
}

// loadConfig reads and checks a configuration file; the error is a *problems when
// the content is at fault.
func loadConfig(path string) (config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return config{}, fmt.Errorf("read configuration: %w", err)
	}
	return parseConfig(path, text)
}

func parseConfig(path string, text []byte) (config, error) {
	c := defaultConfig()
	p := &problems{file: path}
	lines := decodeStrict(text, &c, p)
	if len(p.list) > 0 {
		return config{}, p
	}
	c.resolve(filepath.Dir(path))
	c.validate(lines, p)
	if len(p.list) > 0 {
		return config{}, p
	}
	return c, nil
}

// resolve makes relative paths start at the configuration's folder.
func (c *config) resolve(dir string) {
	abs := func(s *string) {
		if *s != "" && !filepath.IsAbs(*s) {
			*s = filepath.Join(dir, *s)
		}
	}
	abs(&c.DataDir)
	abs(&c.Privacy.KeyFile)
	for i := range c.Zones {
		abs(&c.Zones[i].File)
	}
	for _, list := range [][]string{c.Retired, c.Canaries} {
		for i := range list {
			abs(&list[i])
		}
	}
	for i := range c.Inputs {
		c.Inputs[i].resolve(abs)
	}
}

// validate checks what the types cannot say.
func (c *config) validate(lines lineIndex, p *problems) {
	if err := checkListen(c.Listen); err != nil {
		p.add(lines.of("listen"), "listen: %q: %v", c.Listen, err)
	}
	for i, z := range c.Zones {
		if z.File == "" {
			p.add(lines.of("zones[%d]", i), "zones: an entry needs file, the path of a master file")
		}
	}
	names := map[string]bool{}
	for i := range c.Inputs {
		in := &c.Inputs[i]
		at := lines.of("inputs[%d]", i)
		in.validate(at, p)
		if in.Name == "" {
			in.Name = in.where()
		}
		if names[in.Name] {
			p.add(at, "inputs: two are named %q; give them different names", in.Name)
		}
		names[in.Name] = true
	}
	c.validateServers(lines, p)
	c.PassiveDNS.validate(lines, p)
	if c.Detect.Sources < 1024 || c.Detect.Suspects < 64 {
		p.add(lines.of("detect"), "detect: sources must be at least 1024 and suspects at least 64")
	}
	if c.Detect.EpisodeIdle < time.Minute {
		p.add(lines.of("detect.episode_idle"), "detect.episode_idle: %s is too short; at least 1m", c.Detect.EpisodeIdle)
	}
	c.Retention.validate(lines, p)
	c.Privacy.validate(c.DataDir, lines, p)
	for i, d := range c.Detect.Disabled {
		if !slices.Contains(detect.Names(), d) {
			p.add(lines.of("detect.disabled[%d]", i), "detect.disabled: no detector %q; want one of %s", d, strings.Join(detect.Names(), ", "))
		}
	}
}

// checkListen checks an address to listen on.
func checkListen(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("want HOST:PORT, such as 127.0.0.1:8053")
	}
	if host == "localhost" {
		return nil
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return fmt.Errorf("want an IP address before the port, such as 127.0.0.1:8053")
	}
	return nil
}

// knowledgeOptions names what the configuration says is known beforehand.
func (c *config) knowledgeOptions() knowledgeOptions {
	o := knowledgeOptions{retired: c.Retired, canaries: c.Canaries, secondaries: c.Secondaries, own: c.Own}
	for _, z := range c.Zones {
		arg := z.File
		if z.Origin != "" {
			arg = z.Origin + "=" + z.File
		}
		o.zoneFiles = append(o.zoneFiles, arg)
	}
	return o
}
