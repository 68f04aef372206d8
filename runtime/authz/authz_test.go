package authz

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"maps"
	"net/url"
	"strings"
	"testing"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoregistry"
)

const (
	own     = accessv1.Scope_SCOPE_OWN
	team    = accessv1.Scope_SCOPE_TEAM
	company = accessv1.Scope_SCOPE_COMPANY
)

func policy() Policy {
	return Policy{Roles: map[string]Role{
		"agent":      {Grants: []Grant{{"widgets.read", own}, {"widgets.write", own}}},
		"supervisor": {Grants: []Grant{{"widgets.read", team}, {"widgets.write", team}}},
		"auditor":    {Grants: []Grant{{"widgets.read", company}}},
		"customer":   {Grants: []Grant{{"widgets.read", own}}},
	}}
}

func perms(p ...string) *accessv1.AccessRule { return &accessv1.AccessRule{Permissions: p} }

func person(roles ...string) authn.Identity {
	return authn.Identity{Kind: authn.Person, Issuer: "https://i", Subject: "u", Roles: roles}
}

func account(permissions ...string) authn.Identity {
	return authn.Identity{Kind: authn.ServiceAccount, Issuer: "https://i", Subject: "erp", Permissions: permissions}
}

func service(name string) authn.Identity { return authn.Identity{Kind: authn.Service, Service: name} }

func TestDecide(t *testing.T) {
	const base = "/guardtest.Widgets/"
	either := perms("widgets.write", "widgets.read")
	wide := perms("widgets.write")
	wide.Scope = team
	both := perms("widgets.write")
	both.Callers = []string{"survey"}
	infos := registered(t, "guardtest",
		method{"Public", &accessv1.AccessRule{Public: true}}, method{"Read", perms("widgets.read")},
		method{"Write", perms("widgets.write")}, method{"Either", either}, method{"Wide", wide},
		method{"Internal", &accessv1.AccessRule{Callers: []string{"survey"}}}, method{"Both", both})
	g := New(policy())
	if _, err := g.Decide(authn.Identity{}, base+"Public"); status.Code(err) != codes.PermissionDenied {
		t.Errorf("before Check: %v", err)
	}
	if err := g.Check(infos); err != nil {
		t.Fatal(err)
	}
	customer := authn.Identity{Kind: authn.Customer, Issuer: "https://i", Subject: "c", Roles: []string{authn.CustomerRole}}
	const denied, missing = codes.PermissionDenied, codes.Unauthenticated
	for _, tc := range []struct {
		method string
		who    authn.Identity
		want   Decision
		code   codes.Code
	}{
		{"Public", authn.Identity{}, Decision{Right: "public"}, 0},
		{"Public", person("agent"), Decision{Right: "public"}, 0},
		{"Read", authn.Identity{}, Decision{}, missing},
		{"Read", person("agent"), Decision{"widgets.read", own, "role:agent/widgets.read"}, 0},
		{"Read", person("agent", "supervisor"), Decision{"widgets.read", team, "role:supervisor/widgets.read"}, 0},
		{"Read", person("auditor", "supervisor"), Decision{"widgets.read", company, "role:auditor/widgets.read"}, 0},
		{"Read", person("unheard-of", "agent"), Decision{"widgets.read", own, "role:agent/widgets.read"}, 0},
		{"Read", person("unheard-of"), Decision{}, denied},
		{"Read", person(), Decision{}, denied},
		{"Read", person("Agent"), Decision{}, denied},
		{"Read", customer, Decision{"widgets.read", own, "role:customer/widgets.read"}, 0},
		{"Write", customer, Decision{}, denied},
		{"Write", person("auditor"), Decision{}, denied},
		{"Either", person("agent"), Decision{"widgets.write", own, "role:agent/widgets.write"}, 0},
		{"Either", person("agent", "auditor"), Decision{"widgets.read", company, "role:auditor/widgets.read"}, 0},
		{"Wide", person("agent"), Decision{}, denied},
		{"Wide", person("supervisor"), Decision{"widgets.write", team, "role:supervisor/widgets.write"}, 0},
		{"Read", account("widgets.read"), Decision{"widgets.read", company, "service-account/widgets.read"}, 0},
		{"Write", account("widgets.read"), Decision{}, denied},
		{"Read", account(), Decision{}, denied},
		{"Read", authn.Identity{Kind: authn.ServiceAccount, Roles: []string{"auditor"}}, Decision{}, denied},
		{"Read", authn.Identity{Kind: authn.Person, Permissions: []string{"widgets.read"}}, Decision{}, denied},
		{"Internal", service("survey"), Decision{"", company, "caller:survey"}, 0},
		{"Internal", service("complaint"), Decision{}, denied},
		{"Internal", person("auditor"), Decision{}, denied},
		{"Internal", authn.Identity{}, Decision{}, missing},
		{"Internal", authn.Identity{Kind: authn.Person, Service: "survey"}, Decision{}, denied},
		{"Both", service("survey"), Decision{"", company, "caller:survey"}, 0},
		{"Both", person("agent"), Decision{"widgets.write", own, "role:agent/widgets.write"}, 0},
		{"Read", service("survey"), Decision{}, denied},
		{"Read", authn.Identity{Kind: authn.Service, Service: "survey", Roles: []string{"auditor"}}, Decision{}, denied},
		{"Absent", person("auditor"), Decision{}, denied},
		{"Absent", authn.Identity{}, Decision{}, denied},
	} {
		got, err := g.Decide(tc.who, base+tc.method)
		if status.Code(err) != tc.code || got != tc.want {
			t.Errorf("%s by %+v: %+v, %v; want %+v, %v", tc.method, tc.who, got, err, tc.want, tc.code)
		}
	}
}

