package adversary

import (
	"slices"

	"github.com/picket-dns/picket/internal/lab"
)

const millisecond = int64(1e6) // nanoseconds

// stub are the habits of a tool with a resolver library and one server to ask.
var stub = Habits{RD: true, Server: 1}

// addresses is A and AAAA.
var addresses = []uint16{lab.TypeA, lab.TypeAAAA}

// Tools are the public tools, and the adversaries who need none. What each does
// follows descriptions of its source; where there is a capture of it, docs/lab-tools.md
// compares the two.
func Tools() []Tool {
	return slices.Concat(dnsrecon(), listTools(), massTools(), walkers(), surveys(), sweeps(), verifiers())
}

// Find returns the tool or evader with a name.
func Find(name string) (Tool, bool) {
	for _, t := range slices.Concat(Tools(), Evaders()) {
		if t.Name == name {
			return t, true
		}
	}
	return Tool{}, false
}

func survey(questions ...Question) Stage { return Stage{Do: DoAsk, Questions: questions} }

// both asks a name for A and AAAA.
func both(name string) []Question {
	return []Question{{Name: name, Type: lab.TypeA}, {Name: name, Type: lab.TypeAAAA}}
}

func dnsrecon() []Tool {
	// It looks whether the server makes names up, over TCP, before anything else.
	honest := survey(Question{Name: "{random}.com.", Type: lab.TypeA, Stream: true}, Question{Name: "{random}.com.", Type: lab.TypeAAAA, Stream: true})
	probe := Stage{Do: DoProbe, Probe: Probe{Alphabet: alphanum, Min: 12, Max: 12, Distinct: true, Mixed: true}}
	servers := slices.Concat([]Question{{Type: lab.TypeSOA}}, both("{ns}"), []Question{{Type: lab.TypeNS}}, both("{ns}"))
	std := slices.Concat([]Question{{Type: lab.TypeDNSKEY}}, servers,
		[]Question{{Name: "www.google.com.", Type: lab.TypeNS, Each: true}, {Name: "version.bind.", Type: lab.TypeTXT, Class: 3, Each: true}, {Type: lab.TypeMX}},
		both("{mx}"), both(""),
		[]Question{{Type: lab.TypeSPF}, {Type: lab.TypeTXT}, {Name: "_dmarc", Type: lab.TypeTXT}, {Name: "_domainkey", Type: lab.TypeTXT},
			{Name: "_dmarc._domainkey", Type: lab.TypeTXT}})
	srv := Stage{Do: DoService, Count: 64, Workers: 10, Slack: 3 * millisecond, Questions: []Question{ // misspelled by the tool
		{Name: "_imap.tcp"}, {Name: "_kerberos.tcp.dc._msdcs"}, {Name: "_pgprevokations._tcp"}, {Name: "_PKIXREP._tcp"}}}
	return []Tool{
		{Name: "dnsrecon std", Technique: "record-survey", Habits: stub,
			Says:   "asks the apex for one type after another, each server for its version, and 68 services",
			Stages: []Stage{honest, probe, survey(std...), srv}},
		{Name: "dnsrecon brt", Technique: "brute-force", Habits: stub, Words: 1910, Sorted: true,
			Says:   "a sorted list, A and AAAA for each word, several threads",
			Stages: []Stage{honest, probe, {Do: DoList, Types: addresses, Workers: 5, Slack: 3 * millisecond / 2}}},
		{Name: "dnsrecon axfr", Technique: "zone-transfer", Habits: stub, Needs: Needs{Direct: true},
			Says:   "finds the servers, asks each for the zone, then resolves what its records name",
			Stages: []Stage{honest, survey(servers...), survey(Question{Type: lab.TypeAXFR, Each: true}), {Do: DoTargets}}},
		{Name: "dnsrecon walk", Technique: "nsec-walk", Habits: Habits{RD: true, DO: true, EDNSSize: 4096, Server: 1}, Needs: Needs{Signing: lab.NSEC},
			Says:   "walks the NSEC chain by 0.NAME and NAME-",
			Stages: []Stage{survey(servers...), {Do: DoWalk, Forms: []Form{FormChildH, FormDash}}}},
	}
}

