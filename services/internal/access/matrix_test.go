package access_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/emptypb"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	"github.com/kefu-suite/kefu/runtime/app"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/access/accesstest"
)

// handler stands in for every handler and remembers the decision that let a call through.
type handler struct {
	request proto.Message

	mu    sync.Mutex
	calls int
	scope accessv1.Scope
}

func (h *handler) handle(ctx context.Context, _ any) (any, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls++
	h.scope = authz.FromContext(ctx).Scope
	return &emptypb.Empty{}, nil
}

func (h *handler) stream(_ any, ss grpc.ServerStream) error {
	answer, err := h.handle(ss.Context(), nil)
	if err != nil {
		return err
	}
	return ss.SendMsg(answer)
}

// why is the request of every method: it tells a purpose, where a rule asks for one, and has
// nothing that validation, which comes after authorisation, could refuse.
func why(t *testing.T) proto.Message {
	t.Helper()
	text, one := descriptorpb.FieldDescriptorProto_TYPE_STRING, descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("accesstest.proto"), Package: proto.String("accesstest"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("Why"), Field: []*descriptorpb.FieldDescriptorProto{
			{Name: proto.String("purpose"), Number: proto.Int32(1), Type: &text, Label: &one}}}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	m := dynamicpb.NewMessage(file.Messages().Get(0))
	m.Set(m.Descriptor().Fields().Get(0), protoreflect.ValueOfString("a test"))
	return m
}

// everything registers each service of the suite with such handlers.
func (h *handler) everything(p *app.Process) error {
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			s := file.Services().Get(i)
			if !strings.HasPrefix(string(s.FullName()), "kefu.") || s.FullName() == "kefu.event.v1.EventService" || s.FullName() == "kefu.audit.v1.AuditService" {
				continue // every process has them itself
			}
			desc := grpc.ServiceDesc{ServiceName: string(s.FullName()), HandlerType: (*any)(nil)}
			for j := range s.Methods().Len() {
				if s.Methods().Get(j).IsStreamingServer() {
					desc.Streams = append(desc.Streams, grpc.StreamDesc{
						StreamName: string(s.Methods().Get(j).Name()), ServerStreams: true, Handler: h.stream,
					})
					continue
				}
				full := "/" + string(s.FullName()) + "/" + string(s.Methods().Get(j).Name())
				desc.Methods = append(desc.Methods, grpc.MethodDesc{
					MethodName: string(s.Methods().Get(j).Name()),
					Handler: func(srv any, ctx context.Context, _ func(any) error, chain grpc.UnaryServerInterceptor) (any, error) {
						return chain(ctx, h.request, &grpc.UnaryServerInfo{Server: srv, FullMethod: full}, h.handle)
					},
				})
			}
			p.GRPC.RegisterService(&desc, struct{}{})
		}
		return true
	})
	return nil
}

// caller is one column of the matrix: who calls, and how far they may reach by the table.
type caller struct {
	name string
	ctx  context.Context
	want func(l accesstest.Line) accesstest.Reach
}

// TestMatrix asserts every method × every caller × {own, team, other} in both directions,
// over the interceptors of a running service: what the table allows is allowed, and nothing
// else is. Whether a row is own or the team's is asserted on rows by the services' tests.
func TestMatrix(t *testing.T) {
	h := &handler{request: why(t)}
	limits := rpc.DefaultLimits()
	limits.DefaultRate, limits.DefaultBurst, limits.PublicRate, limits.PublicBurst = 1e6, 1e6, 1e6, 1e6
	limits.BulkRate, limits.BulkBurst, limits.ServiceRate, limits.ServiceBurst = 1e6, 1e6, 1e6, 1e6
	s := testkit.NewService(t, testkit.ServiceConfig{
		Policy: access.Policy(), Register: h.everything, Background: true, Limits: &limits,
	})
	// Whoever may stream events gets this one.
	if err := event.Insert(t.Context(), s.Pool, event.Event{Type: "thing.changed.v1", SubjectID: uuid.New(), SubjectVersion: 1},
		event.Origin{ActorKind: eventv1.ActorKind_ACTOR_KIND_SERVICE, ActorID: "x", RecordTime: s.Clock.Now()}); err != nil {
		t.Fatal(err)
	}
	table := accesstest.Table(t)
	cells, wrong := 0, 0
	for _, method := range methods(t) {
		line, ok := table[method]
		if !ok {
			t.Errorf("%s is not in the table: say in accesstest who may call it", method)
			continue
		}
		for _, c := range callers(s, line) {
			got := h.reach(t, s, c, method)
			for _, row := range []accesstest.Reach{accesstest.Own, accesstest.Team, accesstest.Company} {
				cells++
				if got.Covers(row) != c.want(line).Covers(row) {
					wrong++
					t.Errorf("%s by %s on row %d: allowed is %v, want %v", method, c.name, row, got.Covers(row), c.want(line).Covers(row))
				}
			}
		}
	}
	for method := range table {
		if !slices.Contains(methods(t), method) {
			t.Errorf("the table has %s, which no contract has", method)
		}
	}
	t.Logf("access matrix: %d cells, %d wrong", cells, wrong)
}

