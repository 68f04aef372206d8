package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/testkit/rawh2"
)

// shape is one request in bad form, and how it is answered.
type shape struct {
	name             string
	code             int
	reason           string
	verb, path, body string
	headers          []string
}

// shapeAttacks are HTTP as no client of ours would write it. The caller could do what they
// ask for, were it asked in good form.
func shapeAttacks() []attack {
	var out []attack
	for _, c := range append(bodies(), heads()...) {
		out = append(out, attack{name: c.name, rest: func(a *attacker) {
			a.rest(c.code, c.reason, c.verb, c.path, c.body, append(a.credential("Authorization", manager), c.headers...)...)
		}})
	}
	return append(out, identityHeaders(), twoCredentials(), hopHeaders(), foreignOrigin(), smuggled(), wideHeaders())
}

// bodies are paths and bodies.
func bodies() []shape {
	deep := strings.Repeat(`{"reporter":`, 5000) + "1" + strings.Repeat("}", 5000)
	return []shape{
		{"a path that climbs", 400, "PATH_INVALID", "POST", "/v1/customers/../tickets", aTicket, nil},
		{"a path that climbs in code", 400, "PATH_INVALID", "POST", "/v1/customers/%2e%2e/tickets", aTicket, nil},
		{"an encoded slash", 400, "PATH_INVALID", "POST", "/v1/tickets/x%2f$TICKET:start", "{}", nil},
		{"a doubled slash", 400, "PATH_INVALID", "POST", "/v1//tickets", aTicket, nil},
		{"NUL in a path", 400, "PATH_INVALID", "GET", "/v1/tickets/$TICKET%00", "", nil},
		{"a line break in a path", 400, "PATH_INVALID", "GET", "/v1/tickets/x%0d%0aSet-Cookie:%20x", "", nil},
		{"a name twice", 400, "BODY_INVALID", "POST", "/v1/tickets", `{"channel": "CHANNEL_PHONE", "title": "a", "title": "b"}`, nil},
		{"a name in two forms", 400, "BODY_INVALID", "POST", "/v1/tickets", `{"channel": "CHANNEL_PHONE", "title": "a", "customerId": "$ME", "customer_id": "$VICTIM"}`, nil},
		{"a body of five thousand levels", 400, "BODY_INVALID", "POST", "/v1/tickets", deep, nil},
		{"a body of two megabytes", 413, "BODY_TOO_LARGE", "POST", "/v1/tickets", `{"title": "` + long(2<<20) + `"}`, nil},
		{"a body that is no UTF-8", 400, "BODY_INVALID", "POST", "/v1/tickets", "{\"channel\": \"CHANNEL_PHONE\", \"title\": \"\xff\xfe\"}", nil},
		{"two bodies in one", 400, "BODY_INVALID", "POST", "/v1/tickets", aTicket + aTicket, nil},
		{"a field that is none", 400, "BODY_INVALID", "POST", "/v1/tickets", `{"channel": "CHANNEL_PHONE", "title": "x", "isAdmin": true}`, nil},
		{"a parameter that is none", 400, "BODY_INVALID", "POST", "/v1/tickets?state=closed", aTicket, nil},
		{"a filter twice", 400, "BODY_INVALID", "GET", "/v1/tickets?customerId=$ME&customerId=$VICTIM", "", nil},
		{"a form", 415, "CONTENT_TYPE_UNSUPPORTED", "POST", "/v1/tickets", "channel=CHANNEL_PHONE&title=x", []string{"Content-Type", "application/x-www-form-urlencoded"}},
		{"a page's text", 415, "CONTENT_TYPE_UNSUPPORTED", "POST", "/v1/tickets", aTicket, []string{"Content-Type", "text/plain"}},
		{"a body under another encoding", 400, "BODY_INVALID", "POST", "/v1/tickets", "\x1f\x8b\x08\x00nonsense", []string{"Content-Encoding", "gzip"}},
	}
}

