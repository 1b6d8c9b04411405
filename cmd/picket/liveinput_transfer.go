package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/input"
	"github.com/picket-dns/picket/internal/intake"
	"github.com/picket-dns/picket/internal/transfer"
)

// Bounds of transfers.
const (
	transfersAtOnce  = 4 // of one input
	leastRefresh     = time.Minute
	mostRefresh      = 24 * time.Hour
	firstRetry       = 5 * time.Second // after a failure; doubled up to the zone's own retry
	rejectedOfNotify = 10_000          // counted at once
)

// zoneTransfers keeps the zones of one input up to date.
type zoneTransfers struct {
	in     *liveInput
	client *transfer.Client
	slots  chan struct{}

	mu     sync.Mutex
	failed map[string]error // by zone
}

// transferredZone is one zone. One goroutine uses it, but for wake.
type transferredZone struct {
	apex    string
	wake    chan struct{} // a NOTIFY came
	known   uint32
	has     bool // a serial is known
	retry   time.Duration
	refresh time.Duration
}

// zonePosition is up to where a zone counts, as it is kept in the store.
type zonePosition struct {
	Serial uint32 `json:"serial"`
}

// transfers takes zones by transfer: at the start, at each NOTIFY, and at the refresh.
func (in *liveInput) transfers(ctx context.Context, running *sync.WaitGroup) error {
	cfg := in.cfg.Transfer
	client, err := cfg.client()
	if err != nil {
		return err
	}
	in.use(input.Format{Name: formatTransfer, Kind: picket.KindRecord})
	t := &zoneTransfers{in: in, client: client, slots: make(chan struct{}, transfersAtOnce), failed: map[string]error{}}
	zones := map[string]*transferredZone{}
	var list []*transferredZone
	for _, name := range cfg.Zones {
		wire, err := dnsname.Parse(name)
		if err != nil {
			return fmt.Errorf("zone %q: %w", name, err)
		}
		z := &transferredZone{apex: dnsname.String(wire), wake: make(chan struct{}, 1), retry: firstRetry}
		if b := in.desk.Position("zone:" + z.apex); b != nil {
			var p zonePosition
			if err := json.Unmarshal(b, &p); err != nil {
				return fmt.Errorf("position of %s: %w", z.apex, err)
			}
			z.known, z.has = p.Serial, true
		}
		zones[z.apex], list = z, append(list, z)
	}
	if cfg.Notify != "" {
		if err := t.listen(ctx, running, zones); err != nil {
			return err
		}
	}
	for _, z := range list {
		running.Go(func() { t.follow(ctx, z) })
	}
	return nil
}

// listen takes NOTIFY.
func (t *zoneTransfers) listen(ctx context.Context, running *sync.WaitGroup, zones map[string]*transferredZone) error {
	cfg := t.in.cfg.Transfer
	from, err := cfg.notifyFrom()
	if err != nil {
		return err
	}
	l := &transfer.Listener{
		Notified: func(n transfer.Notice) {
			t.in.d.log.Info("NOTIFY", "input", t.in.cfg.Name, "zone", n.Zone, "from", n.From.String(), "serial", n.Serial)
			select {
			case zones[n.Zone].wake <- struct{}{}:
			default: // one waits already
			}
		},
		Refused: func(r transfer.Refusal) {
			zone := "" // as the configuration has it, never as the sender does
			if name, err := dnsname.Parse(r.Zone); err == nil && zones[dnsname.String(name)] != nil {
				zone = dnsname.String(name)
			}
			t.in.d.over.refused.notice(time.Now(), t.in.cfg.Name, zone, r)
			t.refused(r)
		},
	}
	for apex := range zones {
		l.Zones = append(l.Zones, transfer.NotifyZone{Name: apex, Key: t.client.Key, From: from})
	}
	_, done, err := l.Listen(ctx, cfg.Notify)
	if err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	running.Go(func() { <-done })
	return nil
}

// refused counts and tells of a NOTIFY that was not taken.
func (t *zoneTransfers) refused(r transfer.Refusal) {
	text := fmt.Sprintf("%s: zone %s, from %s", r.Reason, strconv.Quote(r.Zone), r.From.Addr())
	if r.Key != "" {
		text += ", key " + strconv.Quote(r.Key)
	}
	t.in.note(text)
	t.in.d.log.Warn("NOTIFY refused", "input", t.in.cfg.Name, "reason", r.Reason, "zone", r.Zone, "from", r.From.String(), "key", r.Key, "more", r.More)
	s := t.in.desk.Stream(intake.StreamConfig{Name: "notify", Format: formatTransfer})
	for range 1 + min(r.More, rejectedOfNotify) {
		s.Reject(r.Reason, picket.Position{})
	}
	if err := t.in.commit(context.Background(), s, nil); err != nil {
		t.in.fail(err)
	}
}

// follow keeps one zone up to date until ctx ends.
func (t *zoneTransfers) follow(ctx context.Context, z *transferredZone) {
	notified := false
	for {
		wait := t.update(ctx, z, notified)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-z.wake:
			timer.Stop()
			notified = true
		case <-timer.C:
			notified = false
		}
	}
}

