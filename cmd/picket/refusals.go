package main

import (
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/transfer"
)

// Detectors of transfers and their notices that somebody refuses: picket itself a
// NOTIFY, or the primary a transfer.
const (
	notifyRefused   = "notify-refused"
	transferRefused = "transfer-refused"
)

// Bounds of what is kept of refusals. Whoever forges NOTIFYs chooses zone, key and,
// over UDP, sender: none of these may make more findings.
const (
	refusedQuiet   = time.Hour // without another one, it is over
	refusedSenders = 8         // named in a finding
)

// refusalKey is what one finding is about. Zone is one of the input's, or "" for all others.
type refusalKey struct{ input, zone, reason string }

// refusalCount is what has been refused of one kind.
type refusalCount struct {
	first, last time.Time
	count       int64
	more        int64 // of any kind and zone, that were not looked at one by one
	senders     []netip.Addr
	bySender    []int64
	others      int64 // of senders beyond those
}

// refusedTransfer is a zone that its primary refuses.
type refusedTransfer struct {
	since time.Time
	text  string
	from  string // the primary
}

// refusals gathers what was refused, for the overseer. Several goroutines use it.
type refusals struct {
	alias func(netip.Addr) netip.Addr // pseudonym of a sender

	mu        sync.Mutex
	notices   map[refusalKey]*refusalCount
	transfers map[[2]string]*refusedTransfer // by input and zone
}

func newRefusals(alias func(netip.Addr) netip.Addr) *refusals {
	return &refusals{alias: alias, notices: map[refusalKey]*refusalCount{}, transfers: map[[2]string]*refusedTransfer{}}
}

// notice counts a NOTIFY that was refused. zone is one of the input's, or "".
func (r *refusals) notice(now time.Time, input, zone string, n transfer.Refusal) {
	from := r.alias(n.From.Addr())
	r.mu.Lock()
	defer r.mu.Unlock()
	k := refusalKey{input, zone, n.Reason}
	c := r.notices[k]
	if c == nil || now.Sub(c.last) >= refusedQuiet {
		c = &refusalCount{first: now}
		r.notices[k] = c
	}
	c.last = now
	c.count++
	c.more += n.More
	switch i := slices.Index(c.senders, from); {
	case i >= 0:
		c.bySender[i]++
	case len(c.senders) < refusedSenders:
		c.senders, c.bySender = append(c.senders, from), append(c.bySender, 1)
	default:
		c.others++
	}
}

// transfer notes what became of a zone's transfer; only a refusal by the primary stays.
func (r *refusals) transfer(now time.Time, input, zone string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := [2]string{input, zone}
	var e *transfer.ServerError
	if !errors.As(err, &e) || e.TSIG == 0 && e.Rcode != dns.RcodeRefused && e.Rcode != dns.RcodeNotAuth {
		delete(r.transfers, k)
		return
	}
	if r.transfers[k] == nil {
		r.transfers[k] = &refusedTransfer{since: now}
	}
	r.transfers[k].text, r.transfers[k].from = err.Error(), e.Primary
}

// explained leaves out the errors of inputs that findings of their own tell of.
func (r *refusals) explained(inputs []picket.SourceStatus) []picket.SourceStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := slices.Clone(inputs)
	for i := range list {
		for k, t := range r.transfers {
			if k[0] == list[i].Name && list[i].Error == t.text {
				list[i].Error = ""
			}
		}
	}
	return list
}

// refusedNotices are the kinds of NOTIFY that are being refused.
func (r *refusals) refusedNotices(now time.Time) (list []condition) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, c := range r.notices {
		if now.Sub(c.last) >= refusedQuiet {
			delete(r.notices, k)
			continue
		}
		list = append(list, c.condition(k))
	}
	slices.SortFunc(list, func(a, b condition) int { return strings.Compare(a.key, b.key) })
	return list
}

func (c *refusalCount) condition(k refusalKey) condition {
	about := "zones that are not configured"
	if k.zone != "" {
		about = k.zone
	}
	why := strings.TrimPrefix(k.reason, "NOTIFY refused: ")
	x := condition{detector: notifyRefused, key: k.input + " " + k.zone + " " + why, zone: k.zone, since: c.first, last: c.last, sure: 1,
		summary: fmt.Sprintf("Input %s has refused %s for %s since %s: %s.", k.input, timesOf(c.count, "NOTIFY", "NOTIFYs"), about,
			c.first.UTC().Format("2006-01-02 15:04:05 UTC"), why),
		limits: "Who sent it is not known: over UDP a sender's address can be forged. A primary whose key is another one, or that does not sign, looks the same. " +
			"Nothing was taken in because of it.",
		features: []picket.Feature{{Name: "refused", Value: float64(c.count), Threshold: 1}, {Name: "senders-named", Value: float64(len(c.senders))}},
		// Said again when there are twice as many, or another sender to name.
		mark: bits.Len64(uint64(c.count)) + bits.Len64(uint64(c.more)) + len(c.senders)}
	if c.more > 0 {
		x.summary += fmt.Sprintf(" In the same time came %d more of any kind that were not told apart.", c.more)
	}
	for i, a := range c.senders {
		x.told = append(x.told, fmt.Sprintf("sender %s: %s", a, timesOf(c.bySender[i], "time", "times")))
	}
	if c.others > 0 {
		x.told = append(x.told, fmt.Sprintf("other senders: %s", timesOf(c.others, "time", "times")))
	}
	if len(c.senders) == 1 && c.more == 0 {
		x.source.Prefix = netip.PrefixFrom(c.senders[0], c.senders[0].BitLen()).String()
	}
	return x
}

func timesOf(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// refusedTransfers are the zones that their primaries refuse.
func (r *refusals) refusedTransfers() (list []condition) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, t := range r.transfers {
		c := condition{detector: transferRefused, key: k[0] + " " + k[1], zone: k[1], since: t.since, sure: 1,
			summary: fmt.Sprintf("Input %s is refused the transfer of %s: %s", k[0], k[1], t.text),
			limits:  "While it lasts, changes of the zone are not seen by transfer. A key or an access list that was changed on one side only does this."}
		if a, err := netip.ParseAddrPort(t.from); err == nil {
			c.source.Prefix = netip.PrefixFrom(a.Addr(), a.Addr().BitLen()).String()
		}
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b condition) int { return strings.Compare(a.key, b.key) })
	return list
}
