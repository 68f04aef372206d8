package authn

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// The tests of this file run against the provider of zitadel/oidc: a library that others
// run in production, with an in-memory storage of its own, so that nothing here decides
// how discovery, key sets and tokens look.

// bank is the library's storage with keys that a test rotates, and clients whose name says
// whom they stand for.
type bank struct {
	*storage.Storage

	mu      sync.Mutex
	signing *bankKey
	keys    []op.Key
}

type bankKey struct {
	id  string
	key *rsa.PrivateKey
}

func (k *bankKey) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k *bankKey) Key() any                                    { return k.key }
func (k *bankKey) ID() string                                  { return k.id }

type bankPublic struct{ *bankKey }

func (k bankPublic) Algorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k bankPublic) Use() string                        { return "sig" }
func (k bankPublic) Key() any                           { return &k.key.PublicKey }

func newBankKey(t testing.TB) *bankKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return &bankKey{id: uuid.NewString(), key: key}
}

// rotate signs with a key and publishes these.
func (b *bank) rotate(signing *bankKey, published ...*bankKey) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.signing, b.keys = signing, nil
	for _, k := range published {
		b.keys = append(b.keys, bankPublic{k})
	}
}

func (b *bank) SigningKey(context.Context) (op.SigningKey, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.signing, nil
}

func (b *bank) KeySet(context.Context) ([]op.Key, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.keys, nil
}

// teller is a client that gets JWTs.
type teller struct {
	op.Client
	id string
}

func (c teller) GetID() string                       { return c.id }
func (c teller) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeJWT }
func (c teller) GrantTypes() []oidc.GrantType {
	return []oidc.GrantType{oidc.GrantTypeClientCredentials}
}
func (c teller) ClockSkew() time.Duration { return 0 }
func (c teller) RestrictAdditionalAccessTokenScopes() func([]string) []string {
	return func(s []string) []string { return s }
}

func (b *bank) ClientCredentials(ctx context.Context, clientID, secret string) (op.Client, error) {
	if secret != "verysecret" {
		return nil, errors.New("wrong secret")
	}
	inner, err := b.Storage.ClientCredentials(ctx, "sid1", "verysecret")
	return teller{inner, clientID}, err
}

func (b *bank) ClientCredentialsTokenRequest(_ context.Context, clientID string, scopes []string) (op.TokenRequest, error) {
	name, audience, _ := strings.Cut(clientID, "@")
	return &oidc.JWTTokenRequest{Subject: name, Audience: []string{audience}, Scopes: scopes}, nil
}

func (b *bank) GetPrivateClaimsFromScopes(_ context.Context, subject, _ string, _ []string) (map[string]any, error) {
	if subject == "erp" {
		return map[string]any{"kefu_permissions": []string{"orders.write"}}, nil
	}
	return map[string]any{"kefu_roles": []string{"service-agent"}, "groups": []string{"cs-desk"}}, nil
}

// CreateAccessToken lets tokens live for half an hour, so that clocks can be moved past
// fetches and not past the tokens.
func (b *bank) CreateAccessToken(context.Context, op.TokenRequest) (string, time.Time, error) {
	return uuid.NewString(), time.Now().Add(30 * time.Minute), nil
}

// zitadel is the provider on loopback.
type zitadel struct {
	*httptest.Server
	*bank
	fetches atomic.Int64
}

func newZitadel(t testing.TB) *zitadel {
	t.Helper()
	z := &zitadel{}
	var provider atomic.Pointer[http.Handler]
	z.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/keys") {
			z.fetches.Add(1)
		}
		(*provider.Load()).ServeHTTP(w, r)
	}))
	t.Cleanup(z.Close)
	z.bank = &bank{Storage: storage.NewStorage(storage.NewUserStore(z.URL))}
	first := newBankKey(t)
	z.rotate(first, first)
	made, err := op.NewProvider(&op.Config{CryptoKey: [32]byte{1}}, z.bank, op.StaticIssuer(z.URL), op.WithAllowInsecure())
	if err != nil {
		t.Fatal(err)
	}
	handler := http.Handler(made)
	provider.Store(&handler)
	return z
}

