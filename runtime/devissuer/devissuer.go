// Package devissuer is a small OIDC issuer for development and tests: it publishes
// discovery and keys, and mints tokens for whoever holds its key file. It asks nobody for
// a password, so authn.Verifier accepts it in development only, where it is served on
// plain http at a loopback address.
package devissuer

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
)

// DefaultLifetime is how long a minted token lives; it is the longest that is accepted.
const DefaultLifetime = time.Hour

const keysPath = "/jwks"

// Claims are what a token says of its holder.
type Claims struct {
	// Subject is the person at the issuer, or the customer's id.
	Subject string
	// Audience is whom the token is for: "kefu" or "kefu-customers".
	Audience string
	// Roles of a person or Permissions of a service account; not both.
	Roles, Permissions []string
	// Lifetime is DefaultLifetime if zero.
	Lifetime time.Duration
}

// Issuer publishes its key and mints tokens. It is safe for concurrent use.
type Issuer struct {
	url string
	key *ecdsa.PrivateKey
	kid string
	now func() time.Time
	mux *http.ServeMux
}

// Open reads the key file or makes it (0600) if there is none; two processes that make
// it at once end up with the same key. issuerURL is where the handler is reached, e.g.
// http://127.0.0.1:9080, and becomes the tokens' issuer.
func Open(keyFile, issuerURL string) (*Issuer, error) {
	key, err := readKey(keyFile)
	if errors.Is(err, fs.ErrNotExist) {
		if err = createKey(keyFile); err == nil {
			key, err = readKey(keyFile)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("devissuer: %w", err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("devissuer: %w", err)
	}
	sum := sha256.Sum256(der)
	i := &Issuer{
		url: strings.TrimSuffix(issuerURL, "/"), key: key, now: time.Now,
		kid: base64.RawURLEncoding.EncodeToString(sum[:12]),
	}
	i.mux = http.NewServeMux()
	i.mux.HandleFunc("GET /.well-known/openid-configuration", i.discovery)
	i.mux.HandleFunc("GET "+keysPath, i.keys)
	return i, nil
}

// WithClock returns an issuer that reads the time from now.
func (i *Issuer) WithClock(now func() time.Time) *Issuer {
	c := *i
	c.now = now
	return &c
}

// URL is the issuer's name.
func (i *Issuer) URL() string { return i.url }

// ServeHTTP serves the discovery document and the key set.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) { i.mux.ServeHTTP(w, r) }

// Client returns an HTTP client whose every request is answered by this issuer in
// process, for a Verifier in tests.
func (i *Issuer) Client() *http.Client { return &http.Client{Transport: transport{i.mux}} }

// Mint signs a token. It fails on claims without subject or audience.
func (i *Issuer) Mint(c Claims) (string, error) {
	if c.Subject == "" || c.Audience == "" {
		return "", errors.New("devissuer: a token needs a subject and an audience")
	}
	if c.Lifetime == 0 {
		c.Lifetime = DefaultLifetime
	}
	now := i.now().Truncate(time.Second)
	claims := jwt.MapClaims{
		"iss": i.url, "sub": c.Subject, "aud": c.Audience,
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(c.Lifetime).Unix(),
	}
	if len(c.Roles) > 0 {
		claims["kefu_roles"] = c.Roles
	}
	if len(c.Permissions) > 0 {
		claims["kefu_permissions"] = c.Permissions
	}
	t := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
	t.Header["kid"], t.Header["typ"] = i.kid, "at+jwt"
	raw, err := t.SignedString(i.key)
	if err != nil {
		return "", fmt.Errorf("devissuer: sign: %w", err)
	}
	return raw, nil
}

func (i *Issuer) discovery(w http.ResponseWriter, _ *http.Request) {
	answer(w, map[string]any{
		"issuer": i.url, "jwks_uri": i.url + keysPath,
		"response_types_supported":              []string{"none"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{"ES256"},
	})
}

func (i *Issuer) keys(w http.ResponseWriter, _ *http.Request) {
	answer(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: i.key.Public(), KeyID: i.kid, Algorithm: "ES256", Use: "sig"}}})
}

func answer(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "cannot be encoded", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // a client that went away needs no answer
}

func readKey(file string) (*ecdsa.PrivateKey, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM block", file)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%s holds no P-256 key", file)
	}
	return key, nil
}

// createKey writes aside and links, so that the file appears whole and only once.
func createKey(file string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".issuer-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	err = pem.Encode(tmp, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), file); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// transport answers requests from a handler without a network.
type transport struct{ handler http.Handler }

func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	r := &recorder{header: make(http.Header), status: http.StatusOK}
	t.handler.ServeHTTP(r, req)
	return &http.Response{
		Status: http.StatusText(r.status), StatusCode: r.status, Header: r.header, Request: req,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(&r.body), ContentLength: int64(r.body.Len()),
	}, nil
}

type recorder struct {
	header http.Header
	body   bytes.Buffer
	status int
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }
func (r *recorder) WriteHeader(status int)      { r.status = status }
