package query

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// Bounds of C-DNS. Collectors write blocks of some thousand items, a few MiB.
const (
	maxCdnsHead   = 1 << 20  // bytes of a file's preamble
	maxCdnsBlock  = 32 << 20 // bytes of a block
	maxCdnsTable  = 1 << 20  // entries of a block's table
	maxCdnsParams = 1 << 10  // sets of block parameters
	maxCdnsEntry  = 512      // bytes of a table's entry that is a map
	maxCdnsRRs    = 32       // records of a section that are looked at
	maxCdnsCount  = 1 << 10  // records that are counted in a list of unknown length
)

// Reasons of C-DNS.
const (
	reasonCdnsBlock     = "broken block"
	reasonCdnsItem      = "broken query-response item"
	reasonCdnsIndex     = "index beyond its table"
	reasonCdnsParams    = "block parameters missing"
	reasonCdnsTime      = "time out of range"
	reasonCdnsMalformed = "malformed message in the capture"
	skipCdnsEvent       = "address event count"
)

// CDNS decodes C-DNS (RFC 8618), version 1.0: files of blocks whose query-response
// items are transactions already. Items reach sink in the file's order.
func CDNS(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.QuerySink) error {
	d := &cdnsDecoder{in: newCborStream(ctx, r), acct: acct, sink: sink, opt: opt}
	for {
		err := d.file()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// cdnsDecoder is the state of one CDNS call.
type cdnsDecoder struct {
	in   *cborStream
	acct picket.Accounting
	sink picket.QuerySink
	opt  decode.Options

	head    []byte // the file preamble, as it is
	params  []cdnsParams
	sensors interned
	noted   [3]bool

	// Of the block at hand.
	at       int64
	preamble []byte // as it is
	param    *cdnsParams
	earliest int64 // Unix nanoseconds
	timed    bool
	broken   string // why no item of the block can be read
	tables   [cdnsTables]cdnsTable

	msg, resp  Message
	qbuf, rbuf []byte // the messages made up of an item
	whole      bool   // records are wanted with their data, and had it so far
	q          picket.Query
	record     []byte
}

// cdnsParams is what is needed of a set of block parameters.
type cdnsParams struct {
	ticks   uint64 // per second
	hints   uint64 // which items of a query-response the collector stores
	flags   uint64
	prefix4 uint64
	prefix6 uint64
	sensor  string
}

// cdnsError names an error of the container, at an offset.
func cdnsError(what string, at int64, err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), err == io.EOF:
		return fmt.Errorf("c-dns: %s at offset %d: the stream ends within it: %w", what, at, io.ErrUnexpectedEOF)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return fmt.Errorf("c-dns: %s at offset %d: %w", what, at, err)
}

// file reads one file: an array of the type, the preamble, and the blocks.
// io.EOF means that there is none.
func (d *cdnsDecoder) file() error {
	start := d.in.offset()
	major, n, endless, err := d.in.head()
	if err != nil {
		if err == io.EOF {
			return err
		}
		return cdnsError("file", start, err)
	}
	if major != cborArray || !endless && n != 3 {
		return fmt.Errorf("c-dns: no C-DNS file at offset %d", start)
	}
	id, err := d.in.item(64)
	if err != nil {
		return cdnsError("file", start, err)
	}
	c := cborCursor{b: id}
	if name := string(c.bytes()); name != "C-DNS" {
		return fmt.Errorf("c-dns: file type at offset %d is %q, not %q", start, name, "C-DNS")
	}
	at := d.in.offset()
	preamble, err := d.in.item(maxCdnsHead)
	if err != nil {
		return cdnsError("file preamble", at, err)
	}
	d.head = append(d.head[:0], preamble...)
	if err := d.readPreamble(at); err != nil {
		return err
	}
	at = d.in.offset()
	major, n, blocksEndless, err := d.in.head()
	if err == nil && major != cborArray {
		err = errCborBroken
	}
	if err != nil {
		return cdnsError("list of blocks", at, err)
	}
	if err := d.blocks(n, blocksEndless); err != nil {
		return err
	}
	if endless {
		at = d.in.offset()
		if ended, err := d.in.ended(); err != nil || !ended {
			if err == nil {
				err = errCborBroken
			}
			return cdnsError("end of file", at, err)
		}
	}
	return nil
}

func (d *cdnsDecoder) blocks(n uint64, endless bool) error {
	for ; endless || n > 0; n-- {
		at := d.in.offset()
		if endless {
			ended, err := d.in.ended()
			if err != nil {
				return cdnsError("list of blocks", at, err)
			}
			if ended {
				return nil
			}
		}
		if err := d.in.ctx.Err(); err != nil {
			return err
		}
		b, err := d.in.item(maxCdnsBlock)
		if err != nil {
			return cdnsError("block", at, err)
		}
		if err := d.block(b, at); err != nil {
			return err
		}
	}
	return nil
}

// readPreamble reads the file preamble in d.head.
func (d *cdnsDecoder) readPreamble(at int64) error {
	version := [2]uint64{0, 0}
	d.params = d.params[:0]
	c := cborCursor{b: d.head}
	for m := c.list(cborMap); c.more(&m); {
		switch k := c.key(); k {
		case 0, 1:
			version[k] = c.uint()
		case 3:
			if version[0] != 1 { // of an older version: another thing
				c.skip(0)
				continue
			}
			for l := c.list(cborArray); c.more(&l); {
				p := d.readParams(&c)
				if len(d.params) == maxCdnsParams {
					return fmt.Errorf("c-dns: file preamble at offset %d: more than %d sets of block parameters", at, maxCdnsParams)
				}
				d.params = append(d.params, p)
			}
		default:
			c.skip(0)
		}
	}
	if c.bad {
		return cdnsError("file preamble", at, errCborBroken)
	}
	if version[0] != 1 {
		return fmt.Errorf("c-dns: file preamble at offset %d: version %d.%d is not supported, 1.0 (RFC 8618) is", at, version[0], version[1])
	}
	return nil
}

func (d *cdnsDecoder) readParams(c *cborCursor) cdnsParams {
	p := cdnsParams{prefix4: 32, prefix6: 128, sensor: d.opt.Sensor}
	for m := c.list(cborMap); c.more(&m); {
		switch c.key() {
		case 0:
			for m := c.list(cborMap); c.more(&m); {
				switch c.key() {
				case 0:
					p.ticks = c.uint()
				case 2:
					for m := c.list(cborMap); c.more(&m); {
						if c.key() == 0 {
							p.hints = c.uint()
						} else {
							c.skip(0)
						}
					}
				case 5:
					p.flags = c.uint()
				case 6:
					p.prefix4 = c.uint()
				case 7:
					p.prefix6 = c.uint()
				default:
					c.skip(0)
				}
			}
		case 1:
			for m := c.list(cborMap); c.more(&m); {
				if c.key() == 9 && d.opt.Sensor == "" {
					p.sensor = d.sensors.get(c.bytes())
				} else {
					c.skip(0)
				}
			}
		default:
			c.skip(0)
		}
	}
	return p
}

// block reads one block, which begins at an offset of the stream. The parts of a
// block may come in any order.
func (d *cdnsDecoder) block(b []byte, at int64) error {
	d.at, d.preamble, d.param, d.timed, d.broken = at, nil, nil, false, ""
	for i := range d.tables {
		d.tables[i].reset()
	}
	var tables, items, events, malformed []byte
	itemsAt := 0
	c := cborCursor{b: b}
	for m := c.list(cborMap); c.more(&m); {
		switch c.key() {
		case 0:
			d.preamble = c.raw()
		case 2:
			tables = c.raw()
		case 3:
			itemsAt = c.i
			items = c.raw()
		case 4:
			events = c.raw()
		case 5:
			malformed = c.raw()
		default:
			c.skip(0)
		}
	}
	if c.bad {
		d.acct.Reject(reasonCdnsBlock, d.fault(nil))
		return nil
	}
	d.broken = d.readBlockPreamble()
	if d.broken == "" && tables != nil && !d.readTables(tables) {
		d.broken = reasonCdnsBlock
	}
	if err := d.items(items, at+int64(itemsAt)); err != nil {
		return err
	}
	d.others(events, malformed)
	return nil
}

// items takes a list of query-responses, which begins at an offset of the stream.
func (d *cdnsDecoder) items(list []byte, from int64) error {
	if list == nil {
		return nil
	}
	c := cborCursor{b: list}
	count := 0
	for l := c.list(cborArray); c.more(&l); count++ {
		if count&1023 == 1023 {
			if err := d.in.ctx.Err(); err != nil {
				return err
			}
		}
		at := c.i
		item := c.raw()
		if c.bad {
			break
		}
		reason, skip := d.broken, ""
		if reason == "" {
			reason, skip = d.item(item)
		}
		switch {
		case reason != "":
			p := d.fault(item)
			p.Offset = from + int64(at)
			d.acct.Reject(reason, p)
		case skip != "":
			d.acct.Skip(skip)
		default:
			d.acct.Accept(d.q.Time)
			if err := d.sink.Query(&d.q); err != nil {
				return err
			}
		}
	}
	if c.bad {
		d.acct.Reject(reasonCdnsBlock, d.fault(nil))
	}
	return nil
}

// others counts what is in a block beside transactions.
func (d *cdnsDecoder) others(events, malformed []byte) {
	if events != nil {
		c := cborCursor{b: events}
		for l := c.list(cborArray); c.more(&l); c.skip(0) {
			d.acct.Skip(skipCdnsEvent)
		}
	}
	if malformed != nil {
		c := cborCursor{b: malformed}
		for l := c.list(cborArray); c.more(&l); {
			if item := c.raw(); !c.bad {
				p := d.fault(nil)
				if p.Record = d.asFile(5, item); p.Record != nil {
					d.record = p.Record
				}
				d.acct.Reject(reasonCdnsMalformed, p)
			}
		}
	}
}

// readBlockPreamble reads the block's preamble; it returns why it cannot.
func (d *cdnsDecoder) readBlockPreamble() (reason string) {
	var sec, ticks, index uint64
	c := cborCursor{b: d.preamble}
	for m := c.list(cborMap); c.more(&m); {
		switch c.key() {
		case 0:
			n := 0
			for l := c.list(cborArray); c.more(&l); n++ {
				switch n {
				case 0:
					sec = c.uint()
				case 1:
					ticks = c.uint()
				default:
					c.fail()
				}
			}
			d.timed = true
		case 1:
			index = c.uint()
		default:
			c.skip(0)
		}
	}
	if c.bad {
		return reasonCdnsBlock
	}
	if index >= uint64(len(d.params)) {
		return reasonCdnsParams
	}
	d.param = &d.params[index]
	d.note(0, d.param.flags&1 != 0, "addresses were anonymised by the collector")
	d.note(1, d.param.prefix4 < 32 || d.param.prefix6 < 128, "the collector kept only the beginnings of client addresses; a client is a network")
	d.note(2, d.param.flags&2 != 0, "the collector sampled: counts are too low")
	if d.timed {
		part, ok := tickTime(ticks, d.param.ticks)
		if !ok || sec > 9e9 || part > 9e18-int64(sec)*decode.NsPerSecond {
			return reasonCdnsTime
		}
		d.earliest = int64(sec)*decode.NsPerSecond + part
	}
	return ""
}

func (d *cdnsDecoder) note(i int, yes bool, text string) {
	if yes && !d.noted[i] && d.opt.Note != nil {
		d.noted[i] = true
		d.opt.Note(text)
	}
}

// fault is the position of an item of the block at hand, nil for the block, with
// the item as a file of its own.
func (d *cdnsDecoder) fault(item []byte) picket.Position {
	p := picket.Position{Offset: d.at}
	if item == nil {
		return p
	}
	if b := d.asFile(3, item); b != nil {
		d.record, p.Record = b, b
	}
	return p
}

// asFile returns a file of one block in which the item stands alone under a key,
// with the entries of tables that it names; nil when that is too large.
func (d *cdnsDecoder) asFile(key byte, item []byte) []byte {
	const room = 128
	if len(d.head)+len(d.preamble)+len(item) > maxRecord-room {
		return nil
	}
	b := append(d.record[:0], cborArray<<5|3)
	b = append(appendCborHead(b, cborText, 5), "C-DNS"...)
	b = append(b, d.head...)
	b = append(b, cborArray<<5|1, cborMap<<5|3, 0)
	if d.preamble == nil {
		b = append(b, 0) // as broken as none
	}
	b = append(append(b, d.preamble...), 2)
	at := len(b)
	b = append(b, cborMap<<5)
	if d.broken == "" && key == 3 {
		for i := range d.tables {
			t := &d.tables[i]
			if len(t.at) == 0 {
				continue
			}
			b[at]++
			if b = t.appendUsed(append(b, byte(i)), maxRecord-room-len(item)); b == nil {
				return nil
			}
		}
	} else if d.broken == reasonCdnsBlock {
		b[at] = cborMap<<5 | 1
		b = append(b, 0, 0) // tables that are as broken as these
	}
	b = append(b, key, cborArray<<5|1)
	return append(b, item...)
}

// DetectCDNS knows C-DNS by its first bytes, also of versions not supported, so
// that these are told as such.
func DetectCDNS(head []byte) int {
	if len(head) > 6 && (head[0] == cborArray<<5|3 || head[0] == cborArray<<5|31) {
		if string(head[1:7]) == "\x65C-DNS" || string(head[1:min(len(head), 10)]) == "\x68DNS-STAT" {
			return 100
		}
	}
	return 0
}

// cdnsAddress reads an address, of which the collector may have kept only the
// beginning.
func cdnsAddress(b []byte, v6, known bool) (netip.Addr, bool) {
	switch {
	case len(b) == 16:
		return netip.AddrFrom16([16]byte(b)), true
	case len(b) == 4 && !(known && v6):
		return netip.AddrFrom4([4]byte(b)), true
	case !known || len(b) > 16 || !v6 && len(b) > 4:
		return netip.Addr{}, false
	}
	var a [16]byte
	copy(a[:], b)
	if v6 {
		return netip.AddrFrom16(a), true
	}
	return netip.AddrFrom4([4]byte(a[:4])), true
}
