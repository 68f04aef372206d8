package faultproxy

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// startupMax and messageMax bound what is read into memory at once.
const (
	startupMax = 10_000
	messageMax = 64 << 20
)

// The codes that stand in place of a protocol version.
const (
	cancelRequest = 80877102
	sslRequest    = 80877103
	gssRequest    = 80877104
)

var errEncrypted = errors.New("the fault proxy reads plain text only: connect with sslmode=disable")

// pair is one client's connection and ours to the server.
type pair struct {
	proxy          *Proxy
	client, server net.Conn
	session        Session

	mu sync.Mutex
	// idle: the server is in no transaction, so that a Sync commits what ran before it.
	idle bool
	// lost is set while the answer to a commit is to be thrown away.
	lost *ambush

	statements, portals map[string]bool // by name: is it a COMMIT
	executed            bool            // something ran since the last Sync
	commit              bool            // and it was COMMIT
}

// reset ends both connections, the client's without a goodbye.
func (c *pair) reset() {
	if tcp, ok := c.client.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // closing follows
	}
	_ = c.client.Close()
	if c.server != nil {
		_ = c.server.Close()
	}
}

// forth passes the client's messages to the server and looks out for commits.
func (c *pair) forth() error {
	in := bufio.NewReaderSize(c.client, 32<<10)
	if err := c.startup(in); err != nil {
		return err
	}
	for {
		kind, message, err := read(in)
		if err != nil {
			return err
		}
		c.proxy.wait()
		if c.commits(kind, message[5:]) {
			if a := c.proxy.committing(c.session); a != nil {
				c.mu.Lock()
				c.lost = a
				c.mu.Unlock()
			}
		}
		if _, err := c.server.Write(message); err != nil {
			return err
		}
	}
}

// commits tells whether the server will commit on this message.
func (c *pair) commits(kind byte, body []byte) bool {
	switch kind {
	case 'Q':
		return isCommit(text(body))
	case 'P':
		name, rest := cString(body)
		c.statements[name] = isCommit(text(rest))
	case 'B':
		portal, rest := cString(body)
		statement, _ := cString(rest)
		c.portals[portal] = c.statements[statement]
	case 'E':
		portal, _ := cString(body)
		c.executed = true
		c.commit = c.commit || c.portals[portal]
	case 'S':
		c.mu.Lock()
		implicit := c.idle && c.executed
		c.mu.Unlock()
		found := implicit || c.commit
		c.executed, c.commit = false, false
		return found
	}
	return false
}

func isCommit(sql string) bool {
	word := strings.ToLower(strings.Trim(strings.TrimSpace(sql), ";"))
	return word == "commit" || word == "end"
}

// back passes the server's messages to the client, unless they are to be lost.
func (c *pair) back() error {
	in := bufio.NewReaderSize(c.server, 32<<10)
	for {
		kind, message, err := read(in)
		if err != nil {
			return err
		}
		c.mu.Lock()
		lost := c.lost
		if kind == 'Z' && len(message) == 6 {
			c.idle = message[5] == 'I'
		}
		c.mu.Unlock()
		if lost != nil {
			if kind != 'Z' {
				continue
			}
			c.reset()
			lost.done <- c.session
			return nil
		}
		if d := c.proxy.wait(); d > 0 {
			<-time.After(d)
		}
		// What is already here goes along, so that a batch's answer is one packet.
		out := message
		for in.Buffered() >= 5 && len(out) < 32<<10 && kind != 'Z' {
			head, err := in.Peek(5)
			if err != nil || in.Buffered() < 1+int(binary.BigEndian.Uint32(head[1:])) || head[0] == 'Z' {
				break
			}
			if kind, message, err = read(in); err != nil {
				return err
			}
			out = append(out, message...)
		}
		if _, err := c.client.Write(out); err != nil {
			return err
		}
	}
}

// startup passes the first message, which has no kind, and notes who connects.
func (c *pair) startup(in *bufio.Reader) error {
	var head [8]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return err
	}
	n := int(binary.BigEndian.Uint32(head[:4]))
	if n < 8 || n > startupMax {
		return fmt.Errorf("startup message of %d bytes", n)
	}
	body := make([]byte, n-8)
	if _, err := io.ReadFull(in, body); err != nil {
		return err
	}
	switch binary.BigEndian.Uint32(head[4:]) {
	case sslRequest, gssRequest:
		return errEncrypted
	case cancelRequest: // has no parameters
	default:
		c.session = sessionOf(body)
	}
	c.proxy.wait()
	_, err := c.server.Write(append(head[:], body...))
	return err
}

func sessionOf(body []byte) (s Session) {
	for len(body) > 1 {
		var name, value string
		name, body = cString(body)
		value, body = cString(body)
		switch name {
		case "database":
			s.Database = value
		case "user":
			s.User = value
		case "application_name":
			s.Application = value
		}
	}
	return s
}

// read gives one message with its head.
func read(in *bufio.Reader) (kind byte, message []byte, err error) {
	head, err := in.Peek(5)
	if err != nil {
		return 0, nil, err
	}
	n := int(binary.BigEndian.Uint32(head[1:])) + 1
	if n < 5 || n > messageMax {
		return 0, nil, fmt.Errorf("message %q of %d bytes", head[0], n)
	}
	message = make([]byte, n)
	_, err = io.ReadFull(in, message)
	return message[0], message, err
}

func cString(b []byte) (string, []byte) {
	if end := bytes.IndexByte(b, 0); end >= 0 {
		return string(b[:end]), b[end+1:]
	}
	return string(b), nil
}

func text(b []byte) string { s, _ := cString(b); return s }
