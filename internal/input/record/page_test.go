package record

import (
	"slices"
	"strings"
	"testing"

	"github.com/picket-dns/picket/internal/input/decode"
)

// TestOnePage: an answer that says that more follow is told from one that is whole.
func TestOnePage(t *testing.T) {
	for _, test := range []struct {
		name string
		f    decoder
		text string
		want bool
	}{
		{"route53 truncated", Route53Export, `{"ResourceRecordSets":[],"IsTruncated":true}`, true},
		{"route53 whole", Route53Export, `{"ResourceRecordSets":[],"IsTruncated":false}`, false},
		{"aws command", Route53Export, `{"ResourceRecordSets":[],"NextToken":"eyJ"}`, true},
		{"cloudflare page", CloudflareExport, `{"result":[],"result_info":{"page":1,"total_pages":3}}`, true},
		{"cloudflare whole", CloudflareExport, `{"result":[],"result_info":{"page":1,"total_pages":1}}`, false},
		{"cloudflare all pages", CloudflareExport, `{"result":[],"result_info":{"total_pages":2}}` + "\n" + `{"result":[],"result_info":{"total_pages":2}}`, false},
		{"gcp page", GCPExport, `{"rrsets":[],"nextPageToken":"x"}`, true},
		{"azure page", AzureExport, `{"value":[],"nextLink":"https://management.azure.com/x"}`, true},
		{"azure whole", AzureExport, `{"value":[],"nextLink":null}`, false},
	} {
		var notes []string
		if err := test.f(t.Context(), strings.NewReader(test.text), decode.Options{Note: func(s string) { notes = append(notes, s) }}, &tally{}, discard{}); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if got := slices.Contains(notes, NoteOnePage); got != test.want {
			t.Errorf("%s: one page %v; notes %q", test.name, got, notes)
		}
	}
}
