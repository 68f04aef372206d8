package authn

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
)

// gatewayPair makes a key pair in its own folder.
func gatewayPair(t testing.TB) (keyFile, publicFile string) {
	t.Helper()
	dir := t.TempDir()
	keyFile, publicFile = filepath.Join(dir, "gateway.key"), filepath.Join(dir, "gateway.pub")
	if err := NewGatewayKey(keyFile, publicFile); err != nil {
		t.Fatal(err)
	}
	return keyFile, publicFile
}

func gatewaySides(t testing.TB, c *clock) (*Minter, *GatewayVerifier, string) {
	t.Helper()
	keyFile, publicFile := gatewayPair(t)
	m, err := NewMinter(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	v, err := NewGatewayVerifier(publicFile)
	if err != nil {
		t.Fatal(err)
	}
	v.SetClock(c.now)
	return m.WithClock(c.now), v, publicFile
}

var agent = Identity{Kind: Person, Issuer: "https://login.example.com", Subject: "u-1", Roles: []string{"service-agent"}}

func TestGatewayTokenCarriesTheIdentity(t *testing.T) {
	m, v, _ := gatewaySides(t, newClock())
	for _, i := range []Identity{
		agent,
		{}, // someone unknown
		{Kind: Person, Issuer: "https://login.example.com", Subject: "无角色"},
		{Kind: Customer, Issuer: "https://login.example.com", Subject: customerID, Roles: []string{"customer"}},
		{Kind: ServiceAccount, Issuer: "https://login.example.com", Subject: "erp", Permissions: []string{"orders.import", "orders.read"}},
		{Kind: Person, Issuer: "https://login.example.com", Subject: "u-2", Until: time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)},
	} {
		raw, err := m.Mint(i)
		if err != nil {
			t.Fatal(err)
		}
		got, err := v.Verify(raw)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(i, got); d != "" {
			t.Error(d)
		}
	}
	if _, err := m.Mint(Identity{Kind: Service, Service: "survey"}); err == nil {
		t.Error("minted for a service")
	}
	raw, err := m.Mint(Identity{Roles: []string{"auditor"}, Permissions: []string{"orders.read"}})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := v.Verify(raw); err != nil || len(got.Roles)+len(got.Permissions) > 0 {
		t.Errorf("someone unknown came out with rights: %+v (%v)", got, err)
	}
}

func TestGatewayVerifierRefuses(t *testing.T) {
	c := newClock()
	m, v, _ := gatewaySides(t, c)
	own := signer{m.kid, jwt.SigningMethodEdDSA, m.key}
	stranger := edSigner(t, m.kid)
	now := c.now().Unix()
	base := jwt.MapClaims{"iss": gatewayIssuer, "aud": "kefu", "sub": "u-1", "kefu_issuer": "https://login.example.com",
		"kefu_kind": "person", "iat": now, "exp": now + 60}
	typ := map[string]any{"typ": gatewayType}
	with := func(changes jwt.MapClaims) string {
		claims := maps.Clone(base)
		maps.Copy(claims, changes)
		maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
		return own.token(t, claims, typ)
	}
	if _, err := v.Verify(with(nil)); err != nil {
		t.Fatalf("the good token: %v", err)
	}
	for _, tc := range []badToken{
		{"empty", "", CheckFormat},
		{"signed by a stranger", stranger.token(t, base, typ), CheckSignature},
		{"unknown key", edSigner(t, "other").token(t, base, typ), CheckKey},
		{"no key named", own.token(t, base, map[string]any{"typ": gatewayType, "kid": nil}), CheckKey},
		{"an access token's type", own.token(t, base, map[string]any{"typ": "at+jwt"}), CheckType},
		{"no type", own.token(t, base, map[string]any{"typ": nil}), CheckType},
		{"critical extension", own.token(t, base, map[string]any{"typ": gatewayType, "crit": []string{"x"}}), CheckCritical},
		{"other algorithm", es256(t, m.kid).token(t, base, typ), CheckAlgorithm},
		{"other issuer", with(jwt.MapClaims{"iss": "kefu"}), CheckIssuer},
		{"customers' audience", with(jwt.MapClaims{"aud": "kefu-customers"}), CheckAudience},
		{"two audiences", with(jwt.MapClaims{"aud": []string{"kefu", "x"}}), CheckAudience},
		{"lives 61 s", with(jwt.MapClaims{"exp": now + 61}), CheckLifetime},
		{"no exp", with(jwt.MapClaims{"exp": nil}), CheckLifetime},
		{"expired", with(jwt.MapClaims{"iat": now - 60, "exp": now - 5}), CheckExpiry},
		{"of the future", with(jwt.MapClaims{"iat": now + 6, "exp": now + 20}), CheckNotBefore},
		{"kind service", with(jwt.MapClaims{"kefu_kind": "service"}), CheckClaims},
		{"no kind", with(jwt.MapClaims{"kefu_kind": nil}), CheckClaims},
		{"no subject", with(jwt.MapClaims{"sub": nil}), CheckSubject},
		{"no origin", with(jwt.MapClaims{"kefu_issuer": nil}), CheckSubject},
		{"roles are one text", with(jwt.MapClaims{"kefu_roles": "auditor"}), CheckClaims},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := v.Verify(tc.raw)
			var r *Refusal
			if !errors.As(err, &r) || r.Check != tc.check {
				t.Errorf("got %v, want %s", err, tc.check)
			}
		})
	}
}

