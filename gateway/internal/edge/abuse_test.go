package edge

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/testkit/rawh2"
)

// certificate makes one for the public port in files.
func certificate(t *testing.T, dir, name string) (certFile, keyFile string) {
	t.Helper()
	ca, err := authn.NewCA(filepath.Join(dir, "ca-"+name))
	must(t, err)
	files, err := ca.Issue(name)
	must(t, err)
	return files.CertFile, files.KeyFile
}

// public serves a handler as the gateway does, over TLS where a certificate is given.
func public(t *testing.T, l Limits, h http.Handler, cert, key string) (address string) {
	t.Helper()
	server := NewServer(l, h, slog.New(slog.DiscardHandler))
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	take := server.Serve
	if cert != "" {
		server.TLSConfig, err = authn.EdgeTLS(cert, key)
		must(t, err)
		take = func(lis net.Listener) error { return server.ServeTLS(lis, "", "") }
	}
	go func() { _ = take(lis) }()
	t.Cleanup(func() { _ = server.Close() })
	return lis.Addr().String()
}

func brief() Limits {
	return Limits{HeaderRead: 100 * time.Millisecond, Read: 200 * time.Millisecond, Write: 300 * time.Millisecond, Idle: 300 * time.Millisecond,
		HeaderBytes: 16 << 10, BodyBytes: 1 << 20, ImportBytes: 4 << 20, Depth: 32, Streams: 10, Call: time.Second, Stream: time.Second}
}

// closes tells that the server ends the connection by itself, and what it said before.
func closes(t *testing.T, conn net.Conn) string {
	t.Helper()
	must(t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
	said, err := io.ReadAll(conn)
	if err != nil && !strings.Contains(err.Error(), "reset") {
		t.Fatalf("the server keeps the connection: %v, %q", err, said)
	}
	return string(said)
}

func TestSlowClientsAreLeft(t *testing.T) {
	w := setup(t)
	address := public(t, brief(), w.handler, "", "")
	begin := func(text string) net.Conn {
		t.Helper()
		conn, err := net.Dial("tcp", address)
		must(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		_, err = io.WriteString(conn, text)
		must(t, err)
		return conn
	}
	if said := closes(t, begin("GET /v1/tickets HTTP/1.1\r\nHost: x\r\nX-Slow: ")); strings.Contains(said, "200 OK") {
		t.Errorf("headers that never end: %q", said)
	}
	if said := closes(t, begin("")); said != "" {
		t.Errorf("silence: %q", said)
	}
	said := closes(t, begin("POST /v1/tickets HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+w.token+
		"\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"))
	if !strings.HasPrefix(said, "HTTP/1.1 400") || !strings.Contains(said, "BODY_INVALID") {
		t.Errorf("a body that never ends: %q", said)
	}
	if w.calls != 0 {
		t.Errorf("%d of them reached the service", w.calls)
	}
}

// TestSlowReadersAreLeft: who does not take the answer does not keep its connection.
func TestSlowReadersAreLeft(t *testing.T) {
	ended := make(chan error, 1)
	address := public(t, brief(), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		block := make([]byte, 1<<20)
		for range 64 {
			if _, err := w.Write(block); err != nil {
				ended <- err
				return
			}
		}
		ended <- nil
	}), "", "")
	conn, err := net.Dial("tcp", address)
	must(t, err)
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	must(t, err)
	if err := <-ended; err == nil {
		t.Error("64 MiB were written to a client that reads nothing")
	}
}

func TestHeadersThatAreTooLargeAre431(t *testing.T) {
	w := setup(t)
	address := public(t, brief(), w.handler, "", "")
	conn, err := net.Dial("tcp", address)
	must(t, err)
	defer func() { _ = conn.Close() }()
	go func() {
		_, _ = io.WriteString(conn, "GET /v1/tickets HTTP/1.1\r\nHost: x\r\nX-Large: "+strings.Repeat("x", 64<<10)+"\r\n\r\n")
	}()
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(t, err)
	_ = res.Body.Close()
	if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("answered %d", res.StatusCode)
	}
}

