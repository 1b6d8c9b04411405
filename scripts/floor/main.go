// Command floor is the least that any reader of a packet capture has to do: it
// reads the file and walks the header and the question of every DNS message, and
// keeps nothing. What picket scan costs is told as a multiple of it.
package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: floor FILE, a classic little-endian Ethernet pcap as picket lab capture writes it")
	}
	f, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer f.Close()
	n, sum, err := count(f)
	fmt.Printf("%d messages %d\n", n, sum)
	return err
}

// count walks the messages. The sum of what it looked at keeps the compiler from
// leaving the walk out.
func count(r io.Reader) (messages, sum uint64, err error) {
	in := bufio.NewReaderSize(r, 1<<20)
	if _, err := in.Discard(24); err != nil {
		return 0, 0, err
	}
	for {
		head, err := in.Peek(16)
		if err == io.EOF && len(head) == 0 {
			return messages, sum, nil
		}
		if err != nil {
			return messages, sum, err
		}
		n := int(binary.LittleEndian.Uint32(head[8:]))
		packet, err := in.Peek(16 + n)
		if err != nil {
			return messages, sum, err
		}
		const ethernetIPUDP = 14 + 20 + 8
		if n >= ethernetIPUDP+12 {
			sum += question(packet[16+ethernetIPUDP:])
			messages++
		}
		if _, err := in.Discard(16 + n); err != nil {
			return messages, sum, err
		}
	}
}

// question walks the header and the first question of a message.
func question(m []byte) uint64 {
	sum := uint64(binary.BigEndian.Uint16(m[2:])) + uint64(binary.BigEndian.Uint16(m[4:]))
	at := 12
	for at < len(m) && m[at] != 0 && m[at] < 64 {
		at += 1 + int(m[at])
	}
	if at+5 <= len(m) {
		sum += uint64(binary.BigEndian.Uint16(m[at+1:]))
	}
	return sum + uint64(at)
}
