package rpc_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// The sample service: Get is ordinary, Create is a mutation, Load is bulk, and
// StreamAll is endless. All take and give the message Note.
const sampleService = "kefu.sample.v1.SampleService"

// note describes the messages; it is registered once, as generated code would be.
var note = sync.OnceValue(func() protoreflect.MessageDescriptor {
	rules := &descriptorpb.FieldOptions{}
	proto.SetExtension(rules, validate.E_Field, validate.FieldRules_builder{
		String: validate.StringRules_builder{MaxLen: proto.Uint64(8 << 20), Pattern: proto.String("^[^!]*$")}.Build(),
	}.Build())
	str := descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum()
	one := descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()
	method := func(name string, streaming bool, rule *accessv1.AccessRule) *descriptorpb.MethodDescriptorProto {
		options := &descriptorpb.MethodOptions{}
		proto.SetExtension(options, accessv1.E_Access, rule)
		return &descriptorpb.MethodDescriptorProto{
			Name: proto.String(name), InputType: proto.String(".kefu.sample.v1.Note"),
			OutputType: proto.String(".kefu.sample.v1.Note"), Options: options, ServerStreaming: proto.Bool(streaming),
			ClientStreaming: proto.Bool(streaming),
		}
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("kefu/sample/v1/sample.proto"), Package: proto.String("kefu.sample.v1"), Syntax: proto.String("proto3"),
		Dependency: []string{"buf/validate/validate.proto", "kefu/access/v1/access.proto"},
		MessageType: []*descriptorpb.DescriptorProto{{
			Name: proto.String("Note"),
			Field: []*descriptorpb.FieldDescriptorProto{
				{Name: proto.String("text"), Number: proto.Int32(1), Type: str, Label: one, Options: rules},
				{Name: proto.String("request_id"), Number: proto.Int32(2), Type: str, Label: one},
			},
		}},
		Service: []*descriptorpb.ServiceDescriptorProto{{
			Name: proto.String("SampleService"),
			Method: []*descriptorpb.MethodDescriptorProto{
				method("Get", false, &accessv1.AccessRule{Public: true, Audit: accessv1.Audit_AUDIT_NONE}),
				method("Create", false, &accessv1.AccessRule{Public: true, Audit: accessv1.Audit_AUDIT_WRITE}),
				method("Load", false, &accessv1.AccessRule{Public: true, Audit: accessv1.Audit_AUDIT_WRITE, Rate: accessv1.RateClass_RATE_CLASS_BULK}),
				method("StreamAll", true, &accessv1.AccessRule{Public: true, Audit: accessv1.Audit_AUDIT_NONE}),
			},
		}},
	}, protoregistry.GlobalFiles)
	if err == nil {
		err = protoregistry.GlobalFiles.RegisterFile(file)
	}
	if err != nil {
		panic(err)
	}
	return file.Messages().ByName("Note")
})

func newNote(text string) *dynamicpb.Message {
	m := dynamicpb.NewMessage(note())
	m.Set(note().Fields().ByName("text"), protoreflect.ValueOfString(text))
	return m
}

func read(m proto.Message, field protoreflect.Name) string {
	return m.ProtoReflect().Get(note().Fields().ByName(field)).String()
}

// handler is what a test lets the unary methods do.
type handler func(ctx context.Context, method string, req *dynamicpb.Message) (proto.Message, error)

// echo answers with the request.
func echo(_ context.Context, _ string, req *dynamicpb.Message) (proto.Message, error) {
	return req, nil
}

// register adds the sample service to a server.
func register(s *grpc.Server, unary handler, stream func(grpc.ServerStream) error) {
	desc := grpc.ServiceDesc{ServiceName: sampleService, HandlerType: (*any)(nil), Metadata: "kefu/sample/v1/sample.proto"}
	for _, name := range []string{"Get", "Create", "Load"} {
		full := "/" + sampleService + "/" + name
		desc.Methods = append(desc.Methods, grpc.MethodDesc{MethodName: name, Handler: func(_ any, ctx context.Context, decode func(any) error, chain grpc.UnaryServerInterceptor) (any, error) {
			req := dynamicpb.NewMessage(note())
			if err := decode(req); err != nil {
				return nil, err
			}
			last := func(ctx context.Context, req any) (any, error) { return unary(ctx, name, req.(*dynamicpb.Message)) }
			if chain == nil {
				return last(ctx, req)
			}
			return chain(ctx, req, &grpc.UnaryServerInfo{FullMethod: full}, last)
		}})
	}
	desc.Streams = []grpc.StreamDesc{{StreamName: "StreamAll", ServerStreams: true, ClientStreams: true,
		Handler: func(_ any, ss grpc.ServerStream) error { return stream(ss) }}}
	s.RegisterService(&desc, nil)
}

