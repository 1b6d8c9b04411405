package adversary

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/picket-dns/picket/internal/lab"
)

// The stock that word lists are made of, written down from general knowledge of
// how hosts are called.

// coreWords are in every list. Of nine tools' default lists 23 labels are in all.
const coreWords = `admin blog crm demo dev dns ftp help intranet mail mobile mx news ns1 ns2 portal shop smtp test vpn web webmail www`

// commonWords are in most lists; with numbered and lettered forms (see common)
// they come to 246 with the core, as many as are in seven of nine.
const commonWords = `
access accounts ads alpha api app apps archive assets auth backup beta billing board books calendar cdn chat citrix client cloud cms connect
console contact corp crs data database db demo2 design devel dhcp dir direct docs download edge email erp exchange extranet fax files finance
firewall forum gateway git go gw home host hr id imap images img info inside int internal internet irc jobs lab ldap legal lib link lists live
local log login lync m manage media members monitor mrtg mssql mysql nagios net network node noc ns ns0 ntp oa office old online open oracle
order owa partner pay photo pop pop3 print private proxy pub public radio relay remote reports research router sales sap search secure
security server service sip site sms sql ssh ssl staging stage start stat static stats status store stream support svn sync sys syslog team
tech time tools tracker training tv update upload uat video voice voip wap wiki win wireless www1 www2 www3 xml mail1 mail2 mail3 mx1 mx2
ns3 ns4 dns1 dns2 web1 web2 smtp1 smtp2 vpn1 vpn2 test1 test2 app1 app2 db1 db2 fw1 s1 s2 srv1 server1 pc1 router1 gw1 proxy1 sql1 ftp2
about ad administrator apache cisco community customers domain en eu events external game games helpdesk jabber job linux map marketing
mirror mobi my www4 nms web3`

// serviceWords get numbers, environments and each other.
const serviceWords = `
account adserver agenda aix alerts analytics antispam antivirus apache apigw artifactory asset atlas audio audit autodiscover avatar bamboo
bank bastion bbs bi bitbucket booking bot bridge broker buy cache cam camera campus card career catalog cas center cert chef ci cisco
classifieds cluster cobalt collab commerce community compras conf confluence content core cpanel cron cvs dashboard datacenter dealer
delivery deploy desktop devops dialin directory discovery dmz dockers domain drupal edi edu elastic engineer english enterprise esx events
export external farm faq feed feedback fileserver filter flow forms forums foto gallery game gitlab global grafana graph guest guide hadoop
health helpdesk hermes host1 hosting hotspot hub iis im import inbound ingress inventory invoice ipsec isa issue jenkins jira journal
juniper kafka kb kerberos keys kibana kiosk kube learn library license listserv loadbalancer localhost logs lotus magento mailgate mailhost
mailman map market marketing mdm meet meeting memcached message metrics mirror model moodle movies mq ms munin music my nas netmail
newsletter nexus nfs nginx notes notify oauth openid ops orders orion outlook panel party pay2 payment pbx people phone photos php pki play
podcast poll postgres press preview price printer prod product profile project promo puppet qa queue rabbit radius rdp redis redmine
register registry release repo report reseller resources rest rss rsync rt samba sandbox scan scm sentry sftp sharepoint shopping signin
sitemap skype snmp social solr spam splunk squid sso storage student subversion survey tableau task telnet temp terminal tftp ticket
titan token track traffic translate travel tunnel unix uploads user users vault vcenter vendor version vhost vip vm vnc voicemail vps wan
warehouse webadmin webconf webdav webdisk weblog webservices websphere whm whois wifi windows wordpress work wpad wsus xen xmpp zabbix zimbra zone`

