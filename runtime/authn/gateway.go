package authn

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	gatewayIssuer   = "kefu-gateway"
	gatewayAudience = "kefu"
	gatewayType     = "kefu-gateway+jwt"
	gatewayLifetime = 60 * time.Second
	gatewayLeeway   = 5 * time.Second
	// mintedLife is how long a minted token is handed out again; what is left of its
	// lifetime must outlast any call that is begun with it.
	mintedLife     = 30 * time.Second
	mintedSize     = 4096
	maxGatewayKeys = 2
)

type gatewayClaims struct {
	jwt.RegisteredClaims
	Kind        string   `json:"kefu_kind"`
	Origin      string   `json:"kefu_issuer"`
	Roles       []string `json:"kefu_roles,omitempty"`
	Permissions []string `json:"kefu_permissions,omitempty"`
	// Until is when the access token expires that the gateway has verified, which lives longer
	// than this one: a stream goes on until then.
	Until *jwt.NumericDate `json:"kefu_until,omitempty"`
}

// Minter makes the tokens with which the gateway tells services whom it has verified.
// It is safe for concurrent use.
type Minter struct {
	key    ed25519.PrivateKey
	kid    string
	now    func() time.Time
	minted *mintedCache
}

// NewMinter reads an Ed25519 private key (PEM, PKCS #8) from the file; it fails if there
// is none in it.
func NewMinter(keyFile string) (*Minter, error) {
	data, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, fmt.Errorf("authn: gateway key: %w", err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("authn: gateway key: %s holds no PEM block", keyFile)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("authn: gateway key: %s: %w", keyFile, err)
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("authn: gateway key: %s holds a %T, not an Ed25519 key", keyFile, parsed)
	}
	return &Minter{key: key, kid: keyID(key.Public().(ed25519.PublicKey)), now: time.Now, minted: new(mintedCache)}, nil
}

// WithClock returns a minter that reads the time from now.
func (m *Minter) WithClock(now func() time.Time) *Minter {
	c := *m
	c.now, c.minted = now, new(mintedCache)
	return &c
}

// Mint gives a token for the identity that lives at least 29 s and at most 60 s: calls
// of one caller shortly after each other get the same one, so that it is signed, and
// verified behind, once. A Public one says that the gateway speaks for someone unknown
// and not for itself. It refuses Service, which is shown by a certificate only.
func (m *Minter) Mint(i Identity) (string, error) {
	if i.Kind == Service {
		return "", fmt.Errorf("authn: the gateway does not vouch for a %v", i.Kind)
	}
	key, now := i.encode(), m.now()
	if raw, ok := m.minted.get(key, now); ok {
		return raw, nil
	}
	raw, err := m.mint(i, now)
	if err != nil {
		return "", err
	}
	m.minted.put(key, raw, now)
	return raw, nil
}

func (m *Minter) mint(i Identity, now time.Time) (string, error) {
	now = now.Truncate(time.Second)
	var until *jwt.NumericDate
	if !i.Until.IsZero() {
		until = jwt.NewNumericDate(i.Until)
	}
	t := jwt.NewWithClaims(jwt.SigningMethodEdDSA, gatewayClaims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: gatewayIssuer, Audience: jwt.ClaimStrings{gatewayAudience}, Subject: i.Subject,
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(gatewayLifetime)),
		},
		Kind: i.Kind.String(), Origin: i.Issuer, Roles: i.Roles, Permissions: i.Permissions,
		Until: until,
	})
	t.Header["typ"], t.Header["kid"] = gatewayType, m.kid
	raw, err := t.SignedString(m.key)
	if err != nil {
		return "", fmt.Errorf("authn: sign gateway token: %w", err)
	}
	return raw, nil
}

// GatewayVerifier verifies what a Minter made. It says nothing about who presented the
// token: Authenticator accepts it from peers with a certificate only.
type GatewayVerifier struct {
	keys   *reloader[*gatewayKeys]
	parser *jwt.Parser
	now    func() time.Time
}

// gatewayKeys are the keys of one reading of the file, with the tokens verified by them:
// a key that was taken away takes its tokens along.
type gatewayKeys struct {
	byID  map[string]ed25519.PublicKey
	cache tokenCache
}

// NewGatewayVerifier reads one or two Ed25519 public keys (PEM, PKIX) from the file and
// reads them again when it changes, so that a key is replaced by adding the new one,
// switching the gateway and removing the old one. It fails on none and on three.
func NewGatewayVerifier(publicKeysFile string) (*GatewayVerifier, error) {
	keys, err := newReloader(func() (*gatewayKeys, error) {
		byID, err := readGatewayKeys(publicKeysFile)
		return &gatewayKeys{byID: byID}, err
	}, publicKeysFile)
	if err != nil {
		return nil, fmt.Errorf("authn: gateway public keys: %w", err)
	}
	return &GatewayVerifier{keys: keys, parser: newParser([]string{"EdDSA"}), now: time.Now}, nil
}

