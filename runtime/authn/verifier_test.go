package authn

import (
	"context"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

const customerID = "0198c5a0-7d3e-7c4b-9f60-0123456789ab"

func TestVerifierAccepts(t *testing.T) {
	rs, ps := rsaSigner(t, "rs", jwt.SigningMethodRS256, 2048), rsaSigner(t, "ps", jwt.SigningMethodPS256, 2048)
	es, ed := ecSigner(t, "es", jwt.SigningMethodES256, elliptic.P256()), edSigner(t, "ed")
	c := newClock()
	p := newProvider(t, rs, ps, es, ed)
	v := p.verifier(t, c)
	agent := Identity{Kind: Person, Issuer: p.URL, Subject: "u-1", Roles: []string{"service-agent"}}
	now := c.now().Unix()
	for _, tc := range []struct {
		name string
		raw  string
		want Identity
	}{
		{"RS256", rs.token(t, p.claims(c, nil), nil), agent},
		{"PS256", ps.token(t, p.claims(c, nil), nil), agent},
		{"ES256", es.token(t, p.claims(c, nil), nil), agent},
		{"EdDSA", ed.token(t, p.claims(c, nil), nil), agent},
		{"type at+jwt", es.token(t, p.claims(c, nil), map[string]any{"typ": "AT+JWT"}), agent},
		{"no type", es.token(t, p.claims(c, nil), map[string]any{"typ": nil}), agent},
		{"expired 59 s ago", es.token(t, p.claims(c, jwt.MapClaims{"iat": now - 1000, "exp": now - 59}), nil), agent},
		{"valid in 60 s", es.token(t, p.claims(c, jwt.MapClaims{"nbf": now + 60}), nil), agent},
		{"audience list", es.token(t, p.claims(c, jwt.MapClaims{"aud": []string{"other", "kefu"}}), nil), agent},
		{"own key in the header is not looked at",
			es.token(t, p.claims(c, nil), map[string]any{"jku": "http://127.0.0.1:1/", "jwk": edSigner(t, "x").jwk()}), agent},
		{"group mapping, customer role dropped",
			es.token(t, p.claims(c, jwt.MapClaims{"kefu_roles": []string{"customer", "auditor"}, "groups": []string{"cs-desk", "else"}}), nil),
			Identity{Kind: Person, Issuer: p.URL, Subject: "u-1", Roles: []string{"auditor", "service-agent"}}},
		{"no roles", es.token(t, p.claims(c, jwt.MapClaims{"kefu_roles": nil}), nil),
			Identity{Kind: Person, Issuer: p.URL, Subject: "u-1"}},
		{"service account", es.token(t, p.claims(c, jwt.MapClaims{"kefu_roles": nil, "kefu_permissions": []string{"orders.import"}}), nil),
			Identity{Kind: ServiceAccount, Issuer: p.URL, Subject: "u-1", Permissions: []string{"orders.import"}}},
		{"customer, whatever roles the token claims",
			es.token(t, p.claims(c, jwt.MapClaims{"aud": "kefu-customers", "sub": strings.ToUpper(customerID), "kefu_permissions": []string{"all.all"}}), nil),
			Identity{Kind: Customer, Issuer: p.URL, Subject: customerID, Roles: []string{"customer"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for range 2 { // the second answer is the cache's
				got, err := v.Verify(t.Context(), tc.raw)
				if err != nil {
					t.Fatal(err)
				}
				if got.Until.IsZero() {
					t.Error("it is not said until when")
				}
				if d := cmp.Diff(tc.want, ever(got)); d != "" {
					t.Error(d)
				}
			}
		})
	}
}

type badToken struct {
	name  string
	raw   string
	check Check
}

func badTokens(t *testing.T, p *provider, c *clock, rs, es signer) []badToken {
	t.Helper()
	now := c.now().Unix()
	good := es.token(t, p.claims(c, nil), nil)
	parts := strings.Split(good, ".")
	with := func(changes jwt.MapClaims) string { return es.token(t, p.claims(c, changes), nil) }
	header := func(h map[string]any) string { return es.token(t, p.claims(c, nil), h) }
	stranger := ecSigner(t, "es", jwt.SigningMethodES256, elliptic.P256())
	none, err := jwt.NewWithClaims(jwt.SigningMethodNone, p.claims(c, nil)).SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	hmacToken := jwt.NewWithClaims(jwt.SigningMethodHS256, p.claims(c, nil))
	hmacToken.Header["kid"] = "oct"
	hs, err := hmacToken.SignedString([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := json.Marshal(p.claims(c, jwt.MapClaims{"sub": "boss"}))
	if err != nil {
		t.Fatal(err)
	}
	strict := []byte(good) // the last character of an ES256 signature carries four unused bits
	strict[len(strict)-1] = "BCDEF"[strings.IndexByte("AQgw", strict[len(strict)-1])]
	return []badToken{
		{"empty", "", CheckFormat},
		{"not a token", "abc", CheckFormat},
		{"two parts", parts[0] + "." + parts[1], CheckFormat},
		{"four parts", good + ".x", CheckFormat},
		{"padded base64", good + "=", CheckFormat},
		{"unused bits set", string(strict), CheckFormat},
		{"header is no JSON", "e30x." + parts[1] + "." + parts[2], CheckFormat},
		{"too large", with(jwt.MapClaims{"pad": strings.Repeat("x", 8<<10)}), CheckSize},
		{"algorithm none", none, CheckAlgorithm},
		{"algorithm HS256 with a published secret", hs, CheckAlgorithm},
		{"algorithm RS384", signer{"rs", jwt.SigningMethodRS384, rs.key}.token(t, p.claims(c, nil), nil), CheckAlgorithm},
		{"algorithm missing", header(map[string]any{"alg": nil}), CheckAlgorithm},
		{"algorithm of another key", rs.token(t, p.claims(c, nil), map[string]any{"kid": "es"}), CheckKey},
		{"critical extension", header(map[string]any{"crit": []string{"exp"}, "exp": 1}), CheckCritical},
		{"empty critical list", header(map[string]any{"crit": []string{}}), CheckCritical},
		{"logout token", header(map[string]any{"typ": "logout+jwt"}), CheckType},
		{"gateway token's type", header(map[string]any{"typ": gatewayType}), CheckType},
		{"type is a number", header(map[string]any{"typ": 7}), CheckType},
		{"other issuer", with(jwt.MapClaims{"iss": "https://login.example.com"}), CheckIssuer},
		{"issuer with a slash more", with(jwt.MapClaims{"iss": p.URL + "/"}), CheckIssuer},
		{"issuer in other case", with(jwt.MapClaims{"iss": strings.ToUpper(p.URL)}), CheckIssuer},
		{"no issuer", with(jwt.MapClaims{"iss": nil}), CheckIssuer},
		{"no kid", header(map[string]any{"kid": nil}), CheckKey},
		{"kid is a number", header(map[string]any{"kid": 1}), CheckKey},
		{"unknown kid", header(map[string]any{"kid": "nobody"}), CheckKey},
		{"unknown kid with its own jwk", stranger.token(t, p.claims(c, nil), map[string]any{"kid": "mine", "jwk": stranger.jwk()}), CheckKey},
		{"encryption key", header(map[string]any{"kid": "enc"}), CheckKey},
		{"RSA key of 1024 bits", header(map[string]any{"kid": "small", "alg": "RS256"}), CheckKey},
		{"key declared for another algorithm", header(map[string]any{"kid": "declared"}), CheckKey},
		{"signed by a stranger", stranger.token(t, p.claims(c, nil), nil), CheckSignature},
		{"own key in jwk", stranger.token(t, p.claims(c, nil), map[string]any{"jwk": stranger.jwk()}), CheckSignature},
		{"own key behind jku", stranger.token(t, p.claims(c, nil), map[string]any{"jku": p.URL + "/evil"}), CheckSignature},
		{"own certificate behind x5u", stranger.token(t, p.claims(c, nil), map[string]any{"x5u": p.URL + "/evil"}), CheckSignature},
		{"changed payload", parts[0] + "." + base64.RawURLEncoding.EncodeToString(other) + "." + parts[2], CheckSignature},
		{"no signature", parts[0] + "." + parts[1] + ".", CheckSignature},
		{"expired 60 s ago", with(jwt.MapClaims{"iat": now - 1000, "exp": now - 60}), CheckExpiry},
		{"valid in 61 s", with(jwt.MapClaims{"nbf": now + 61}), CheckNotBefore},
		{"nbf is a text", with(jwt.MapClaims{"nbf": "soon"}), CheckNotBefore},
		{"issued in the future", with(jwt.MapClaims{"iat": now + 61, "exp": now + 600}), CheckNotBefore},
		{"no exp", with(jwt.MapClaims{"exp": nil}), CheckLifetime},
		{"no iat", with(jwt.MapClaims{"iat": nil}), CheckLifetime},
		{"exp is a text", with(jwt.MapClaims{"exp": "3000000000"}), CheckLifetime},
		{"exp beyond all times", with(jwt.MapClaims{"exp": 1e300}), CheckLifetime},
		{"lives an hour and a second", with(jwt.MapClaims{"exp": now + 3601}), CheckLifetime},
		{"ends before it begins", with(jwt.MapClaims{"iat": now, "exp": now - 1}), CheckLifetime},
		{"other audience", with(jwt.MapClaims{"aud": "payroll"}), CheckAudience},
		{"audience in other case", with(jwt.MapClaims{"aud": "Kefu"}), CheckAudience},
		{"no audience", with(jwt.MapClaims{"aud": nil}), CheckAudience},
		{"both audiences", with(jwt.MapClaims{"aud": []string{"kefu", "kefu-customers"}}), CheckAudience},
		{"audience is a number", with(jwt.MapClaims{"aud": 5}), CheckAudience},
		{"no subject", with(jwt.MapClaims{"sub": nil}), CheckSubject},
		{"empty subject", with(jwt.MapClaims{"sub": ""}), CheckSubject},
		{"long subject", with(jwt.MapClaims{"sub": strings.Repeat("x", 256)}), CheckSubject},
		{"customer without customer id", with(jwt.MapClaims{"aud": "kefu-customers"}), CheckSubject},
		{"roles are one text", with(jwt.MapClaims{"kefu_roles": "auditor"}), CheckClaims},
		{"a role is a number", with(jwt.MapClaims{"kefu_roles": []any{"auditor", 1}}), CheckClaims},
		{"groups are a map", with(jwt.MapClaims{"groups": map[string]any{"a": 1}}), CheckClaims},
		{"roles and permissions", with(jwt.MapClaims{"kefu_permissions": []string{"tickets.write"}}), CheckClaims},
	}
}

func TestVerifierRefuses(t *testing.T) {
	rs, es := rsaSigner(t, "rs", jwt.SigningMethodRS256, 2048), ecSigner(t, "es", jwt.SigningMethodES256, elliptic.P256())
	small := rsaSigner(t, "small", jwt.SigningMethodRS256, 1024)
	c := newClock()
	p := newProvider(t, rs, es, small)
	enc, declared := es.jwk(), es.jwk()
	enc.KeyID, enc.Use = "enc", "enc"
	declared.KeyID, declared.Algorithm = "declared", "ES384"
	p.keys = append(p.keys, enc, declared)
	p.extra = []string{
		`{"kty":"oct","kid":"oct","k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}`,
		`{"kty":"unheard-of","kid":"new"}`,
	}
	v := p.verifier(t, c)
	if _, err := v.Verify(t.Context(), es.token(t, p.claims(c, nil), nil)); err != nil {
		t.Fatalf("the good token: %v", err)
	}
	asked := p.asked.Load()
	texts := map[string]string{}
	for _, tc := range badTokens(t, p, c, rs, es) {
		t.Run(tc.name, func(t *testing.T) {
			got, err := v.Verify(t.Context(), tc.raw)
			var r *Refusal
			if !errors.As(err, &r) {
				t.Fatalf("accepted as %+v, error %v", got, err)
			}
			if r.Check != tc.check {
				t.Errorf("refused by %v, want %s", r, tc.check)
			}
			want := ReasonInvalid
			if tc.check == CheckExpiry {
				want = ReasonExpired
			}
			public := PublicError(err)
			if status.Code(public) != codes.Unauthenticated || rpcerr.Reason(public) != want {
				t.Errorf("public error %v, reason %s, want %s", public, rpcerr.Reason(public), want)
			}
			if first, ok := texts[want]; ok && first != public.Error() {
				t.Errorf("the public text differs: %q and %q", first, public.Error())
			}
			texts[want] = public.Error()
		})
	}
	if n := p.asked.Load() - asked; n != 0 {
		t.Errorf("bad tokens made %d requests within a minute of a fetch", n)
	}
}

func TestVerifierCacheEndsWithTheToken(t *testing.T) {
	es := ecSigner(t, "es", jwt.SigningMethodES256, elliptic.P256())
	c := newClock()
	p := newProvider(t, es)
	v := p.verifier(t, c)
	raw := es.token(t, p.claims(c, jwt.MapClaims{"exp": c.now().Unix() + 30}), nil)
	for _, step := range []struct {
		ahead time.Duration
		ok    bool
	}{{0, true}, {29 * time.Second, true}, {60 * time.Second, true}, {time.Second, false}} {
		c.advance(step.ahead)
		if _, err := v.Verify(t.Context(), raw); (err == nil) != step.ok {
			t.Errorf("at %v: %v", c.now(), err)
		}
	}
}

func TestTokenCacheIsBounded(t *testing.T) {
	var cache tokenCache
	c := newClock()
	for i := range 3 * cacheSize {
		cache.put([32]byte{byte(i), byte(i >> 8), byte(i >> 16)}, Identity{}, c.now().Add(time.Hour), c.now())
		if n := len(cache.young) + len(cache.elder); n > cacheSize {
			t.Fatalf("%d tokens remembered", n)
		}
	}
	c.advance(cacheLife)
	if _, ok := cache.get([32]byte{}, c.now()); ok {
		t.Error("remembered longer than a minute")
	}
}

func TestNewVerifierRefusesUnsafeIssuers(t *testing.T) {
	for _, tc := range []struct {
		name        string
		cfg         VerifierConfig
		development bool
		ok          bool
	}{
		{"https", VerifierConfig{Issuers: []string{"https://login.example.com/realm"}}, false, true},
		{"http loopback in development", VerifierConfig{Issuers: []string{"http://127.0.0.1:9080"}}, true, true},
		{"http loopback in production", VerifierConfig{Issuers: []string{"http://127.0.0.1:9080"}}, false, false},
		{"http elsewhere in development", VerifierConfig{Issuers: []string{"http://login.example.com"}}, true, false},
		{"http to a name that begins like loopback", VerifierConfig{Issuers: []string{"http://localhost.example.com"}}, true, false},
		{"no host", VerifierConfig{Issuers: []string{"https://"}}, false, false},
		{"another scheme", VerifierConfig{Issuers: []string{"file:///etc/keys"}}, true, false},
		{"one good and one bad", VerifierConfig{Issuers: []string{"https://a.example", "http://b.example"}}, false, false},
		{"none", VerifierConfig{}, false, false},
		{"equal audiences", VerifierConfig{Issuers: []string{"https://a.example"}, CustomerAudience: "kefu"}, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.cfg.Audience, tc.cfg.Development = "kefu", tc.development
			if tc.cfg.CustomerAudience == "" {
				tc.cfg.CustomerAudience = "kefu-customers"
			}
			if _, err := NewVerifier(tc.cfg); (err == nil) != tc.ok {
				t.Errorf("error %v", err)
			}
		})
	}
}

func verifyCheck(t testing.TB, v *Verifier, ctx context.Context, raw string) Check {
	t.Helper()
	_, err := v.Verify(ctx, raw)
	if err == nil {
		return ""
	}
	var r *Refusal
	if !errors.As(err, &r) {
		t.Fatalf("not a refusal: %v", err)
	}
	return r.Check
}