// TestRapidResetIsBounded: requests that are opened and taken back at once never occupy more
// handlers than the limit, cost the connection, and nobody else anything.
func TestRapidResetIsBounded(t *testing.T) {
	cert, key := certificate(t, t.TempDir(), "gateway")
	var running, most atomic.Int64
	leave := make(chan struct{})
	address := public(t, brief(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/well" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		if n := running.Add(1); n > most.Load() {
			most.Store(n)
		}
		<-leave // as a handler that does not notice
		running.Add(-1)
	}), cert, key)
	secure := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the certificate is not the question
	c := rawh2.Dial(t, address, secure)
	if got := c.Settings[http2.SettingMaxConcurrentStreams]; got != 10 {
		t.Errorf("the server allows %d streams", got)
	}
	for range 5000 {
		stream, err := c.Open(true, ":method", "GET", ":scheme", "https", ":authority", "x", ":path", "/v1/tickets")
		if err != nil || c.Reset(stream) != nil {
			break // it has had enough
		}
	}
	if code := c.Refusal(); code != http2.ErrCodeEnhanceYourCalm && code != http2.ErrCodeNo {
		t.Errorf("the connection ended with %v", code)
	}
	if n := most.Load(); n > 10 {
		t.Errorf("%d handlers ran at once", n)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: secure, ForceAttemptHTTP2: true}}
	res, err := client.Get("https://" + address + "/well")
	must(t, err)
	_ = res.Body.Close()
	if res.StatusCode != http.StatusNoContent || res.ProtoMajor != 2 {
		t.Errorf("another client is answered %d over %s", res.StatusCode, res.Proto)
	}
	close(leave)
}

func TestStreamsAndHeadersOfHTTP2AreBounded(t *testing.T) {
	cert, key := certificate(t, t.TempDir(), "gateway")
	leave := make(chan struct{})
	defer close(leave)
	address := public(t, brief(), http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-leave }), cert, key)
	secure := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the certificate is not the question
	c := rawh2.Dial(t, address, secure)
	for range 11 {
		_, err := c.Open(true, ":method", "GET", ":scheme", "https", ":authority", "x", ":path", "/")
		must(t, err)
	}
	if code := c.Refusal(); code != http2.ErrCodeRefusedStream && code != http2.ErrCodeProtocol {
		t.Errorf("the eleventh stream ended with %v", code)
	}
	c = rawh2.Dial(t, address, secure)
	if got := c.Settings[http2.SettingMaxHeaderListSize]; got == 0 || got > 32<<10 {
		t.Errorf("the server allows %d bytes of headers", got)
	}
	// It may have closed the connection before all was sent.
	_, _ = c.Open(true, ":method", "GET", ":scheme", "https", ":authority", "x", ":path", "/", "x-large", strings.Repeat("0123456789", 20<<10))
	for {
		frame, err := c.Read()
		if err != nil {
			break
		}
		if h, ok := frame.(*http2.HeadersFrame); ok && !h.StreamEnded() {
			continue // the answer is 431 with a body, or the connection ends
		}
		if _, ok := frame.(*http2.GoAwayFrame); ok {
			break
		}
		if d, ok := frame.(*http2.DataFrame); ok {
			if !strings.Contains(string(d.Data()), "431") {
				t.Errorf("headers of 200 KiB are answered %q", d.Data())
			}
			break
		}
	}
}

