package edge

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/config"
	"github.com/kefu-suite/kefu/runtime/devissuer"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// backend is a service behind the edge that remembers the last call it got.
type backend struct {
	customerv1.UnimplementedCustomerServiceServer
	ticketv1.UnimplementedTicketServiceServer
	surveyv1.UnimplementedAnswerServiceServer
	clockv1.UnimplementedTicketPolicyServiceServer
	ticketv1.UnimplementedDeskServiceServer
	files

	mu    sync.Mutex
	calls int
	last  proto.Message
	meta  metadata.MD
	until time.Time
	fail  error
}

func (b *backend) keep(ctx context.Context, m proto.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls++
	b.last = m
	b.meta, _ = metadata.FromIncomingContext(ctx)
	b.until, _ = ctx.Deadline()
	return b.fail
}

func (b *backend) GetTicket(ctx context.Context, r *ticketv1.GetTicketRequest) (*ticketv1.Ticket, error) {
	return &ticketv1.Ticket{Id: r.GetId(), Etag: "7", CreateTime: timestamppb.New(time.Unix(0, 0))}, b.keep(ctx, r)
}

func (b *backend) CreateTicket(ctx context.Context, r *ticketv1.CreateTicketRequest) (*ticketv1.Ticket, error) {
	return &ticketv1.Ticket{Etag: "1"}, b.keep(ctx, r)
}

func (b *backend) ListTickets(ctx context.Context, r *ticketv1.ListTicketsRequest) (*ticketv1.ListTicketsResponse, error) {
	return &ticketv1.ListTicketsResponse{}, b.keep(ctx, r)
}

func (b *backend) ResolveTicket(ctx context.Context, r *ticketv1.ResolveTicketRequest) (*ticketv1.Ticket, error) {
	return &ticketv1.Ticket{Etag: "8"}, b.keep(ctx, r)
}

func (b *backend) DryRunPolicy(r *clockv1.DryRunPolicyRequest, out grpc.ServerStreamingServer[clockv1.DryRunPolicyResponse]) error {
	if err := b.keep(out.Context(), r); err != nil {
		return err
	}
	for _, number := range []string{"T-1", "T-2"} {
		part := &clockv1.DryRunPolicyResponse_Case{Case: &clockv1.DryRunCase{Number: number}}
		if err := out.Send(&clockv1.DryRunPolicyResponse{Part: part}); err != nil {
			return err
		}
	}
	return nil
}

func (b *backend) UpdateCustomer(ctx context.Context, r *customerv1.UpdateCustomerRequest) (*customerv1.Customer, error) {
	return &customerv1.Customer{Etag: "4"}, b.keep(ctx, r)
}

func (b *backend) ImportCustomers(ctx context.Context, r *customerv1.ImportCustomersRequest) (*customerv1.ImportCustomersResponse, error) {
	return &customerv1.ImportCustomersResponse{}, b.keep(ctx, r)
}

func (b *backend) GetAnswerForm(ctx context.Context, r *surveyv1.GetAnswerFormRequest) (*surveyv1.AnswerForm, error) {
	return &surveyv1.AnswerForm{}, b.keep(ctx, r)
}

type world struct {
	*backend
	t       *testing.T
	url     string
	token   string
	handler http.Handler
	gateway *authn.GatewayVerifier
}

func setup(t *testing.T) *world {
	t.Helper()
	b := &backend{}
	server := grpc.NewServer()
	customerv1.RegisterCustomerServiceServer(server, b)
	ticketv1.RegisterTicketServiceServer(server, b)
	surveyv1.RegisterAnswerServiceServer(server, b)
	clockv1.RegisterTicketPolicyServiceServer(server, b)
	ticketv1.RegisterDeskServiceServer(server, b)
	customerv1.RegisterCustomerImportServiceServer(server, &b.files)
	customerv1.RegisterCustomerExportServiceServer(server, &b.files)
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	go func() { _ = server.Serve(lis) }()
	t.Cleanup(server.Stop)
	conn, err := rpc.Dial(lis.Addr().String(), rpc.ClientConfig{})
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })

	dir := t.TempDir()
	issuer, err := devissuer.Open(filepath.Join(dir, "issuer.pem"), "http://127.0.0.1:1")
	must(t, err)
	verifier, err := authn.NewVerifier(authn.VerifierConfig{
		Issuers: []string{issuer.URL()}, Audience: "kefu", CustomerAudience: "kefu-customers", Development: true, HTTPClient: issuer.Client()})
	must(t, err)
	private, public := filepath.Join(dir, "gw.pem"), filepath.Join(dir, "gw.pub")
	must(t, authn.NewGatewayKey(private, public))
	minter, err := authn.NewMinter(private)
	must(t, err)
	gateway, err := authn.NewGatewayVerifier(public)
	must(t, err)
	token, err := issuer.Mint(devissuer.Claims{Subject: "someone", Audience: "kefu", Roles: []string{"service-agent"}})
	must(t, err)

	var limits Limits
	must(t, config.Load(&limits))
	h, err := New(t.Context(), Config{
		Log: slog.New(slog.DiscardHandler), Limits: limits, Verifier: verifier, Minter: minter, Docs: http.NotFoundHandler(),
		Conns:       Conns{Customer: conn, Ticket: conn, Complaint: conn, Survey: conn},
		Origins:     []string{"https://desk.example"},
		TrustedHops: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
		Ready:       func(context.Context) map[string]error { return map[string]error{"survey": io.EOF, "complaint": nil} },
	})
	must(t, err)
	http := httptest.NewServer(h)
	t.Cleanup(http.Close)
	return &world{backend: b, t: t, url: http.URL, token: token, handler: h, gateway: gateway}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

