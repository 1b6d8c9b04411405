package organisation

import (
	"fmt"
	"math"

	"github.com/picket-dns/picket/internal/lab"
)

// Kinds of records that names own.
var (
	host    = lab.TypeSet(lab.TypeA)
	dual    = lab.TypeSet(lab.TypeA, lab.TypeAAAA)
	alias   = lab.TypeSet(lab.TypeCNAME)
	text    = lab.TypeSet(lab.TypeTXT)
	service = lab.TypeSet(lab.TypeSRV)
)

// fixed is a name that organisations tend to have.
type fixed struct {
	labels  string
	types   lab.Types
	purpose lab.Purpose
	score   float64 // how much it is asked for
	share   float64 // of organisations that have it
	public  bool
}

// delegate makes the subzones that are served elsewhere, each with its glue, and
// the apex, which every zone has.
func (b *builder) delegate() {
	types := lab.TypeSet(lab.TypeSOA, lab.TypeNS, lab.TypeMX, lab.TypeTXT, lab.TypeA, lab.TypeAAAA, lab.TypeCAA)
	if b.z.Signing != lab.Unsigned {
		types |= lab.TypeSet(lab.TypeDNSKEY)
	}
	if b.z.Signing == lab.NSEC3 {
		types |= lab.TypeSet(lab.TypeNSEC3PARAM)
	}
	b.add(nil, lab.Owner{Types: types, Purpose: lab.PurposeApex, TTL: 3600, Public: true}, 400)
	labels := shuffled(b.r, []string{"ad", "lab", "corp", "dyn", "iot", "guest", "research", "edge", "voice", "shops", "partners", "cluster"})
	for i := 0; i < b.o.Delegations; i++ {
		label := fmt.Sprintf("zone%d", i-len(labels)+1)
		if i < len(labels) {
			label = labels[i]
		}
		types := lab.TypeSet(lab.TypeNS)
		if b.z.Signing != lab.Unsigned && i%2 == 0 {
			types |= lab.TypeSet(lab.TypeDS)
		}
		b.add([]byte(label), lab.Owner{Types: types, Purpose: lab.PurposeServer, TTL: 86400}, 2)
		if i%4 != 3 { // the others' name servers are in foreign zones
			b.add(fmt.Appendf(nil, "ns1.%s", label), lab.Owner{Types: host, Purpose: lab.PurposeServer, TTL: 86400}, 0)
		}
		if name, ok := b.name([]byte(label)); ok {
			b.cuts[b.hasher.Name(name)] = struct{}{}
		}
	}
}

// core makes the services that most organisations have: web, mail and its
// policies, remote access, name servers, service records.
func (b *builder) core() {
	for i, a := range b.o.Servers {
		types := host
		if a.Is6() {
			types = lab.TypeSet(lab.TypeAAAA)
		}
		b.add(fmt.Appendf(nil, "ns%d", i+1), lab.Owner{Types: types, Purpose: lab.PurposeServer, TTL: 86400}, 40)
	}
	switch b.o.Wildcard {
	case WildcardBelow:
		b.add([]byte("*."+b.style.platform), lab.Owner{Types: host, Purpose: lab.PurposeWeb, Public: true}, 60)
	case WildcardAtApex:
		b.add([]byte("*"), lab.Owner{Types: host, Purpose: lab.PurposeWeb, Public: true}, 60)
	}
	for _, f := range b.known() {
		if b.r.Float64() < f.share {
			b.add([]byte(f.labels), lab.Owner{Types: f.types, Purpose: f.purpose, Public: f.public}, f.score)
		}
	}
	b.common()
	for i := range 1 + b.r.IntN(3) {
		b.add(fmt.Appendf(nil, "mx%d", i+1), lab.Owner{Types: dual, Purpose: lab.PurposeMail, TTL: 3600, Public: true}, 80)
	}
	for i := range 2 + b.r.IntN(4) { // DKIM: a key a year, and the senders in the organisation's name
		selector := fmt.Sprintf("s%d", 2020+i)
		if i > 1 {
			selector = pick(b.r, []string{"default", "mail", "k1", "k2", "selector1", "selector2", "mktg", "crm", "helpdesk"})
		}
		b.add([]byte(selector+"._domainkey"), lab.Owner{Types: text, Purpose: lab.PurposePolicy, TTL: 3600}, 30)
	}
}