// heads are verbs, headers and places.
func heads() []shape {
	return []shape{
		{"a verb in a header", 405, "METHOD_NOT_ALLOWED", "POST", "/v1/tickets/$TICKET", "{}", []string{"X-HTTP-Method-Override", "PATCH"}},
		{"a form in place of a query", 415, "CONTENT_TYPE_UNSUPPORTED", "POST", "/v1/tickets/$TICKET", "x=y", []string{"Content-Type", "application/x-www-form-urlencoded", "X-HTTP-Method-Override", "GET"}},
		{"a verb that is wrong", 405, "METHOD_NOT_ALLOWED", "DELETE", "/v1/tickets/$TICKET", "", nil},
		{"the verb TRACE", 405, "METHOD_NOT_ALLOWED", "TRACE", "/v1/tickets", "", nil},
		{"a verb that is none", 405, "METHOD_NOT_ALLOWED", "BREW", "/v1/tickets", "", nil},
		{"two keys of idempotency", 400, "HEADER_INVALID", "POST", "/v1/tickets", aTicket, []string{"Idempotency-Key", "a", "Idempotency-Key", "b"}},
		{"two content types", 400, "HEADER_INVALID", "POST", "/v1/tickets", aTicket, []string{"Content-Type", "application/json", "content-type", "text/plain"}},
		{"a deadline that is nonsense", 400, "HEADER_INVALID", "POST", "/v1/tickets", aTicket, []string{"Grpc-Timeout", "forever"}},
		{"a deadline that is over", 504, "DEADLINE_EXCEEDED", "POST", "/v1/tickets", aTicket, []string{"Grpc-Timeout", "0n"}},
		{"a weak etag", 400, "HEADER_INVALID", "PATCH", "/v1/tickets/$TICKET", `{"title": "x"}`, []string{"If-Match", `W/"1"`}},
		{"a condition that does not hold", 412, "ETAG_MISMATCH", "PATCH", "/v1/tickets/$TICKET", `{"title": "x"}`, []string{"If-Match", `"999"`}},
		{"metrics on the public port", 404, "ROUTE_NOT_FOUND", "GET", "/metrics", "", nil},
		{"profiles on the public port", 404, "ROUTE_NOT_FOUND", "GET", "/debug/pprof/heap", "", nil},
		{"a method of gRPC over REST", 404, "ROUTE_NOT_FOUND", "POST", "/kefu.ticket.v1.TicketService/CreateTicket", aTicket, nil},
		{"reflection over REST", 404, "ROUTE_NOT_FOUND", "POST", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "{}", nil},
	}
}

// identityHeaders say who is calling in every header that some proxy believes. The caller
// stays the agent they are.
func identityHeaders() attack {
	claims := []string{
		"X-Forwarded-User", "manager", "X-Remote-User", "manager", "X-Forwarded-Client-Cert", "URI=spiffe://kefu/gateway",
		"Grpc-Metadata-Kefu-Roles", "service-manager", "Grpc-Metadata-X-Forwarded-For", "127.0.0.1", "Kefu-Roles", "service-manager",
		"Forwarded", "for=127.0.0.1", "X-Original-Url", "/v1/healthz", "X-Rewrite-Url", "/v1/healthz", "Cookie", "session=manager",
	}
	return attack{name: "headers that say who is calling",
		rest: func(a *attacker) {
			a.rest(http.StatusUnauthorized, "TOKEN_MISSING", "POST", "/v1/tickets", aTicket, claims...)
			manager := a.credential("", "--role service-manager")[1]
			for _, name := range []string{"Grpc-Metadata-Authorization", "Proxy-Authorization", "X-Authorization"} {
				a.rest(http.StatusUnauthorized, "TOKEN_MISSING", "POST", "/v1/tickets", aTicket, name, manager)
				a.rest(http.StatusForbidden, "PERMISSION_DENIED", "POST", "/v1/tickets", aTicket,
					append(a.credential("Authorization", auditing), append(claims, name, manager)...)...)
			}
		},
		rpcs: func(a *attacker) {
			lowered := make([]string, 0, len(claims))
			for i := 0; i+1 < len(claims); i += 2 {
				lowered = append(lowered, strings.ToLower(claims[i]), claims[i+1])
			}
			a.rpc(codes.Unauthenticated, "TOKEN_MISSING", createTicket, aTicketRPC, lowered...)
			a.rpc(codes.PermissionDenied, "PERMISSION_DENIED", createTicket, aTicketRPC, append(a.credential("authorization", auditing), lowered...)...)
		}}
}