type answer struct {
	code   int
	header http.Header
	body   string
	reason string
	fields []string
}

// call sends a request; headers alternate names and values. It is signed in unless an
// Authorization is given.
func (w *world) call(method, path, body string, headers ...string) answer {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(body))
	must(w.t, err)
	req.Header.Set("Authorization", "Bearer "+w.token)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Del(headers[i])
		for _, value := range strings.Split(headers[i+1], "\n") {
			if value != "" {
				req.Header.Add(headers[i], value)
			}
		}
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	must(w.t, err)
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	must(w.t, err)
	a := answer{code: res.StatusCode, header: res.Header, body: string(raw)}
	var status struct {
		Details []struct {
			Reason          string
			RequestID       string
			FieldViolations []struct{ Field string }
		}
	}
	if res.StatusCode >= 400 && strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") {
		must(w.t, json.Unmarshal(raw, &status))
		request := ""
		for _, d := range status.Details {
			a.reason += d.Reason
			request += d.RequestID
			for _, v := range d.FieldViolations {
				a.fields = append(a.fields, v.Field)
			}
		}
		if request == "" || request != res.Header.Get("X-Request-Id") {
			w.t.Errorf("%s %s: the error names request %q, the header %q", method, path, request, res.Header.Get("X-Request-Id"))
		}
	}
	return a
}

const id = "01890a5d-ac96-774b-bcce-b302099a8057"

