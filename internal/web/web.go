package web

import (
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/picket-dns/picket"
)

// Options says what a Console reads from and how it is reached.
type Options struct {
	Findings picket.FindingQuerier // required
	Watch    picket.Watcher        // required
	Metrics  http.Handler          // serves /metrics; nil means there is none
	// Quarantine is listed by the API; nil means that nothing is kept.
	Quarantine Quarantine
	// History is what became of zones; nil means that nothing records it.
	History picket.ZoneHistory
	// Coverage says what was collected of what there was; nil means that nobody knows.
	Coverage picket.CoverageReporter
	// Sightings is the organisation's passive DNS; nil means that there is none.
	Sightings picket.SightingQuerier
	// Retention says what is kept; nil means that nothing is.
	Retention picket.RetentionReader
	Log       *slog.Logger     // nil discards
	Version   string           // shown in the footer and the OpenAPI document
	Now       func() time.Time // nil means time.Now

	// Hosts are the names, without port, under which the console may be reached
	// besides the loopback ones: a request with another Host is refused, so that
	// a hostile page cannot reach the console by DNS rebinding.
	Hosts []string
	// MaxStreams bounds the clients of /events; 0 means 64.
	MaxStreams int
	// Poll is how often the store is asked for its revision while somebody
	// listens on /events; 0 means one second.
	Poll time.Duration
}

// Console serves the console and the API. Close it, or shut down the server
// that Server made, to end the streams.
type Console struct {
	findings   picket.FindingQuerier
	watch      picket.Watcher
	quarantine Quarantine
	history    picket.ZoneHistory
	coverage   picket.CoverageReporter
	sightings  picket.SightingQuerier
	retention  picket.RetentionReader
	log        *slog.Logger
	version    string
	now        func() time.Time
	hosts      map[string]bool
	assets     map[string]asset
	pages      *pages
	streams    *hub
	mux        *http.ServeMux
}

// New returns a Console over the two roles. It starts nothing: the store is
// polled only while somebody listens on /events.
func New(o Options) *Console {
	c := &Console{
		findings:   o.Findings,
		watch:      o.Watch,
		quarantine: o.Quarantine,
		history:    o.History,
		coverage:   o.Coverage,
		sightings:  o.Sightings,
		retention:  o.Retention,
		log:        o.Log,
		version:    o.Version,
		now:        o.Now,
		hosts:      map[string]bool{},
		assets:     loadAssets(),
		mux:        http.NewServeMux(),
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.now == nil {
		c.now = time.Now
	}
	for _, h := range o.Hosts {
		c.hosts[strings.ToLower(strings.TrimSuffix(h, "."))] = true
	}
	c.pages = newPages(c.assets)
	c.streams = newHub(c.findings.FindingsRevision, c.log, o.Poll, o.MaxStreams)
	c.routes(o.Metrics)
	return c
}

// Close ends the streams of /events and waits for what they started.
func (c *Console) Close() error {
	c.streams.close()
	return nil
}

func (c *Console) routes(metrics http.Handler) {
	c.mux.HandleFunc("/{$}", c.serveList)
	c.mux.HandleFunc("/findings/{id}", c.serveFinding)
	c.mux.HandleFunc("/changes", c.serveChanges)
	c.mux.HandleFunc("/names", c.serveName)
	c.mux.HandleFunc("/zones", c.serveZones)
	c.mux.HandleFunc("/retention", c.serveRetention)
	c.mux.HandleFunc("/watched", c.serveWatched)
	c.mux.HandleFunc("/coverage", c.serveCoverage)
	c.mux.HandleFunc("/events", c.serveEvents)
	c.mux.HandleFunc("/healthz", c.serveHealth)
	c.mux.HandleFunc("/assets/{name}", c.serveAsset)
	c.mux.HandleFunc("/pdns/query/{value...}", c.servePDNS)
	c.mux.HandleFunc("/pdns/dnsdb/v2/lookup/{of}/{by}/{what...}", c.serveDNSDB)
	c.mux.HandleFunc("/dnsdb/v2/lookup/{of}/{by}/{what...}", c.serveDNSDB)
	c.mux.HandleFunc("/favicon.ico", func(w http.ResponseWriter, r *http.Request) {
		r.SetPathValue("name", "logo.svg")
		c.serveAsset(w, r)
	})
	if metrics != nil {
		c.mux.Handle("/metrics", metrics)
	}
	c.addAPI()
	c.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		c.fail(w, r, http.StatusNotFound, "There is no such page.")
	})
}

// ServeHTTP sets the security headers, refuses what is not meant for the
// console, and hands the rest to the routes.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	setHeaders(w.Header())
	if !c.hostAllowed(r.Host) {
		c.fail(w, r, http.StatusMisdirectedRequest,
			"This console does not answer under that host name. Use a loopback address, or add the name to the allowed hosts.")
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		c.fail(w, r, http.StatusMethodNotAllowed, "The console is read-only: only GET and HEAD are answered.")
		return
	}
	if foreign(r) {
		c.fail(w, r, http.StatusForbidden, "Another site may link to the console but not load from it.")
		return
	}
	c.mux.ServeHTTP(w, r)
}

// serveHealth answers 200 while the store answers, 503 otherwise.
func (c *Console) serveHealth(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if _, err := c.findings.FindingsRevision(r.Context()); err != nil {
		c.log.Error("health check", "err", err)
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte("the store does not answer\n"))
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

// failStore turns an error of a role into a page or problem; the words stay in the log.
func (c *Console) failStore(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, picket.ErrNotFound) {
		c.fail(w, r, http.StatusNotFound, "There is no finding with that identifier. It may have aged out of the store.")
		return
	}
	if r.Context().Err() != nil {
		return // the reader has left
	}
	c.log.Error("read for the console", "path", r.URL.Path, "err", err)
	c.fail(w, r, http.StatusInternalServerError, "The store did not answer. The log says why.")
}

// mustSub is fs.Sub for folders that are embedded and therefore there.
func mustSub(f fs.FS, dir string) fs.FS {
	sub, err := fs.Sub(f, dir)
	if err != nil {
		panic(err) // only for an invalid constant
	}
	return sub
}
