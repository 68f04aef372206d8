package authn

import (
	"crypto/elliptic"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
)

// variants are seeds: a good token and what is nearly one.
func variants(f *testing.F, good string) {
	parts := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`))
	for _, s := range []string{
		good, "", ".", "..", "a.b.c", parts[0], parts[0] + "." + parts[1] + ".", none + "." + parts[1] + ".", good + "=", good + ".x",
		parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"x","sub":"y","exp":99999999999999999999}`)) + "." + parts[2],
		base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","kid":"es","crit":["x"],"b64":false}`)) + "." + parts[1] + "." + parts[2],
		strings.Repeat("A", maxTokenSeed) + good,
	} {
		f.Add(s)
	}
}

const maxTokenSeed = 9000

// FuzzToken: no text is taken for a token but one that says, under the provider's
// signature, what the good one says.
func FuzzToken(f *testing.F) {
	es := ecSigner(f, "es", jwt.SigningMethodES256, elliptic.P256())
	c := newClock()
	p := newProvider(f, es)
	v := p.verifier(f, c)
	good := es.token(f, p.claims(c, nil), nil)
	want, err := v.Verify(f.Context(), good)
	if err != nil {
		f.Fatal(err)
	}
	variants(f, good)
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := v.Verify(t.Context(), raw)
		if err != nil {
			if PublicError(err) == nil {
				t.Fatal("a refusal that nobody may hear")
			}
			return
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("%q is taken for somebody else: %s", raw, d)
		}
	})
}

// FuzzGatewayToken is FuzzToken for the tokens of the gateway.
func FuzzGatewayToken(f *testing.F) {
	m, v, _ := gatewaySides(f, newClock())
	good, err := m.Mint(agent)
	if err != nil {
		f.Fatal(err)
	}
	variants(f, good)
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := v.Verify(raw)
		if err != nil {
			return
		}
		if d := cmp.Diff(agent, got); d != "" {
			t.Fatalf("%q is taken for somebody else: %s", raw, d)
		}
	})
}