// listTools are the tools that go through a list from one host.
func listTools() []Tool {
	return []Tool{
		{Name: "dnsenum", Technique: "brute-force", Habits: stub, Words: 1480, Sorted: true, Poor: true,
			Says: "host, servers and mail exchangers, a transfer from each server, a sorted list, the range's reverse names",
			Stages: []Stage{survey(Question{Type: lab.TypeA}), {Do: DoProbe, Probe: Probe{Alphabet: letters, Min: 12, Max: 12}},
				survey(slices.Concat([]Question{{Type: lab.TypeNS}, {Type: lab.TypeMX}}, both("{ns}"), []Question{{Type: lab.TypeAXFR, Each: true}, {Name: "*", Type: lab.TypeA}})...),
				{Do: DoList}, {Do: DoSweep}}},
		{Name: "fierce", Technique: "brute-force", Habits: stub, Words: 1594, Sorted: true,
			Says: "a transfer from the primary, a sorted list word by word, five addresses on either side of each hit",
			Stages: []Stage{survey(slices.Concat([]Question{{Type: lab.TypeNS}, {Type: lab.TypeSOA}}, both("{ns}")[:1], []Question{{Type: lab.TypeAXFR}})...),
				{Do: DoProbe, Probe: Probe{Alphabet: digits, Min: 11, Max: 11}}, {Do: DoList, Follow: 5}}},
		{Name: "dnsmap", Technique: "brute-force", Habits: stub, Words: 1000, Sorted: true,
			Says: "AAAA twice, then A, word by word with a short pause",
			Stages: []Stage{{Do: DoProbe, Probe: Probe{Alphabet: digits, Min: 10, Max: 19}},
				{Do: DoList, Types: []uint16{lab.TypeAAAA, lab.TypeAAAA, lab.TypeA}, Pause: 5 * millisecond}}},
		{Name: "nmap dns-brute", Technique: "brute-force", Habits: stub, Words: 130, Sorted: true,
			Says: "threads on contiguous blocks of a short list, A and AAAA, then 74 services",
			Stages: []Stage{{Do: DoProbe, Probe: Probe{Alphabet: letters, Min: 24, Max: 24, Types: addresses, Fresh: true}},
				{Do: DoList, Types: addresses, Workers: 6, Blocks: true},
				{Do: DoService, Count: 68, Workers: 6, Blocks: true, Shuffle: true, Questions: []Question{{Name: "_tcp"}, {Name: "_udp"}, {Name: "_tls"}, {Name: "_msdcs"},
					{Name: "_client._smtp"}, {Name: "_iax.udp"}}}}},
		{Name: "gobuster", Technique: "brute-force", Habits: stub, Words: 5000,
			Says:   "ten threads through a list, A and AAAA at once",
			Stages: []Stage{{Do: DoProbe, Probe: Probe{Make: "uuid", Types: addresses}}, {Do: DoList, Types: addresses, Together: true, Workers: 10}}},
		{Name: "dnscan", Technique: "brute-force", Habits: stub, Words: 1000,
			Says: "transfer, apex records, then a list with eight threads",
			Stages: []Stage{survey(Question{Type: lab.TypeNS}, Question{Name: "{ns}", Type: lab.TypeA}, Question{Type: lab.TypeAXFR, Each: true}, Question{Type: lab.TypeAAAA},
				Question{Type: lab.TypeTXT}, Question{Name: "_dmarc", Type: lab.TypeTXT}, Question{Type: lab.TypeDNSKEY}, Question{Type: lab.TypeMX}),
				{Do: DoProbe, Probe: Probe{Make: "epoch"}}, {Do: DoList, Workers: 8}}},
		{Name: "theHarvester", Technique: "brute-force", Habits: stub, Words: 5000,
			Says:   "A, AAAA and CNAME of each name together, no wildcard probe",
			Stages: []Stage{{Do: DoList, Types: []uint16{lab.TypeA, lab.TypeAAAA, lab.TypeCNAME}, Together: true, Workers: 20}}},
	}
}

