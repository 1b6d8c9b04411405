package organisation

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
)

// industry is what the products of an organisation are called.
type industry struct {
	name     string
	products []string
}

var industries = [...]industry{
	{"software", []string{"pay", "ledger", "search", "notify", "ident", "pipeline", "metrics", "billing", "tenant", "studio", "sync", "vault", "market", "flow", "canvas", "insight"}},
	{"bank", []string{"cards", "loans", "trade", "onlinebanking", "treasury", "kyc", "settle", "mortgage", "broker", "fx", "giro", "advisor", "deposit", "fraud", "swiftgw", "branch"}},
	{"municipality", []string{"citizen", "parking", "library", "waste", "permits", "schools", "elections", "registry", "geo", "council", "transit", "museum", "firedept", "housing", "events", "tax"}},
	{"university", []string{"campus", "exams", "library", "moodle", "alumni", "research", "physics", "math", "chem", "enrol", "lecture", "dorms", "mensa", "press", "bio", "law"}},
	{"manufacturer", []string{"scada", "parts", "plm", "mes", "dealer", "service", "catalogue", "quality", "supply", "warranty", "robot", "press", "paint", "logistics", "tooling", "sensor"}},
	{"hospital", []string{"patient", "radiology", "pacs", "lab", "pharmacy", "appointments", "ward", "surgery", "cardio", "triage", "records", "telehealth", "billing", "rehab", "oncology", "nursing"}},
	{"retailer", []string{"shop", "basket", "stores", "loyalty", "warehouse", "returns", "giftcard", "pos", "pricing", "catalog", "delivery", "supplier", "reviews", "coupon", "stock", "click"}},
	{"media", []string{"news", "video", "player", "archive", "epg", "radio", "subs", "paywall", "sport", "weather", "podcast", "ads", "cms", "live", "photo", "comments"}},
}

// Words that names are made of.
var (
	functions = []string{"api", "web", "db", "admin", "auth", "cache", "queue", "worker", "gw", "search", "files", "mon", "batch", "report", "ui", "proxy", "import", "export", "events", "config"}
	visited   = []string{"web", "ui", "api", "gw", "auth", "search", "files"} // functions that somebody outside may use
	devices   = []string{"fw", "rtr", "sw", "ap", "vpn", "dc", "nas", "prn", "cam", "pbx", "ups", "bck", "esx", "idrac", "wlc", "ntp", "proxy", "mon"}
	fleets    = []string{"srv", "vm", "node", "host", "web", "app", "db", "k8s", "worker", "cache", "es", "kafka", "ceph", "hv", "gpu", "build"}
	legacy    = []string{"zeus", "apollo", "hermes", "saturn", "titan", "pluto", "orion", "vega", "rigel", "odin", "thor", "loki", "freya", "gandalf", "merlin", "phoenix", "falcon", "raven", "otter", "badger",
		"cobalt", "argon", "neon", "xenon", "quartz", "basalt", "onyx", "amber", "ruby", "topaz", "kermit", "snoopy", "asterix", "obelix", "tintin", "popeye", "nemo", "calypso", "medusa", "janus"}
	people = []string{"anna", "ben", "carla", "david", "emma", "felix", "greta", "hugo", "ines", "jonas", "katrin", "lars", "mara", "nils", "olga", "paul", "rosa", "simon", "tina", "ulf", "vera", "willi", "yara", "zoe"}
	family = []string{"keller", "huber", "lang", "stein", "wolf", "koch", "frank", "vogel", "winter", "sommer", "brandt", "roth", "lorenz", "seidel", "kuhn", "jansen", "dubois", "rossi", "novak", "silva"}
	cities = []string{"ber", "ham", "muc", "fra", "cgn", "lon", "par", "ams", "vie", "zrh", "mil", "mad", "bcn", "cph", "sto", "osl", "hel", "war", "prg", "bud", "nyc", "chi", "sfo", "dal", "tor", "sao", "sin", "syd", "tyo", "blr"}
	lands  = []string{"de", "fr", "uk", "us", "nl", "it", "es", "pl", "at", "ch", "be", "se", "dk", "jp", "br", "in"}
	topics = []string{"spring", "summer", "autumn", "winter", "launch", "summit", "survey", "promo", "jobs", "career", "event", "webinar", "partner", "press", "download", "connect"}
	assets = []string{"cdn", "static", "img", "assets", "media", "fonts", "video", "dl"}
)

