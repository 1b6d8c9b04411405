// Package web is what people and programs read Picket through: the console
// (server-rendered HTML that works without JavaScript), the JSON API with its
// OpenAPI document, live updates as Server-Sent Events, health and metrics.
//
// Everything is read-only and reached through two roles, picket.FindingQuerier
// and picket.Watcher; the package knows no store. Start with New, which returns
// a Console (an http.Handler), and Console.Server, which sets the timeouts;
// Listen opens the socket and refuses addresses other than loopback unless told
// otherwise, because the console has no login of its own.
//
// Two rules shape the pages. A finding is an early warning, so its limits stand
// next to its summary. Silence is qualified, so every list, and above all an
// empty one, says what was being watched.
//
// Every DNS name shown was chosen by whoever sent the query. Names are escaped
// three times over: into presentation form (control bytes and everything outside
// US-ASCII as \DDD, RFC 1035 §5.1), by html/template for where they stand, and
// by a Content-Security-Policy under which no inline script or style runs.
package web