// massTools ask through many resolvers.
func massTools() []Tool {
	spread := Habits{RD: true, Spread: SpreadRandom}
	xids := Stage{Do: DoProbe, Probe: Probe{Make: "xid", Count: 2}}
	amassTypes := []uint16{lab.TypeCNAME, lab.TypeA, lab.TypeAAAA}
	amassProbe := Stage{Do: DoProbe, Probe: Probe{Alphabet: alphanum + "-", Min: 6, Max: 24, Count: 3, Types: amassTypes, Depth: 2}}
	return []Tool{
		{Name: "subfinder/dnsx/shuffledns", Technique: "brute-force", Habits: spread, Words: 5000,
			Says: "a hundred threads through public resolvers", Stages: []Stage{xids, {Do: DoList, Workers: 100, Lost: 0.01}}},
		{Name: "puredns", Technique: "brute-force", Habits: spread, Words: 5000,
			Says: "massdns, wildcard tests at each level with the same label, then the hits once more",
			Stages: []Stage{{Do: DoProbe, Probe: Probe{Alphabet: alphanum, Min: 16, Max: 16, Count: 3}}, {Do: DoList, Workers: 500, Lost: 0.02},
				{Do: DoProbe, Probe: Probe{Alphabet: alphanum, Min: 16, Max: 16, Depth: 7}}, {Do: DoHits, Workers: 10}}},
		{Name: "massdns", Technique: "brute-force", Habits: spread, Words: 5000,
			Says:   "hundreds of names in flight, a random resolver each, lost ones again",
			Stages: []Stage{{Do: DoProbe, Probe: Probe{Alphabet: letters, Min: 10, Max: 10}}, {Do: DoList, Workers: 1000, Lost: 0.03}}},
		{Name: "amass brute", Technique: "brute-force", Habits: spread, Words: 8000,
			Says:   "names that fail are tried again through other resolvers, up to ten times; 170 services",
			Stages: []Stage{amassProbe, {Do: DoService, Count: 170, Workers: 10}, {Do: DoList, Types: amassTypes, OnlyHits: true, Workers: 40, Misses: 10}}},
		{Name: "amass alterations", Technique: "permutation-brute", Habits: spread, Knows: KnowsPermutation,
			Says:   "affixes, turned digits and single edits of names that exist",
			Stages: []Stage{amassProbe, {Do: DoList, Types: amassTypes, OnlyHits: true, Workers: 40, Misses: 10}}},
		{Name: "amass sweep", Technique: "reverse-sweep", Habits: spread, Needs: Needs{Reverse: true},
			Says: "the addresses around known hosts", Stages: []Stage{{Do: DoSweep, Count: 100, Workers: 10}}},
	}
}

// walkers follow or collect denials.
func walkers() []Tool {
	n3 := Habits{DO: true, EDNSSize: 4096, Server: 1}
	return []Tool{
		{Name: "nmap dns-nsec-enum", Technique: "nsec-walk", Habits: Habits{RD: true, DO: true, EDNSSize: 4096, Server: 1}, Needs: Needs{Signing: lab.NSEC},
			Says: "A for 0.NAME, then for NAME-, with DO", Stages: []Stage{{Do: DoWalk, Forms: []Form{FormChild0, FormDash}}}},
		{Name: "nmap dns-nsec3-enum", Technique: "nsec3-walk", Habits: Habits{RD: true, DO: true, EDNSSize: 4096, Server: 1}, Needs: Needs{Signing: lab.NSEC3},
			Says: "asks for type NSEC3 of generated names", Stages: []Stage{{Do: DoHashes, Type: lab.TypeNSEC3, Count: 200, Probe: Probe{Alphabet: frequent, Min: 8, Max: 8}}}},
		{Name: "ldns-walk", Technique: "nsec-walk", Habits: Habits{RD: true, DO: true, EDNSSize: 4096}, Needs: Needs{Signing: lab.NSEC},
			Says: "SOA, then DS of a zero byte below each name", Stages: []Stage{survey(Question{Type: lab.TypeSOA}), {Do: DoWalk, Type: lab.TypeDS, Forms: []Form{FormZero}}}},
		{Name: "n3map NSEC", Technique: "nsec-walk", Habits: n3, Needs: Needs{Signing: lab.NSEC},
			Says: "a zero byte below each name, at full speed", Stages: []Stage{survey(Question{Type: lab.TypeSOA}), {Do: DoWalk, Forms: []Form{FormZero, FormDash}}}},
		{Name: "n3map NSEC3", Technique: "nsec3-walk", Habits: n3, Needs: Needs{Signing: lab.NSEC3},
			Says: "an ascending counter of which only those are asked whose hash lies in no known interval", Stages: []Stage{survey(Question{Type: lab.TypeSOA}), {Do: DoHashes, Workers: 4}}},
		{Name: "NSEC by type", Technique: "nsec-walk", Habits: Habits{RD: true}, Needs: Needs{Signing: lab.NSEC},
			Says: "asks each name for its NSEC record, by hand or script", Stages: []Stage{{Do: DoWalk, Type: lab.TypeNSEC, Forms: []Form{FormName}, Pause: 100 * millisecond}}},
	}
}