const placeWords = `
africa alabama alaska amsterdam arizona asia athens atlanta austin australia austria barcelona beijing belgium berlin bern bogota boston
brazil brisbane brussels budapest cairo california canada chicago china cologne colorado copenhagen dallas delhi denver detroit dubai dublin
east europe florida france frankfurt geneva germany hamburg helsinki houston india israel italy japan kansas kiev korea lima lisbon london
lyon madrid malta manila melbourne memphis mexico miami milan montreal moscow mumbai munich nairobi nashville nevada newyork north norway
oakland ohio oregon osaka oslo ottawa paris perth phoenix poland portland porto prague quebec riga rome russia seattle seoul shanghai
singapore sofia south spain stockholm sweden sydney taiwan tampa texas tokyo toronto turin turkey utah vegas venice vienna warsaw west zurich`

const personWords = `
adam alex alice anna arthur barbara ben bob brian carl carol chris claire daniel dave david diana edward elena emma eric eva felix frank
fred george hannah harry helen henry ivan jack james jane jason jean jerry jim joan joe john jose julia karen karl kevin laura leo linda lisa
lucas maria mark martin max mike nancy nick nina oliver oscar otto pablo paul peter philip ralph rita robert roger rosa sam sara simon sofia
stefan susan thomas tim tina tom victor walter zoe`

const codeWords = `
ae af al am an ao ar as at au aw az ba bd be bg br by ca ch cl cn co cr cs cu cy cz de dk do dz ec ee eg es et eu fi fj fr ga gb ge gh gl gr gt
hk hn hu ie il in ir is it jm jo jp ke kg kr kw kz la lb li lk lt lu lv ma md me mk mn mo mt mu mv my mz ng ni nl no np nz om pa pe pg ph pk pl
ps pt py qa ro rs ru rw sa sd se sg si sk sl sn sr sv sy tn tr tt tw tz ua ug uk us uy uz va ve vn ye za zm zw`

// environments are affixed to services.
var environments = []string{"dev", "test", "qa", "uat", "stage", "staging", "prod", "old", "new", "int", "ext", "beta", "demo", "dr", "backup", "internal"}

// Vocabulary is the words from which lists are drawn, the most common first: the
// core, what most lists have, and the rest in ever rarer forms. It is the same for
// everybody.
type Vocabulary struct {
	words        []string
	core, common int // words[:core] are in every list, words[core:common] in most
}

// NewVocabulary makes the vocabulary, with at least so many words.
func NewVocabulary(most int) *Vocabulary {
	v := &Vocabulary{}
	seen := map[string]bool{}
	add := func(list ...string) {
		for _, w := range list {
			if !seen[w] && len(w) > 0 {
				seen[w] = true
				v.words = append(v.words, w)
			}
		}
	}
	// By rank, as lists by popularity are: the stock above is in the alphabet's order.
	rare := lab.Rand(1, "vocabulary")
	ranked := func(stock string) []string {
		list := strings.Fields(stock)
		shuffle(list, rare)
		return list
	}
	add("www", "mail", "ftp", "webmail", "smtp")
	add(ranked(coreWords)...)
	v.core = len(v.words)
	add(ranked(commonWords)...)
	v.common = len(v.words)
	services := ranked(serviceWords)
	add(services...)
	lesser := slices.Concat(strings.Fields(placeWords), strings.Fields(personWords), strings.Fields(codeWords))
	for c := 'a'; c <= 'z'; c++ {
		lesser = append(lesser, string(c), string(c)+"1", string(c)+"2")
	}
	for n := range 64 {
		lesser = append(lesser, fmt.Sprint(n*n/16), fmt.Sprintf("%02d", n%10))
	}
	stems := slices.Concat(strings.Fields(coreWords), strings.Fields(commonWords), services)
	for _, s := range stems[:v.core+150] {
		if last := s[len(s)-1]; last < '0' || last > '9' {
			lesser = append(lesser, s+"1", s+"2", s+"3", s+"01", s+"02")
		}
	}
	for range 1600 { // brands and what nobody understands, as real lists have them
		lesser = append(lesser, invented(rare))
	}
	rare.Shuffle(len(lesser), func(i, j int) { lesser[i], lesser[j] = lesser[j], lesser[i] })
	add(lesser...)
	if len(v.words) < most {
		add(regular(stems, rare)...)
	}
	for len(v.words) < most { // compounds without end
		a, b := stems[rare.IntN(len(stems))], stems[rare.IntN(len(stems))]
		switch rare.IntN(6) {
		case 0:
			add(a + "-" + environments[rare.IntN(len(environments))])
		case 1:
			add(environments[rare.IntN(len(environments))] + "-" + a)
		case 2:
			add(a + fmt.Sprint(rare.IntN(100)))
		case 3:
			add(a + "-" + b)
		case 4:
			add(a + b)
		default:
			add(invented(rare))
		}
	}
	return v
}

