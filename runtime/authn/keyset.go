package authn

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	jose "github.com/go-jose/go-jose/v4"
)

const (
	fetchApart   = 60 * time.Second // between two fetches, whoever asks
	fetchTimeout = 5 * time.Second
	refreshAfter = 5 * time.Minute // then keys are fetched anew, beside the calls
	awaitAfter   = time.Hour       // then a call waits for that fetch
	keysUsable   = 24 * time.Hour  // then keys are forgotten if the provider is still down
	maxDocument  = 1 << 20
	minRSABits   = 2048
)

var (
	errUnknownKey  = errors.New("no such key")
	errNoProvider  = errors.New("the provider's keys could not be fetched")
	errKeyMismatch = errors.New("the key does not fit the algorithm")
)

// keySet holds one issuer's signing keys. It asks the provider for nothing until the
// first token, fetches one at a time and at most every fetchApart, and goes on with the
// keys it has for keysUsable when the provider does not answer.
type keySet struct {
	issuer   string
	client   *http.Client
	now      func() time.Time
	insecure bool

	mu       sync.Mutex
	keys     map[string][]jose.JSONWebKey
	fetched  time.Time     // last success
	tried    time.Time     // last start
	failure  error         // of the last try, nil after a success
	inflight chan struct{} // closed when the running fetch ends
}

// key returns the public key that the provider published under kid, fit for alg.
// errNoProvider means that nothing is known, not that the token is bad.
func (s *keySet) key(ctx context.Context, kid, alg string) (crypto.PublicKey, error) {
	s.mu.Lock()
	now := s.now()
	if _, ok := s.find(kid, now); ok {
		age := now.Sub(s.fetched)
		if age > refreshAfter {
			s.start(now)
		}
		wait := s.inflight
		if age <= awaitAfter || wait == nil {
			defer s.mu.Unlock()
			return s.pick(kid, alg, now)
		}
	} else {
		s.start(now)
	}
	wait := s.inflight
	s.mu.Unlock()

	if wait != nil {
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", errNoProvider, ctx.Err())
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pick(kid, alg, s.now())
}

// find needs the lock.
func (s *keySet) find(kid string, now time.Time) ([]jose.JSONWebKey, bool) {
	if now.Sub(s.fetched) > keysUsable {
		return nil, false
	}
	k, ok := s.keys[kid]
	return k, ok
}

// pick needs the lock.
func (s *keySet) pick(kid, alg string, now time.Time) (crypto.PublicKey, error) {
	candidates, ok := s.find(kid, now)
	if !ok {
		if s.failure != nil {
			return nil, fmt.Errorf("%w: %w", errNoProvider, s.failure)
		}
		return nil, fmt.Errorf("%w: %q", errUnknownKey, kid)
	}
	for _, k := range candidates {
		if fits(k, alg) {
			return k.Key, nil
		}
	}
	return nil, fmt.Errorf("%w: %q, %s", errKeyMismatch, kid, alg)
}

// start begins a fetch unless one runs or the last began less than fetchApart ago. The
// fetch has a deadline of its own, so that a caller that gives up does not end it for
// the others. It needs the lock.
func (s *keySet) start(now time.Time) {
	if s.inflight != nil || (!s.tried.IsZero() && now.Sub(s.tried) < fetchApart) {
		return
	}
	s.tried = now
	done := make(chan struct{})
	s.inflight = done
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
		defer cancel()
		keys, err := s.fetch(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.failure = err
		if err == nil {
			s.keys, s.fetched = keys, now
		}
		s.inflight = nil
		close(done)
	}()
}

func (s *keySet) fetch(ctx context.Context) (map[string][]jose.JSONWebKey, error) {
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, s.client), s.issuer)
	if err != nil {
		return nil, fmt.Errorf("discovery of %s: %w", s.issuer, err)
	}
	var discovered struct {
		JWKS string `json:"jwks_uri"`
	}
	if err := provider.Claims(&discovered); err != nil {
		return nil, fmt.Errorf("discovery of %s: %w", s.issuer, err)
	}
	if err := checkURL(discovered.JWKS, s.insecure); err != nil {
		return nil, fmt.Errorf("jwks_uri of %s: %w", s.issuer, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, discovered.JWKS, nil)
	if err != nil {
		return nil, fmt.Errorf("keys of %s: %w", s.issuer, err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("keys of %s: %w", s.issuer, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("keys of %s: %s", s.issuer, resp.Status)
	}
	keys, err := parseKeys(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("keys of %s: %w", s.issuer, err)
	}
	return keys, nil
}

// parseKeys takes the keys it can use and passes over the others, because a provider
// may publish kinds that nobody here accepts. A set without a usable key is an error,
// so that a broken answer never replaces good keys.
func parseKeys(r io.Reader) (map[string][]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.NewDecoder(r).Decode(&set); err != nil {
		return nil, err
	}
	keys := make(map[string][]jose.JSONWebKey)
	for _, raw := range set.Keys {
		var k jose.JSONWebKey
		if err := json.Unmarshal(raw, &k); err != nil {
			continue
		}
		if k.KeyID == "" || !k.IsPublic() || (k.Use != "" && k.Use != "sig") {
			continue
		}
		keys[k.KeyID] = append(keys[k.KeyID], k)
	}
	if len(keys) == 0 {
		return nil, errors.New("no usable signing key in the answer")
	}
	return keys, nil
}

// fits says whether the key's type, size and declared algorithm allow alg.
func fits(k jose.JSONWebKey, alg string) bool {
	if k.Algorithm != "" && k.Algorithm != alg {
		return false
	}
	switch key := k.Key.(type) {
	case *rsa.PublicKey:
		return (alg == "RS256" || alg == "PS256") && key.N.BitLen() >= minRSABits
	case *ecdsa.PublicKey:
		return alg == "ES256" && key.Curve == elliptic.P256()
	case ed25519.PublicKey:
		return alg == "EdDSA"
	default:
		return false
	}
}

// checkURL accepts https, and http to a loopback address only where insecure is set.
func checkURL(raw string, insecure bool) error {
	u, err := url.Parse(raw)
	if err != nil {
		return err
	}
	switch {
	case u.Host == "" || u.User != nil || u.Fragment != "":
		return fmt.Errorf("%q is not an absolute address of a host", raw)
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && insecure && isLoopback(u.Hostname()):
		return nil
	case u.Scheme == "http":
		return fmt.Errorf("%q is plain http, which is allowed in development and on loopback only", raw)
	default:
		return fmt.Errorf("%q is not https", raw)
	}
}