func TestRefusals(t *testing.T) {
	w := setup(t)
	big := `{"title":"` + strings.Repeat("x", 1<<20) + `"}`
	for name, c := range map[string]struct {
		method, path, body string
		headers            []string
		code               int
		reason             string
	}{
		"no token":               {"GET", "/v1/tickets/" + id, "", []string{"Authorization", ""}, 401, "TOKEN_MISSING"},
		"bad token":              {"GET", "/v1/tickets/" + id, "", []string{"Authorization", "Bearer x.y.z"}, 401, "TOKEN_INVALID"},
		"basic":                  {"GET", "/v1/tickets/" + id, "", []string{"Authorization", "Basic eDp5"}, 401, "TOKEN_INVALID"},
		"two tokens":             {"GET", "/v1/tickets/" + id, "", []string{"Authorization", "Bearer a\nBearer b"}, 400, "HEADER_INVALID"},
		"bad token, public path": {"GET", "/v1/answers/aaaaaaaaaaaaaaaaaaaaaa", "", []string{"Authorization", "Bearer x"}, 401, "TOKEN_INVALID"},
		"unknown path":           {"GET", "/v1/nothing", "", nil, 404, "ROUTE_NOT_FOUND"},
		"outside of v1":          {"GET", "/admin", "", nil, 404, "ROUTE_NOT_FOUND"},
		"wrong verb":             {"PUT", "/v1/tickets/" + id, "{}", nil, 405, "METHOD_NOT_ALLOWED"},
		"verb of an import":      {"GET", "/v1/tickets:import", "", nil, 405, "METHOD_NOT_ALLOWED"},
		"method override":        {"POST", "/v1/tickets/" + id, "a=b", []string{"Content-Type", "application/x-www-form-urlencoded", "X-Http-Method-Override", "GET"}, 415, "CONTENT_TYPE_UNSUPPORTED"},
		"type":                   {"POST", "/v1/tickets", "<a/>", []string{"Content-Type", "text/xml"}, 415, "CONTENT_TYPE_UNSUPPORTED"},
		"no type":                {"POST", "/v1/tickets", "{}", []string{"Content-Type", ""}, 415, "CONTENT_TYPE_UNSUPPORTED"},
		"too large":              {"POST", "/v1/tickets", big, nil, 413, "BODY_TOO_LARGE"},
		"broken JSON":            {"POST", "/v1/tickets", `{"title":`, nil, 400, "BODY_INVALID"},
		"two values":             {"POST", "/v1/tickets", `{}{}`, nil, 400, "BODY_INVALID"},
		"unknown field":          {"POST", "/v1/tickets", `{"titel":"x"}`, nil, 400, "BODY_INVALID"},
		"field twice":            {"POST", "/v1/tickets", `{"title":"x","title":"y"}`, nil, 400, "BODY_INVALID"},
		"wrong type of value":    {"POST", "/v1/tickets", `{"title":5}`, nil, 400, "BODY_INVALID"},
		"unknown enum value":     {"POST", "/v1/tickets", `{"channel":"CHANNEL_PIGEON"}`, nil, 400, "BODY_INVALID"},
		"unknown parameter":      {"GET", "/v1/tickets?pagesize=3", "", nil, 400, "BODY_INVALID"},
		"parameter of bad type":  {"GET", "/v1/tickets?pageSize=many", "", nil, 400, "BODY_INVALID"},
		"both keys differ":       {"POST", "/v1/tickets/" + id + ":resolve", `{"requestId":"a"}`, []string{"Idempotency-Key", "b"}, 400, "VALIDATION_FAILED"},
		"both etags differ":      {"POST", "/v1/tickets/" + id + ":resolve", `{"etag":"1"}`, []string{"If-Match", `"2"`}, 400, "VALIDATION_FAILED"},
		"weak etag":              {"POST", "/v1/tickets/" + id + ":resolve", `{}`, []string{"If-Match", `W/"2"`}, 400, "HEADER_INVALID"},
		"needless If-Match":      {"POST", "/v1/tickets", `{}`, []string{"If-Match", `"2"`}, 400, "VALIDATION_FAILED"},
		"bad timeout":            {"GET", "/v1/tickets/" + id, "", []string{"Grpc-Timeout", "soon"}, 400, "HEADER_INVALID"},
	} {
		t.Run(name, func(t *testing.T) {
			before := w.calls
			a := w.call(c.method, c.path, c.body, c.headers...)
			if a.code != c.code || a.reason != c.reason {
				t.Errorf("answered %d %s, expected %d %s: %s", a.code, a.reason, c.code, c.reason, a.body)
			}
			if w.calls != before {
				t.Error("the service was called all the same")
			}
			if a.code == 405 && a.header.Get("Allow") == "" {
				t.Error("405 without Allow")
			}
			if a.code == 401 && a.header.Get("WWW-Authenticate") != `Bearer realm="kefu"` {
				t.Errorf("WWW-Authenticate is %q", a.header.Get("WWW-Authenticate"))
			}
		})
	}
}

func TestAllowListsTheVerbs(t *testing.T) {
	w := setup(t)
	for path, allow := range map[string]string{
		"/v1/tickets": "GET, POST", "/v1/customers/" + id: "GET, PATCH", "/v1/tickets:import": "POST",
		"/v1/customers/" + id + "/contacts/" + id: "DELETE, GET, PATCH",
	} {
		if got := w.call("PUT", path, "{}").header.Get("Allow"); got != allow {
			t.Errorf("%s: Allow is %q, expected %q", path, got, allow)
		}
	}
}

func TestCallerAndHeadersReachTheService(t *testing.T) {
	w := setup(t)
	a := w.call("GET", "/v1/tickets/"+id, "",
		"Accept-Language", "zh-CN", "X-Request-Id", "mine", "Cookie", "a=b", "Grpc-Metadata-Kefu-Gateway-Token", "forged",
		"Kefu-Gateway-Token", "forged", "X-Forwarded-For", "198.51.100.7", "Grpc-Timeout", "2S")
	if a.code != 200 || a.header.Get("X-Request-Id") != "mine" || a.header.Get("ETag") != `"7"` {
		t.Fatalf("%d %v %s", a.code, a.header, a.body)
	}
	if left := time.Until(w.until); left > 2*time.Second {
		t.Errorf("the service has %v left of 2 s", left)
	}
	tokens := w.meta.Get(authn.GatewayKey)
	if len(tokens) != 1 {
		t.Fatalf("%d gateway tokens", len(tokens))
	}
	who, err := w.gateway.Verify(tokens[0])
	if err != nil || who.Subject != "someone" || who.Kind != authn.Person {
		t.Errorf("the gateway vouches for %+v (%v)", who, err)
	}
	for key, want := range map[string]string{"accept-language": "zh-CN", "x-request-id": "mine", "x-forwarded-for": "127.0.0.1", "authorization": "", "cookie": ""} {
		if got := strings.Join(w.meta.Get(key), "|"); got != want {
			t.Errorf("metadata %s is %q, expected %q", key, got, want)
		}
	}
}