// token asks the provider's token endpoint as a client would.
func (z *zitadel) token(name, audience string) (string, error) {
	req, err := http.NewRequest(http.MethodPost, z.URL+"/oauth/token", strings.NewReader(url.Values{
		"grant_type": {"client_credentials"}, "scope": {"openid"}}.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(name+"@"+audience), "verysecret")
	resp, err := z.Client().Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Token string `json:"access_token"`
		Error string `json:"error_description"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Token == "" {
		return "", fmt.Errorf("%s: %s, %w", resp.Status, answer.Error, err)
	}
	return answer.Token, nil
}

func (z *zitadel) mustToken(t testing.TB, name, audience string) string {
	t.Helper()
	raw, err := z.token(name, audience)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// verifier trusts the provider, at the present moved by what is in the clock.
func (z *zitadel) verifier(t testing.TB, moved *atomic.Int64) *Verifier {
	t.Helper()
	v, err := NewVerifier(VerifierConfig{
		Issuers: []string{z.URL}, Audience: "kefu", CustomerAudience: "kefu-customers",
		GroupsClaim: "groups", GroupRoles: map[string][]string{"cs-desk": {"qc-inspector"}},
		Development: true, Now: func() time.Time { return time.Now().Add(time.Duration(moved.Load())) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestRealProviderTellsPeopleCustomersAndAccounts(t *testing.T) {
	z := newZitadel(t)
	v := z.verifier(t, new(atomic.Int64))
	const customer = "01890a5d-ac96-774b-bcce-b302099a8057"
	for _, tc := range []struct {
		name, audience string
		want           Identity
	}{
		{"wang", "kefu", Identity{Kind: Person, Issuer: z.URL, Subject: "wang", Roles: []string{"qc-inspector", "service-agent"}}},
		{"erp", "kefu", Identity{Kind: ServiceAccount, Issuer: z.URL, Subject: "erp", Permissions: []string{"orders.write"}}},
		{customer, "kefu-customers", Identity{Kind: Customer, Issuer: z.URL, Subject: customer, Roles: []string{CustomerRole}}},
	} {
		got, err := v.Verify(t.Context(), z.mustToken(t, tc.name, tc.audience))
		if err != nil || ever(got).encode() != tc.want.encode() {
			t.Errorf("%s for %s: %+v, %v, want %+v", tc.name, tc.audience, got, err, tc.want)
		}
	}
	for _, audience := range []string{"other", ""} {
		_, err := v.Verify(t.Context(), z.mustToken(t, "wang", audience))
		var refusal *Refusal
		if !errors.As(err, &refusal) || refusal.Check != CheckAudience {
			t.Errorf("a token for %q: %v", audience, err)
		}
	}
}

// A provider that publishes a key before it signs with it, as all do, rotates without one
// refused call, and is asked for its keys once.
func TestRealProviderRotatesKeysUnderLoad(t *testing.T) {
	z := newZitadel(t)
	moved := new(atomic.Int64)
	v := z.verifier(t, moved)
	before := z.signing
	old := z.mustToken(t, "old", "kefu")
	if _, err := v.Verify(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	next := newBankKey(t)
	z.rotate(before, before, next)
	moved.Store(int64(61 * time.Second))

	const callers, each = 6, 12
	start := z.fetches.Load()
	failed := make(chan error, callers*each)
	var wait sync.WaitGroup
	for c := range callers {
		wait.Go(func() {
			for i := range each {
				if c == 0 && i == each/3 {
					z.rotate(next, before, next)
				}
				raw, err := z.token(fmt.Sprintf("u-%d-%d", c, i), "kefu")
				if err == nil {
					_, err = v.Verify(context.Background(), raw)
				}
				if err != nil {
					failed <- err
				}
			}
		})
	}
	wait.Wait()
	close(failed)
	for err := range failed {
		t.Errorf("while the key was changed: %v", err)
	}
	if n := z.fetches.Load() - start; n != 1 {
		t.Errorf("%d fetches of the key set, want 1", n)
	}

	// The old key is taken back: once the keys are read again its tokens are refused.
	z.rotate(next, next)
	moved.Store(int64(8 * time.Minute))
	if _, err := v.Verify(t.Context(), old); err != nil {
		t.Errorf("while the keys are read again beside the call: %v", err)
	}
	eventually(t, "the keys are read again", func() bool {
		set := v.sets[z.URL]
		set.mu.Lock()
		defer set.mu.Unlock()
		return len(set.keys[before.ID()]) == 0
	})
	moved.Add(int64(2 * cacheLife))
	_, err := v.Verify(t.Context(), old)
	var refusal *Refusal
	if !errors.As(err, &refusal) || refusal.Check != CheckKey {
		t.Errorf("a token of the old key: %v", err)
	}
	if _, err := v.Verify(t.Context(), z.mustToken(t, "new", "kefu")); err != nil {
		t.Errorf("the new key: %v", err)
	}
}

// With the provider gone, calls with known keys go on; of others nothing is known.
func TestRealProviderDown(t *testing.T) {
	z := newZitadel(t)
	moved := new(atomic.Int64)
	v := z.verifier(t, moved)
	var tokens []string
	for i := range 4 {
		tokens = append(tokens, z.mustToken(t, fmt.Sprintf("u-%d", i), "kefu"))
	}
	if _, err := v.Verify(t.Context(), tokens[0]); err != nil {
		t.Fatal(err)
	}
	first := z.signing
	unheard := newBankKey(t)
	z.rotate(unheard, first, unheard)
	strange := z.mustToken(t, "u-5", "kefu")
	z.Close()
	for i, at := range []time.Duration{0, 2 * time.Minute, 7 * time.Minute, 25 * time.Minute} {
		moved.Store(int64(at))
		if _, err := v.Verify(t.Context(), tokens[i]); err != nil {
			t.Errorf("%s after the provider went: %v", at, err)
		}
	}
	_, err := v.Verify(t.Context(), strange)
	var refusal *Refusal
	if !errors.As(err, &refusal) || refusal.Check != CheckProvider {
		t.Errorf("a key not seen before: %v, want it unknown rather than bad", err)
	}
	if !slices.Contains([]string{"UNAVAILABLE", "Unavailable"}, refusal.Public().Code().String()) {
		t.Errorf("the caller hears %v", refusal.Public())
	}
}
