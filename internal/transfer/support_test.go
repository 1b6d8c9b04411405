package transfer_test

import (
	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// decodeOptions and ignoreAccount let a zone file's decoder run beside a transfer.
func decodeOptions() decode.Options { return decode.Options{Origin: testZone} }

type ignoreAccount struct{}

func (ignoreAccount) Accept(int64)                   {}
func (ignoreAccount) Reject(string, picket.Position) {}
func (ignoreAccount) Skip(string)                    {}
