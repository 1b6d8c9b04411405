package input

import (
	"bytes"
	"errors"
	"fmt"
)

// ErrRefused is for an input that is known, and is no telemetry.
var ErrRefused = errors.New("not telemetry")

// refusal is something that people take for telemetry.
type refusal struct {
	what   string // what it is
	right  string // what to give instead
	detect func(head []byte) bool
}

// refusals are looked at when no format claims an input.
func refusals() []refusal {
	return []refusal{
		{"a Terraform configuration (HCL)", "it is a program; give its result: terraform.tfstate, or \"terraform show -json\" of a state or plan", isHCL},
		{"a dnsconfig.js of DNSControl", "it is a program; give its result: \"dnscontrol print-ir --pretty\"", isDNSConfig},
		{"a STIX bundle", "it tells of threats, not of queries or records; give logs, captures, zones or passive DNS (COF)", isSTIX},
		{"an OCSF event or schema", "other tools' findings and definitions; give the log that they were made from, in its own format", isOCSF},
		{"a Sigma rule", "it says what to search for; give the log to be searched", isSigma},
		{"a detection rule with its tests", "give the log itself, one event each line", isRuleTests},
		{"an ECS field definition", "it describes fields; give the log itself", isECS},
		{"a Packetbeat or ECS event", "it has lost what detection needs; give the name server's own log, dnstap or a capture, or map its fields with a generic JSON input", isPacketbeat},
		{"a recording of HTTP exchanges", "give the answers' bodies as files of their own", isRecording},
		{"documentation", "give the log itself, without the text around it", isDocumentation},
	}
}

// refuse returns an error that says what head is, nil when nobody knows.
func refuse(head []byte) error {
	body := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n")
	if len(body) == 0 || bytes.IndexByte(body, 0) >= 0 {
		return nil
	}
	for _, r := range refusals() {
		if r.detect(body) {
			return fmt.Errorf("%w: %s: %s", ErrRefused, r.what, r.right)
		}
	}
	return nil
}

// all reports whether text has each of the words.
func all(text []byte, words ...string) bool {
	for _, w := range words {
		if !bytes.Contains(text, []byte(w)) {
			return false
		}
	}
	return true
}

// atMargin reports whether a line begins with prefix.
func atMargin(text []byte, prefix string) bool {
	return bytes.HasPrefix(text, []byte(prefix)) || bytes.Contains(text, []byte("\n"+prefix))
}

func isJSON(body []byte) bool { return body[0] == '{' || body[0] == '[' }

func isHCL(body []byte) bool {
	if isJSON(body) {
		return false
	}
	for _, block := range []string{`resource "`, `module "`, `data "`, `provider "`, `variable "`} {
		if atMargin(body, block) && all(body, "{", " = ") {
			return true
		}
	}
	return false
}

func isDNSConfig(body []byte) bool {
	return !isJSON(body) && (all(body, "DnsProvider(") || all(body, "NewRegistrar(") || all(body, "NewDnsProvider(")) &&
		(atMargin(body, "D(") || atMargin(body, "D_EXTEND(") || atMargin(body, "var ") || atMargin(body, "require("))
}

func isSTIX(body []byte) bool {
	return isJSON(body) && all(body, `"type"`, `"id"`) && (all(body, `"bundle--`) || all(body, `"spec_version"`, `--`, `"created"`))
}

func isOCSF(body []byte) bool {
	if !isJSON(body) {
		return false
	}
	return all(body, `"metadata"`, `"severity_id"`) || all(body, `"class_uid"`, `"category_uid"`) || all(body, `"caption"`, `"attributes"`, `"description"`)
}

func isSigma(body []byte) bool {
	return !isJSON(body) && atMargin(body, "logsource:") && atMargin(body, "detection:")
}

func isRuleTests(body []byte) bool {
	if isJSON(body) {
		return false
	}
	return atMargin(body, "AnalysisType:") || (atMargin(body, "id:") && atMargin(body, "tests:")) || (all(body, "log 1 pass = ") && all(body, "rule = "))
}

func isECS(body []byte) bool {
	return !isJSON(body) && atMargin(body, "- name:") && all(body, " fields:", " level:", " type:")
}

func isPacketbeat(body []byte) bool {
	return isJSON(body) && all(body, `"@timestamp"`, `"dns"`)
}

func isRecording(body []byte) bool {
	if isJSON(body) {
		return all(body, `"request"`, `"response"`) && (all(body, `"interactions"`) || all(body, `"log"`, `"entries"`))
	}
	return (atMargin(body, "http_interactions:") || atMargin(body, "interactions:")) && all(body, "request:", "response:")
}

func isDocumentation(body []byte) bool {
	if isJSON(body) {
		return false
	}
	lower := bytes.ToLower(body[:min(len(body), 256)])
	if bytes.HasPrefix(lower, []byte("<!doctype html")) || bytes.HasPrefix(lower, []byte("<html")) {
		return true
	}
	heading := atMargin(body, "====") || atMargin(body, "----\n") || atMargin(body, "****") || atMargin(body, "# ") || atMargin(body, "## ")
	code := all(body, ".. code-block::") || atMargin(body, ".. ") || atMargin(body, "```") || all(body, "\n::\n")
	return heading && code
}