func TestForwardedForIsBelievedFromTrustedHopsOnly(t *testing.T) {
	w := setup(t)
	for peer, want := range map[string]string{"192.0.2.9:5": "198.51.100.7", "203.0.113.4:5": "203.0.113.4"} {
		req := httptest.NewRequest("GET", "/v1/tickets/"+id, nil)
		req.RemoteAddr = peer
		req.Header.Set("Authorization", "Bearer "+w.token)
		req.Header.Set("X-Forwarded-For", "10.0.0.1, 198.51.100.7, 192.0.2.3")
		w.handler.ServeHTTP(httptest.NewRecorder(), req)
		if got := strings.Join(w.meta.Get("x-forwarded-for"), "|"); got != want {
			t.Errorf("from %s the service sees %q, expected %q", peer, got, want)
		}
	}
}

func TestAStreamIsALineAMessageWithABoundOfItsOwn(t *testing.T) {
	w := setup(t)
	const path = "/v1/ticketPolicies/2:dryRun"
	a := w.call("POST", path, `{"changedOnly":true}`)
	lines := strings.Split(strings.TrimSpace(a.body), "\n")
	if a.code != 200 || len(lines) != 2 || !strings.HasPrefix(lines[0], `{"result":{"case":`) || !strings.Contains(lines[1], "T-2") {
		t.Errorf("%d %s", a.code, a.body)
	}
	if r := w.last.(*clockv1.DryRunPolicyRequest); r.GetId() != "2" || !r.GetChangedOnly() {
		t.Errorf("the service got %v", r)
	}
	if left := time.Until(w.until); left < time.Minute {
		t.Errorf("the service has %v", left)
	}
	if a := w.call("POST", path, `{}`, "Authorization", ""); a.code != 401 {
		t.Errorf("without a token: %d %s", a.code, a.body)
	}
	w.fail = rpcerr.NotFound("policy", "2")
	if a := w.call("POST", path, `{}`); a.code != 404 || a.reason != "POLICY_NOT_FOUND" {
		t.Errorf("refused: %d %s", a.code, a.body)
	}
}

func TestIdempotencyKeyAndEtag(t *testing.T) {
	w := setup(t)
	if a := w.call("POST", "/v1/tickets/"+id+":resolve", `{"resolution":"done"}`, "Idempotency-Key", "k1", "If-Match", `"7"`); a.code != 200 {
		t.Fatal(a.body)
	}
	if r := w.last.(*ticketv1.ResolveTicketRequest); r.GetRequestId() != "k1" || r.GetEtag() != "7" || r.GetId() != id {
		t.Errorf("the service got %v", r)
	}
	if a := w.call("POST", "/v1/tickets", `{"title":"x"}`); a.code != 200 {
		t.Fatal(a.body)
	}
	if r := w.last.(*ticketv1.CreateTicketRequest); r.GetRequestId() == "" {
		t.Error("a mutation without a key got none")
	}
	w.fail = rpcerr.Stale("ticket", id)
	if a := w.call("POST", "/v1/tickets/"+id+":resolve", `{}`, "If-Match", `"6"`); a.code != 412 || a.reason != "ETAG_MISMATCH" {
		t.Errorf("stale If-Match: %d %s", a.code, a.reason)
	}
	if a := w.call("POST", "/v1/tickets/"+id+":resolve", `{"etag":"6"}`); a.code != 409 {
		t.Errorf("stale etag in the body: %d", a.code)
	}
}

func TestPatchMask(t *testing.T) {
	w := setup(t)
	w.call("PATCH", "/v1/customers/"+id, `{"name":"a","ownerStaffId":"`+id+`","etag":"3"}`)
	r := w.last.(*customerv1.UpdateCustomerRequest)
	if got := strings.Join(r.GetUpdateMask().GetPaths(), ","); got != "name,owner_staff_id" || r.GetCustomer().GetEtag() != "3" || r.GetCustomer().GetId() != id {
		t.Errorf("from the body: mask %q of %v", got, r)
	}
	w.call("PATCH", "/v1/customers/"+id+"?updateMask=ownerStaffId,etag", `{"name":"a"}`, "If-Match", `"3"`)
	r = w.last.(*customerv1.UpdateCustomerRequest)
	if got := strings.Join(r.GetUpdateMask().GetPaths(), ","); got != "owner_staff_id,etag" || r.GetCustomer().GetEtag() != "3" {
		t.Errorf("as given: mask %q of %v", got, r)
	}
}

