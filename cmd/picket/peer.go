package main

import (
	"context"
	"net"
	"os"
	"os/user"
	"strconv"
)

// person is who asks for something that is written down.
type person struct {
	// Name is the OS user. Behind sudo it is the user that has called it, which the
	// account that asks could also have made up; As says which one that is.
	Name string `json:"by"`
	As   string `json:"as,omitempty"` // account, where it is another
}

type peerKey struct{}

// withPeer keeps the connection, so that a handler can ask the kernel who is at its
// other end.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, peerKey{}, c)
}

// peer is the person at the other end of a control connection. sudoUser is what the
// command has found in SUDO_USER; only root and the daemon's own account, that could
// read data and key without asking, are believed.
func peer(ctx context.Context, sudoUser string) person {
	uid := os.Geteuid() // the socket lets nobody else in
	if c, ok := ctx.Value(peerKey{}).(*net.UnixConn); ok {
		if n, err := peerUID(c); err == nil {
			uid = n
		}
	}
	return personOf(uid, sudoUser)
}

// self is the person who runs this process.
func self() person { return personOf(os.Geteuid(), os.Getenv("SUDO_USER")) }

func personOf(uid int, sudoUser string) person {
	name := strconv.Itoa(uid)
	if u, err := user.LookupId(name); err == nil {
		name = u.Username
	}
	if sudoUser == "" || sudoUser == name || uid != 0 && uid != os.Geteuid() {
		return person{Name: name}
	}
	return person{Name: sudoUser, As: name}
}
