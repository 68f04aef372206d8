package authn

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

func TestThreeWaysToBeKnown(t *testing.T) {
	es := es256(t, "es")
	c := newClock()
	p := newProvider(t, es)
	m, gw, _ := gatewaySides(t, c)
	ca := authority(t)
	w := newWitness(t, issue(t, ca, "complaint"), New(p.verifier(t, c), gw, nil))
	bare := dial(t, TLSConfig{CAFile: ca.CertFile()}, "complaint", w.addr)
	gateway := dial(t, issue(t, ca, "gateway"), "complaint", w.addr)

	access := "Bearer " + es.token(t, p.claims(c, nil), nil)
	minted, err := m.Mint(agent)
	if err != nil {
		t.Fatal(err)
	}
	direct := Identity{Kind: Person, Issuer: p.URL, Subject: "u-1", Roles: []string{"service-agent"}}
	service := Identity{Kind: Service, Service: "gateway"}
	for _, tc := range []struct {
		name   string
		client healthpb.HealthClient
		md     []string
		want   Identity
		reason string
	}{
		{"nothing", bare, nil, Identity{}, ""},
		{"certificate", gateway, nil, service, ""},
		{"access token", bare, []string{BearerKey, access}, direct, ""},
		{"access token, scheme in other case", bare, []string{BearerKey, "bearer" + access[6:]}, direct, ""},
		{"access token passed on by a service", gateway, []string{BearerKey, access}, direct, ""},
		{"gateway token with certificate", gateway, []string{GatewayKey, minted}, agent, ""},
		{"gateway token without certificate", bare, []string{GatewayKey, minted}, Identity{}, ReasonInvalid},
		{"both tokens", gateway, []string{GatewayKey, minted, BearerKey, access}, Identity{}, ReasonInvalid},
		{"two access tokens", bare, []string{BearerKey, access, BearerKey, access}, Identity{}, ReasonInvalid},
		{"two gateway tokens", gateway, []string{GatewayKey, minted, GatewayKey, minted}, Identity{}, ReasonInvalid},
		{"gateway token as access token", gateway, []string{BearerKey, "Bearer " + minted}, Identity{}, ReasonInvalid},
		{"access token as gateway token", gateway, []string{GatewayKey, access[7:]}, Identity{}, ReasonInvalid},
		{"bad access token is not public", bare, []string{BearerKey, access + "x"}, Identity{}, ReasonInvalid},
		{"bad access token is not the certificate", gateway, []string{BearerKey, access + "x"}, Identity{}, ReasonInvalid},
		{"other scheme", bare, []string{BearerKey, "Basic dTpw"}, Identity{}, ReasonInvalid},
		{"empty access token", bare, []string{BearerKey, "Bearer "}, Identity{}, ReasonInvalid},
		{"empty header", bare, []string{BearerKey, ""}, Identity{}, ReasonInvalid},
		{"bare metadata says who", bare, []string{"kefu-identity", "boss", "kefu-roles", "company-manager"}, Identity{}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := call(t, tc.client, append(tc.md, "kefu-purpose", "x", "x-request-id", "r-1")...)
			if tc.reason != "" {
				if status.Code(err) != codes.Unauthenticated || rpcerr.Reason(err) != tc.reason {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got, md := w.last()
			if d := cmp.Diff(tc.want, ever(got)); d != "" {
				t.Error(d)
			}
			for key := range md {
				if key == BearerKey || strings.HasPrefix(key, ReservedPrefix) {
					t.Errorf("the handler sees %s", key)
				}
			}
			if got := md.Get("x-request-id"); len(got) != 1 {
				t.Errorf("other metadata is gone: %v", md)
			}
		})
	}
}

func TestStreamsAreAuthenticated(t *testing.T) {
	c := newClock()
	m, gw, _ := gatewaySides(t, c)
	ca := authority(t)
	w := newWitness(t, issue(t, ca, "complaint"), New(nil, gw, nil))
	client := dial(t, issue(t, ca, "gateway"), "complaint", w.addr, grpc.WithStreamInterceptor(PropagateStream()))
	watch := func(token string) error {
		ctx, cancel := context.WithCancel(WithGatewayToken(t.Context(), token))
		defer cancel()
		s, err := client.Watch(ctx, &healthpb.HealthCheckRequest{})
		if err != nil {
			return err
		}
		_, err = s.Recv()
		return err
	}
	minted, err := m.Mint(agent)
	if err != nil {
		t.Fatal(err)
	}
	if err := watch(minted); err != nil {
		t.Fatal(err)
	}
	if who, _ := w.last(); who.Actor() != agent.Actor() {
		t.Errorf("the stream is of %+v", who)
	}
	if err := watch(minted + "x"); status.Code(err) != codes.Unauthenticated {
		t.Errorf("bad token: %v", err)
	}
}

func TestCredentialIsPassedOnUnchanged(t *testing.T) {
	es := es256(t, "es")
	c := newClock()
	p := newProvider(t, es)
	m, gw, _ := gatewaySides(t, c)
	ca := authority(t)
	auth := New(p.verifier(t, c), gw, nil)
	registry := newWitness(t, issue(t, ca, "customer-registry"), auth)
	middle := newWitness(t, issue(t, ca, "complaint"), auth)
	onward := dial(t, issue(t, ca, "complaint"), "customer-registry", registry.addr, grpc.WithUnaryInterceptor(PropagateUnary()))
	middle.then = func(ctx context.Context) error {
		_, err := onward.Check(ctx, &healthpb.HealthCheckRequest{})
		return err
	}
	front := dial(t, issue(t, ca, "gateway"), "complaint", middle.addr, grpc.WithUnaryInterceptor(PropagateUnary()))

	minted, err := m.Mint(agent)
	if err != nil {
		t.Fatal(err)
	}
	access := es.token(t, p.claims(c, nil), nil)
	direct := Identity{Kind: Person, Issuer: p.URL, Subject: "u-1", Roles: []string{"service-agent"}}
	for name, tc := range map[string]struct {
		ctx  context.Context
		want Identity
	}{
		"gateway token": {WithGatewayToken(t.Context(), minted), agent},
		"access token":  {WithBearer(t.Context(), access), direct},
		"none":          {t.Context(), Identity{Kind: Service, Service: "complaint"}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := front.Check(tc.ctx, &healthpb.HealthCheckRequest{}); err != nil {
				t.Fatal(err)
			}
			got, _ := registry.last()
			if d := cmp.Diff(tc.want, ever(got)); d != "" {
				t.Errorf("at the second service: %s", d)
			}
		})
	}
}

func TestPropagateRemovesOtherCredentials(t *testing.T) {
	ca := authority(t)
	_, gw, _ := gatewaySides(t, newClock())
	w := newWitness(t, issue(t, ca, "complaint"), New(nil, gw, nil))
	client := dial(t, issue(t, ca, "survey"), "complaint", w.addr, grpc.WithUnaryInterceptor(PropagateUnary()))
	if err := call(t, client, BearerKey, "Bearer stolen", GatewayKey, "stolen", "x-request-id", "r-1"); err != nil {
		t.Fatal(err)
	}
	if who, md := w.last(); who.Service != "survey" || len(md.Get("x-request-id")) != 1 {
		t.Errorf("%+v, %v", who, md)
	}
}

func TestIdentityActors(t *testing.T) {
	for kind := Public; kind <= Service; kind++ {
		i := Identity{Kind: kind, Issuer: "https://i", Subject: "s", Service: "survey"}
		if i.ActorKind() == 0 {
			t.Errorf("%v has no kind of actor", kind)
		}
		if k, ok := parseKind(kind.String()); !ok || k != kind {
			t.Errorf("%v is read as %v", kind, k)
		}
	}
	if FromContext(t.Context()).Kind != Public {
		t.Error("a context without identity is not public")
	}
}
