package web

import (
	"bytes"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// pages holds one template set per page: the layout, the shared parts, and the
// page's own "main" and "live" (the part that live updates fetch and swap).
type pages struct {
	sets   map[string]*template.Template
	assets map[string]asset
}

// frame is what the layout needs; Page is the page's own model.
type frame struct {
	Title    string
	Section  string // which entry of the navigation is current
	Version  string
	AsOf     stamp
	Live     bool  // the page updates itself
	Revision int64 // of the store, read before the page's contents
	Refresh  int   // seconds after which the script fetches anew in any case; 0 never
	Page     any
}

func newPages(assets map[string]asset) *pages {
	funcs := template.FuncMap{
		"breaks": breaks,
		"asset":  func(name string) string { return "/assets/" + name + "?v=" + assets[name].hash },
	}
	dir := mustSub(embedded, "templates")
	base := template.Must(template.New("layout.html").Funcs(funcs).ParseFS(dir, "layout.html", "parts.html"))
	p := &pages{sets: map[string]*template.Template{}, assets: assets}
	for _, name := range []string{"list", "finding", "watched", "coverage", "changes", "name", "versions", "retention", "error"} {
		p.sets[name] = template.Must(template.Must(base.Clone()).ParseFS(dir, name+".html"))
	}
	return p
}

// render writes a page, or its live part alone if the request asks for
// ?fragment=1. It renders to memory first: a page is sent whole or not at all.
func (c *Console) render(w http.ResponseWriter, r *http.Request, status int, page string, f frame) {
	f.Version = c.version
	now := c.now()
	f.AsOf = newStamp(now, now)
	root := "layout"
	if f.Live && r.URL.Query().Get("fragment") == "1" {
		root = "live"
	}
	var buf bytes.Buffer
	if err := c.pages.sets[page].ExecuteTemplate(&buf, root, f); err != nil {
		c.log.Error("render page", "page", page, "err", err)
		http.Error(w, "The page could not be rendered. The log says why.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(buf.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(buf.Bytes()) // a reader that has left is no error; HEAD drops the body
}

// problem is an error of the API (RFC 9457), in the shape that huma uses too.
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

type errorPage struct {
	Status int
	Title  string
	Text   string
}

// fail answers with an error: a problem document below /api/, a page elsewhere.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, status int, text string) {
	if strings.HasPrefix(r.URL.Path, "/api/") {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		_ = writeJSON(w, problem{Title: http.StatusText(status), Status: status, Detail: text})
		return
	}
	title := http.StatusText(status)
	c.render(w, r, status, "error", frame{Title: title, Page: errorPage{Status: status, Title: title, Text: text}})
}

// stampNow is newStamp against the console's clock.
func (c *Console) stampNow(t time.Time) stamp { return newStamp(t, c.now()) }