func (b *builder) known() []fixed {
	const (
		web, mail, remote, inside, policy, srv = lab.PurposeWeb, lab.PurposeMail, lab.PurposeRemote, lab.PurposeInternal, lab.PurposePolicy, lab.PurposeService
	)
	site := dual
	if b.r.IntN(2) == 0 {
		site |= lab.TypeSet(lab.TypeHTTPS)
	}
	return []fixed{
		{"www", site, web, 1000, 1, true},
		{"mail", dual, mail, 120, 0.9, true},
		{"_dmarc", text, policy, 150, 0.9, false},
		{"_spf", text, policy, 30, 0.4, false},
		{"_mta-sts", text, policy, 25, 0.4, false},
		{"mta-sts", alias, web, 8, 0.4, true},
		{"_smtp._tls", text, policy, 10, 0.4, false},
		{"_25._tcp.mx1", lab.TypeSet(lab.TypeTLSA), policy, 10, 0.2, false},
		{"autodiscover", alias, mail, 120, 0.85, true},
		{"_autodiscover._tcp", service, srv, 15, 0.5, false},
		{"_sip._tls", service, srv, 8, 0.4, false},
		{"_sipfederationtls._tcp", service, srv, 8, 0.4, false},
		{"_ldap._tcp", service, srv, 6, 0.25, false},
		{"_kerberos._udp", service, srv, 5, 0.2, false},
		{"_imaps._tcp", service, srv, 5, 0.3, false},
		{"_submission._tcp", service, srv, 5, 0.3, false},
		{"_xmpp-server._tcp", service, srv, 4, 0.1, false},
		{"_caldavs._tcp", service, srv, 3, 0.15, false},
		{"smtp", host, mail, 40, 0.7, true},
		{"imap", host, mail, 40, 0.6, true},
		{"webmail", host, web, 60, 0.6, true},
		{"owa", alias, web, 20, 0.3, true},
		{"lyncdiscover", alias, inside, 20, 0.3, false},
		{"enterpriseenrollment", alias, inside, 6, 0.3, false},
		{"vpn", host, remote, 60, 0.9, true},
		{"vpn2", host, remote, 10, 0.4, true},
		{"remote", host, remote, 15, 0.5, true},
		{"citrix", host, remote, 10, 0.3, true},
		{"sslvpn", host, remote, 8, 0.2, true},
		{"bastion", host, remote, 2, 0.3, false},
		{"sso", dual, web, 150, 0.6, true},
		{"login", dual, web, 100, 0.6, true},
		{"portal", dual, web, 90, 0.7, true},
		{"api", dual, web, 300, 0.7, true},
		{"app", dual, web, 200, 0.5, true},
		{"m", alias, web, 20, 0.2, true},
		{"shop", alias, web, 90, 0.4, true},
		{"blog", alias, web, 40, 0.5, true},
		{"news", alias, web, 20, 0.3, true},
		{"support", alias, web, 50, 0.6, true},
		{"status", alias, web, 20, 0.4, true},
		{"docs", alias, web, 30, 0.4, true},
		{"cdn", alias, web, 350, 0.5, true},
		{"static", alias, web, 300, 0.5, true},
		{"images", alias, web, 120, 0.3, true},
		{"intranet", host, inside, 8, 0.5, false},
		{"wiki", host, inside, 6, 0.5, true},
		{"git", host, inside, 8, 0.5, true},
		{"jira", host, inside, 8, 0.5, true},
		{"ci", host, inside, 4, 0.4, true},
		{"monitor", host, inside, 2, 0.4, false},
		{"grafana", host, inside, 3, 0.4, true},
		{"backup", host, inside, 1, 0.5, false},
		{"ftp", host, lab.PurposeHost, 8, 0.5, false},
		{"sftp", host, lab.PurposeHost, 5, 0.4, true},
		{"files", host, lab.PurposeHost, 5, 0.4, true},
		{"meet", dual, web, 12, 0.3, true},
		{"sip", host, lab.PurposeHost, 10, 0.4, true},
		{"wpad", host, inside, 15, 0.15, false},
		{"ntp", host, inside, 3, 0.4, false},
		{"dev", host, inside, 2, 0.5, true},
		{"test", host, inside, 3, 0.5, true},
		{"stage", host, inside, 2, 0.4, true},
	}
}

