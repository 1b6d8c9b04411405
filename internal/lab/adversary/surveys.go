package adversary

import (
	"slices"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/lab"
)

// dig are the habits of dig.
var dig = Habits{RD: true, EDNSSize: 1232, Server: 1, Flags: picket.FlagAD}

// surveys ask for records, transfers and versions.
func surveys() []Tool {
	second := func(q ...Question) Stage {
		return Stage{Do: DoAsk, Questions: q, Pause: 1000 * millisecond, Exact: true}
	}
	var apex []Question
	for _, t := range []uint16{lab.TypeSOA, lab.TypeNS, lab.TypeMX, lab.TypeTXT, lab.TypeCAA, lab.TypeDNSKEY, lab.TypeDS, lab.TypeHINFO, lab.TypeNAPTR, 29, lab.TypeSRV} {
		apex = append(apex, Question{Type: t})
	}
	anys := []Question{{Type: lab.TypeANY, Stream: true}, {Type: lab.TypeANY}, {Name: "{hit}", Type: lab.TypeANY, Stream: true}, {Name: "{hit}", Type: lab.TypeANY}}
	version := func(name string) Question { return Question{Name: name, Type: lab.TypeTXT, Class: 3} }
	// What a script asks one server; see chaos.
	chaos := []Question{version("version.bind."), version("hostname.bind."), version("id.server."), version("version.server."), version("authors.bind.")}
	quick := []Question{{Type: lab.TypeSOA, Flags: picket.FlagNSID}, {Type: lab.TypeA, Opcode: 2}, {Type: lab.TypeSOA, Flags: picket.FlagBadEDNS},
		{Type: lab.TypeSOA, Flags: picket.FlagBadEDNS}, {Name: "www.google.com.", Type: lab.TypeA}}
	each := func(list []Question) []Question {
		list = slices.Clone(list)
		for i := range list {
			list[i].Each = true
		}
		return list
	}
	start := 22 * millisecond // of the process
	transfers := Stage{Do: DoAsk, Questions: []Question{{Type: lab.TypeNS}, {Type: lab.TypeSOA}}, Pause: start, Exact: true}
	return []Tool{
		{Name: "dig any", Technique: "record-survey", Habits: dig, Says: "popular names for ANY over TCP and UDP, then the apex for all types, one a second",
			Stages: []Stage{second(anys...), second(apex...)}},
		{Name: "dig types", Technique: "record-survey", Habits: dig, Says: "the apex for all types, one a second", Stages: []Stage{second(apex...)}},
		{Name: "dig chaos", Technique: "server-fingerprint", Habits: dig, Needs: Needs{Direct: true},
			Says: "each server for its version in class CH, one a second, then an odd opcode and odd options", Stages: []Stage{second(each(chaos)...),
				{Do: DoAsk, Questions: each(quick), Pause: 20 * millisecond}}},
		{Name: "dig axfr", Technique: "zone-transfer", Habits: dig, Needs: Needs{Direct: true},
			Says: "NS and SOA, then a transfer from each server, two seconds apart",
			Stages: []Stage{transfers, {Do: DoAsk, Pause: 2000 * millisecond, Exact: true, Questions: []Question{{Type: lab.TypeAXFR, Each: true, NoRD: true}}},
				{Do: DoAsk, Pause: start, Exact: true, Questions: []Question{{Type: lab.TypeIXFR, Stream: true, NoRD: true}, {Name: "{reverse}", Type: lab.TypeAXFR, NoRD: true}}}}},
		{Name: "dnswalk", Technique: "zone-transfer", Habits: Habits{RD: true}, Needs: Needs{Direct: true},
			Says:   "SOA, NS, then a transfer from each server",
			Stages: []Stage{survey(slices.Concat([]Question{{Type: lab.TypeSOA}, {Type: lab.TypeNS}}, both("{ns}")[:1], []Question{{Type: lab.TypeAXFR, Each: true}})...)}},
		{Name: "service survey", Technique: "service-survey", Habits: stub, Says: "72 services, a few in flight", Stages: []Stage{{Do: DoService, Count: 72, Workers: 5}}},
	}
}

// sweeps ask for the names of addresses.
func sweeps() []Tool {
	return []Tool{
		{Name: "fierce --range", Technique: "reverse-sweep", Habits: stub, Needs: Needs{Reverse: true},
			Says: "all addresses of a range, four in flight", Stages: []Stage{{Do: DoSweep, Workers: 4, Slack: 3 * millisecond / 2}}},
		{Name: "dnsrecon rvl", Technique: "reverse-sweep", Habits: stub, Needs: Needs{Reverse: true},
			Says: "all addresses of a range, ten in flight", Stages: []Stage{{Do: DoSweep, Workers: 10}}},
		{Name: "nmap ip6-arpa", Technique: "reverse-sweep", Habits: stub, Needs: Needs{Reverse: true, Six: true},
			Says: "the ip6.arpa tree child by child, pruned where nothing is", Stages: []Stage{{Do: DoTree}}},
	}
}

// verifiers have a list of names that exist or existed, and check it.
func verifiers() []Tool {
	fifth := Stage{Do: DoList, Pause: 200 * millisecond}
	return []Tool{
		{Name: "passive DNS, verified", Technique: "pdns-validation", Knows: KnowsPassiveDNS, Habits: Habits{RD: true}, Needs: Needs{Retired: true},
			Says: "what passive DNS shows, five names a second in random order", Stages: []Stage{fifth}},
		{Name: "CT, verified", Technique: "pdns-validation", Knows: KnowsCT, Habits: Habits{RD: true},
			Says: "what certificate logs show, in alphabetical order, A and AAAA", Stages: []Stage{{Do: DoList, Types: addresses, Pause: 100 * millisecond}}},
		{Name: "hits, verified again", Technique: "pdns-validation", Knows: KnowsHits, Habits: Habits{RD: true},
			Says: "only names that existed at an earlier visit", Stages: []Stage{fifth}},
	}
}
