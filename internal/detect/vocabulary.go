package detect

import (
	"math"
	"strings"

	"github.com/picket-dns/picket/internal/dnsname"
)

// LabelClass is what kind of guess a label looks like.
type LabelClass uint8

// Label classes, for names that do not exist.
const (
	ClassOther   LabelClass = iota // nothing special: could come from a long list
	ClassWord                      // a common host name, such as lists of guesses hold
	ClassTypo                      // one slip of the keyboard from a name that is asked and exists
	ClassLeak                      // a foreign name with the zone as search suffix, or a name that software asks everywhere
	ClassRandom                    // no language: generated
	ClassService                   // a label starting with an underscore
)

// guess reports whether names of the class say that somebody guesses. What leaks
// and what software asks everywhere does not, and must not cover a list.
func (c LabelClass) guess() bool { return c != ClassLeak && c != ClassService }

// words are names that organisations commonly give to hosts and services,
// written down from the trade's general knowledge; the list is no tool's.
// Plurals, digits and environment affixes are handled by the code.
const words = `
about access account accounting accounts acme active activate ad adfs admin administration administrator ads adserver agent agents
airwatch alerts alpha analytics anonymous antispam antivirus apache api apigw apis apollo app appliance application applications apps
appserver archive archives art artifactory assets atlas atom auction audio audit auth authentication author auto automation av avatar aws azure
b2b b2c backend backoffice backup backups bamboo bank barracuda bastion bbs beta bi billing bitbucket blog blogs board bonus book books
booking bookings border bot box brand bridge broker bug bugs bugzilla build builds bulk business buy cache cacti cafe calendar call callcenter
cam camera campaign campus capture card career careers cart cas catalog catalogue cdn center central ceph cert certs cgi channel charge chat
check checkout ci cisco citrix class classified classroom client clientes clients cloud club cluster cms cobalt code collab collaboration commerce commercial
common community company compras compute conf conference confluence connect connection console consul consumer contact content contracts control
controlpanel core corp corporate count course courses cp cpanel crash crm cron css cs ct customer customers cvs cyber dashboard data database
datacenter datastore db dba dc dealer dealers debug delivery delta demo deploy design desk desktop dev devel develop developer developers
development device devices devops dhcp diag dialin digital dir direct directory discovery discuss discussion disk distribution dist dl dmz dns
doc docker docs document documentation documents domain domains dot download downloads drive drupal dx echo eclipse ecommerce edge edi edit
editor edu education elastic elasticsearch elearning elk email emailmarketing employees employment en eng engine engineering english enterprise entry erp
error errors es esx esxi etc events exch exchange exim expert explore export ext extern external extra extranet faculty family farm faq fax feed
feedback feeds file files fileserver filter finance find finger firewall firewalls fisheye flash flow forgot form forms forum forums forward fr
free front frontend fs ftp ftpd fw galaxy gallery game games gamma gate gatekeeper gateway gerrit gis git github gitlab global gold google gopher
grafana graph graphite graphics green group groups groupware gu guest guide gw ha hadoop harbor haproxy health healthcheck hello help helpdesk hermes hidden
hip hive home host hosting hosts hotel hotspot hr http https hub human humanresources ibm icinga icon id idea identity idm idp ids iis
im image images imail imap imap4 imaps img imgs import in inbound inc index info information infra ingress inside insight install insurance int
intake integration intern internal international internet intra intranet inventory invoice invoices ip ipam iphone iprism ipsec ipv6 irc iris isa iso
issue issues it item items java jboss jenkins jira job jobs join journal journals jp js juniper jupiter jupyter k8s kafka kanban kb kerberos key
keycloak keys kibana kids kiosk knowledge knowledgebase kube kubernetes la lab labo labs lan land landing law ldap ldaps lead learn
learning legal legacy lib library licence license life link links linux list lists listserv lite live load loadbalancer local localhost location log
logger logging logic login logistics logon logs lotus lync m mac machine magazine magento mail mailbox mailer mailgate mailgw mailhost mailhub mailman
mailout mailrelay mails mailserver main maintenance manage management manager mantis manual map maps market marketing marketplace master match matrix
maven mdm me media medical meet meeting member members memo memory mercury message messages messaging meta metrics mft mirror mis
mobile mobil mobility model monitor monitoring moodle movie movies mqtt mrtg ms msg mssql mta munin music mx my mysql nagios names nas nat
net netadmin netflow network networks new news newsfeed newsgroups newsite newsletter newsletters nexus nfs nginx nms nntp node nodes noc north notebook
notes notice notify novell ns ntp oa oauth observium ocs office offices ok old oldmail oldsite on online open opencart openid openvpn operations ops
opsview oracle order orders origin orion other otp out outbound outgoing outlook outside owa owncloud pack packages page pages panel paper
park partner partners parts party passport password patch path pay payment payments paypal pbx pc pda people perf performance personal pgadmin
pgsql phone phones photo photos php phpmyadmin pilot ping pix pixel pki play plesk plugins point policy poll polls pool pop pop3 portal portfolio
portals post postfix postgres postgresql postmaster power pr pre premium preprod presentation press preview price print printer printers priv privacy private
pro prod product production products prof profile profiles program project projects prom prometheus promo promotion proto proxies proxy ps pub public
publish pulse puppet purchase purchasing push qa quality query queue quiz quote rabbitmq rack radio radius raid rancher ras rd rdp read readme real realestate
receive record records recruit recruitment red redirect redis redmine ref reg register registration registry relay release remote repo reporting
report reports repos repository request res research reseller resources rest restricted results review reviews rhino router routers rss rsync rt rtmp s3 sales
salesforce sample samples sandbox sap sas satellite save scan scanner schedule school science scm scripts sdk search secondary secret secure secured
security sentry seo serv server servers service servicedesk services sf sftp share shared sharepoint shell shib ship shipping shop shopping show si sign
signin signup silver sip site sitemap sites skype slave smart smb smc smpp sms smtp smtps snmp soap social soft software solar solr solutions
sonar sonarqube sophos source spa spam special speed speedtest splunk sport sports spot spring sql sqlserver squid srv srs ssh ssl sso staff stage
staging standby star start stash stat static station statistics stats status stg storage store stores storm stream streaming student students studio stun subscribe
subversion suite sun super supplier suppliers support survey surveys svn swift switch sync sys syslog system systems table tableau tank task tasks tax
teacher team teams tech technical telephone telnet temp template terminal terminalserver test testing tests testsite tfs theme thumbs ticket tickets tool tools
top torrent tour track tracker tracking trade traffic train training transfer translate travel trial ts tst tunnel tv uat ubuntu uk unifi union unix
update updates upload uploads us user users utilities vault vc vcenter vdi vendor vendors venus ventas vhost video videos view vip virtual
virtualcenter visio vm vmware vnc voice voip vote vpn vps vsphere w3 wallet wan war watch wealth weather web webadmin webapi webapp webapps webcam webcast
webconf webdav webdb webdisk webdocs webhost webinar weblog webmail webmaster webmin webproxy webservice webservices website websites webstats
webstore webtest webvpn webservers webserver west whm whois wholesale wiki wifi win windows wire wireless word wordpress work workflow workspace world wp writer ws wsus
www x xen xml xmpp yellow yoda youth zabbix zeus zimbra zone zoom`

