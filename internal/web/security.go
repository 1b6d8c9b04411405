package web

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// policy allows the console's own style sheet, script, images and requests and
// nothing else: no inline code, no data: URLs, no frames, no other origin, and
// no assignment of strings to HTML sinks in the script.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

func setHeaders(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Cache-Control", "no-store") // findings do not belong in caches; assets override this
}

// hostAllowed reports whether a Host header names this console: a loopback
// address, localhost, or a configured name. Anything else may be a public name
// that its owner has pointed at this machine (DNS rebinding).
func (c *Console) hostAllowed(hostport string) bool {
	host := strings.ToLower(strings.TrimSuffix(hostOnly(hostport), "."))
	if host == "localhost" || c.hosts[host] {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// hostOnly strips the port and the brackets of an IPv6 literal.
func hostOnly(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
}

// foreign reports whether another site makes the browser load this resource
// other than by following a link (Fetch Metadata). It keeps other sites from
// using up the streams; programs send no such headers and pass.
func foreign(r *http.Request) bool {
	return r.Header.Get("Sec-Fetch-Site") == "cross-site" && r.Header.Get("Sec-Fetch-Mode") != "navigate"
}
