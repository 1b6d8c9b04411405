package main

import (
	"os"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/spf13/pflag"

	"github.com/picket-dns/picket/internal/input"
	"github.com/picket-dns/picket/internal/input/decode"
)

// readFlags are the flags that say how files are read.
type readFlags struct {
	format, timezone, dateOrder, origin, mapping string
	frontEnd                                     bool
}

func (o *readFlags) flags(f *pflag.FlagSet) {
	f.StringVar(&o.format, "format", "auto", "input format, or auto to tell it by content; an unknown one lists all")
	f.StringVar(&o.timezone, "timezone", "", "time zone of logs that write local time without one, such as Europe/Vienna; UTC when not given")
	f.StringVar(&o.dateOrder, "date-order", "", "how dates such as 04/05/2026 are meant: mdy, dmy or ymd")
	f.StringVar(&o.origin, "origin", "", "zone of record formats that do not say it")
	f.StringVar(&o.mapping, "mapping", "", "YAML file that says which fields mean what, for the generic JSON and CSV formats")
	f.BoolVar(&o.frontEnd, "front-end", false, "count dnstap's client messages: of a front end of authoritative servers")
}

// options checks the flags.
func (o *readFlags) options() (decode.Options, error) {
	opt := decode.Options{DateOrder: o.dateOrder, Client: o.frontEnd}
	f, known := input.ByName(o.format)
	if o.format != input.Auto && !known {
		return opt, usageError("--format %q: want auto or one of %s", o.format, input.Names())
	}
	if !slices.Contains([]string{"", "mdy", "dmy", "ymd"}, o.dateOrder) {
		return opt, usageError("--date-order %q: want mdy, dmy or ymd", o.dateOrder)
	}
	if o.timezone != "" {
		loc, err := time.LoadLocation(o.timezone)
		if err != nil {
			return opt, usageError("--timezone %q: %v; want a name of the IANA time zone database, such as Europe/Vienna", o.timezone, err)
		}
		opt.Location = loc
	}
	if o.origin != "" {
		opt.Origin = strings.TrimSuffix(o.origin, ".") + "."
	}
	if o.mapping == "" {
		return opt, nil
	}
	text, err := os.ReadFile(o.mapping)
	if err != nil {
		return opt, usageError("--mapping: %v", err)
	}
	opt.Mapping = new(decode.Mapping)
	if err := yaml.UnmarshalWithOptions(text, opt.Mapping, yaml.Strict()); err != nil {
		return opt, usageError("--mapping %s: %v", o.mapping, err)
	}
	if known && f.Mapped != nil {
		if err := opt.Mapping.Check(string(f.Kind), f.Mapped); err != nil {
			return opt, usageError("--mapping %s: %v", o.mapping, err)
		}
	}
	return opt, nil
}