// everywhere are names that ordinary software asks below every search suffix
// or mail domain, so that asking them in vain says nothing.
const everywhere = `wpad isatap autodiscover autoconfig lyncdiscover lyncdiscoverinternal sipinternal sipexternal sip localhost mta-sts
openpgpkey enterpriseregistration enterpriseenrollment msoid broadcasthost localdomain default-gateway _`

// suffixes are rightmost labels that show a foreign name to which a search list
// added the zone: top-level names often leaked, beside all two-letter ones.
const suffixes = `com net org info biz edu gov mil arpa local lan home internal intranet localdomain corp domain workgroup
example test invalid localhost onion belkin dlink gateway router mshome cloud online site xyz top club shop`

// topLevels are labels that, alone below the apex, show a resolver with QNAME
// minimisation (RFC 9156) on its way to a leaked foreign name.
const topLevels = `com net org info biz edu gov mil arpa localdomain`

// vocabulary answers questions about labels.
type vocabulary struct {
	hasher     dnsname.Hasher
	core       map[uint64]struct{}
	everywhere map[uint64]struct{}
	suffixes   map[uint64]struct{}
	bigram     [28][28]float32 // log2 of P(b|a) relative to uniform, from words
}

func newVocabulary(h dnsname.Hasher) *vocabulary {
	v := &vocabulary{hasher: h, core: set(h, words), everywhere: set(h, everywhere+" "+topLevels), suffixes: set(h, suffixes)}
	v.train()
	return v
}