// update looks for news of the zone once, and returns when to look again.
func (t *zoneTransfers) update(ctx context.Context, z *transferredZone, notified bool) time.Duration {
	select {
	case t.slots <- struct{}{}:
	case <-ctx.Done():
		return mostRefresh
	}
	err := t.take(ctx, z, notified)
	<-t.slots
	if ctx.Err() != nil {
		return mostRefresh
	}
	t.tell(z.apex, err)
	if err != nil {
		wait := z.retry
		z.retry = min(2*z.retry, max(leastRefresh, min(z.refresh, 15*time.Minute)))
		return wait
	}
	z.retry = firstRetry
	if r := t.in.cfg.Transfer.Refresh; r > 0 {
		return r
	}
	return min(max(z.refresh, leastRefresh), mostRefresh)
}

// tell keeps what is wrong with the zones; the input is fine when nothing is.
func (t *zoneTransfers) tell(apex string, err error) {
	t.in.d.over.refused.transfer(time.Now(), t.in.cfg.Name, apex, err)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.failed[apex] = err
		t.in.fail(err)
		return
	}
	if delete(t.failed, apex); len(t.failed) == 0 {
		t.in.fine()
	}
}

// take asks for what is new, and takes it in.
func (t *zoneTransfers) take(ctx context.Context, z *transferredZone, notified bool) error {
	if z.has && !notified {
		soa, err := t.client.SOA(ctx, z.apex)
		if err != nil {
			return err
		}
		z.refresh = soa.Refresh
		if !transfer.Newer(soa.Serial, z.known) {
			t.older(z, soa.Serial)
			return nil
		}
	}
	begun := time.Now()
	r, err := t.client.Transfer(ctx, z.apex, z.known, z.has)
	if err != nil {
		return err
	}
	z.refresh = r.SOA.Refresh
	switch {
	case r.Full != nil && z.has && !transfer.Newer(r.Full.Serial, z.known): // of another server behind the same address
		t.older(z, r.Full.Serial)
		return nil
	case r.Full != nil:
		o := picket.RecordObservation{Whole: true, HasSerial: true, SerialFrom: z.known, SerialTo: r.Full.Serial}
		err = t.commit(ctx, z, o, nil, r.Full.Records)
	case len(r.Steps) == 0:
		t.older(z, r.SOA.Serial)
		return nil
	}
	for i := range r.Steps {
		if err != nil {
			break
		}
		st := &r.Steps[i]
		err = t.commit(ctx, z, picket.RecordObservation{HasSerial: true, SerialFrom: st.From, SerialTo: st.To}, st.Removed, st.Added)
	}
	if err == nil {
		t.in.d.log.Info("zone transferred", "input", t.in.cfg.Name, "zone", z.apex, "serial", z.known, "whole", r.Full != nil, "steps", len(r.Steps), "bytes", r.Bytes, "took", time.Since(begun).String())
	}
	return err
}

// older notes that the primary has gone back: a secondary waits until it is past
// what is known (RFC 1982), and so does this.
func (t *zoneTransfers) older(z *transferredZone, serial uint32) {
	if z.has && serial != z.known {
		t.in.note(fmt.Sprintf("%s serves serial %d of %s, which is before the known %d: nothing is taken until it is after it", t.client.Primary, serial, z.apex, z.known))
	}
}

// commit takes in one state of the zone, or one step to it, with the position.
func (t *zoneTransfers) commit(ctx context.Context, z *transferredZone, o picket.RecordObservation, removed, added []picket.Record) error {
	now := time.Now().UTC()
	o.Source, o.Zone, o.Method, o.Time = t.in.cfg.Name, z.apex, picket.MethodTransfer, now
	s := t.in.desk.Stream(intake.StreamConfig{Name: "zone:" + z.apex, Format: formatTransfer})
	put := func(list []picket.Record, change picket.Change) error {
		for i := range list {
			r := &list[i]
			r.Time, r.Change, r.Source, r.Sensor = now, change, t.client.Primary, t.in.cfg.Name
			s.Accept(now.UnixNano())
			if err := s.Record(r); err != nil {
				return err
			}
		}
		return nil
	}
	var err error
	if o.Whole {
		err = put(added, picket.ChangePresent)
	} else if err = put(removed, picket.ChangeRemove); err == nil {
		err = put(added, picket.ChangeAdd)
	}
	if err != nil {
		return errors.Join(err, s.Abandon(context.WithoutCancel(ctx)))
	}
	s.Observe(o)
	position, err := json.Marshal(zonePosition{Serial: o.SerialTo})
	if err != nil {
		return errors.Join(err, s.Abandon(context.WithoutCancel(ctx)))
	}
	if err := t.in.commit(ctx, s, map[string][]byte{"zone:" + z.apex: position}); err != nil {
		return err
	}
	z.known, z.has = o.SerialTo, true
	t.in.d.serials.see(z.apex, z.known)
	return nil
}
