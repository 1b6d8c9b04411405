package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"time"
)

//go:embed assets templates
var embedded embed.FS

// asset is one embedded file with the hash of its content, by which pages refer
// to it, so that it may be cached for good.
type asset struct {
	body []byte
	hash string
	kind string
}

var assetKinds = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

func loadAssets() map[string]asset {
	dir := mustSub(embedded, "assets")
	names, err := fs.Glob(dir, "*")
	if err != nil {
		panic(err) // only for a bad constant pattern
	}
	all := make(map[string]asset, len(names))
	for _, name := range names {
		body, err := fs.ReadFile(dir, name)
		if err != nil {
			panic(err) // embedded, so it can be read
		}
		sum := sha256.Sum256(body)
		all[name] = asset{body: body, hash: hex.EncodeToString(sum[:6]), kind: assetKinds[path.Ext(name)]}
	}
	return all
}

func (c *Console) serveAsset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	a, ok := c.assets[name]
	if !ok {
		c.fail(w, r, http.StatusNotFound, "There is no such asset.")
		return
	}
	h := w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("ETag", `"`+a.hash+`"`)
	h.Set("Cache-Control", "no-cache")
	if r.URL.Query().Get("v") == a.hash {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(a.body))
}
