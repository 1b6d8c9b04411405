package main

import (
	"slices"
	"strings"
	"time"

	"github.com/picket-dns/picket/internal/input"
	"github.com/picket-dns/picket/internal/input/decode"
	"github.com/picket-dns/picket/internal/transport"
)

// inputConfig is one source of telemetry. Exactly one of file, unix, tcp,
// syslog_udp, syslog_tcp, syslog_tls, http, bucket, kafka, capture, git and transfer
// says where the bytes come from.
type inputConfig struct {
	// Name in metrics, the console and messages; left out, it is made of the rest.
	// The input's counts and positions are kept under it.
	Name string `yaml:"name"`
	// Format of the telemetry, or auto to tell it by content.
	Format string `yaml:"format" default:"auto"`
	// File that is read and followed, through rotation; or a pattern such as
	// /var/log/named/*.log; or - for standard input. A file that is a document, such
	// as a zone file, is read again whenever it changes.
	File string `yaml:"file"`
	// Unix socket to listen on, for dnstap and for lines.
	Unix string `yaml:"unix"`
	// TCP address to listen on, for dnstap and for lines; with TLS when tls is given.
	TCP string `yaml:"tcp"`
	// UDP address to take syslog on (RFC 3164, RFC 5424).
	SyslogUDP string `yaml:"syslog_udp"`
	// TCP address to take syslog on (RFC 6587 framings).
	SyslogTCP string `yaml:"syslog_tcp"`
	// TCP address to take syslog on with TLS (RFC 5425); needs tls.
	SyslogTLS string `yaml:"syslog_tls"`
	// Take what is pushed over HTTP.
	HTTP *httpConfig `yaml:"http"`
	// Take the objects of an S3-compatible bucket.
	Bucket *bucketConfig `yaml:"bucket"`
	// Consume topics of Kafka.
	Kafka *kafkaConfig `yaml:"kafka"`
	// Capture packets from a network interface.
	Capture *captureConfig `yaml:"capture"`
	// Take the history of DNS as code out of a git repository.
	Git *gitConfig `yaml:"git"`
	// Transfer zones from their primary, and follow their changes.
	Transfer *transferConfig `yaml:"transfer"`
	// Name server whose telemetry this is, by its name under servers; for telemetry
	// that does not carry the server's address.
	Server string `yaml:"server"`
	// Who provides the telemetry, for reports.
	Provider string `yaml:"provider"`
	// Longest silence that is normal. Left out, what came at this hour of the week
	// before tells.
	Expect time.Duration `yaml:"expect"`
	// Certificate of the listener; for tcp, syslog_tls and http.
	TLS *tlsConfig `yaml:"tls"`
	// Time zone of logs that write local time without one, such as Europe/Vienna.
	// Left out, such times are read as UTC, and the input says so.
	Timezone string `yaml:"timezone"`
	// How dates such as 04/05/2026 are meant: mdy, dmy or ymd; for formats that
	// leave it to the locale.
	DateOrder string `yaml:"date_order"`
	// Zone of record formats that do not say it, such as example.com.
	Origin string `yaml:"origin"`
	// Count dnstap's client messages as queries: for a front end, such as dnsdist,
	// of authoritative servers.
	FrontEnd bool `yaml:"front_end" default:"false"`
	// Which fields mean what, for the generic JSON and CSV formats.
	Mapping *decode.Mapping `yaml:"mapping"`
}

// httpConfig says where telemetry is pushed to.
type httpConfig struct {
	// Address to listen on. Requests are POST / or POST /NAME, their body telemetry as
	// it is, or compressed with gzip or zstd; the answer comes when it is stored.
	Address string `yaml:"address"`
	// File with bearer tokens, one a line. Without one, and without client
	// certificates, only loopback addresses are listened on.
	TokenFile string `yaml:"token_file"`
	// Most bytes of one body, compressed or not, in MiB.
	MaxBodyMiB int `yaml:"max_body_mib" default:"64"`
}

// bucketConfig says which objects are taken.
type bucketConfig struct {
	// Name of the bucket.
	Name string `yaml:"name"`
	// Only objects whose keys begin so.
	Prefix string `yaml:"prefix"`
	// URL of the service; left out, it is that of AWS in the region.
	Endpoint string `yaml:"endpoint"`
	// Region, as the service names it.
	Region string `yaml:"region"`
	// How often the bucket is listed.
	Poll time.Duration `yaml:"poll" default:"1m"`
	// URL of an SQS queue that names new objects; then the bucket is not listed.
	Queue string `yaml:"queue"`
	// File with access keys, in the form of AWS's shared credentials. Left out, the
	// environment and the machine's role are asked.
	CredentialsFile string `yaml:"credentials_file"`
}

