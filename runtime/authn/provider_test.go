package authn

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
)

// clock is a clock that only moves when told to.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.at.Load()) }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d)) }

// signer is a provider's key and how it signs.
type signer struct {
	kid    string
	method jwt.SigningMethod
	key    crypto.Signer
}

func (s signer) jwk() jose.JSONWebKey {
	return jose.JSONWebKey{Key: s.key.Public(), KeyID: s.kid, Use: "sig"}
}

func rsaSigner(t testing.TB, kid string, method jwt.SigningMethod, bits int) signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return signer{kid, method, key}
}

func ecSigner(t testing.TB, kid string, method jwt.SigningMethod, curve elliptic.Curve) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{kid, method, key}
}

func edSigner(t testing.TB, kid string) signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{kid, jwt.SigningMethodEdDSA, key}
}

// provider is an OIDC provider on loopback whose answers a test can change.
type provider struct {
	*httptest.Server
	fetches atomic.Int64 // of the key set
	asked   atomic.Int64 // of anything

	mu      sync.Mutex
	keys    []jose.JSONWebKey
	extra   []string // further entries of the key set, as JSON
	answer  http.HandlerFunc
	jwksURI string
	hold    chan struct{}
}

func newProvider(t testing.TB, signers ...signer) *provider {
	t.Helper()
	p := &provider{}
	p.publish(signers...)
	p.Server = httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(p.Close)
	return p
}

func (p *provider) publish(signers ...signer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = nil
	for _, s := range signers {
		p.keys = append(p.keys, s.jwk())
	}
}

// fail makes every request be answered by h; nil is the normal answer again.
func (p *provider) fail(h http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = h
}

func down(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "down", http.StatusServiceUnavailable)
}

func (p *provider) serve(w http.ResponseWriter, r *http.Request) {
	p.asked.Add(1)
	p.mu.Lock()
	answer, hold, uri := p.answer, p.hold, p.jwksURI
	set := map[string]any{}
	entries := []json.RawMessage{}
	for _, k := range p.keys {
		raw, _ := json.Marshal(k)
		entries = append(entries, raw)
	}
	for _, e := range p.extra {
		entries = append(entries, json.RawMessage(e))
	}
	set["keys"] = entries
	p.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	if uri == "" {
		uri = p.URL + "/keys"
	}
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": p.URL, "jwks_uri": uri})
	case "/keys":
		p.fetches.Add(1)
		if hold != nil {
			<-hold
		}
		_ = json.NewEncoder(w).Encode(set)
	default:
		http.NotFound(w, r)
	}
}

func (p *provider) verifier(t testing.TB, c *clock) *Verifier {
	t.Helper()
	v, err := NewVerifier(VerifierConfig{
		Issuers: []string{p.URL}, Audience: "kefu", CustomerAudience: "kefu-customers",
		GroupsClaim: "groups", GroupRoles: map[string][]string{"cs-desk": {"service-agent"}},
		Development: true, Now: c.now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// claims are those of a good person's token, with changes; a nil value deletes.
func (p *provider) claims(c *clock, changes jwt.MapClaims) jwt.MapClaims {
	now := c.now().Unix()
	m := jwt.MapClaims{"iss": p.URL, "sub": "u-1", "aud": "kefu", "iat": now, "exp": now + 3600,
		"kefu_roles": []string{"service-agent"}}
	maps.Copy(m, changes)
	maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
	return m
}

// token signs the claims with header changes; a nil value deletes.
func (s signer) token(t testing.TB, claims jwt.Claims, header map[string]any) string {
	t.Helper()
	tok := jwt.NewWithClaims(s.method, claims)
	tok.Header["kid"] = s.kid
	maps.Copy(tok.Header, header)
	maps.DeleteFunc(tok.Header, func(_ string, v any) bool { return v == nil })
	raw, err := tok.SignedString(s.key)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// eventually polls until the condition holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("never happened: %s", what)
		}
	}
}