// environments, each under the names that different organisations give it.
var environments = [...][]string{{"dev", "develop"}, {"test", "tst"}, {"uat", "accept"}, {"qa"}, {"stage", "staging", "stg"}, {"preprod", "pre"}, {"int", "integration"}, {"sandbox", "sbx"}, {"demo"}, {"perf", "load"}, {"dr"}, {"train"}}

// style is how one organisation names things.
type style struct {
	products     []string
	gone         []string // products and brands that it once had
	places       []string
	left         []string // places that it has left
	environments []string
	flat         float64 // share of names in one label: pay-api-uat2 rather than api.pay.uat2
	digits       int     // of numbers on servers
	glued        bool    // ber-fw1 rather than fw1.ber
	platform     string  // the label that the wildcard, or the tenants, are below
	tenants      bool    // the organisation has customers with a name each
}

func newStyle(r *rand.Rand, o *Options) (s style, err error) {
	i := r.IntN(len(industries))
	if o.Industry != "" {
		if i = slices.IndexFunc(industries[:], func(x industry) bool { return x.name == o.Industry }); i < 0 {
			return s, fmt.Errorf("industry %q: want one of %v", o.Industry, Industries())
		}
	}
	// The larger, the more products and places; past the known ones they have made-up
	// names. What it does not have of the known ones it may have had once.
	known, towns := shuffled(r, industries[i].products), shuffled(r, cities)
	s.products = words(r, known, min(max(o.Names/60, 6), 5000))
	s.places = words(r, towns, min(max(o.Names/200, 3), 400))
	s.gone = slices.Concat(known[min(len(s.products), len(known)):], words(r, nil, 2+len(s.products)/3))
	s.left = slices.Concat(towns[min(len(s.places), len(towns)):], words(r, nil, 1+len(s.places)/10))
	for _, e := range environments {
		if r.IntN(3) > 0 {
			s.environments = append(s.environments, pick(r, e))
		}
	}
	if len(s.environments) < 2 {
		s.environments = []string{"dev", "test"}
	}
	s.flat = 0.2 + 0.75*r.Float64()
	s.digits = 1 + r.IntN(3)
	s.glued = r.IntN(2) == 0
	s.platform = pick(r, []string{"apps", "sites", "cloud", "pages", "run"})
	s.tenants = i == 0 || r.IntN(3) == 0
	return s, nil
}

func shuffled(r *rand.Rand, list []string) []string {
	list = slices.Clone(list)
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// words makes a list n long: it is cut, or goes on with words that are made up.
func words(r *rand.Rand, list []string, n int) []string {
	if n <= len(list) {
		return list[:n]
	}
	seen := map[string]bool{}
	for _, w := range list {
		seen[w] = true
	}
	for len(list) < n {
		if w := string(appendWord(nil, r, 2)); !seen[w] {
			seen[w] = true
			list = append(list, w)
		}
	}
	return list
}

// appendWord appends a word that can be spoken and means nothing.
func appendWord(dst []byte, r *rand.Rand, syllables int) []byte {
	onsets := [...]string{"b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "br", "cl", "dr", "gr", "kr", "pl", "st", "tr"}
	ends := [...]string{"", "", "", "n", "r", "l", "s", "x", "nt", "rk"}
	for i := range syllables {
		dst = append(dst, onsets[r.IntN(len(onsets))]...)
		dst = append(dst, "aeiou"[r.IntN(5)])
		if i == syllables-1 {
			dst = append(dst, ends[r.IntN(len(ends))]...)
		}
		if i == 0 && r.IntN(3) == 0 {
			dst = append(dst, "lnrst"[r.IntN(5)])
		}
	}
	return dst
}

// appendNumber appends n with at least so many digits.
func appendNumber(dst []byte, n, digits int) []byte {
	least := 1
	for range digits - 1 {
		least *= 10
	}
	for ; n < least && least > 1; least /= 10 {
		dst = append(dst, '0')
	}
	return strconv.AppendInt(dst, int64(n), 10)
}