func twoCredentials() attack {
	return attack{name: "two credentials in one call",
		rest: func(a *attacker) {
			a.rest(http.StatusBadRequest, "HEADER_INVALID", "POST", "/v1/tickets", aTicket,
				append(a.credential("Authorization", auditing), a.credential("Authorization", manager)...)...)
		},
		rpcs: func(a *attacker) {
			a.rpc(codes.Unauthenticated, "TOKEN_INVALID", createTicket, aTicketRPC,
				append(a.credential("authorization", auditing), a.credential("authorization", manager)...)...)
		}}
}

// hopHeaders name headers as belonging to the hop, so that a proxy would drop them: the
// credential still counts, and what is upgraded is nothing.
func hopHeaders() attack {
	return attack{name: "headers of the hop", rest: func(a *attacker) {
		a.rest(http.StatusForbidden, "PERMISSION_DENIED", "POST", "/v1/tickets", aTicket,
			append(a.credential("Authorization", auditing), "Connection", "Authorization, Upgrade", "Upgrade", "h2c", "Te", "trailers", "Keep-Alive", "timeout=9999")...)
	}}
}

// foreignOrigin is a page of somebody else's in a browser.
func foreignOrigin() attack {
	return attack{name: "a page of another origin", rest: func(a *attacker) {
		req, err := http.NewRequestWithContext(a.t.Context(), http.MethodOptions, a.url+"/v1/tickets", nil)
		if err != nil {
			a.t.Fatal(err)
		}
		req.Header.Set("Origin", "https://evil.example")
		req.Header.Set("Access-Control-Request-Method", "POST")
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			a.t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusUnauthorized && res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Access-Control-Allow-Origin") != "" {
			a.t.Errorf("a preflight of another origin: %d, allowed %q", res.StatusCode, res.Header.Get("Access-Control-Allow-Origin"))
		}
	}}
}

// raw sends bytes to the public port and gives the codes of the answers until it is closed.
func (a *attacker) raw(request string) (codes []int) {
	a.t.Helper()
	conn, err := new(net.Dialer).DialContext(a.t.Context(), "tcp", strings.TrimPrefix(a.url, "http://"))
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		a.t.Fatal(err)
	}
	go func() { _, _ = io.WriteString(conn, a.ids.Replace(request)) }() // it may be refused half-way
	from := bufio.NewReader(conn)
	for {
		res, err := http.ReadResponse(from, nil)
		if err != nil {
			return codes
		}
		_, _ = io.Copy(&a.said, res.Body)
		_ = res.Body.Close()
		codes = append(codes, res.StatusCode)
		if res.Close {
			return codes
		}
	}
}

// smuggled hides a second request in the body of a first, by two opinions of its length.
func smuggled() attack {
	return attack{name: "a request in the body of another", rest: func(a *attacker) {
		auth := "Host: x\r\nAuthorization: " + a.credential("", manager)[1] + "\r\nContent-Type: application/json\r\n"
		hidden := "POST /v1/tickets/$TICKET:start HTTP/1.1\r\n" + auth + "Content-Length: 2\r\n\r\n{}"
		for name, lengths := range map[string]string{
			"two lengths":            "Content-Length: 5\r\nContent-Length: 6\r\n",
			"a length that is none":  "Content-Length: +5\r\n",
			"two encodings":          "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
			"an unknown encoding":    "Transfer-Encoding: xchunked\r\n",
			"a space before a colon": "Content-Length : 5\r\n",
			"a broken chunk":         "Transfer-Encoding: chunked\r\nConnection: close\r\n",
		} {
			got := a.raw("POST /v1/nothing HTTP/1.1\r\n" + auth + lengths + "\r\n0;\r\n" + hidden)
			if len(got) != 1 || (got[0] != 400 && got[0] != 404 && got[0] != 501) {
				a.t.Errorf("%s: answered %v", name, got)
			}
		}
	}}
}

