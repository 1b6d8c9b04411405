package duckdb

import (
	"bufio"
	"encoding/binary"
	"errors"
	"os"
)

// partWriter writes a file of Apache Parquet, of sightingRow's columns, which is
// how rows enter DuckDB fastest. It knows no more of the format than that takes:
// every value is there, in PLAIN encoding, a column of a row group is one page, and
// nothing is compressed. Lengths are written before texts, so no text can be
// mistaken for anything else. Field numbers are those of parquet.thrift in the
// format's specification, its footer is in Thrift's compact protocol.
type partWriter struct {
	f       *os.File
	w       *bufio.Writer
	at      int64
	columns [len(partColumns)][]byte // of the row group that is being filled
	rows    int                      // in it
	total   int64
	groups  []partGroup
}

// partGroup is a row group that has been written.
type partGroup struct {
	rows  int
	start [len(partColumns)]int64
	size  [len(partColumns)]int64 // with the page's header
}

// groupRows is the rows of a row group of DuckDB and of a part.
const groupRows = 122_880

// Physical and converted types of parquet.thrift.
const (
	parquetInt32, parquetInt64, parquetBytes     = 1, 2, 6
	parquetUTF8, parquetUint32, parquetUint64    = 0, 13, 14
	parquetDataPage, parquetPlain, parquetLevels = 0, 0, 3
	parquetAsIs                                  = -1 // no converted type
)

// partColumns are sightingColumns; bailiwick and detail are empty instead of NULL.
var partColumns = [13]struct {
	name                string
	physical, converted int
}{
	{"key", parquetInt64, parquetUint64}, {"data_key", parquetInt64, parquetUint64}, {"source", parquetInt32, parquetUint32},
	{"name", parquetBytes, parquetUTF8}, {"type", parquetBytes, parquetUTF8}, {"data", parquetBytes, parquetUTF8},
	{"bailiwick", parquetBytes, parquetUTF8}, {"detail", parquetBytes, parquetUTF8},
	{"first", parquetInt64, parquetAsIs}, {"last", parquetInt64, parquetAsIs},
	{"zone_first", parquetInt64, parquetAsIs}, {"zone_last", parquetInt64, parquetAsIs}, {"count", parquetInt64, parquetAsIs},
}

const partMagic = "PAR1"

// create begins a file; the buffers of the one before are used again.
func (p *partWriter) create(name string) (err error) {
	if p.f, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return err
	}
	if p.w == nil {
		p.w = bufio.NewWriterSize(nil, 256<<10)
	}
	p.w.Reset(p.f)
	p.groups, p.total, p.at = p.groups[:0], 0, int64(len(partMagic))
	_, err = p.w.WriteString(partMagic)
	return err
}

// add appends a row.
func (p *partWriter) add(r packedSighting) error {
	c := &p.columns
	c[0] = append(c[0], r[packedKey:packedKey+8]...)
	c[1] = append(c[1], r[packedDataKey:packedDataKey+8]...)
	c[2] = append(c[2], r[packedSource:packedSource+4]...)
	text := r[packedTexts:]
	for i := range 5 {
		size := r[packedLens+4*i : packedLens+4*i+4]
		n := binary.LittleEndian.Uint32(size)
		c[3+i] = append(append(c[3+i], size...), text[:n]...)
		text = text[n:]
	}
	for i := range 5 {
		c[8+i] = append(c[8+i], r[packedFirst+8*i:packedFirst+8*i+8]...)
	}
	if p.rows++; p.rows == groupRows {
		return p.endGroup()
	}
	return nil
}

// endGroup writes the row group.
func (p *partWriter) endGroup() error {
	if p.rows == 0 {
		return nil
	}
	g := partGroup{rows: p.rows}
	for i, data := range p.columns {
		var t thrift
		t.i32(1, parquetDataPage)
		t.i32(2, len(data))
		t.i32(3, len(data))
		t.begin(5)
		t.i32(1, p.rows)
		t.i32(2, parquetPlain)
		t.i32(3, parquetLevels)
		t.i32(4, parquetLevels)
		t.end()
		t.stop()
		g.start[i], g.size[i] = p.at, int64(len(t.b)+len(data))
		p.at += g.size[i]
		if _, err := p.w.Write(t.b); err != nil {
			return err
		}
		if _, err := p.w.Write(data); err != nil {
			return err
		}
		p.columns[i] = data[:0]
	}
	p.groups = append(p.groups, g)
	p.total += int64(p.rows)
	p.rows = 0
	return nil
}

