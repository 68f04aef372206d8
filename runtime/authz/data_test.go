package authz

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/mask"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

const (
	internal     = accessv1.Sensitivity_SENSITIVITY_INTERNAL
	confidential = accessv1.Sensitivity_SENSITIVITY_CONFIDENTIAL
)

// clearances is a policy in which everyone may read, and sees differently.
func clearances() Policy {
	sees := func(c ...Clearance) Role {
		return Role{Grants: []Grant{{"widgets.read", company}}, Sees: c}
	}
	return Policy{
		Roles: map[string]Role{
			"nobody":   sees(),
			"desk":     sees(Clearance{Purpose: "repair", Shown: internal, Masked: confidential}),
			"repairer": sees(Clearance{Purpose: "repair", Shown: confidential}),
			"seller":   sees(Clearance{Purpose: "sales", Shown: confidential}),
			"boss":     sees(Clearance{Shown: confidential}),
			"customer": sees(Clearance{Purpose: "repair", Shown: confidential}),
		},
		Accounts: []Clearance{{Masked: confidential}},
	}
}

// form is a type of message of a contract made for a test.
func form(t *testing.T, name protoreflect.FullName) func(json string) proto.Message {
	t.Helper()
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return func(json string) proto.Message {
		m := dynamicpb.NewMessage(d.(protoreflect.MessageDescriptor))
		if err := protojson.Unmarshal([]byte(json), m); err != nil {
			t.Fatal(err)
		}
		return m
	}
}

func TestAnswersAreShownByClearance(t *testing.T) {
	rule := perms("widgets.read")
	rule.Callers = []string{"survey"}
	g := New(clearances())
	if err := g.Check(registered(t, "seetest", method{"Read", rule}, method{"Open", &accessv1.AccessRule{Public: true}})); err != nil {
		t.Fatal(err)
	}
	widget := form(t, "seetest.Widget")
	const plain = `{"customerId":"1","owner":"张伟","phone":"+8613812345678"}`
	const none = `{"customerId":"1"}`
	customer := authn.Identity{Kind: authn.Customer, Issuer: "https://i", Subject: "c", Roles: []string{"customer"}}
	for name, tc := range map[string]struct {
		who    authn.Identity
		method string
		want   string
	}{
		"without clearance":    {person("nobody"), "Read", none},
		"desk":                 {person("desk"), "Read", `{"customerId":"1","owner":"张伟","phone":"138****5678"}`},
		"repairer":             {person("repairer"), "Read", plain},
		"for another purpose":  {person("seller"), "Read", none},
		"for every purpose":    {person("boss"), "Read", plain},
		"the best of roles":    {person("nobody", "desk", "repairer"), "Read", plain},
		"customer":             {customer, "Read", plain},
		"person as customer":   {person("customer", "nobody"), "Read", none},
		"person as account":    {person("service-account", "nobody"), "Read", none},
		"account":              {account("widgets.read"), "Read", `{"customerId":"1","owner":"张**","phone":"138****5678"}`},
		"account with roles":   {authn.Identity{Kind: authn.ServiceAccount, Permissions: []string{"widgets.read"}, Roles: []string{"boss"}}, "Read", `{"customerId":"1","owner":"张**","phone":"138****5678"}`},
		"service":              {service("survey"), "Read", plain},
		"public":               {authn.Identity{}, "Open", none},
		"a person, publicly":   {person("repairer"), "Open", plain},
		"a service, publicly":  {service("survey"), "Open", plain},
		"a customer, publicly": {customer, "Open", plain},
	} {
		given := widget(plain)
		ctx := authn.NewContext(t.Context(), tc.who)
		method := "/seetest.Widgets/" + tc.method
		got, err := g.Unary()(ctx, widget(`{}`), &grpc.UnaryServerInfo{FullMethod: method},
			func(context.Context, any) (any, error) { return given, nil })
		if err != nil || !proto.Equal(got.(proto.Message), widget(tc.want)) {
			t.Errorf("%s: %v, %v, want %s", name, got, err, tc.want)
		}
		sent := &sink{stream: stream{ctx: ctx}}
		err = g.Stream()(nil, sent, &grpc.StreamServerInfo{FullMethod: method}, func(_ any, ss grpc.ServerStream) error {
			return ss.SendMsg(given)
		})
		if err != nil || len(sent.out) != 1 || !proto.Equal(sent.out[0], widget(tc.want)) {
			t.Errorf("%s: streamed %v, %v, want %s", name, sent.out, err, tc.want)
		}
	}
}

type sink struct {
	stream
	out []proto.Message
}

func (s *sink) SendMsg(m any) error {
	s.out = append(s.out, m.(proto.Message))
	return nil
}