// pass stands for authentication and authorisation: the caller is who the metadata
// "test-caller" says.
type pass struct{}

func (pass) Unary() grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		return next(identified(ctx), req)
	}
}

func (pass) Stream() grpc.StreamServerInterceptor {
	return func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		return next(srv, ss)
	}
}

// refuse lets nobody in.
type refuse struct{}

func (refuse) Unary() grpc.UnaryServerInterceptor {
	return func(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error) {
		return nil, rpcerr.Denied("REFUSED", rpcerr.T("No.", "不行。"))
	}
}

func (refuse) Stream() grpc.StreamServerInterceptor {
	return func(any, grpc.ServerStream, *grpc.StreamServerInfo, grpc.StreamHandler) error {
		return rpcerr.Denied("REFUSED", rpcerr.T("No.", "不行。"))
	}
}

func identified(ctx context.Context) context.Context {
	md, _ := metadata.FromIncomingContext(ctx)
	if who := md.Get("test-caller"); len(who) > 0 {
		return authn.NewContext(ctx, authn.Identity{Kind: authn.Person, Issuer: "test", Subject: who[0]})
	}
	return ctx
}

// logs collects what a server logs.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

// lines gives the records at or above a level.
func (l *logs) lines(t *testing.T, level string) []map[string]any {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []map[string]any
	for _, line := range strings.Split(strings.TrimSpace(l.buf.String()), "\n") {
		var m map[string]any
		if line == "" {
			continue
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("log line %q: %v", line, err)
		}
		if m["level"] == level {
			found = append(found, m)
		}
	}
	return found
}

func (l *logs) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// server is one server under test on a real port.
type server struct {
	*grpc.Server
	addr string
	logs *logs
	stop chan struct{}
}

type option func(*rpc.ServerConfig)

// serve starts a server with the sample service; it ends with the test.
func serve(t *testing.T, unary handler, stream func(grpc.ServerStream) error, options ...option) *server {
	t.Helper()
	note()
	s := &server{logs: &logs{}, stop: make(chan struct{})}
	cfg := rpc.ServerConfig{
		Log:   slog.New(slog.NewJSONHandler(s.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Authn: pass{}, Guard: pass{}, Limits: rpc.DefaultLimits(), Stop: s.stop,
	}
	// All callers here share an address; the tests of rates set their own.
	cfg.Limits.PublicRate, cfg.Limits.PublicBurst = 1e6, 1e6
	for _, o := range options {
		o(&cfg)
	}
	var err error
	if s.Server, err = rpc.NewServer(cfg); err != nil {
		t.Fatal(err)
	}
	register(s.Server, unary, stream)
	grpc_health_v1.RegisterHealthServer(s.Server, health.NewServer())
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = lis.Addr().String()
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(lis) }()
	t.Cleanup(func() {
		s.Server.Stop()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return s
}

func noStream(grpc.ServerStream) error { return io.EOF }

// dial connects to a server as services do, but gives a try so much time that a busy
// machine cuts none short: a server would then see more calls than the test made.
func dial(t *testing.T, target string, cfg rpc.ClientConfig) *grpc.ClientConn {
	t.Helper()
	cfg.Try = cmp.Or(cfg.Try, 20*time.Second)
	conn, err := rpc.Dial(target, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// call invokes a sample method and gives the answer's text.
func call(ctx context.Context, conn grpc.ClientConnInterface, method, text string, opts ...grpc.CallOption) (string, error) {
	reply := dynamicpb.NewMessage(note())
	err := conn.Invoke(ctx, "/"+sampleService+"/"+method, newNote(text), reply, opts...)
	return read(reply, "text"), err
}

func as(ctx context.Context, caller string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "test-caller", caller)
}