// close writes what is left and the footer.
func (p *partWriter) close() error {
	err := p.endGroup()
	if err == nil {
		footer := p.footer()
		footer = binary.LittleEndian.AppendUint32(footer, uint32(len(footer)))
		_, err = p.w.Write(append(footer, partMagic...))
	}
	if err == nil {
		err = p.w.Flush()
	}
	return errors.Join(err, p.f.Close())
}

func (p *partWriter) footer() []byte {
	var t thrift
	t.i32(1, 1) // version
	t.list(2, thriftStruct, len(partColumns)+1)
	t.element()
	t.text(4, "sightings")
	t.i32(5, len(partColumns))
	t.end()
	for _, c := range partColumns {
		t.element()
		t.i32(1, c.physical)
		t.i32(3, 0) // required
		t.text(4, c.name)
		if c.converted != parquetAsIs {
			t.i32(6, c.converted)
		}
		t.end()
	}
	t.i64(3, p.total)
	t.list(4, thriftStruct, len(p.groups))
	for _, g := range p.groups {
		t.element()
		t.list(1, thriftStruct, len(partColumns))
		var sum int64
		for i, c := range partColumns {
			sum += g.size[i]
			t.element()
			t.i64(2, g.start[i])
			t.begin(3)
			t.i32(1, c.physical)
			t.list(2, thriftI32, 1)
			t.varint(parquetPlain)
			t.list(3, thriftBinary, 1)
			t.bytes(c.name)
			t.i32(4, 0) // not compressed
			t.i64(5, int64(g.rows))
			t.i64(6, g.size[i])
			t.i64(7, g.size[i])
			t.i64(9, g.start[i])
			t.end()
			t.end()
		}
		t.i64(2, sum)
		t.i64(3, int64(g.rows))
		t.end()
	}
	t.stop()
	return t.b
}

// thrift writes Thrift's compact protocol.
type thrift struct {
	b     []byte
	last  int   // field of the struct that is open
	outer []int // fields of those around it
}

const (
	thriftI32, thriftI64, thriftBinary, thriftList, thriftStruct = 5, 6, 8, 9, 12
)

func (t *thrift) field(id, typ int) {
	t.b = append(t.b, byte((id-t.last)<<4|typ))
	t.last = id
}

// varint is a signed number, zigzag.
func (t *thrift) varint(v int64)      { t.b = binary.AppendVarint(t.b, v) }
func (t *thrift) i32(id, v int)       { t.field(id, thriftI32); t.varint(int64(v)) }
func (t *thrift) i64(id int, v int64) { t.field(id, thriftI64); t.varint(v) }

func (t *thrift) bytes(s string) {
	t.b = append(binary.AppendUvarint(t.b, uint64(len(s))), s...)
}

func (t *thrift) text(id int, s string) { t.field(id, thriftBinary); t.bytes(s) }

// list is followed by n elements.
func (t *thrift) list(id, typ, n int) {
	t.field(id, thriftList)
	if n < 15 {
		t.b = append(t.b, byte(n<<4|typ))
		return
	}
	t.b = binary.AppendUvarint(append(t.b, byte(15<<4|typ)), uint64(n))
}

// begin opens a struct that is a field, element one that is in a list.
func (t *thrift) begin(id int) { t.field(id, thriftStruct); t.element() }
func (t *thrift) element()     { t.outer = append(t.outer, t.last); t.last = 0 }

func (t *thrift) end() {
	t.stop()
	t.last = t.outer[len(t.outer)-1]
	t.outer = t.outer[:len(t.outer)-1]
}

func (t *thrift) stop() { t.b = append(t.b, 0) }
