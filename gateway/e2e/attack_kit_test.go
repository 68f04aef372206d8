package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/kefu-suite/kefu/runtime/authn"
)

// answers makes a REST call as it stands and gives code and reason. Headers alternate names
// and values; a name may come twice.
func (a *attacker) answers(verb, path, body string, headers ...string) (code int, reason string) {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(a.t.Context(), 40*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, verb, a.url+a.ids.Replace(path), strings.NewReader(a.ids.Replace(body)))
	if err != nil {
		a.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Content-Type" {
			req.Header.Del("Content-Type")
		}
		req.Header.Add(headers[i], a.ids.Replace(headers[i+1]))
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		a.t.Fatalf("%s %s: %v", verb, path, err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		a.t.Fatalf("%s %s: %v", verb, path, err)
	}
	a.said.Write(raw)
	return res.StatusCode, reasonIn(raw)
}

func reasonIn(raw []byte) (reason string) {
	var body object
	if json.Unmarshal(raw, &body) == nil {
		for _, d := range body.list("details") {
			reason += d.text("reason")
		}
	}
	return reason
}

// rest makes a REST call that must be answered exactly so.
func (a *attacker) rest(code int, reason, verb, path, body string, headers ...string) {
	a.t.Helper()
	if gotCode, got := a.answers(verb, path, body, headers...); gotCode != code || got != reason {
		a.t.Errorf("REST %s %s: answered %d %s, expected %d %s", verb, path, gotCode, got, code, reason)
	}
}

func bearer(token string) []string { return []string{"Authorization", "Bearer " + token} }

// rpc makes a gRPC call that must be answered exactly so. The request is the JSON of its
// message; more alternates keys and values of metadata.
func (a *attacker) rpc(code codes.Code, reason, method, request string, more ...string) {
	a.t.Helper()
	err := a.invoke(method, request, more...)
	if got := reasonOf(err); status.Code(err) != code || got != reason {
		a.t.Errorf("gRPC %s: answered %v %s, expected %v %s: %v", method, status.Code(err), got, code, reason, err)
	}
}

func (a *attacker) invoke(method, request string, more ...string) error {
	a.t.Helper()
	service, name, _ := strings.Cut(method, "/")
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service + "." + name))
	if err != nil {
		a.t.Fatal(err)
	}
	m := d.(protoreflect.MethodDescriptor)
	in := dynamicpb.NewMessage(m.Input())
	if err := protojson.Unmarshal([]byte(a.ids.Replace(request)), in); err != nil {
		a.t.Fatalf("%s: %v", method, err)
	}
	ctx, cancel := context.WithTimeout(a.t.Context(), 40*time.Second)
	defer cancel()
	err = a.connOf(m).Invoke(metadata.AppendToOutgoingContext(ctx, more...), "/"+method, in, dynamicpb.NewMessage(m.Output()))
	a.said.WriteString(status.Convert(err).String() + fmt.Sprint(status.Convert(err).Details()...))
	return err
}

// connOf is the program that serves a method; what all serve is asked of the ticket desk.
func (a *attacker) connOf(m protoreflect.MethodDescriptor) *grpc.ClientConn {
	s := m.Parent().(protoreflect.ServiceDescriptor)
	for _, program := range []string{"service-ticket", "customer-registry", "complaint", "survey"} {
		if serves(program, s) {
			return a.conns[program]
		}
	}
	a.t.Fatalf("nobody serves %s", m.FullName())
	return nil
}

func reasonOf(err error) string {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}

// row is an attack over both ways by one caller, which both must refuse alike.
type row struct {
	name, who    string // flags of the token; "" is nobody
	code         codes.Code
	reason       string
	verb, path   string
	body         string
	method, rpcs string
	// restReason is the edge's own, where it refuses before the service can.
	restReason string
}

func (r row) attack() attack {
	made := attack{name: r.name}
	if r.verb != "" {
		made.rest = func(a *attacker) {
			a.t.Helper()
			reason := r.reason
			if r.restReason != "" {
				reason = r.restReason
			}
			a.rest(runtime.HTTPStatusFromCode(r.code), reason, r.verb, r.path, r.body, a.credential("Authorization", r.who)...)
		}
	}
	if r.method != "" {
		made.rpcs = func(a *attacker) {
			a.t.Helper()
			a.rpc(r.code, r.reason, r.method, r.rpcs, a.credential("authorization", r.who)...)
		}
	}
	return made
}

// credential signs in with the flags of the token command.
func (a *attacker) credential(key, who string) []string {
	a.t.Helper()
	if who == "" {
		return nil
	}
	return []string{key, "Bearer " + a.s.token(a.t, strings.Fields(a.ids.Replace(who))...)}
}

// dialAll connects to the gRPC port of every service of a stack, without a certificate.
func dialAll(t *testing.T, s *stack) map[string]*grpc.ClientConn {
	t.Helper()
	st, err := s.state()
	if err != nil {
		t.Fatal(err)
	}
	conns := map[string]*grpc.ClientConn{}
	for _, p := range st.Programs {
		if p.GRPC == "" {
			continue
		}
		secure, err := authn.ClientTLS(authn.TLSConfig{CAFile: st.CAFile}, p.Name)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := grpc.NewClient(p.GRPC, grpc.WithTransportCredentials(credentials.NewTLS(secure)),
			grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(64<<20)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		conns[p.Name] = conn
	}
	return conns
}

// spans is a collector of traces that keeps their bytes.
type spans struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// collectTraces makes every program started after it send its traces here.
func collectTraces(t *testing.T) *spans {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	x := &spans{}
	server := grpc.NewServer(grpc.ForceServerCodec(rawBytes{}), grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		var message []byte
		if err := stream.RecvMsg(&message); err != nil {
			return err
		}
		x.mu.Lock()
		x.text.Write(message)
		x.mu.Unlock()
		return stream.SendMsg(&[]byte{})
	}))
	go func() { _ = server.Serve(lis) }()
	t.Cleanup(server.Stop)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+lis.Addr().String())
	return x
}

func (x *spans) check(t *testing.T) {
	t.Helper()
	x.mu.Lock()
	defer x.mu.Unlock()
	if !bytes.Contains(x.text.Bytes(), []byte("kefu.ticket.v1.TicketService")) {
		t.Errorf("the traces (%d bytes) tell of no call", x.text.Len())
	}
	if bad := canaryIn(x.text.Bytes(), append(everyCanary(), "eyJhbGciOi")...); bad != "" {
		t.Errorf("a trace holds %s", bad)
	}
}

// rawBytes passes messages as they are.
type rawBytes struct{}

func (rawBytes) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

func (rawBytes) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = bytes.Clone(data)
	return nil
}

func (rawBytes) Name() string { return "proto" }
