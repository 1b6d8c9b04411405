package organisation

import (
	"github.com/picket-dns/picket/internal/lab"
)

// The kinds of names beside the core. Each writes labels to b.text and says what
// the name is for; a name that is taken is drawn again.

func (b *builder) say(parts ...string) {
	for _, p := range parts {
		b.text = append(b.text, p...)
	}
}

// application is a part of a product, in production or in another environment:
// pay-api, pay-api-uat2, api.pay.uat2.
func (b *builder) application() (lab.Owner, float64) {
	s := &b.style
	product, function, env, number := s.products[b.skewed(len(s.products))], pick(b.r, functions), "", 0
	if b.r.IntN(5) > 1 {
		env = pick(b.r, s.environments)
		if b.r.IntN(3) == 0 {
			number = 1 + b.skewed(b.room(4))
		}
	} else if b.r.IntN(4) == 0 {
		number = 1 + b.skewed(b.room(4))
	}
	front := b.r.IntN(4) == 0 // the product's own page rather than one of its parts
	sep := "."
	if b.r.Float64() < s.flat {
		sep = "-"
	}
	switch {
	case front:
		b.say(product)
	case sep == "-":
		b.say(product, "-", function)
	default:
		b.say(function, ".", product)
	}
	if env != "" {
		b.say(sep, env)
	}
	if number > 0 {
		if env == "" && sep == "." {
			b.say("-") // a number of its own would read as a label
		}
		b.text = appendNumber(b.text, number, 1)
	}
	o := lab.Owner{Types: host, Purpose: lab.PurposeWeb}
	if b.r.IntN(4) == 0 {
		o.Types = dual
	}
	if env != "" {
		o.Purpose, o.Public = lab.PurposeInternal, b.r.IntN(4) == 0
		return o, b.rare(0.6)
	}
	for _, f := range visited {
		if front || f == function {
			o.Public = b.r.IntN(4) > 0
			return o, 6
		}
	}
	o.Purpose, o.Public = lab.PurposeHost, b.r.IntN(4) == 0
	return o, b.rare(1)
}

// device is infrastructure at a place: ber-fw1, sw12.ham.
func (b *builder) device() (lab.Owner, float64) {
	s := &b.style
	place, kind, number := s.places[b.skewed(len(s.places))], pick(b.r, devices), 1+b.skewed(b.room(9))
	digits := 1 + b.r.IntN(2)
	if s.glued {
		b.say(place, "-", kind)
		b.text = appendNumber(b.text, number, digits)
	} else {
		b.say(kind)
		b.text = appendNumber(b.text, number, digits)
		b.say(".", place)
	}
	if b.r.IntN(12) == 0 {
		b.say(".mgmt") // out-of-band management, one label deeper
	}
	o := lab.Owner{Types: host, Purpose: lab.PurposeInternal}
	if kind == "vpn" {
		o.Purpose, o.Public = lab.PurposeRemote, b.r.IntN(2) == 0
		return o, 1
	}
	return o, b.rare(0.4)
}

// server is one of many of the same kind: srv012, node-0312.k8s.fra.
func (b *builder) server() (lab.Owner, float64) {
	s := &b.style
	kind := pick(b.r, fleets)
	number := 1 + b.skewed(b.room(20)*4)
	b.say(kind)
	if b.r.IntN(2) == 0 {
		b.say("-")
	}
	b.text = appendNumber(b.text, number, s.digits+b.r.IntN(2))
	switch b.r.IntN(5) {
	case 0:
		b.say(".", pick(b.r, s.places))
	case 1:
		b.say(".", pick(b.r, []string{"k8s", "prod", "dc1", "dc2"}), ".", pick(b.r, s.places))
	case 2:
		b.say(".", pick(b.r, s.environments))
	}
	return lab.Owner{Types: host, Purpose: lab.PurposeInternal}, b.rare(0.4)
}