func TestAHandlerRevealsForItsCallAlone(t *testing.T) {
	g := New(clearances())
	if err := g.Check(registered(t, "revealtest", method{"Read", perms("widgets.read")})); err != nil {
		t.Fatal(err)
	}
	widget := form(t, "revealtest.Widget")
	read := func(reveal bool) string {
		got, err := g.Unary()(authn.NewContext(t.Context(), person("nobody")), widget(`{}`),
			&grpc.UnaryServerInfo{FullMethod: "/revealtest.Widgets/Read"},
			func(ctx context.Context, _ any) (any, error) {
				if reveal {
					Reveal(ctx, Clearance{Purpose: "repair", Shown: internal, Masked: confidential})
				}
				return widget(fmt.Sprintf(`{"owner":"%v","phone":"+8613812345678"}`,
					Sees(ctx, widget(`{}`), "phone") == mask.Masked)), nil
			})
		if err != nil {
			t.Fatal(err)
		}
		return protojson.MarshalOptions{}.Format(got.(proto.Message))
	}
	if got := strings.ReplaceAll(read(true), " ", ""); got != `{"owner":"true","phone":"138****5678"}` {
		t.Errorf("revealed: %s", got)
	}
	if got := read(false); got != "{}" {
		t.Errorf("the next call: %s", got)
	}
}

func TestRequestsThatTheRulesRefuse(t *testing.T) {
	why := perms("widgets.read")
	why.NeedsPurpose = true
	p := clearances()
	p.Roles["filer"] = Role{Grants: []Grant{{"widgets.read", company}, {"phones.write", own}}}
	g := New(p)
	if err := g.Check(registered(t, "requesttest", method{"Why", why}, method{"Set", perms("widgets.read")},
		method{"Never", perms("phones.write")})); err != nil {
		t.Fatal(err)
	}
	request := form(t, "requesttest.Request")
	for _, tc := range []struct {
		method, role, body string
		code               codes.Code
		field              string
	}{
		{"Why", "desk", `{}`, codes.InvalidArgument, "purpose"},
		{"Why", "desk", `{"purpose":"a call back"}`, 0, ""},
		{"Set", "desk", `{"widget":{"customerId":"1","owner":"x"}}`, 0, ""},
		{"Set", "desk", `{"widget":{"phone":"1"}}`, codes.PermissionDenied, "widget.phone"},
		{"Set", "desk", `{"widget":{},"updateMask":"phone"}`, codes.PermissionDenied, "widget.phone"},
		{"Set", "desk", `{"widget":{},"updateMask":"owner,none.such"}`, 0, ""},
		{"Set", "filer", `{"widget":{"phone":"1"},"updateMask":"phone"}`, 0, ""},
	} {
		reached := false
		_, err := g.Unary()(authn.NewContext(t.Context(), person(tc.role)), request(tc.body),
			&grpc.UnaryServerInfo{FullMethod: "/requesttest.Widgets/" + tc.method},
			func(context.Context, any) (any, error) { reached = true; return nil, nil })
		if status.Code(err) != tc.code || reached != (err == nil) {
			t.Errorf("%s by %s with %s: %v, handler ran: %v", tc.method, tc.role, tc.body, err, reached)
		}
		if tc.field != "" && err != nil && !strings.Contains(err.Error(), tc.field) {
			t.Errorf("%s with %s: %v does not name %s", tc.method, tc.body, err, tc.field)
		}
	}
}

func TestSecondPerson(t *testing.T) {
	two := perms("widgets.read")
	two.SecondPerson = true
	g := New(clearances())
	if err := g.Check(registered(t, "secondtest", method{"Approve", two}, method{"Read", perms("widgets.read")})); err != nil {
		t.Fatal(err)
	}
	who := person("desk")
	run := func(method string, handler func(ctx context.Context) error) error {
		_, err := g.Unary()(authn.NewContext(t.Context(), who), nil, &grpc.UnaryServerInfo{FullMethod: "/secondtest.Widgets/" + method},
			func(ctx context.Context, _ any) (any, error) { return nil, handler(ctx) })
		return err
	}
	err := run("Approve", func(ctx context.Context) error { return SecondPerson(ctx, "https://i|other", who.Actor()) })
	if status.Code(err) != codes.PermissionDenied || rpcerr.Reason(err) != ReasonSecondPerson {
		t.Errorf("the first person: %v", err)
	}
	if err := run("Approve", func(ctx context.Context) error {
		if err := Settled(ctx); err == nil {
			t.Error("a handler that did not ask may commit")
		}
		if err := SecondPerson(ctx, "https://i|other"); err != nil {
			return err
		}
		return Settled(ctx)
	}); err != nil {
		t.Errorf("another: %v", err)
	}
	if err := run("Read", Settled); err != nil {
		t.Errorf("a method that one person does: %v", err)
	}
	if err := Settled(t.Context()); err != nil {
		t.Errorf("a job: %v", err)
	}
}
