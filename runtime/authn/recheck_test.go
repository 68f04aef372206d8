package authn

import (
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// ever is an identity without its end.
func ever(i Identity) Identity {
	i.Until = time.Time{}
	return i
}

// A call that goes on is its caller's until the token they signed in with expires, whether
// they came by the gateway, whose own token is long over, or by themselves.
func TestRecheckEndsWithTheToken(t *testing.T) {
	for name, behind := range map[string]bool{"a token of the caller's": false, "behind the gateway": true} {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			es := edSigner(t, "k1")
			p := newProvider(t, es)
			v, err := NewVerifier(VerifierConfig{
				Issuers: []string{p.URL}, Audience: "kefu", CustomerAudience: "kefu-customers", Development: true, Now: c.now,
			})
			if err != nil {
				t.Fatal(err)
			}
			raw := es.token(t, p.claims(c, jwt.MapClaims{"iat": c.now().Unix(), "exp": c.now().Add(10 * time.Minute).Unix()}), nil)
			a := New(v, nil, nil)
			ctx, err := a.Authenticate(metadata.NewIncomingContext(t.Context(), metadata.Pairs(BearerKey, "Bearer "+raw)))
			if err != nil {
				t.Fatal(err)
			}
			if behind {
				m, gw, _ := gatewaySides(t, c)
				minted, err := m.Mint(FromContext(ctx))
				if err != nil {
					t.Fatal(err)
				}
				who, err := gw.Verify(minted)
				if err != nil {
					t.Fatal(err)
				}
				a = New(v, gw, nil)
				ctx = NewContext(withCredential(t.Context(), credential{key: GatewayKey, value: minted}), who)
			}
			c.advance(10*time.Minute - time.Second)
			if err := a.Recheck(ctx, ""); err != nil {
				t.Errorf("a second before the end: %v", err)
			}
			c.advance(time.Second) // no leeway: it was long enough
			if err := a.Recheck(ctx, ""); status.Code(err) != codes.Unauthenticated || rpcerr.Reason(err) != ReasonExpired {
				t.Errorf("at the end: %v", err)
			}
		})
	}
}

// A key that its issuer takes away takes the streams of its tokens along; an issuer that
// cannot be asked does not.
func TestRecheckAsksForTheKey(t *testing.T) {
	c := newClock()
	es, other := edSigner(t, "k1"), edSigner(t, "k2")
	p := newProvider(t, es)
	v, err := NewVerifier(VerifierConfig{
		Issuers: []string{p.URL}, Audience: "kefu", CustomerAudience: "kefu-customers", Development: true, Now: c.now,
	})
	if err != nil {
		t.Fatal(err)
	}
	a := New(v, nil, nil)
	raw := es.token(t, p.claims(c, jwt.MapClaims{"iat": c.now().Unix(), "exp": c.now().Add(time.Hour).Unix()}), nil)
	ctx, err := a.Authenticate(metadata.NewIncomingContext(t.Context(), metadata.Pairs(BearerKey, "Bearer "+raw)))
	if err != nil {
		t.Fatal(err)
	}
	p.publish(other)
	c.advance(5 * time.Minute)
	// Somebody's token of the new key makes the verifier look for keys.
	fresh := other.token(t, p.claims(c, jwt.MapClaims{"iat": c.now().Unix(), "exp": c.now().Add(time.Hour).Unix()}), nil)
	if _, err := v.Verify(t.Context(), fresh); err != nil {
		t.Fatal(err)
	}
	if err := a.Recheck(ctx, ""); status.Code(err) != codes.Unauthenticated || rpcerr.Reason(err) != ReasonInvalid {
		t.Errorf("a key that is gone: %v", err)
	}
	for name, ctx := range map[string]Identity{"nobody": {}, "a service": {Kind: Service, Service: "survey"}} {
		if err := a.Recheck(NewContext(t.Context(), ctx), ""); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