// kafkaConfig says which topics are consumed.
type kafkaConfig struct {
	// Brokers to begin with, HOST:PORT each.
	Brokers []string `yaml:"brokers"`
	// Topics to consume.
	Topics []string `yaml:"topics"`
	// Consumer group.
	Group string `yaml:"group" default:"picket"`
	// Connect with TLS.
	TLS bool `yaml:"tls" default:"false"`
	// File with the certificates of authorities to trust; the system's when left out.
	CAFile string `yaml:"ca_file"`
	// PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; left out, no authentication.
	SASL string `yaml:"sasl"`
	// User for sasl.
	User string `yaml:"user"`
	// File with the password for sasl.
	PasswordFile string `yaml:"password_file"`
}

// captureConfig says which packets are captured.
type captureConfig struct {
	// Network interface, such as eth0. Capturing takes CAP_NET_RAW.
	Interface string `yaml:"interface"`
	// Ports of the name servers.
	Ports []int `yaml:"ports" default:"[53]"`
	// Take packets that are not for this machine, too, such as those of a mirror port.
	Promiscuous bool `yaml:"promiscuous" default:"false"`
}

// ports are Ports as numbers of 16 bits, which they have been checked to be.
func (c *captureConfig) ports() []uint16 {
	var list []uint16
	for _, p := range c.Ports {
		list = append(list, uint16(p))
	}
	return list
}

// gitConfig says which history is taken.
type gitConfig struct {
	// Path of the repository, on this machine; it is not fetched.
	Repository string `yaml:"repository"`
	// Branch whose first-parent history counts; left out, what HEAD points to.
	Branch string `yaml:"branch"`
	// Patterns of the files that hold records, such as zones/*.yaml.
	Files []string `yaml:"files"`
	// How often the repository is looked at.
	Poll time.Duration `yaml:"poll" default:"1m"`
}

// tlsConfig names a server's certificate.
type tlsConfig struct {
	// File with the certificate and its chain, PEM.
	CertFile string `yaml:"cert_file"`
	// File with the private key, PEM.
	KeyFile string `yaml:"key_file"`
	// File with the authorities that senders' certificates must be of; left out,
	// senders need no certificate.
	ClientCAFile string `yaml:"client_ca_file"`
}

// resolve makes relative paths start at the configuration's folder.
func (in *inputConfig) resolve(abs func(*string)) {
	if in.File != transport.Stdin {
		abs(&in.File)
	}
	abs(&in.Unix)
	if in.HTTP != nil {
		abs(&in.HTTP.TokenFile)
	}
	if in.Bucket != nil {
		abs(&in.Bucket.CredentialsFile)
	}
	if in.Kafka != nil {
		abs(&in.Kafka.CAFile)
		abs(&in.Kafka.PasswordFile)
	}
	if in.Git != nil {
		abs(&in.Git.Repository)
	}
	if in.Transfer != nil {
		in.Transfer.resolve(abs)
	}
	if in.TLS != nil {
		abs(&in.TLS.CertFile)
		abs(&in.TLS.KeyFile)
		abs(&in.TLS.ClientCAFile)
	}
}

// way is one of the ways in which the bytes can come.
type way struct {
	key   string // of the configuration
	place string // path, address or name; "" when the way is not taken
	// listens: place is an address to listen on.
	listens bool
	// again: the transport can bring once more what was not committed before a crash.
	again bool
	// lines: what comes is cut into lines, so that only text can come so.
	lines bool
}

// ways returns all ways, of which exactly one is taken.
func (in *inputConfig) ways() []way {
	list := []way{
		{key: "file", place: in.File, again: in.File != transport.Stdin},
		{key: "unix", place: in.Unix},
		{key: "tcp", place: in.TCP, listens: true},
		{key: "syslog_udp", place: in.SyslogUDP, listens: true, lines: true},
		{key: "syslog_tcp", place: in.SyslogTCP, listens: true, lines: true},
		{key: "syslog_tls", place: in.SyslogTLS, listens: true, lines: true},
	}
	if in.HTTP != nil {
		list = append(list, way{key: "http", place: in.HTTP.Address, listens: true, again: true})
	}
	if in.Bucket != nil {
		list = append(list, way{key: "bucket", place: in.Bucket.Name + "/" + in.Bucket.Prefix, again: true})
	}
	if in.Kafka != nil {
		list = append(list, way{key: "kafka", place: strings.Join(in.Kafka.Topics, ","), again: true})
	}
	if in.Capture != nil {
		list = append(list, way{key: "capture", place: in.Capture.Interface})
	}
	if in.Git != nil {
		list = append(list, way{key: "git", place: in.Git.Repository, again: true})
	}
	if in.Transfer != nil {
		list = append(list, way{key: "transfer", place: in.Transfer.primary(), again: true})
	}
	return slices.DeleteFunc(list, func(w way) bool { return w.place == "" })
}

