package lab

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
)

// Parameters are what the simulated traffic depends on. Each has a source, or a
// range in which it is swept: with every seed another value is drawn, so that no
// result rests on a figure that nobody has measured. docs/lab-parameters.md is
// made from this struct.
//
// Tags: says; value; unit; source, or sweep as LOW-HIGH (drawn evenly on a
// logarithmic scale when log is set).
type Parameters struct {
	// Who asks.
	ShareGoogle     float64 `says:"Google Public DNS, share of clients' interest" value:"0.30" source:"NS1, 7.5 T queries in 90 days: over 30 %"`
	ShareAWS        float64 `says:"AWS resolvers, share" value:"0.16" source:"NS1, 7.5 T queries in 90 days"`
	ShareCloudflare float64 `says:"Cloudflare 1.1.1.1, share" value:"0.093" source:"NS1, 7.5 T queries in 90 days"`
	ShareAkamai     float64 `says:"Akamai, share" value:"0.05" source:"NS1, 7.5 T queries in 90 days"`
	ShareOpenDNS    float64 `says:"OpenDNS, share" value:"0.044" source:"NS1, 7.5 T queries in 90 days"`
	ShareTMobile    float64 `says:"T-Mobile, share" value:"0.04" source:"NS1, 7.5 T queries in 90 days"`
	ShareATT        float64 `says:"AT&T, share" value:"0.025" source:"NS1, 7.5 T queries in 90 days"`
	ShareComcast    float64 `says:"Comcast, share" value:"0.021" source:"NS1, 7.5 T queries in 90 days"`
	TailSources     float64 `says:"resolvers in the long tail, each with an address of its own" value:"3000" unit:"addresses" sweep:"500-20000" log:"yes"`
	TailSlope       float64 `says:"exponent of the tail's sizes: the interest of the k-th is about k to its negative" value:"1.1" sweep:"0.8-1.4"`
	Egress          float64 `says:"egress addresses of a large operator; the smaller ones have a quarter" value:"200" unit:"addresses" sweep:"40-600" log:"yes"`

	// How resolvers behave.
	Minimise    float64 `says:"resolvers that minimise the QNAME" value:"0.4" sweep:"0.2-0.7"`
	Relaxed     float64 `says:"of those, the share that goes on below a name that does not exist" value:"0.3" sweep:"0-0.6"`
	Mixed       float64 `says:"resolvers that mix case (0x20)" value:"0.2" sweep:"0.05-0.5"`
	Validating  float64 `says:"resolvers that set DO" value:"0.7" sweep:"0.5-0.9"`
	Aggressive  float64 `says:"of those, the share that answers from cached denials (RFC 8198)" value:"0.4" sweep:"0.1-0.7"`
	Cookies     float64 `says:"resolvers that send full DNS cookies" value:"0.15" sweep:"0.05-0.4"`
	TCP         float64 `says:"share of queries over TCP" value:"0.02" sweep:"0.005-0.06"`
	Repeat      float64 `says:"share of queries sent twice because an answer was lost" value:"0.01" sweep:"0.002-0.05" log:"yes"`
	TTLCap      float64 `says:"resolvers that keep nothing longer than a minute" value:"0.05" sweep:"0-0.2"`
	NegativeCap float64 `says:"longest time that a negative answer is kept" value:"900" unit:"seconds" sweep:"300-10800" log:"yes"`

	// What is asked.
	NX             float64 `says:"share of NXDOMAIN at an enterprise's servers, all causes" value:"0.035" sweep:"0.02-0.06"`
	Replays        float64 `says:"share of queries that replay old names, of all of NX and retired names" value:"0.25" source:"APNIC 2016: 25 % of 44 billion queries"`
	OneTimeTwice   float64 `says:"share of one-time names that are asked a second time" value:"0.25" source:"Huston, APNIC"`
	Typos          float64 `says:"share of NX that are typing errors" value:"0.2" sweep:"0.05-0.4"`
	SearchSuffix   float64 `says:"share of NX that search lists make of foreign names" value:"0.3" sweep:"0.1-0.6"`
	BrowserProbes  float64 `says:"share of NX that are browsers' probes: three times 7 to 15 letters" value:"0.1" sweep:"0-0.3"`
	Discovery      float64 `says:"share of NX that software asks everywhere: wpad, isatap, autodiscover, _ldap._tcp" value:"0.2" sweep:"0.1-0.4"`
	PopularitySlop float64 `says:"exponent of the names' popularity" value:"1.0" sweep:"0.7-1.4"`
	HourSwing      float64 `says:"how far the rate swings over a day: the least is the mean times one less this" value:"0.5" sweep:"0.2-0.8"`
	WeekendDip     float64 `says:"how much less is asked on Saturday and Sunday" value:"0.3" sweep:"0-0.6"`
	AAAA           float64 `says:"clients that ask AAAA beside A (happy eyeballs, RFC 8305)" value:"0.7" sweep:"0.5-0.9"`
	HTTPSRecord    float64 `says:"of those, the share that asks HTTPS (RFC 9460), too" value:"0.4" sweep:"0.1-0.7"`

	// Who else asks, all with their names.
	Mail       float64 `says:"share of mail: MX, TXT, _dmarc, DKIM selectors, MTA-STS, TLSA" value:"0.08" sweep:"0.02-0.2"`
	Acme       float64 `says:"certificate validations a day, of the whole zone" value:"6" unit:"per day" sweep:"0.5-60" log:"yes"`
	AcmeAsks   float64 `says:"queries of one validation, from several vantages" value:"8" source:"Let's Encrypt staff: eight or more"`
	Monitors   float64 `says:"monitoring services, each with its own fixed list" value:"3" sweep:"0-8"`
	Crawlers   float64 `says:"search engines' crawlers" value:"4" sweep:"1-10"`
	Scanners   float64 `says:"the organisation's own scanners, which ask for all names once a day" value:"1" sweep:"0-2"`
	Vendors    float64 `says:"attack-surface vendors, which ask for what passive DNS has of the zone" value:"1" sweep:"0-3"`
	Research   float64 `says:"research scanners: one or two questions each" value:"5" unit:"per day" sweep:"1-50" log:"yes"`
	Validators float64 `says:"resolvers' DNSKEY and DS questions beside their others, share of queries of a signed zone" value:"0.02" sweep:"0.005-0.05"`
	// What decides how much of mail is asked in vain, and crawlers.
	MailNewer    float64 `says:"mail servers that ask for the newer policies: MTA-STS, and TLSA as far as they validate" value:"0.1" sweep:"0.03-0.3" log:"yes"`
	StaleKeys    float64 `says:"share of DKIM questions for selectors that are no more or never were" value:"0.05" sweep:"0.01-0.2" log:"yes"`
	CrawlerShare float64 `says:"share of queries that one crawler sends" value:"0.002" sweep:"0.0005-0.005" log:"yes"`
}