// SetClock replaces the clock; call it before the first Verify.
func (v *GatewayVerifier) SetClock(now func() time.Time) { v.now = now }

// Verify returns the identity the gateway vouches for; its error is a *Refusal.
func (v *GatewayVerifier) Verify(raw string) (Identity, error) {
	if len(raw) > maxToken {
		return Identity{}, refuse(CheckSize, "%d bytes, at most %d are accepted", len(raw), maxToken)
	}
	now, keys := v.now(), v.keys.get()
	hash := sha256.Sum256([]byte(raw))
	if i, ok := keys.cache.get(hash, now); ok {
		return i, nil
	}
	claims := jwt.MapClaims{}
	_, err := v.parser.ParseWithClaims(raw, claims, func(t *jwt.Token) (any, error) {
		if err := checkHeader(t, gatewayType); err != nil {
			return nil, err
		}
		kid, _ := t.Header["kid"].(string)
		key, ok := keys.byID[kid]
		if !ok {
			return nil, refuse(CheckKey, "unknown gateway key %q", kid)
		}
		return key, nil
	})
	if err != nil {
		return Identity{}, parseRefusal(err)
	}
	expiry, err := checkTimes(claims, now, gatewayLeeway, gatewayLifetime)
	if err != nil {
		return Identity{}, err
	}
	i, err := gatewayIdentity(claims)
	if err == nil {
		keys.cache.put(hash, i, expiry, now)
	}
	return i, err
}

func gatewayIdentity(claims jwt.MapClaims) (Identity, error) {
	if issuer, _ := claims["iss"].(string); issuer != gatewayIssuer {
		return Identity{}, refuse(CheckIssuer, "issuer %q is not the gateway", issuer)
	}
	audience, err := claims.GetAudience()
	if err != nil || len(audience) != 1 || audience[0] != gatewayAudience {
		return Identity{}, refuse(CheckAudience, "audience %q is not the suite", audience)
	}
	name, _ := claims["kefu_kind"].(string)
	kind, ok := parseKind(name)
	if !ok || kind == Service {
		return Identity{}, refuse(CheckClaims, "kind %q", name)
	}
	if kind == Public {
		return Identity{}, nil
	}
	i := Identity{Kind: kind}
	i.Issuer, _ = claims["kefu_issuer"].(string)
	i.Subject, _ = claims["sub"].(string)
	if i.Issuer == "" || i.Subject == "" {
		return Identity{}, refuse(CheckSubject, "issuer or subject is missing")
	}
	if i.Roles, err = texts(claims, "kefu_roles"); err != nil {
		return Identity{}, err
	}
	if i.Permissions, err = texts(claims, "kefu_permissions"); err != nil {
		return Identity{}, err
	}
	if raw, given := claims["kefu_until"]; given {
		until, ok := raw.(float64)
		if !ok {
			return Identity{}, refuse(CheckClaims, "kefu_until %v is not a number", raw)
		}
		i.Until = time.Unix(int64(until), 0)
	}
	return i, nil
}

func readGatewayKeys(file string) (map[string]ed25519.PublicKey, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	keys := make(map[string]ed25519.PublicKey)
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		key, ok := parsed.(ed25519.PublicKey)
		if !ok {
			return nil, fmt.Errorf("%s holds a %T, not an Ed25519 key", file, parsed)
		}
		keys[keyID(key)] = key
	}
	if len(keys) == 0 || len(keys) > maxGatewayKeys {
		return nil, fmt.Errorf("%s holds %d keys, 1 or %d are accepted", file, len(keys), maxGatewayKeys)
	}
	return keys, nil
}

// NewGatewayKey writes a new private key (0600) and its public key to two new files. It
// fails if the private key file exists.
func NewGatewayKey(keyFile, publicKeyFile string) error {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return fmt.Errorf("authn: gateway key: %w", err)
	}
	if _, err := os.Stat(keyFile); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("authn: gateway key: %s exists already", keyFile)
	}
	privateDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return fmt.Errorf("authn: gateway key: %w", err)
	}
	publicDER, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return fmt.Errorf("authn: gateway key: %w", err)
	}
	if err := writePEM(publicKeyFile, "PUBLIC KEY", publicDER, 0o644); err != nil {
		return err
	}
	return writePEM(keyFile, "PRIVATE KEY", privateDER, 0o600)
}

func keyID(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}