func TestGatewayTokenEnds(t *testing.T) {
	c := newClock()
	m, v, _ := gatewaySides(t, c)
	raw, err := m.Mint(agent)
	if err != nil {
		t.Fatal(err)
	}
	c.advance(64 * time.Second)
	if _, err := v.Verify(raw); err != nil {
		t.Errorf("within the leeway: %v", err)
	}
	c.advance(time.Second)
	if _, err := v.Verify(raw); err == nil {
		t.Error("accepted 65 s after it was made")
	}
}

func TestGatewayKeysRotate(t *testing.T) {
	c := newClock()
	oldMinter, v, file := gatewaySides(t, c)
	newKey, newPublic := gatewayPair(t)
	newMinter, err := NewMinter(newKey)
	if err != nil {
		t.Fatal(err)
	}
	accepts := func(m *Minter) bool {
		raw, err := m.WithClock(c.now).Mint(agent)
		if err != nil {
			t.Fatal(err)
		}
		_, err = v.Verify(raw)
		return err == nil
	}
	if accepts(newMinter) {
		t.Fatal("a key that is not in the file was accepted")
	}
	oldPEM, newPEM := read(t, file), read(t, newPublic)
	write(t, file, append(oldPEM[:len(oldPEM):len(oldPEM)], newPEM...))
	eventually(t, "the added key is used", func() bool { return accepts(newMinter) })
	if !accepts(oldMinter) {
		t.Error("the old key was dropped while still in the file")
	}
	write(t, file, []byte("not a key"))
	eventually(t, "the file is read again", func() bool { v.keys.get(); return v.keys.stamp == v.keys.stat() })
	if !accepts(newMinter) {
		t.Error("a spoilt file took the keys away")
	}
	write(t, file, newPEM)
	eventually(t, "the removed key is refused", func() bool { return !accepts(oldMinter) })
	if !accepts(newMinter) {
		t.Error("the remaining key is refused")
	}
}

func TestGatewayKeyFiles(t *testing.T) {
	keyFile, publicFile := gatewayPair(t)
	if info, err := os.Stat(keyFile); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("private key file: %v, %v", info.Mode(), err)
	}
	if err := NewGatewayKey(keyFile, publicFile); err == nil {
		t.Error("a private key was overwritten")
	}
	if _, err := NewMinter(publicFile); err == nil {
		t.Error("a public key was taken for a private one")
	}
	many := filepath.Join(t.TempDir(), "three.pub")
	var data []byte
	for range 3 {
		public, _, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		data = append(data, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})...)
	}
	write(t, many, data)
	if _, err := NewGatewayVerifier(many); err == nil {
		t.Error("three keys were accepted")
	}
	write(t, many, nil)
	if _, err := NewGatewayVerifier(many); err == nil {
		t.Error("an empty file was accepted")
	}
	if _, err := NewGatewayVerifier(filepath.Join(t.TempDir(), "absent")); err == nil {
		t.Error("an absent file was accepted")
	}
}

func read(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t testing.TB, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A burst of calls costs one signature and one verification; what was remembered of a
// token goes with its time and with its key.
func TestGatewayTokensAreReused(t *testing.T) {
	c := newClock()
	m, v, publicFile := gatewaySides(t, c)
	mint := func(i Identity) string {
		t.Helper()
		raw, err := m.Mint(i)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	first := mint(agent)
	other := agent
	other.Roles = []string{"service-agent", "auditor"}
	permitted := agent
	permitted.Roles, permitted.Permissions = nil, agent.Roles
	for _, i := range []Identity{{}, other, permitted, {Kind: Customer, Issuer: agent.Issuer, Subject: agent.Subject, Roles: agent.Roles}} {
		if mint(i) == first {
			t.Errorf("%+v got the token of %+v", i, agent)
		}
	}
	c.advance(mintedLife - time.Second)
	if mint(agent) != first {
		t.Error("a caller's second call soon after got a token of its own")
	}
	if _, err := v.Verify(first); err != nil {
		t.Fatal(err)
	}
	c.advance(time.Second)
	if mint(agent) == first {
		t.Error("a token was handed out that is about to end")
	}
	c.advance(gatewayLifetime)
	if _, err := v.Verify(first); err == nil {
		t.Error("a verified token outlived itself")
	}
	raw := mint(agent)
	if _, err := v.Verify(raw); err != nil {
		t.Fatal(err)
	}
	_, replacement := gatewayPair(t)
	content, err := os.ReadFile(replacement)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(publicFile, content, 0o644); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		_, err := v.Verify(raw)
		if err != nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("a token outlives the key it was verified with")
		}
		time.Sleep(20 * time.Millisecond)
	}
}