// Parameter is one of Parameters as documentation shows it.
type Parameter struct {
	Name, Says, Unit, Source string
	Value, Low, High         float64 // Low and High are equal to Value when it has a source
}

// ListParameters lists all parameters in order.
func ListParameters() ([]Parameter, error) {
	t := reflect.TypeFor[Parameters]()
	list := make([]Parameter, t.NumField())
	for i := range list {
		f := t.Field(i)
		p := Parameter{Name: f.Name, Says: f.Tag.Get("says"), Unit: f.Tag.Get("unit"), Source: f.Tag.Get("source")}
		sweep := f.Tag.Get("sweep")
		var err error
		if p.Value, err = strconv.ParseFloat(f.Tag.Get("value"), 64); err != nil {
			return nil, fmt.Errorf("parameter %s: value: %w", p.Name, err)
		}
		if p.Low, p.High = p.Value, p.Value; sweep != "" {
			lo, hi, _ := strings.Cut(sweep, "-")
			var err2 error
			p.Low, err = strconv.ParseFloat(lo, 64)
			if p.High, err2 = strconv.ParseFloat(hi, 64); err != nil || err2 != nil || p.Low > p.Value || p.High < p.Value {
				return nil, fmt.Errorf("parameter %s: sweep %q: want LOW-HIGH around %v", p.Name, sweep, p.Value)
			}
		}
		if (sweep == "") == (p.Source == "") {
			return nil, fmt.Errorf("parameter %s: wants either a source or a sweep", p.Name)
		}
		list[i] = p
	}
	return list, nil
}

// DefaultParameters returns the value of each parameter.
func DefaultParameters() Parameters {
	return drawn(func(p Parameter, _ bool) float64 { return p.Value })
}

// SweptParameters draws each parameter that has no source from its range.
func SweptParameters(r *rand.Rand) Parameters {
	return drawn(func(p Parameter, log bool) float64 {
		x := r.Float64()
		if log {
			return math.Exp(math.Log(p.Low) + x*(math.Log(p.High)-math.Log(p.Low)))
		}
		return p.Low + x*(p.High-p.Low)
	})
}

func drawn(value func(p Parameter, log bool) float64) (out Parameters) {
	list, err := ListParameters()
	if err != nil {
		panic(err) // the tags of this file are wrong, which a test holds
	}
	v := reflect.ValueOf(&out).Elem()
	for i, p := range list {
		v.Field(i).SetFloat(value(p, v.Type().Field(i).Tag.Get("log") != ""))
	}
	return out
}