// regular are the services with environments and numbers, as organisations name
// their hosts.
func regular(stems []string, r *rand.Rand) (list []string) {
	for _, s := range stems {
		for _, env := range environments {
			list = append(list, s+"-"+env, env+"-"+s)
		}
		for n := 1; n <= 20; n++ {
			list = append(list, fmt.Sprintf("%s%02d", s, n))
			if n < 10 {
				list = append(list, fmt.Sprintf("%s%d", s, n), fmt.Sprintf("%s-%d", s, n))
			}
		}
	}
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// invented is a word of two to four syllables that means nothing.
func invented(r *rand.Rand) string {
	const onsets, vowels, codas = "bcdfghjklmnprstvwz", "aeiou", "lmnrstx"
	b := make([]byte, 0, 12)
	for range 2 + r.IntN(2) {
		b = append(b, onsets[r.IntN(len(onsets))], vowels[r.IntN(len(vowels))])
		if r.IntN(3) == 0 {
			b = append(b, codas[r.IntN(len(codas))])
		}
	}
	return string(b)
}

// commonShare is the chance that a list has one of the labels that most lists
// have: long ones nearly all, short ones and those that were gathered fewer.
func commonShare(n int, poor bool) float64 {
	switch {
	case poor:
		return 0.3
	case n < 500:
		return 0.35
	}
	return 0.97
}

// List draws a list of n words as one tool would have it: with all core labels,
// nearly all common ones unless it is poor, and of the rest the more common ones more
// often.
func (v *Vocabulary) List(n int, poor bool, r *rand.Rand) []string {
	list := slices.Clone(v.words[:min(v.core, n)])
	common := commonShare(n, poor)
	for _, w := range v.words[v.core:v.common] {
		if len(list) < n && r.Float64() < common {
			list = append(list, w)
		}
	}
	rest := v.words[v.common:]
	if poor {
		rest = rest[len(strings.Fields(serviceWords))/2:]
	}
	pool := min(max(3*n, 2000), len(rest)) // how rare the rarest are
	for i := 0; i < pool && len(list) < n; i++ {
		if need, left := float64(n-len(list)), float64(pool-i); r.Float64() < need/left*(1.6-1.2*float64(i)/float64(pool)) {
			list = append(list, rest[i])
		}
	}
	for i := pool; i < len(rest) && len(list) < n; i++ {
		list = append(list, rest[i])
	}
	return list
}

// Core are the labels that every list has.
func (v *Vocabulary) Core() []string { return v.words[:v.core] }

// Common are the labels that nearly every list has, the core left out.
func (v *Vocabulary) Common() []string { return v.words[v.core:v.common] }

// alphabetical sorts a list as the tools' lists are: 99.8 % of neighbours are in
// order, the rest was added by hand.
func alphabetical(list []string, r *rand.Rand) []string {
	slices.Sort(list)
	for range len(list) / 700 {
		i, j := r.IntN(len(list)), r.IntN(len(list))
		w := list[i]
		list = slices.Insert(slices.Delete(list, i, i+1), j, w)
	}
	return list
}
