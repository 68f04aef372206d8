package e2e

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	_ "github.com/kefu-suite/kefu/proto/gen/go/kefu/audit/v1"
	_ "github.com/kefu-suite/kefu/proto/gen/go/kefu/calendar/v1"
	_ "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	_ "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	_ "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	_ "github.com/kefu-suite/kefu/proto/gen/go/kefu/subject/v1"
	_ "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	_ "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
)

// served are the packages of contracts, or single services of one, that each program
// serves beside the events and its audit trail.
var served = map[string][]protoreflect.FullName{
	"customer-registry": {"kefu.customer.v1"}, "service-ticket": {"kefu.ticket.v1", "kefu.calendar.v1", "kefu.clock.v1.TicketPolicyService"},
	"complaint": {"kefu.complaint.v1", "kefu.clock.v1.ComplaintPolicyService"}, "survey": {"kefu.survey.v1"},
}

// everywhere are the contracts that every service serves.
var everywhere = []protoreflect.FullName{"kefu.event.v1", "kefu.audit.v1", "kefu.subject.v1"}

func serves(program string, s protoreflect.ServiceDescriptor) bool {
	pkg := s.ParentFile().Package()
	return slices.Contains(everywhere, pkg) || slices.Contains(served[program], pkg) || slices.Contains(served[program], s.FullName())
}

func contractFiles(found func(protoreflect.ServiceDescriptor)) {
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if strings.HasPrefix(string(file.Package()), "kefu.") {
			for i := range file.Services().Len() {
				found(file.Services().Get(i))
			}
		}
		return true
	})
}

func accessRule(m protoreflect.MethodDescriptor) *accessv1.AccessRule {
	rule, _ := proto.GetExtension(m.Options(), accessv1.E_Access).(*accessv1.AccessRule)
	return rule
}

// permissionFlags give a service account every permission that any method asks for.
func permissionFlags() []string {
	var permissions []string
	contractFiles(func(s protoreflect.ServiceDescriptor) {
		for i := range s.Methods().Len() {
			permissions = append(permissions, accessRule(s.Methods().Get(i)).GetPermissions()...)
		}
	})
	slices.Sort(permissions)
	var flags []string
	for _, p := range slices.Compact(permissions) {
		flags = append(flags, "--permission", p)
	}
	return flags
}

// dialPrograms connects to the gRPC port of every program, by name.
func dialPrograms(t *testing.T) map[string]*grpc.ClientConn {
	t.Helper()
	st, err := suite.state()
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
		conn, err := grpc.NewClient(p.GRPC, grpc.WithTransportCredentials(credentials.NewTLS(secure)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		conns[p.Name] = conn
	}
	if len(conns) != len(served) {
		t.Fatalf("%d programs speak gRPC, expected %d", len(conns), len(served))
	}
	return conns
}

// reflectOn asks one question of a server's reflection.
func reflectOn(t *testing.T, conn *grpc.ClientConn, q *reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	stream, err := reflectionv1.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(q); err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestReflectionListsEveryServiceInDevelopment(t *testing.T) {
	for name, conn := range dialPrograms(t) {
		want := []string{"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"}
		contractFiles(func(s protoreflect.ServiceDescriptor) {
			if serves(name, s) {
				want = append(want, string(s.FullName()))
			}
		})
		var got []string
		listed := reflectOn(t, conn, &reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}})
		for _, s := range listed.GetListServicesResponse().GetService() {
			got = append(got, s.GetName())
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s lists %v, expected %v", name, got, want)
		}
		for _, service := range got {
			if strings.HasPrefix(service, "kefu.") {
				checkReflected(t, conn, service)
			}
		}
	}
}