func TestNotModified(t *testing.T) {
	w := setup(t)
	if a := w.call("GET", "/v1/tickets/"+id, "", "If-None-Match", `"7"`); a.code != 304 || a.body != "" {
		t.Errorf("same version: %d %q", a.code, a.body)
	}
	if a := w.call("GET", "/v1/tickets/"+id, "", "If-None-Match", `"6"`); a.code != 200 || a.body == "" {
		t.Errorf("other version: %d %q", a.code, a.body)
	}
}

func TestPublicPathNeedsNoToken(t *testing.T) {
	w := setup(t)
	if a := w.call("GET", "/v1/answers/aaaaaaaaaaaaaaaaaaaaaa", "", "Authorization", ""); a.code != 200 {
		t.Fatalf("%d %s", a.code, a.body)
	}
	who, err := w.gateway.Verify(strings.Join(w.meta.Get(authn.GatewayKey), ""))
	if err != nil || who.Kind != authn.Public {
		t.Errorf("the gateway vouches for %+v (%v)", who, err)
	}
}

func TestErrorsOfServicesKeepReasonLanguageAndFields(t *testing.T) {
	w := setup(t)
	w.fail = rpcerr.Invalid("ticket.customer_id", rpcerr.T("no such customer", "没有此客户"))
	a := w.call("POST", "/v1/tickets", `{}`, "Accept-Language", "zh-CN")
	if a.code != 400 || a.reason != "VALIDATION_FAILED" || len(a.fields) != 1 || a.fields[0] != "ticket.customerId" {
		t.Errorf("%d %s %v", a.code, a.reason, a.fields)
	}
	w.fail = rpcerr.Exhausted("RATE_LIMITED", 1500*time.Millisecond, rpcerr.T("slower", "慢一点"))
	if a := w.call("GET", "/v1/tickets/"+id, ""); a.code != 429 || a.header.Get("Retry-After") != "2" {
		t.Errorf("%d Retry-After %q", a.code, a.header.Get("Retry-After"))
	}
	// Of the edge itself, in the caller's language.
	if a := w.call("GET", "/v1/nothing", "", "Accept-Language", "zh-CN"); !strings.Contains(a.body, "没有内容") {
		t.Error(a.body)
	}
}

func TestImportsMayBeLarger(t *testing.T) {
	w := setup(t)
	body := `{"source":"` + strings.Repeat("x", 2<<20) + `"}`
	if a := w.call("POST", "/v1/customers:import", body); a.code != 200 {
		t.Errorf("%d %s", a.code, a.reason)
	}
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	w := setup(t)
	for _, path := range []string{"/v1/tickets/" + id, "/v1/nothing", "/healthz"} {
		h := w.call("GET", path, "").header
		if h.Get("Content-Security-Policy") == "" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("X-Request-Id") == "" {
			t.Errorf("%s: %v", path, h)
		}
	}
	if h := w.call("GET", "/healthz", "", "Origin", "https://desk.example").header; h.Get("Access-Control-Allow-Origin") != "https://desk.example" {
		t.Error("a listed origin is refused")
	}
	if h := w.call("GET", "/healthz", "", "Origin", "https://evil.example").header; h.Get("Access-Control-Allow-Origin") != "" {
		t.Error("another origin is let in")
	}
}

func TestReadyWhileOneServiceIs(t *testing.T) {
	w := setup(t)
	if a := w.call("GET", "/readyz", ""); a.code != 200 || a.body != "complaint: ok\nsurvey: EOF\n" {
		t.Errorf("%d %q", a.code, a.body)
	}
}

func TestGrpcTimeout(t *testing.T) {
	for text, want := range map[string]time.Duration{"5S": 5 * time.Second, "99999999H": time.Hour, "250m": 250 * time.Millisecond, "1u": time.Microsecond, "10n": 10} {
		if got, ok := grpcTimeout(text); !ok || got != want {
			t.Errorf("%s: %v %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "S", "5", "123456789S", "-1S", "1.5S", "5x"} {
		if got, ok := grpcTimeout(text); ok {
			t.Errorf("%q is taken as %v", text, got)
		}
	}
}
