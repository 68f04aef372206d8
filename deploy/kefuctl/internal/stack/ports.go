package stack

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// freeAddress is a loopback address on which something may listen: the wanted one if it
// is free, else any. Between the answer and its use somebody may take it; whoever
// starts a program looks again before each try.
func freeAddress(wanted string) (string, error) {
	if wanted != "" && listenable(wanted) == nil {
		return wanted, nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("no free port on 127.0.0.1: %w", err)
	}
	address := l.Addr().String()
	return address, l.Close()
}

func listenable(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	return l.Close()
}

// restAddress settles where REST is served. Nothing stands in for an address that the
// operator chose, so one that is taken is an error.
func restAddress(wanted string) (string, error) {
	host, port, err := net.SplitHostPort(wanted)
	if err != nil {
		return "", fmt.Errorf("--http %q: an address is HOST:PORT, such as 127.0.0.1:8080", wanted)
	}
	if port == "0" {
		return freeAddress("")
	}
	if err := listenable(wanted); err != nil {
		if strings.Contains(err.Error(), "address already in use") {
			return "", fmt.Errorf("port %s of %s is taken by another program; stop that one, or choose another with --http %s",
				port, host, net.JoinHostPort(host, next(port)))
		}
		return "", fmt.Errorf("--http %s: %w", wanted, err)
	}
	return wanted, nil
}

// next is a port to suggest in place of one that is taken.
func next(port string) string {
	n, err := strconv.Atoi(port)
	if err != nil || n >= 65535 {
		return "0"
	}
	return strconv.Itoa(n + 1)
}