// checkReflected compares what the server says of a service with the contract linked here.
func checkReflected(t *testing.T, conn *grpc.ClientConn, service string) {
	t.Helper()
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		t.Fatal(err)
	}
	answer := reflectOn(t, conn, &reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: service}})
	var methods []string
	for _, raw := range answer.GetFileDescriptorResponse().GetFileDescriptorProto() {
		var file descriptorpb.FileDescriptorProto
		if err := proto.Unmarshal(raw, &file); err != nil {
			t.Fatal(err)
		}
		for _, s := range file.GetService() {
			if file.GetPackage()+"."+s.GetName() == service {
				for _, m := range s.GetMethod() {
					methods = append(methods, m.GetName())
				}
			}
		}
	}
	if want := d.(protoreflect.ServiceDescriptor).Methods().Len(); len(methods) != want {
		t.Errorf("reflection tells of %d methods of %s, the contract has %d", len(methods), service, want)
	}
}

func TestEveryMethodOverGRPCWantsToKnowTheCaller(t *testing.T) {
	stranger, powerless := t.Context(), metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+suite.token(t, nothing()...))
	forged := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer nonsense")
	calls := 0
	for name, conn := range dialPrograms(t) {
		contractFiles(func(s protoreflect.ServiceDescriptor) {
			if !serves(name, s) {
				return
			}
			for i := range s.Methods().Len() {
				m := s.Methods().Get(i)
				calls++
				if m.Name() == "GetHotlinePublication" || m.Name() == "GetContactForm" { // asked without anything they answer
					continue
				}
				if accessRule(m).GetPublic() {
					checkRefusal(t, m, callEmpty(stranger, conn, m), codes.InvalidArgument, "VALIDATION_FAILED")
					continue
				}
				checkRefusal(t, m, callEmpty(stranger, conn, m), codes.Unauthenticated, "TOKEN_MISSING")
				checkRefusal(t, m, callEmpty(forged, conn, m), codes.Unauthenticated, "TOKEN_INVALID")
				checkRefusal(t, m, callEmpty(powerless, conn, m), codes.PermissionDenied, "PERMISSION_DENIED")
			}
		})
	}
	if calls < 75 {
		t.Errorf("only %d methods were called", calls)
	}
}

// callEmpty calls a method with an empty request, and again where the caller calls too often.
func callEmpty(ctx context.Context, conn *grpc.ClientConn, m protoreflect.MethodDescriptor) error {
	for try := 0; ; try++ {
		err := callOnce(ctx, conn, m)
		if status.Code(err) != codes.ResourceExhausted || try == 50 {
			return err
		}
		time.Sleep(100 * time.Millisecond) // two more are allowed then
	}
}

// callOnce calls a method with an empty request, as a stream where it is one.
func callOnce(ctx context.Context, conn *grpc.ClientConn, m protoreflect.MethodDescriptor) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	full := "/" + string(m.Parent().FullName()) + "/" + string(m.Name())
	request, reply := dynamicpb.NewMessage(m.Input()), dynamicpb.NewMessage(m.Output())
	if !m.IsStreamingServer() && !m.IsStreamingClient() {
		return conn.Invoke(ctx, full, request, reply)
	}
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: m.IsStreamingServer(), ClientStreams: m.IsStreamingClient()}, full)
	if err != nil {
		return err
	}
	// The server may have ended the stream already; Recv says how.
	if err := errors.Join(stream.SendMsg(request), stream.CloseSend()); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return stream.RecvMsg(reply)
}

func checkRefusal(t *testing.T, m protoreflect.MethodDescriptor, err error, code codes.Code, reason string) {
	t.Helper()
	st := status.Convert(err)
	var info *errdetails.ErrorInfo
	var request *errdetails.RequestInfo
	var local *errdetails.LocalizedMessage
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			info = d
		case *errdetails.RequestInfo:
			request = d
		case *errdetails.LocalizedMessage:
			local = d
		}
	}
	if st.Code() != code || info.GetReason() != reason || info.GetDomain() != "kefu" || request.GetRequestId() == "" || local.GetMessage() == "" {
		t.Errorf("%s answered %v %v, expected %v %s with request id and message in details %v", m.FullName(), st.Code(), st.Message(), code, reason, st.Details())
	}
}
