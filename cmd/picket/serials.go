package main

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/transfer"
)

// Bounds of asking for serials.
const (
	serialsPoll     = time.Minute // unless a server says otherwise
	serialsAtOnce   = 8
	versionsLooked  = 1000 // of a zone: nobody is further behind than that
	serialsDeadline = 30 * time.Second
)

// serialWatch holds how far name servers are behind. Its zero value is ready.
type serialWatch struct {
	mu    sync.Mutex
	lags  []picket.ServerLag
	taken map[string]uint32 // newest serial that was transferred, by zone
}

// see notes a serial that was transferred.
func (w *serialWatch) see(zone string, serial uint32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.taken == nil {
		w.taken = map[string]uint32{}
	}
	if old, ok := w.taken[zone]; !ok || transfer.Newer(serial, old) {
		w.taken[zone] = serial
	}
}

// serverLags says how far each server that is asked for serials was behind when it
// was last asked, by zone, server and address.
func (d *daemon) serverLags() []picket.ServerLag {
	d.serials.mu.Lock()
	defer d.serials.mu.Unlock()
	return slices.Clone(d.serials.lags)
}

// watchSerials asks the servers for their serials until ctx ends.
func (d *daemon) watchSerials(ctx context.Context) {
	poll := time.Duration(0)
	for i := range d.cfg.Servers {
		if s := &d.cfg.Servers[i]; s.Serials && (poll == 0 || s.serialsPoll() < poll) {
			poll = s.serialsPoll()
		}
	}
	if poll == 0 {
		return
	}
	for {
		d.askSerials(ctx)
		select {
		case <-ctx.Done():
			return
		case <-time.After(poll):
		}
	}
}

// serialsPoll is how often the server is asked.
func (s *serverConfig) serialsPoll() time.Duration {
	if s.SerialsPoll > 0 {
		return s.SerialsPoll
	}
	return serialsPoll
}

// askedSerial is one question and what came of it.
type askedSerial struct {
	zone, server string
	at           netip.AddrPort
	serial       uint32
	err          error
}

// askSerials asks every server once.
func (d *daemon) askSerials(ctx context.Context) {
	list := d.serialQuestions()
	slots := make(chan struct{}, serialsAtOnce)
	var asking sync.WaitGroup
	for i := range list {
		q := &list[i]
		slots <- struct{}{}
		asking.Go(func() {
			one, cancel := context.WithTimeout(ctx, serialsDeadline)
			defer cancel()
			q.serial, q.err = transfer.Serial(one, q.at, q.zone)
			<-slots
		})
	}
	asking.Wait()
	if ctx.Err() != nil {
		return
	}
	lags := d.judgeSerials(ctx, list)
	d.serials.mu.Lock()
	d.serials.lags = lags
	d.serials.mu.Unlock()
}

// serialQuestions are the zones of the servers that are asked.
func (d *daemon) serialQuestions() (list []askedSerial) {
	var all []string
	for _, z := range d.know.catalog.Zones() {
		all = append(all, z.Name)
	}
	for i := range d.cfg.Inputs {
		if t := d.cfg.Inputs[i].Transfer; t != nil {
			for _, z := range t.Zones {
				all = append(all, apexOf(z))
			}
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	for i := range d.cfg.Servers {
		s := &d.cfg.Servers[i]
		if !s.Serials {
			continue
		}
		zones := all
		if len(s.Zones) > 0 {
			zones = nil
			for _, z := range s.Zones {
				zones = append(zones, apexOf(z))
			}
		}
		for _, z := range zones {
			for _, at := range s.endpoints() {
				list = append(list, askedSerial{zone: z, server: apexOf(s.Name), at: at})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b askedSerial) int { return strings.Compare(a.zone, b.zone) })
	return list
}

// judgeSerials holds the answers against the newest state that is known: recorded,
// transferred, or served by any of the servers.
func (d *daemon) judgeSerials(ctx context.Context, list []askedSerial) []picket.ServerLag {
	history, _ := any(d.store).(picket.ZoneHistory)
	newest := map[string]uint32{}
	see := func(zone string, serial uint32) {
		if old, ok := newest[zone]; !ok || transfer.Newer(serial, old) {
			newest[zone] = serial
		}
	}
	d.serials.mu.Lock()
	for zone, serial := range d.serials.taken {
		see(zone, serial)
	}
	d.serials.mu.Unlock()
	for i := range list {
		if list[i].err == nil {
			see(list[i].zone, list[i].serial)
		}
	}
	lags := make([]picket.ServerLag, 0, len(list))
	var versions []picket.ZoneVersion
	of := ""
	for i := range list {
		q := &list[i]
		if q.zone != of && history != nil {
			var err error
			if versions, err = history.ZoneVersions(ctx, q.zone, versionsLooked); err != nil {
				d.log.Error("zone versions", "zone", q.zone, "error", err)
			}
		}
		of = q.zone
		serial, has := newest[q.zone]
		lag := picket.ServerLag{Zone: q.zone, Newest: serial}
		if q.err != nil {
			lag.Error = q.err.Error()
		} else {
			lag = transfer.Lag(q.zone, versions, serial, has, q.serial)
		}
		lag.Server, lag.Address = q.server, q.at.String()
		lags = append(lags, lag)
	}
	return lags
}
