package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// ledgerReidentified is the kind of the ledger's entries about re-identification.
const ledgerReidentified = "reidentified"

// errRecordNotKept says that a quarantined record has no bytes to be decoded.
var errRecordNotKept = errors.New("its bytes were not kept")

// reidentifyRequest asks whose pseudonyms are.
type reidentifyRequest struct {
	Case      string   `json:"case"`
	Role      string   `json:"role"`
	Reason    string   `json:"reason"`
	Addresses []string `json:"addresses"` // pseudonyms: addresses or prefixes
	SudoUser  string   `json:"sudo_user,omitempty"`
}

// revealed is the answer for one of them.
type revealed struct {
	Pseudonym string `json:"pseudonym"`
	Address   string `json:"address"`
}

// reidentifiedPayload is what the ledger says of it: never the addresses.
type reidentifiedPayload struct {
	person
	Role       string   `json:"role"`
	Case       string   `json:"case"`
	Reason     string   `json:"reason"`
	Pseudonyms []string `json:"pseudonyms"`
}

// reidentifyMost bounds one request: it is for a case, not for a table.
const reidentifyMost = 100

// reidentify answers when the person has the role, and the ledger has the entry.
func (c custody) reidentify(ctx context.Context, r reidentifyRequest) ([]revealed, error) {
	m := c.privacy.mapper
	switch {
	case m == nil:
		return nil, badRequest{errors.New("there is no key: privacy.key_file is not set")}
	case strings.TrimSpace(r.Case) == "" || strings.TrimSpace(r.Reason) == "":
		return nil, badRequest{errors.New("a case and a reason are needed")}
	case len(r.Addresses) == 0 || len(r.Addresses) > reidentifyMost:
		return nil, badRequest{fmt.Errorf("want 1 to %d addresses, not %d", reidentifyMost, len(r.Addresses))}
	}
	members, known := c.privacy.cfg.Roles[r.Role]
	if !known {
		return nil, badRequest{fmt.Errorf("there is no role %q in privacy.roles", r.Role)}
	}
	if !slices.Contains(members, c.who.Name) {
		return nil, badRequest{fmt.Errorf("user %s does not have the role %q", c.who.text(), r.Role)}
	}
	pseudonyms, err := parseAddrs(r.Addresses)
	if err != nil {
		return nil, badRequest{err}
	}
	entry := reidentifiedPayload{person: c.who, Role: r.Role, Case: r.Case, Reason: r.Reason}
	for _, p := range pseudonyms {
		entry.Pseudonyms = append(entry.Pseudonyms, prefixText(p))
	}
	// First the entry: without it there is no answer.
	if _, err := c.store.AppendLedger(ctx, ledgerReidentified, entry); err != nil {
		return nil, err
	}
	var list []revealed
	for _, p := range pseudonyms {
		list = append(list, revealed{prefixText(p), prefixText(m.RevealPrefix(p))})
	}
	return list, nil
}

func reidentifyCommand(std streams) *cobra.Command {
	var path string
	var r reidentifyRequest
	cmd := &cobra.Command{
		Use:   "reidentify --case ID --role NAME --reason TEXT ADDRESS...",
		Short: "Say for a case whose pseudonyms are",
		Long: `Reidentify prints the addresses behind pseudonyms. You must have the role by
privacy.roles of the configuration. Who asked, for which case and why, and about which
pseudonyms, is in the ledger before an address is printed; the addresses are not.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if r.Case == "" || r.Role == "" || r.Reason == "" {
				return usageError("reidentify: --case, --role and --reason are needed")
			}
			if _, err := parseAddrs(args); err != nil {
				return usageError("reidentify: %v", err)
			}
			r.Addresses = args
			return withCustody(cmd.Context(), path, func(c custodian) error {
				list, err := c.reidentify(cmd.Context(), r)
				if err != nil {
					return err
				}
				for _, x := range list {
					if _, err := fmt.Fprintf(std.out, "%s\t%s\n", x.Pseudonym, x.Address); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	f := cmd.Flags()
	f.StringVarP(&path, "config", "c", "picket.yaml", "configuration file")
	f.StringVar(&r.Case, "case", "", "the case that it is for")
	f.StringVar(&r.Role, "role", "", "the role in which you ask")
	f.StringVar(&r.Reason, "reason", "", "why it is needed")
	return cmd
}