func set(h dnsname.Hasher, list string) map[uint64]struct{} {
	m := make(map[uint64]struct{})
	for _, w := range strings.Fields(list) {
		m[h.Label([]byte(w))] = struct{}{}
	}
	return m
}

// letter maps a byte to a row of the bigram table: 0 start or end, 1..26 letters, 27 anything else.
func letter(b byte) int {
	if b >= 'a' && b <= 'z' {
		return int(b-'a') + 1
	}
	return 27
}

func (v *vocabulary) train() {
	var n [28][28]float64
	for _, w := range strings.Fields(words) {
		prev := 0
		for i := range len(w) {
			l := letter(w[i])
			n[prev][l]++
			prev = l
		}
		n[prev][0]++
	}
	for a := range n {
		total := 0.0
		for b := range n[a] {
			n[a][b] += 0.25
			total += n[a][b]
		}
		for b := range n[a] {
			v.bigram[a][b] = float32(math.Log2(n[a][b] / total * 27))
		}
	}
}

// isWord reports whether label is a common host name, trailing digits and one
// dash-separated affix apart.
func (v *vocabulary) isWord(label []byte) bool {
	if _, ok := v.core[v.hasher.Label(label)]; ok {
		return true
	}
	end := len(label)
	for end > 0 && label[end-1] >= '0' && label[end-1] <= '9' {
		end--
	}
	if end > 1 && label[end-1] == '-' {
		end--
	}
	if end < 2 || end == len(label) {
		return end != len(label) && end == 1 && len(label) <= 3
	}
	_, ok := v.core[v.hasher.Label(label[:end])]
	return ok
}

// isRandom reports whether label looks generated: long enough to judge, and its
// letter pairs fit language no better than chance, or digits and letters mingle.
func (v *vocabulary) isRandom(label []byte) bool {
	if len(label) < 7 {
		return false
	}
	var sum float32
	prev, pairs, turns, digits, letters := 0, 0, 0, 0, 0
	wasDigit := false
	for i, b := range label {
		l := letter(b)
		digit := b >= '0' && b <= '9'
		if digit {
			digits++
		} else if l < 27 {
			letters++
		}
		if i > 0 && digit != wasDigit && b != '-' && label[i-1] != '-' {
			turns++
		}
		wasDigit = digit
		if l < 27 && prev < 27 {
			sum += v.bigram[prev][l]
			pairs++
		}
		prev = l
	}
	switch {
	case turns >= 3 && digits >= 2:
		return true
	case digits >= 7 && letters == 0:
		return true
	case pairs < 4:
		return digits >= len(label)/2 && turns >= 2
	}
	return sum/float32(pairs) < 0.05
}

// isSuffix reports whether label, as the rightmost of a longer relative name,
// shows a leaked foreign name.
func (v *vocabulary) isSuffix(label []byte) bool {
	if len(label) == 2 && label[0] >= 'a' && label[1] >= 'a' {
		return true
	}
	_, ok := v.suffixes[v.hasher.Label(label)]
	return ok
}

func (v *vocabulary) isEverywhere(label []byte) bool {
	_, ok := v.everywhere[v.hasher.Label(label)]
	return ok
}
