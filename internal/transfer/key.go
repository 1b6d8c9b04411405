package transfer

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"regexp"
	"strings"

	"github.com/miekg/dns"

	"github.com/picket-dns/picket/internal/dnsname"
)

// Algorithms are the TSIG algorithms that are used, as they are configured.
func Algorithms() []string { return []string{"hmac-sha256", "hmac-sha384", "hmac-sha512"} }

// weak are algorithms that servers still know and that are not used: RFC 8945 §6
// has MD5, SHA-1 and SHA-224 as not recommended, or only for old peers.
var weak = regexp.MustCompile(`(?i)^hmac-(md5|sha1|sha224)\b|^gss-tsig`)

// hashOf is the hash of an algorithm's name; nil for those that are not used.
func hashOf(algorithm string) func() hash.Hash {
	switch strings.ToLower(strings.TrimSuffix(algorithm, ".")) {
	case "hmac-sha256":
		return sha256.New
	case "hmac-sha384":
		return sha512.New384
	case "hmac-sha512":
		return sha512.New
	}
	return nil
}

// CheckAlgorithm says what is wrong with an algorithm's name.
func CheckAlgorithm(name string) error {
	switch {
	case hashOf(name) != nil:
		return nil
	case weak.MatchString(name):
		return fmt.Errorf("TSIG algorithm %q is not used: it is too weak, or not shared-secret; want one of %s", name, strings.Join(Algorithms(), ", "))
	}
	return fmt.Errorf("TSIG algorithm %q is unknown; want one of %s", name, strings.Join(Algorithms(), ", "))
}

// Key is a TSIG key (RFC 8945). It prints as its name only.
type Key struct {
	name      string // canonical, with trailing dot
	algorithm string // with trailing dot
	secret    []byte
}

// Name is the key's name with trailing dot.
func (k *Key) Name() string { return k.name }

// String implements fmt.Stringer: the secret is not to be printed.
func (k *Key) String() string { return k.name }

// NewKey makes a key of its name, its algorithm such as hmac-sha256, and its secret.
func NewKey(name, algorithm string, secret []byte) (*Key, error) {
	wire, err := dnsname.Parse(name)
	if err != nil || len(wire) <= 1 {
		return nil, fmt.Errorf("TSIG key name %q: want a domain name, as the server has it", name)
	}
	if err := CheckAlgorithm(algorithm); err != nil {
		return nil, fmt.Errorf("key %s: %w", name, err)
	}
	if len(secret) < 16 {
		return nil, fmt.Errorf("key %s: the secret has %d bytes; want at least 16, better as many as the hash (tsig-keygen makes them)", name, len(secret))
	}
	return &Key{name: dnsname.String(wire), algorithm: strings.ToLower(strings.TrimSuffix(algorithm, ".")) + ".", secret: secret}, nil
}

var (
	bindKey       = regexp.MustCompile(`(?s)^\s*key\s+"?([^\s"{]+)"?\s*\{(.*?)\}\s*;?\s*$`)
	bindAlgorithm = regexp.MustCompile(`\balgorithm\s+"?([^\s";]+)"?\s*;`)
	bindSecret    = regexp.MustCompile(`\bsecret\s+"?([^\s";]+)"?\s*;`)
	bindComment   = regexp.MustCompile(`(?m)^\s*(#|//).*$`)
)

// ParseKey reads the content of a key's file: the secret in base64, alone; or a key
// statement of named.conf, as tsig-keygen writes it. name and algorithm may then be
// "", and must not contradict it.
func ParseKey(text []byte, name, algorithm string) (*Key, error) {
	text = bytes.TrimSpace(bindComment.ReplaceAll(text, nil))
	secret := string(text)
	if m := bindKey.FindSubmatch(text); m != nil {
		alg, sec := bindAlgorithm.FindSubmatch(m[2]), bindSecret.FindSubmatch(m[2])
		if alg == nil || sec == nil {
			return nil, errors.New("key statement without algorithm or secret")
		}
		if name != "" && !strings.EqualFold(strings.TrimSuffix(name, "."), strings.TrimSuffix(string(m[1]), ".")) {
			return nil, fmt.Errorf("the file holds key %q, not %q", m[1], name)
		}
		if algorithm != "" && !strings.EqualFold(algorithm, string(alg[1])) {
			return nil, fmt.Errorf("the file says algorithm %s, not %s", alg[1], algorithm)
		}
		name, algorithm, secret = string(m[1]), string(alg[1]), string(sec[1])
	}
	raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(secret), ""))
	if err != nil { // the error would show the secret's bytes
		return nil, errors.New("the file is neither a secret in base64, alone, nor one key statement of BIND")
	}
	if algorithm == "" {
		algorithm = Algorithms()[0]
	}
	return NewKey(name, algorithm, raw)
}

// Generate implements dns.TsigProvider.
func (k *Key) Generate(msg []byte, t *dns.TSIG) ([]byte, error) {
	if !strings.EqualFold(t.Hdr.Name, k.name) {
		return nil, dns.ErrSecret
	}
	if !strings.EqualFold(t.Algorithm, k.algorithm) {
		return nil, dns.ErrKeyAlg
	}
	h := hmac.New(hashOf(k.algorithm), k.secret)
	h.Write(msg)
	return h.Sum(nil), nil
}

// verify checks the MAC of a message.
func (k *Key) verify(msg []byte, t *dns.TSIG) error {
	want, err := k.Generate(msg, t)
	if err != nil {
		return err
	}
	if got, err := hex.DecodeString(t.MAC); err != nil || !hmac.Equal(got, want) {
		return dns.ErrSig
	}
	return nil
}