// TestTheCertificateIsReplacedWithoutAFailedCall while calls go on over old and new
// connections.
func TestTheCertificateIsReplacedWithoutAFailedCall(t *testing.T) {
	dir := t.TempDir()
	cert, key := certificate(t, dir, "gateway")
	nextCert, nextKey := certificate(t, dir, "renewed")
	l := brief()
	l.HeaderRead, l.Read, l.Write, l.Idle = 20*time.Second, 20*time.Second, 20*time.Second, 20*time.Second
	address := public(t, l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }), cert, key)
	secure := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // compared by hand
	kept := &http.Client{Transport: &http.Transport{TLSClientConfig: secure, ForceAttemptHTTP2: true}}
	// fresh makes a new connection and gives whose certificate it was shown.
	fresh := func() string {
		t.Helper()
		conn, err := (&tls.Dialer{Config: secure}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatalf("a handshake failed: %v", err)
		}
		defer func() { _ = conn.Close() }()
		return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].URIs[0].Path
	}
	if who := fresh(); who != "/gateway" {
		t.Fatalf("the certificate is of %s", who)
	}
	for i, pair := range [][2]string{{nextKey, key}, {nextCert, cert}} {
		content, err := os.ReadFile(pair[0])
		must(t, err)
		must(t, os.WriteFile(pair[1], content, 0o600))
		if i == 0 {
			fresh() // the key is new and the certificate is not
		}
	}
	deadline := time.Now().Add(20 * time.Second)
	for who := ""; who != "/renewed"; who = fresh() {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "https://"+address, nil)
		must(t, err)
		res, err := kept.Do(req)
		if err != nil {
			t.Fatalf("a call failed: %v", err)
		}
		_ = res.Body.Close()
		if time.Now().After(deadline) {
			t.Fatal("new connections still get the former certificate")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestRoundaboutPathsAreRefused(t *testing.T) {
	w := setup(t)
	for _, path := range []string{
		"/v1/../v1/tickets", "/v1/./tickets", "/v1//tickets", "//v1/tickets", "/v1/tickets/%2e%2e/customers", "/v1/tickets/..%2fcustomers",
		"/v1/tickets/a%2Fb", "/v1/tickets/a%5cb", "/v1/tickets/a%00", "/v1/tickets/%0d%0aX-Evil:%201",
	} {
		if a := w.call("GET", path, ""); a.code != http.StatusBadRequest || a.reason != "PATH_INVALID" {
			t.Errorf("%s: %d %s", path, a.code, a.body)
		}
	}
	if w.calls != 0 {
		t.Errorf("%d of them reached the service", w.calls)
	}
	for _, path := range []string{"/v1/tickets", "/v1/tickets/a.b", "/v1/tickets/%E6%99%A8"} {
		if a := w.call("GET", path, ""); a.code != http.StatusOK {
			t.Errorf("%s: %d %s", path, a.code, a.body)
		}
	}
}

func TestShapesOfBodiesThatAreRefused(t *testing.T) {
	w := setup(t)
	for name, body := range map[string]string{
		"a name twice":           `{"title": "a", "title": "b"}`,
		"a name twice, inside":   `{"reporter": {"name": "a", "name": "b"}}`,
		"a name in two forms":    `{"customerId": "a", "customer_id": "b"}`,
		"too deep":               strings.Repeat("[", 33) + strings.Repeat("]", 33),
		"far too deep":           strings.Repeat(`{"a":`, 100000) + "1" + strings.Repeat("}", 100000),
		"two values":             `{} {}`,
		"no UTF-8":               "{\"title\": \"\xff\"}",
		"half a surrogate":       `{"title": "\ud800"}`,
		"a number for a text":    `{"title": 7}`,
		"a name that is nothing": `{"": 1}`,
		"a byte order mark":      "\ufeff{}",
	} {
		if a := w.call("POST", "/v1/tickets", body); a.code != http.StatusBadRequest || a.reason != "BODY_INVALID" {
			t.Errorf("%s: %d %s", name, a.code, a.body)
		}
	}
	if w.calls != 0 {
		t.Errorf("%d of them reached the service", w.calls)
	}
	if a := w.call("POST", "/v1/tickets", `{"title": "[[[[{{{{ \"[[[[ ]]"}`); a.code != http.StatusOK {
		t.Errorf("brackets within a text: %d %s", a.code, a.body)
	}
}