// person is somebody's device or page: akeller-nb, ulf.vpnusers.
func (b *builder) person() (lab.Owner, float64) {
	given, name := pick(b.r, people), pick(b.r, family)
	switch b.r.IntN(3) {
	case 0:
		b.say(given[:1], name, pick(b.r, []string{"-nb", "-pc", "-mac", ""}))
	case 1:
		b.say(given, "-", name)
	default:
		b.say("pc-", name)
	}
	if b.r.IntN(3) == 0 || len(b.z.Owners) > 2000 {
		b.text = appendNumber(b.text, 1+b.r.IntN(b.room(9)), 1)
	}
	if b.r.IntN(3) == 0 {
		b.say(".", pick(b.r, []string{"clients", "home", "wlan"}))
	}
	return lab.Owner{Types: host, Purpose: lab.PurposeInternal}, b.rare(0.2)
}

// legacyHost is a machine from the time when machines had names.
func (b *builder) legacyHost() (lab.Owner, float64) {
	b.say(pick(b.r, legacy))
	if len(b.z.Owners) > 500 || b.r.IntN(4) == 0 {
		b.text = appendNumber(b.text, 1+b.r.IntN(b.room(5)), 1)
	}
	switch b.r.IntN(3) {
	case 0:
		b.say(".int")
	case 1:
		b.say(".", pick(b.r, b.style.places))
	}
	return lab.Owner{Types: host, Purpose: lab.PurposeInternal}, b.rare(0.5)
}

// aliased is what a cloud or a content network serves under the organisation's
// name: assets-pay, www.launch2024.
func (b *builder) aliased() (lab.Owner, float64) {
	score := 20.0
	switch b.r.IntN(3) {
	case 0:
		b.say(pick(b.r, assets), "-", b.style.products[b.skewed(len(b.style.products))])
	case 1:
		b.say(pick(b.r, topics))
		b.text = appendNumber(b.text, 2019+b.r.IntN(8), 4)
		if len(b.z.Owners) > 1000 {
			b.say("-", b.style.products[b.skewed(len(b.style.products))])
		}
		score = 3
	default:
		b.say("www.", b.style.products[b.skewed(len(b.style.products))])
	}
	return lab.Owner{Types: alias, Purpose: lab.PurposeWeb, TTL: pick(b.r, []uint32{60, 60, 300}), Public: b.r.IntN(10) > 0}, score
}

// country is a site for one country: www.de, shop-fr.
func (b *builder) country() (lab.Owner, float64) {
	land := pick(b.r, lands)
	product := b.style.products[b.skewed(len(b.style.products))]
	switch b.r.IntN(3) {
	case 0:
		b.say("www.", land)
	case 1:
		b.say(product, "-", land)
	default:
		b.say(product, ".", land)
	}
	return lab.Owner{Types: dual, Purpose: lab.PurposeWeb, Public: b.r.IntN(10) > 0}, 10
}

// token is what other services want to see in the zone: challenges, verification,
// mail policy of a subdomain.
func (b *builder) token() (lab.Owner, float64) {
	product := b.style.products[b.skewed(len(b.style.products))]
	switch b.r.IntN(4) {
	case 0:
		b.say("_acme-challenge.", product)
	case 1:
		b.say("_dmarc.", product)
	case 2:
		b.say(pick(b.r, []string{"k1", "s1", "em", "mail"}), "._domainkey.", product)
	default:
		b.text = append(b.text, '_')
		for range 12 {
			b.text = append(b.text, "0123456789abcdef"[b.r.IntN(16)])
		}
		b.say(".", product)
	}
	return lab.Owner{Types: text, Purpose: lab.PurposePolicy}, b.rare(2)
}

// tenant is a customer with a name of its own: dravin.apps, dravin-admin.apps.
func (b *builder) tenant() (lab.Owner, float64) {
	b.text = appendWord(b.text, b.r, 2)
	switch b.r.IntN(4) {
	case 0:
		b.say("-")
		b.text = appendWord(b.text, b.r, 2)
	case 1:
		b.say(pick(b.r, []string{"-admin", "-test", "-api", "-group"}))
	}
	b.say(".", b.style.platform)
	return lab.Owner{Types: host, Purpose: lab.PurposeWeb, Public: b.o.Wildcard != WildcardBelow && b.r.IntN(4) > 0}, 3
}