func wideHeaders() attack {
	return attack{name: "headers of a megabyte",
		rest: func(a *attacker) {
			if got := a.raw("GET /v1/tickets HTTP/1.1\r\nHost: x\r\nX-Large: " + long(1<<20) + "\r\n\r\n"); len(got) != 1 || got[0] != 431 {
				a.t.Errorf("answered %v", got)
			}
		},
		rpcs: func(a *attacker) {
			err := a.invoke(createTicket, aTicketRPC, append(a.credential("authorization", manager), "x-large", long(64<<10))...)
			if err == nil {
				a.t.Error("metadata of 64 KiB are taken")
			}
		}}
}

// wireAttacks are on the gRPC ports themselves.
func wireAttacks() []attack {
	return []attack{
		{name: "a message of eight megabytes", rpcs: func(a *attacker) {
			err := a.invoke(createTicket, `{"ticket": {"channel": "CHANNEL_PHONE", "title": "`+long(8<<20)+`"}}`, a.credential("authorization", manager)...)
			if status.Code(err) != codes.ResourceExhausted {
				a.t.Errorf("it is answered %v", err)
			}
		}},
		{name: "a message of two megabytes", rpcs: func(a *attacker) {
			a.rpc(codes.ResourceExhausted, "MESSAGE_TOO_LARGE", createTicket, `{"ticket": {"channel": "CHANNEL_PHONE", "title": "`+long(2<<20)+`"}}`,
				a.credential("authorization", manager)...)
		}},
		{name: "a small message that unpacks to a large one", rpcs: func(a *attacker) {
			ctx, cancel := context.WithTimeout(a.t.Context(), time.Minute)
			defer cancel()
			_, err := ticketv1.NewTicketServiceClient(a.conns["service-ticket"]).CreateTicket(ctx,
				&ticketv1.CreateTicketRequest{Ticket: &ticketv1.Ticket{Title: long(32 << 20)}}, grpc.UseCompressor(gzip.Name))
			if c := status.Code(err); c != codes.ResourceExhausted && c != codes.Unimplemented {
				a.t.Errorf("it is answered %v", err)
			}
		}},
		{name: "a service that is none", rpcs: func(a *attacker) {
			err := a.conns["service-ticket"].Invoke(a.t.Context(), "/kefu.admin.v1.AdminService/DropTables", &ticketv1.GetTicketRequest{}, &ticketv1.Ticket{})
			if status.Code(err) != codes.Unimplemented {
				a.t.Errorf("it is answered %v", err)
			}
		}},
		{name: "a port of services in the clear", rpcs: plainly},
		{name: "a certificate of another authority", rpcs: foreignCertificate},
		{name: "streams without end on one connection", rpcs: manyStreams},
	}
}

func (a *attacker) addressOf(program string) string {
	a.t.Helper()
	st, err := a.s.state()
	if err != nil {
		a.t.Fatal(err)
	}
	address := st.grpc(program)
	if address == "" {
		a.t.Fatalf("there is no %s", program)
	}
	return address
}

func (a *attacker) try(conn *grpc.ClientConn, err error) codes.Code {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(a.t.Context(), 20*time.Second)
	defer cancel()
	_, err = ticketv1.NewTicketServiceClient(conn).CreateTicket(ctx, &ticketv1.CreateTicketRequest{Ticket: &ticketv1.Ticket{Title: "x"}})
	return status.Code(err)
}

func plainly(a *attacker) {
	if got := a.try(grpc.NewClient(a.addressOf("service-ticket"), grpc.WithTransportCredentials(insecure.NewCredentials()))); got != codes.Unavailable {
		a.t.Errorf("it is answered %v", got)
	}
}