func TestRefusalSaysWhatIsNeeded(t *testing.T) {
	g := New(policy())
	if err := g.Check(registered(t, "texttest", method{"Write", perms("widgets.write", "widgets.admin")})); err != nil {
		t.Fatal(err)
	}
	_, err := g.Decide(person("auditor"), "/texttest.Widgets/Write")
	text := status.Convert(err).Message()
	for _, want := range []string{"widgets.write", "widgets.admin", "auditor"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q does not name %s", text, want)
		}
	}
	if got := rpcerr.Reason(err); got != ReasonDenied {
		t.Errorf("reason %s", got)
	}
	many := make([]string, 500)
	for i := range many {
		many[i] = "role-of-long-name"
	}
	_, err = g.Decide(person(many...), "/texttest.Widgets/Write")
	if n := len(status.Convert(err).Message()); n > 1000 {
		t.Errorf("a token makes an error of %d bytes", n)
	}
	_, err = g.Decide(authn.Identity{}, "/texttest.Widgets/Write")
	if got := rpcerr.Reason(err); got != ReasonMissing {
		t.Errorf("reason %s", got)
	}
}

func TestInterceptors(t *testing.T) {
	g := New(policy())
	if err := g.Check(registered(t, "intercepttest", method{"Read", perms("widgets.read")})); err != nil {
		t.Fatal(err)
	}
	const name = "/intercepttest.Widgets/Read"
	run := func(ctx context.Context) (Decision, accessv1.Scope, error) {
		var d Decision
		var write accessv1.Scope
		_, err := g.Unary()(ctx, nil, &grpc.UnaryServerInfo{FullMethod: name}, func(ctx context.Context, _ any) (any, error) {
			d, write = FromContext(ctx), Held(ctx, "widgets.write")
			return nil, nil
		})
		streamErr := g.Stream()(nil, &stream{ctx: ctx}, &grpc.StreamServerInfo{FullMethod: name}, func(_ any, ss grpc.ServerStream) error {
			if got := FromContext(ss.Context()); got != d {
				t.Errorf("stream decided %+v, unary %+v", got, d)
			}
			return nil
		})
		if status.Code(err) != status.Code(streamErr) {
			t.Errorf("unary %v, stream %v", err, streamErr)
		}
		return d, write, err
	}
	for _, tc := range []struct {
		who   authn.Identity
		read  accessv1.Scope
		write accessv1.Scope
		code  codes.Code
	}{
		{person("supervisor"), team, team, 0},
		{person("auditor"), company, 0, 0},
		{account("widgets.read", "widgets.write"), company, company, 0},
		{account("widgets.write"), 0, 0, codes.PermissionDenied},
		{service("survey"), 0, 0, codes.PermissionDenied},
		{authn.Identity{}, 0, 0, codes.Unauthenticated},
	} {
		d, write, err := run(authn.NewContext(t.Context(), tc.who))
		if d.Scope != tc.read || write != tc.write || status.Code(err) != tc.code {
			t.Errorf("%+v: %+v, write %v, %v", tc.who, d, write, err)
		}
	}
	if d := FromContext(t.Context()); d != (Decision{}) {
		t.Errorf("a context without decision allows %+v", d)
	}
}

type stream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *stream) Context() context.Context { return s.ctx }

func TestCheckNamesEveryBadRule(t *testing.T) {
	object := func(path string) *accessv1.AccessRule {
		r := perms("widgets.read")
		r.ObjectField = path
		return r
	}
	bad := []method{
		{"NoRule", nil},
		{"Empty", &accessv1.AccessRule{}},
		{"ScopeOnly", &accessv1.AccessRule{Scope: own}},
		{"PublicAndPermissions", &accessv1.AccessRule{Public: true, Permissions: []string{"widgets.read"}}},
		{"PublicAndCallers", &accessv1.AccessRule{Public: true, Callers: []string{"survey"}}},
		{"BadPermission", perms("Widgets Read")},
		{"EmptyPermission", perms("")},
		{"BadCaller", &accessv1.AccessRule{Callers: []string{"spiffe://kefu/survey"}}},
		{"NoSuchField", object("name")},
		{"NoSuchInnerField", object("widget.id")},
		{"BelowText", object("id.x")},
	}
	good := []method{{"Good", object("widget.customer_id")}, {"Plain", object("id")}}
	infos := registered(t, "badtest", append(bad, good...)...)
	infos["badtest.Gadgets"] = grpc.ServiceInfo{Methods: []grpc.MethodInfo{{Name: "Get"}}}
	g := New(Policy{Roles: map[string]Role{"Bad Role": {Grants: []Grant{{"widgets.read", own}}},
		"agent": {Grants: []Grant{{"widgets", own}}}, "clerk": {Grants: []Grant{{"widgets.read", 0}}}}})
	err := g.Check(infos)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, m := range bad {
		if !strings.Contains(err.Error(), "/badtest.Widgets/"+m.name+":") {
			t.Errorf("%s is not named", m.name)
		}
	}
	for _, m := range good {
		if strings.Contains(err.Error(), "/"+m.name+":") {
			t.Errorf("%s is named", m.name)
		}
	}
	for _, want := range []string{"badtest.Gadgets", "Bad Role", `"widgets"`, "clerk"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not named in: %v", want, err)
		}
	}
	if _, err := g.Decide(authn.Identity{}, "/badtest.Widgets/Good"); err == nil {
		t.Error("a guard whose check failed allows calls")
	}
}