// way is the way that is taken.
func (in *inputConfig) way() way {
	if list := in.ways(); len(list) > 0 {
		return list[0]
	}
	return way{}
}

func (in *inputConfig) validate(at int, p *problems) {
	ways := in.ways()
	if len(ways) != 1 {
		p.add(at, "inputs: an entry needs exactly one of file, unix, tcp, syslog_udp, syslog_tcp, syslog_tls, http, bucket, kafka, capture, git, transfer; this has %d", len(ways))
	}
	for _, w := range ways {
		if !w.listens {
			continue
		}
		if err := checkListen(w.place); err != nil {
			p.add(at, "inputs: %s: %q: %v", w.key, w.place, err)
		}
	}
	if in.Format == "" {
		in.Format = input.Auto
	}
	f, known := input.ByName(in.Format)
	switch {
	case in.Format != input.Auto && !known:
		p.add(at, "inputs: format: %q is unknown; want auto or one of %s", in.Format, input.Names())
	case known && in.way().lines && (f.Shape == input.ShapeBinary || f.Shape == input.ShapeDocument):
		p.add(at, "inputs: format: %s is not made of lines, and %s carries lines; use file, unix, tcp, http, bucket or kafka", f.Name, in.way().key)
	case known && in.Capture != nil && f.Name != "pcap":
		p.add(at, "inputs: format: what is captured is pcap, not %s", f.Name)
	}
	if !slices.Contains([]string{"", "mdy", "dmy", "ymd"}, in.DateOrder) {
		p.add(at, "inputs: date_order: %q: want mdy, dmy or ymd", in.DateOrder)
	}
	if _, err := time.LoadLocation(in.Timezone); err != nil {
		p.add(at, "inputs: timezone: %q: %v; want a name of the IANA time zone database, such as Europe/Vienna", in.Timezone, err)
	}
	switch {
	case f.Mapped != nil && in.Mapping != nil:
		if err := in.Mapping.Check(string(f.Kind), f.Mapped); err != nil {
			p.add(at, "inputs: mapping: %v", err)
		}
	case f.Mapped != nil && !f.Unmapped:
		p.add(at, "inputs: format: %s has no meaning of its own; want mapping beside it", f.Name)
	}
	in.validateParts(at, p)
}

// validateParts checks what belongs to one way, and sets what was left out.
func (in *inputConfig) validateParts(at int, p *problems) {
	if in.TLS != nil && (in.TLS.CertFile == "" || in.TLS.KeyFile == "") {
		p.add(at, "inputs: tls: want cert_file and key_file")
	}
	if in.TLS == nil && in.SyslogTLS != "" {
		p.add(at, "inputs: syslog_tls: want tls beside it, with the listener's certificate")
	}
	if h := in.HTTP; h != nil {
		if h.MaxBodyMiB == 0 {
			h.MaxBodyMiB = 64
		}
		if h.Address == "" || h.MaxBodyMiB < 0 {
			p.add(at, "inputs: http: want address, and max_body_mib above 0")
		}
	}
	if b := in.Bucket; b != nil {
		setDefault(&b.Poll, time.Minute)
		if b.Name == "" || b.Poll < time.Second {
			p.add(at, "inputs: bucket: want name, and poll of at least 1s")
		}
	}
	if k := in.Kafka; k != nil {
		if k.Group == "" {
			k.Group = "picket"
		}
		if len(k.Brokers) == 0 || len(k.Topics) == 0 {
			p.add(at, "inputs: kafka: want brokers and topics")
		}
	}
	if c := in.Capture; c != nil {
		if len(c.Ports) == 0 {
			c.Ports = []int{53}
		}
		for _, port := range c.Ports {
			if port < 1 || port > 65535 {
				p.add(at, "inputs: capture: ports: %d is no port; want 1 to 65535", port)
			}
		}
		if c.Interface == "" {
			p.add(at, "inputs: capture: want interface, such as eth0")
		}
	}
	if g := in.Git; g != nil {
		setDefault(&g.Poll, time.Minute)
		if g.Repository == "" || g.Poll < time.Second {
			p.add(at, "inputs: git: want repository, and poll of at least 1s")
		}
	}
	if t := in.Transfer; t != nil {
		t.validate(in, at, p)
	}
}

func setDefault(d *time.Duration, to time.Duration) {
	if *d == 0 {
		*d = to
	}
}

// transport names how the bytes come.
func (in *inputConfig) transport() string { return strings.ReplaceAll(in.way().key, "_", "-") }

// where names the place the bytes come from.
func (in *inputConfig) where() string { return in.transport() + ":" + in.way().place }