// common makes names in one word that many organisations have some of: those of
// software, of departments, of roles.
func (b *builder) common() {
	for _, kind := range [...]struct {
		words   []string
		types   lab.Types
		purpose lab.Purpose
		score   float64
		public  float64 // share that certificate logs show
	}{
		{[]string{"crm", "erp", "hr", "helpdesk", "gitlab", "jenkins", "nexus", "registry", "sonar", "zabbix", "nagios", "kibana", "confluence", "ticket", "redmine", "sharepoint", "nextcloud", "owncloud", "moodle", "print"},
			host, lab.PurposeInternal, 2, 0.5},
		{[]string{"db", "sql", "mysql", "ldap", "radius", "proxy", "gw", "gateway", "firewall", "router", "dns", "syslog", "log", "mgmt", "dc1", "voip", "pbx", "relay", "smtp2", "server", "old", "qa", "beta", "staging", "uat"},
			host, lab.PurposeInternal, 1.5, 0.15},
		{[]string{"admin", "secure", "extranet", "mobile", "web", "media", "video", "img", "assets", "download", "store", "forum", "help", "kb", "learn", "training", "careers", "jobs", "events", "press", "investor", "maps", "survey", "lists", "calendar"},
			dual, lab.PurposeWeb, 8, 0.85},
	} {
		for _, word := range kind.words {
			if b.r.Float64() < 0.3 {
				b.add([]byte(word), lab.Owner{Types: kind.types, Purpose: kind.purpose, Public: b.r.Float64() < kind.public}, kind.score)
			}
		}
	}
}

// plan is one kind of name beside the core, and how many of 100 names are of it.
type plan struct {
	weight int
	build  func(b *builder) (o lab.Owner, score float64)
}

func (b *builder) plans() []plan {
	list := []plan{
		{36, (*builder).application}, {20, (*builder).device}, {16, (*builder).server}, {5, (*builder).person}, {3, (*builder).legacyHost},
		{8, (*builder).aliased}, {4, (*builder).country}, {2, (*builder).token},
	}
	if b.style.tenants {
		list = append(list, plan{12, (*builder).tenant})
	}
	return list
}

// fill makes the rest of the names.
func (b *builder) fill() {
	plans := b.plans()
	sum := 0
	for _, p := range plans {
		sum += p.weight
	}
	for !b.full() {
		n := b.r.IntN(sum)
		i := 0
		for ; n >= plans[i].weight; i++ {
			n -= plans[i].weight
		}
		b.text = b.text[:0]
		o, score := plans[i].build(b)
		b.add(b.text, o, score)
	}
}

// rare is the score of what hardly anybody asks for: nothing for most.
func (b *builder) rare(score float64) float64 {
	if b.r.IntN(3) > 0 {
		return 0
	}
	return score
}

// skewed draws an index below n, the low ones much likelier.
func (b *builder) skewed(n int) int {
	return min(int(math.Pow(b.r.Float64(), 2)*float64(n)), n-1)
}

// room is the largest number that names are counted up to, so that there are
// enough of them in a zone of any size.
func (b *builder) room(small int) int { return small + b.o.Names/2000 }
