package decode

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/picket-dns/picket"
)

// objectsIn reads text as a decoder does and returns how many objects there are,
// the line of the last one, and the reasons for rejecting.
func objectsIn(t testing.TB, r io.Reader) (n int, last int64, faults []string) {
	t.Helper()
	acct := &faultList{}
	in := NewRecords(context.Background(), r, acct)
	var c Cursor
	for {
		rec, err := in.NextRecord(false)
		if err == io.EOF {
			return n, last, acct.list
		}
		if err != nil {
			t.Fatal(err)
		}
		c.Reset(rec)
		c.Skip()
		if c.Bad {
			t.Fatalf("%.80q", rec)
		}
		n, last = n+1, in.Pos().Line
		in.Done(c.I)
	}
}

type faultList struct{ list []string }

func (*faultList) Accept(int64) {}
func (*faultList) Skip(string)  {}
func (f *faultList) Reject(reason string, at picket.Position) {
	f.list = append(f.list, fmt.Sprint(at.Line, " ", reason))
}

// TestRecordsLongLine: lines of more than MaxLine hold objects like others, and
// those after them are on the right line.
func TestRecordsLongLine(t *testing.T) {
	one := `{"name":"a \"b\\","list":[{"x":1},"]"]}`
	long := "[" + strings.Repeat(one+",", 3*MaxLine/len(one)) + "17," + one + "]"
	each := 3*MaxLine/len(one) + 1
	text := one + "\n" + one + one + "\n" + long + "\n\n" + long + "\n" + one + "\r\nhello\n" + one
	for name, r := range map[string]io.Reader{
		"at once": strings.NewReader(text), "halves": iotest.HalfReader(strings.NewReader(text)), "small": &chunks{[]byte(text), 10007},
	} {
		// What is no object takes the rest of its line with it.
		n, last, faults := objectsIn(t, r)
		want := []string{"3 " + ReasonNotObject, "5 " + ReasonNotObject, "7 " + ReasonNotObject}
		if n != 3+2*(each-1)+2 || last != 8 || fmt.Sprint(faults) != fmt.Sprint(want) {
			t.Errorf("%s: %d objects, the last on line %d, %v", name, n, last, faults)
		}
	}
}

// TestRecordsChunks: an object spread over lines is the same wherever the input is
// cut in pieces.
func TestRecordsChunks(t *testing.T) {
	text := "{\n \"a\": \"x\\\"}\\\\\",\n \"b\": {\n\"c\": 1}}\n{\"cut\":\n{\"d\":2}\n{\n\"e\":3}"
	want := fmt.Sprint(objectsIn(t, strings.NewReader(text)))
	for size := 1; size < len(text); size++ {
		if got := fmt.Sprint(objectsIn(t, &chunks{[]byte(text), size})); got != want {
			t.Errorf("pieces of %d: %s, want %s", size, got, want)
		}
	}
}

// chunks is read in pieces of a size.
type chunks struct {
	b    []byte
	size int
}

func (c *chunks) Read(b []byte) (int, error) {
	if len(c.b) == 0 {
		return 0, io.EOF
	}
	n := copy(b, c.b[:min(len(c.b), c.size)])
	c.b = c.b[n:]
	return n, nil
}

// BenchmarkRecordsLongLine cuts objects out of one array on one line of 16 MiB.
func BenchmarkRecordsLongLine(b *testing.B) {
	one := []byte(`{"timestamp":"2026-11-20T10:15:30Z","name":"www.example.com","list":[{"type":"A","data":"192.0.2.80"}]},`)
	text := append([]byte{'['}, bytes.Repeat(one, 16<<20/len(one))...)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if n, _, _ := objectsIn(b, bytes.NewReader(text)); n != 16<<20/len(one) {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(b.N*(16<<20/len(one)))/b.Elapsed().Seconds(), "records/s")
}