// callers are all columns; some depend on the line, because "exactly the permission" does.
func callers(s *testkit.Service, line accesstest.Line) []caller {
	public := func(l accesstest.Line, otherwise accesstest.Reach) accesstest.Reach {
		if l.Public {
			return accesstest.Company
		}
		return otherwise
	}
	never := func(l accesstest.Line) accesstest.Reach { return public(l, accesstest.None) }
	out := []caller{
		{"nobody", s.AsPublic(), never},
		{"a person without roles", s.AsPerson("nobody"), never},
		{"a person with an unknown role", s.AsPerson("x", "director"), never},
		{"a person who claims to be a customer", s.AsPerson("x", access.Customer), never},
		{"an account with other permissions", s.AsAccount("erp", "other.things"), never},
		{"an account with roles' names", s.AsAccount("erp", access.ServiceManager), never},
	}
	for _, role := range accesstest.Roles() {
		ctx := s.As(role)
		if role == access.Customer {
			ctx = s.AsCustomer("01890a5d-ac96-774b-bcce-b302099a8057")
		}
		out = append(out, caller{role, ctx, func(l accesstest.Line) accesstest.Reach { return public(l, l.Role(role)) }})
	}
	for _, p := range line.Permissions {
		out = append(out, caller{"an account with " + p, s.AsAccount("erp", p),
			func(accesstest.Line) accesstest.Reach { return accesstest.Company }})
	}
	for _, name := range []string{"customer-registry", "service-ticket", "complaint", "survey", "gateway", "stranger"} {
		out = append(out, caller{"the service " + name, s.AsService(name), func(l accesstest.Line) accesstest.Reach {
			if slices.Contains(l.Callers, name) {
				return accesstest.Company
			}
			return public(l, accesstest.None)
		}})
	}
	return out
}

// reach calls the method and tells how far the caller's right goes.
func (h *handler) reach(t *testing.T, s *testkit.Service, c caller, method string) accesstest.Reach {
	t.Helper()
	before := h.calls
	var err error
	if strings.HasSuffix(method, "/StreamEvents") {
		err = stream(c.ctx, s)
	} else {
		err = s.Conn.Invoke(c.ctx, method, &emptypb.Empty{}, &emptypb.Empty{})
	}
	switch code := status.Code(err); {
	case code == codes.PermissionDenied || code == codes.Unauthenticated:
		if h.calls != before {
			t.Errorf("%s by %s was refused and reached its handler", method, c.name)
		}
		return accesstest.None
	case code == codes.InvalidArgument && strings.HasSuffix(method, "/ListAuditRecords"):
		return accesstest.Company // it came as far as the check of a request that names no source
	case err != nil:
		t.Fatalf("%s by %s: %v", method, c.name, err)
	case h.calls == before || h.scope == accessv1.Scope_SCOPE_UNSPECIFIED: // a stream, or public
		return accesstest.Company
	}
	return accesstest.Reach(h.scope)
}

// stream waits for the first event.
func stream(ctx context.Context, s *testkit.Service) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events, err := eventv1.NewEventServiceClient(s.Conn).StreamEvents(ctx, &eventv1.StreamEventsRequest{})
	if err != nil {
		return err
	}
	_, err = events.Recv()
	return err
}

// methods lists every method of the suite as grpc writes it.
func methods(t *testing.T) []string {
	t.Helper()
	var out []string
	for name := range rules(t) {
		at := strings.LastIndex(name, ".")
		out = append(out, "/"+name[:at]+"/"+name[at+1:])
	}
	slices.Sort(out)
	return out
}
