// Package rawh2 speaks HTTP/2 frame by frame, to do to a server what no client library would.
package rawh2

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// patience bounds each reading of a frame.
const patience = 20 * time.Second

// Conn is a connection whose settings were exchanged.
type Conn struct {
	t       testing.TB
	conn    net.Conn
	framer  *http2.Framer
	encoder *hpack.Encoder
	block   bytes.Buffer
	next    uint32
	// Settings are what the server said of itself.
	Settings map[http2.SettingID]uint32
}

// Dial connects to an address, over TLS where a configuration is given, and fails the test
// when the server does not speak HTTP/2.
func Dial(t testing.TB, address string, secure *tls.Config) *Conn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if secure != nil {
		secure = secure.Clone()
		secure.NextProtos = []string{"h2"}
		over := tls.Client(conn, secure)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := over.HandshakeContext(ctx); err != nil {
			t.Fatal(err)
		}
		conn = over
	}
	t.Cleanup(func() { _ = conn.Close() })
	c := &Conn{t: t, conn: conn, framer: http2.NewFramer(conn, conn), next: 1, Settings: map[http2.SettingID]uint32{}}
	c.encoder = hpack.NewEncoder(&c.block)
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	if err := c.framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	frame, err := c.Read()
	settings, ok := frame.(*http2.SettingsFrame)
	if err != nil || !ok {
		t.Fatalf("the server began with %v, %v", frame, err)
	}
	_ = settings.ForeachSetting(func(s http2.Setting) error { c.Settings[s.ID] = s.Val; return nil })
	return c
}

// Open sends the headers of a request, with all that follows its names and values, and gives
// its stream. An error means that the server has closed the connection.
func (c *Conn) Open(end bool, fields ...string) (stream uint32, err error) {
	c.block.Reset()
	for i := 0; i+1 < len(fields); i += 2 {
		if err := c.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}); err != nil {
			return 0, err
		}
	}
	stream = c.next
	c.next += 2
	rest := c.block.Bytes()
	const most = 16 << 10
	part := rest[:min(most, len(rest))]
	rest = rest[len(part):]
	err = c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: part, EndStream: end, EndHeaders: len(rest) == 0})
	for err == nil && len(rest) > 0 {
		part = rest[:min(most, len(rest))]
		rest = rest[len(part):]
		err = c.framer.WriteContinuation(stream, len(rest) == 0, part)
	}
	return stream, err
}

// Reset takes a request back.
func (c *Conn) Reset(stream uint32) error {
	return c.framer.WriteRSTStream(stream, http2.ErrCodeCancel)
}

// Read gives the next frame.
func (c *Conn) Read() (http2.Frame, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	return c.framer.ReadFrame()
}

// Refusal reads until the server refuses a stream or ends the connection, and says how; a
// connection that just ends is ErrCodeNo.
func (c *Conn) Refusal() http2.ErrCode {
	c.t.Helper()
	for {
		frame, err := c.Read()
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			c.t.Fatal("the server refused nothing")
		case err != nil:
			return http2.ErrCodeNo
		}
		switch f := frame.(type) {
		case *http2.RSTStreamFrame:
			return f.ErrCode
		case *http2.GoAwayFrame:
			return f.ErrCode
		case *http2.SettingsFrame:
			if !f.IsAck() {
				_ = c.framer.WriteSettingsAck()
			}
		}
	}
}
