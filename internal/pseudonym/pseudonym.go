// Package pseudonym replaces IP addresses by pseudonyms that keep their prefixes:
// two addresses that share their first n bits have pseudonyms that share exactly
// their first n bits. It is Crypto-PAn (Xu, Fan, Ammar, Moon: "Prefix-Preserving IP
// Address Anonymization", ICNP 2002) with AES-128, for IPv4 over 32 bits and for
// IPv6 over 128. Who counts by /24 or /64 counts the same over pseudonyms.
//
// The mapping is a bijection and can be undone with the key (Reveal). Without the
// key it gives the structure of a network away all the same, and an attacker who
// knows some pairs, or can have addresses of its choice mapped, learns prefixes of
// others: it is pseudonymisation, not anonymisation.
package pseudonym

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"net/netip"
	"strings"
	"sync"
)

// KeySize is the length of a key in bytes: half of it is the AES key, the other
// half becomes the padding.
const KeySize = 32

// Bounds of the cache. Addresses come again and again; one that is not in the
// cache costs one AES block for each of its bits.
const (
	shards        = 64
	slotsPerShard = 1024 // 64 bytes each, 4 MiB in all
)

// Mapper maps addresses. It is safe for concurrent use, and does not allocate.
type Mapper struct {
	block cipher.Block
	pad   [16]byte
	seed  maphash.Seed
	parts [shards]shard
}

// shard is a part of the cache, each address has one slot in one shard. Its
// buffers are where a shard's blocks are encrypted: on the stack they would escape.
type shard struct {
	mu      sync.Mutex
	in, out [16]byte
	slots   [slotsPerShard]slot
}

type slot struct{ addr, pseudonym netip.Addr }

// New returns the mapper of a key of KeySize bytes.
func New(key []byte) (*Mapper, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("key has %d bytes, want %d", len(key), KeySize)
	}
	block, err := aes.NewCipher(key[:16])
	if err != nil {
		return nil, err
	}
	m := &Mapper{block: block, seed: maphash.MakeSeed()}
	block.Encrypt(m.pad[:], key[16:])
	return m, nil
}

// Pseudonym returns the pseudonym of an address. An IPv4 address in IPv6 form is
// taken as IPv4, a zone is left off, and the zero Addr stays what it is.
func (m *Mapper) Pseudonym(a netip.Addr) netip.Addr {
	if !a.IsValid() {
		return a
	}
	a = a.Unmap().WithZone("")
	h := maphash.Comparable(m.seed, a)
	p := &m.parts[h%shards]
	s := &p.slots[h/shards%slotsPerShard]
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.addr != a {
		*s = slot{a, m.turn(p, a, false)}
	}
	return s.pseudonym
}

// Prefix returns the pseudonym of a prefix: that of the prefix of all pseudonyms of
// the addresses in it. The zero Prefix stays what it is.
func (m *Mapper) Prefix(p netip.Prefix) netip.Prefix {
	return mapPrefix(p, m.Pseudonym)
}

// Reveal is the inverse of Pseudonym.
func (m *Mapper) Reveal(a netip.Addr) netip.Addr {
	if !a.IsValid() {
		return a
	}
	p := &m.parts[0]
	p.mu.Lock()
	defer p.mu.Unlock()
	return m.turn(p, a.Unmap().WithZone(""), true)
}

// RevealPrefix is the inverse of Prefix.
func (m *Mapper) RevealPrefix(p netip.Prefix) netip.Prefix {
	return mapPrefix(p, m.Reveal)
}

func mapPrefix(p netip.Prefix, f func(netip.Addr) netip.Addr) netip.Prefix {
	if !p.IsValid() {
		return p
	}
	a, bits := p.Addr(), p.Bits()
	if a.Is4In6() { // 96 bits of it are not of the IPv4 address
		a, bits = a.Unmap(), max(bits-96, 0)
	}
	return netip.PrefixFrom(f(a), bits).Masked()
}

// turn maps an address, or undoes that. Each bit is flipped or not by the first bit
// of the encryption of all original bits before it, followed by the padding.
func (m *Mapper) turn(p *shard, a netip.Addr, undo bool) netip.Addr {
	b := a.As16()
	given := b[:]
	if a.Is4() {
		given = b[12:]
	}
	p.in = m.pad // becomes original bits, one after the other
	for i := range 8 * len(given) {
		m.block.Encrypt(p.out[:], p.in[:])
		flip := p.out[0] >> 7
		at, shift := i/8, 7-i%8
		bit := given[at] >> shift & 1
		given[at] ^= flip << shift
		if undo {
			bit ^= flip
		}
		p.in[at] = p.in[at]&^(1<<shift) | bit<<shift
	}
	if a.Is4() {
		return netip.AddrFrom4([4]byte(given))
	}
	return netip.AddrFrom16(b)
}

// NewKey returns a key of random bytes, as text that ParseKey reads.
func NewKey() string {
	var key [KeySize]byte
	_, _ = rand.Read(key[:]) // never fails
	return hex.EncodeToString(key[:])
}

// ParseKey reads a key as 64 hexadecimal digits or as base64, with white space
// around. The error does not repeat the text.
func ParseKey(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	if key, err := hex.DecodeString(text); err == nil && len(key) == KeySize {
		return key, nil
	}
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if key, err := e.DecodeString(text); err == nil && len(key) == KeySize {
			return key, nil
		}
	}
	return nil, errors.New("want 32 bytes as 64 hexadecimal digits or as base64")
}
