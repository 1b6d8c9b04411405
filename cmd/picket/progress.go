package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// progress draws a bar on a terminal while a file is read. Elsewhere it is silent.
type progress struct {
	w    io.Writer
	name string
	size int64
	read atomic.Int64
	quit chan struct{}
	done chan struct{}
}

func startProgress(w io.Writer, name string, size int64) *progress {
	p := &progress{w: w, name: name, size: size}
	if f, ok := w.(*os.File); ok && size > 0 {
		if st, err := f.Stat(); err == nil && st.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb" {
			p.quit, p.done = make(chan struct{}), make(chan struct{})
			go p.draw()
		}
	}
	return p
}

// reader counts what is read through it.
func (p *progress) reader(r io.Reader) io.Reader {
	if p.quit == nil {
		return r
	}
	return &countingReader{r: r, n: &p.read}
}

type countingReader struct {
	r io.Reader
	n *atomic.Int64
}

func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n.Add(int64(n))
	return n, err
}

func (p *progress) draw() {
	defer close(p.done)
	t := time.NewTicker(150 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-p.quit:
			fmt.Fprint(p.w, "\r\x1b[K")
			return
		case <-t.C:
			share := min(float64(p.read.Load())/float64(p.size), 1)
			full := int(share * 30)
			fmt.Fprintf(p.w, "\r\x1b[K%s [%s%s] %3.0f%%", p.name, strings.Repeat("=", full), strings.Repeat(" ", 30-full), share*100)
		}
	}
}

func (p *progress) stop() {
	if p.quit != nil {
		close(p.quit)
		<-p.done
	}
}