// foreignCertificate shows a certificate for the gateway that our authority did not issue.
func foreignCertificate(a *attacker) {
	ca, err := authn.NewCA(filepath.Join(a.t.TempDir(), "ca"))
	if err != nil {
		a.t.Fatal(err)
	}
	files, err := ca.Issue("gateway")
	if err != nil {
		a.t.Fatal(err)
	}
	mine, err := tls.LoadX509KeyPair(files.CertFile, files.KeyFile)
	if err != nil {
		a.t.Fatal(err)
	}
	secure := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS13, //nolint:gosec // an attacker does not care
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &mine, nil }}
	if got := a.try(grpc.NewClient(a.addressOf("service-ticket"), grpc.WithTransportCredentials(credentials.NewTLS(secure)))); got != codes.Unavailable {
		a.t.Errorf("it is answered %v", got)
	}
}

func manyStreams(a *attacker) {
	c := rawh2.Dial(a.t, a.addressOf("service-ticket"), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // as above
	for range 1001 {
		if _, err := c.Open(false, ":method", "POST", ":scheme", "https", ":authority", "x", ":path", "/"+createTicket, "content-type", "application/grpc", "te", "trailers"); err != nil {
			break
		}
	}
	if code := c.Refusal(); code != http2.ErrCodeRefusedStream {
		a.t.Errorf("after a thousand streams: %v", code)
	}
	a.rpc(codes.Unauthenticated, "TOKEN_MISSING", createTicket, aTicketRPC) // others are served
}

// flood is one call made more often than anybody may, from one address. $CALL is another token
// each time.
type flood struct {
	name, verb, path, body, method, rpcs string
}

// floodAttacks are at what needs no login.
func floodAttacks() []attack {
	form := `{"pass": "$CALL", "title": "x", "reporter": {"name": "x", "email": "x@attack.example"}}`
	var out []attack
	for _, f := range []flood{
		{"links guessed by the hundred", "GET", "/v1/answers/$CALL", "", "kefu.survey.v1.AnswerService/GetAnswerForm", `{"token": "$CALL"}`},
		{"contact forms by the hundred", "POST", "/v1/contactForm", form, intakes + "SubmitContactForm", form},
	} {
		out = append(out, attack{name: f.name, rest: f.rest, rpcs: f.rpc})
	}
	return out
}

// call is a part of the request as it is sent for the nth time.
func (flood) call(part string, n int) string {
	return strings.ReplaceAll(part, "$CALL", fmt.Sprintf("guess%038d", n))
}

func (f flood) rest(a *attacker) {
	for i := range 400 {
		code, reason := a.answers(f.verb, f.call(f.path, i), f.call(f.body, i))
		if code != http.StatusTooManyRequests {
			continue
		}
		if reason != "RATE_LIMITED" {
			a.t.Errorf("refused for %s", reason)
		}
		req, err := http.NewRequestWithContext(a.t.Context(), f.verb, a.url+f.call(f.path, 0), strings.NewReader(f.call(f.body, 0)))
		if err != nil {
			a.t.Fatal(err)
		}
		if f.body != "" {
			req.Header.Set("Content-Type", "application/json")
		}
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			a.t.Fatal(err)
		}
		_ = res.Body.Close()
		if wait, err := strconv.Atoi(res.Header.Get("Retry-After")); res.StatusCode == 429 && (err != nil || wait < 1) {
			a.t.Errorf("it does not say when to come again: %q", res.Header.Get("Retry-After"))
		}
		return
	}
	a.t.Error("four hundred calls were answered")
}

func (f flood) rpc(a *attacker) {
	for i := range 400 {
		err := a.invoke(f.method, f.call(f.rpcs, i))
		if status.Code(err) != codes.ResourceExhausted {
			continue
		}
		told := false
		for _, d := range status.Convert(err).Details() {
			info, ok := d.(*errdetails.RetryInfo)
			told = told || ok && info.GetRetryDelay().AsDuration() > 0
		}
		if !told || reasonOf(err) != "RATE_LIMITED" {
			a.t.Errorf("refused without a time to come again: %v", err)
		}
		return
	}
	a.t.Error("four hundred calls were answered")
}
