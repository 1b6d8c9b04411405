// Command coredns is CoreDNS with the plugins that the tests use. It is a module of
// its own, so that what CoreDNS needs is nothing that Picket needs; without the
// plugins for clouds and clusters it is built in a fraction of the time.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/chaos"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/file"
	_ "github.com/coredns/coredns/plugin/log"
	_ "github.com/coredns/coredns/plugin/metrics"
	_ "github.com/coredns/coredns/plugin/transfer"
)

func main() {
	// In the order in which a query passes them.
	dnsserver.Directives = []string{"bind", "prometheus", "errors", "log", "chaos", "transfer", "file"}
	coremain.Run()
}