func TestCheckTakesRealServices(t *testing.T) {
	infos := map[string]grpc.ServiceInfo{}
	for _, d := range []grpc.ServiceDesc{healthpb.Health_ServiceDesc, reflectionv1.ServerReflection_ServiceDesc, eventv1.EventService_ServiceDesc} {
		info := grpc.ServiceInfo{}
		for _, m := range d.Methods {
			info.Methods = append(info.Methods, grpc.MethodInfo{Name: m.MethodName})
		}
		for _, s := range d.Streams {
			info.Methods = append(info.Methods, grpc.MethodInfo{Name: s.StreamName})
		}
		infos[d.ServiceName] = info
	}
	g := New(policy())
	if err := g.Check(infos); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{healthpb.Health_Check_FullMethodName, healthpb.Health_Watch_FullMethodName} {
		if d, err := g.Decide(authn.Identity{}, name); err != nil || d.Right != "public" {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
	for m := range maps.Values(infos) {
		for _, method := range m.Methods {
			if g.Rule("/kefu.event.v1.EventService/" + method.Name).GetPublic() {
				t.Errorf("events are public: %s", method.Name)
			}
		}
	}
}

func TestWalk(t *testing.T) {
	files := new(protoregistry.Files)
	if err := Walk(files, "walktest."); err == nil {
		t.Error("checking nothing succeeded")
	}
	if err := files.RegisterFile(contract(t, "walktest", method{"Get", perms("widgets.read")})); err != nil {
		t.Fatal(err)
	}
	if err := files.RegisterFile(contract(t, "elsewhere", method{"Get", nil})); err != nil {
		t.Fatal(err)
	}
	if err := Walk(files, "walktest."); err != nil {
		t.Error(err)
	}
	if err := Walk(files, ""); err == nil || !strings.Contains(err.Error(), "/elsewhere.Widgets/Get") {
		t.Errorf("a method without rule: %v", err)
	}
	if err := Walk(protoregistry.GlobalFiles, "kefu.event."); err != nil {
		t.Error(err)
	}
}

// TestServiceCallsForSomeone: a listed service may call an internal method while it
// passes on a person's token; the gateway, which passes on anybody's, may not.
func TestServiceCallsForSomeone(t *testing.T) {
	const base = "/behalftest.Widgets/"
	g := New(policy())
	if err := g.Check(registered(t, "behalftest", method{"Internal", &accessv1.AccessRule{Callers: []string{"survey", authn.GatewayService}}})); err != nil {
		t.Fatal(err)
	}
	for peerName, want := range map[string]struct {
		right string
		code  codes.Code
	}{
		"survey": {"caller:survey", codes.OK}, "complaint": {"", codes.PermissionDenied},
		authn.GatewayService: {"", codes.PermissionDenied}, "": {"", codes.PermissionDenied},
	} {
		ctx := authn.NewContext(peerContext(t, peerName), person("agent"))
		_, err := g.Unary()(ctx, nil, &grpc.UnaryServerInfo{FullMethod: base + "Internal"}, func(ctx context.Context, _ any) (any, error) {
			if got := FromContext(ctx).Right; got != want.right {
				t.Errorf("%s: the right is %q, expected %q", peerName, got, want.right)
			}
			if authn.FromContext(ctx).Kind != authn.Person {
				t.Errorf("%s: the person got lost", peerName)
			}
			return nil, nil
		})
		if status.Code(err) != want.code {
			t.Errorf("%s: %v, expected %v", peerName, err, want.code)
		}
	}
}

// peerContext is a call over a connection with the certificate of that service.
func peerContext(t *testing.T, name string) context.Context {
	t.Helper()
	if name == "" {
		return t.Context()
	}
	uri, err := url.Parse("spiffe://kefu/" + name)
	if err != nil {
		t.Fatal(err)
	}
	chain := [][]*x509.Certificate{{{URIs: []*url.URL{uri}}}}
	return peer.NewContext(t.Context(), &peer.Peer{AuthInfo: credentials.TLSInfo{State: tls.ConnectionState{VerifiedChains: chain}}})
}
