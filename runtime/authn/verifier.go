package authn

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

const (
	maxToken    = 8 << 10
	maxLifetime = time.Hour
	leeway      = 60 * time.Second
)

// VerifierConfig says whose tokens are accepted.
type VerifierConfig struct {
	// Issuers are the exact issuer URLs, https.
	Issuers []string
	// Audience is required of people and service accounts, CustomerAudience of
	// customers. They must differ: the audience decides which kind a caller is.
	Audience, CustomerAudience string
	// GroupsClaim names the claim that holds the issuer's groups, and GroupRoles the
	// roles each of them gives, beside those in kefu_roles. Both may be empty.
	GroupsClaim string
	GroupRoles  map[string][]string
	// Development admits issuers on plain http at a loopback address.
	Development bool
	// HTTPClient fetches the issuers' documents; nil is a client with a timeout that
	// follows no redirects.
	HTTPClient *http.Client
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Verifier verifies OIDC access tokens. It is safe for concurrent use and needs no
// provider to start: keys are fetched at the first token.
type Verifier struct {
	cfg    VerifierConfig
	sets   map[string]*keySet
	parser *jwt.Parser
	cache  tokenCache
}

// NewVerifier checks the configuration and asks nobody. It fails on an issuer that is
// not https (see VerifierConfig.Development) and on missing or equal audiences.
func NewVerifier(cfg VerifierConfig) (*Verifier, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	var problems []error
	if len(cfg.Issuers) == 0 {
		problems = append(problems, errors.New("no issuer is configured"))
	}
	if cfg.Audience == "" || cfg.CustomerAudience == "" || cfg.Audience == cfg.CustomerAudience {
		problems = append(problems, fmt.Errorf("audience %q and customer audience %q must be two different names",
			cfg.Audience, cfg.CustomerAudience))
	}
	v := &Verifier{cfg: cfg, sets: make(map[string]*keySet)}
	client := boundedClient(cfg.HTTPClient)
	for _, issuer := range cfg.Issuers {
		if err := checkURL(issuer, cfg.Development); err != nil {
			problems = append(problems, fmt.Errorf("issuer: %w", err))
		}
		v.sets[issuer] = &keySet{issuer: issuer, client: client, now: cfg.Now, insecure: cfg.Development}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("authn: %w", err)
	}
	v.parser = newParser([]string{"RS256", "PS256", "ES256", "EdDSA"})
	return v, nil
}

// newParser leaves the claims to our own checks, which must say which one failed.
func newParser(algorithms []string) *jwt.Parser {
	return jwt.NewParser(jwt.WithValidMethods(algorithms), jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation())
}

// Verify returns the identity in an access token. Its error is a *Refusal: the token is
// bad, or (CheckProvider) the issuer's keys could not be had. Keys come from the issuer's
// published set only; whatever key or address the token itself carries is not looked at.
func (v *Verifier) Verify(ctx context.Context, raw string) (Identity, error) {
	if len(raw) > maxToken {
		return Identity{}, refuse(CheckSize, "%d bytes, at most %d are accepted", len(raw), maxToken)
	}
	now := v.cfg.Now()
	hash := sha256.Sum256([]byte(raw))
	if i, ok := v.cache.get(hash, now); ok {
		return i, nil
	}
	claims := jwt.MapClaims{}
	_, err := v.parser.ParseWithClaims(raw, claims, func(t *jwt.Token) (any, error) {
		return v.key(ctx, t, claims)
	})
	if err != nil {
		return Identity{}, parseRefusal(err)
	}
	expiry, err := checkTimes(claims, now, leeway, maxLifetime)
	if err != nil {
		return Identity{}, err
	}
	i, err := v.identify(claims)
	if err != nil {
		return Identity{}, err
	}
	i.Until = expiry
	v.cache.put(hash, i, expiry, now)
	return i, nil
}

func (v *Verifier) key(ctx context.Context, t *jwt.Token, claims jwt.MapClaims) (any, error) {
	if err := checkHeader(t, "", "JWT", "at+jwt", "application/at+jwt"); err != nil {
		return nil, err
	}
	issuer, _ := claims["iss"].(string)
	set, ok := v.sets[issuer]
	if !ok {
		return nil, refuse(CheckIssuer, "issuer %q is not ours", issuer)
	}
	kid, ok := t.Header["kid"].(string)
	if !ok || kid == "" {
		return nil, refuse(CheckKey, "the token names no key")
	}
	key, err := set.key(ctx, kid, t.Method.Alg())
	switch {
	case errors.Is(err, errNoProvider):
		return nil, refuse(CheckProvider, "%w", err)
	case err != nil:
		return nil, refuse(CheckKey, "%w", err)
	}
	return key, nil
}

// checkHeader refuses critical extensions, of which none is known here, and types of
// token that are made for another use.
func checkHeader(t *jwt.Token, types ...string) error {
	if crit, ok := t.Header["crit"]; ok {
		return refuse(CheckCritical, "unknown critical extension %v", crit)
	}
	raw, present := t.Header["typ"]
	typ, isString := raw.(string)
	if present && !isString {
		return refuse(CheckType, "type %v is not a text", raw)
	}
	if !slices.ContainsFunc(types, func(known string) bool { return strings.EqualFold(known, typ) }) {
		return refuse(CheckType, "type %q is not an access token", typ)
	}
	return nil
}

// parseRefusal tells which check of the parser failed.
func parseRefusal(err error) *Refusal {
	var r *Refusal
	switch {
	case errors.As(err, &r):
		return r
	case errors.Is(err, jwt.ErrTokenMalformed):
		return refuse(CheckFormat, "%w", err)
	case errors.Is(err, jwt.ErrTokenSignatureInvalid) && strings.Contains(err.Error(), "signing method"):
		return refuse(CheckAlgorithm, "%w", err)
	case errors.Is(err, jwt.ErrTokenUnverifiable):
		return refuse(CheckAlgorithm, "%w", err)
	default:
		return refuse(CheckSignature, "%w", err)
	}
}

// checkTimes requires exp and iat, so that the lifetime is known.
func checkTimes(claims jwt.MapClaims, now time.Time, slack, longest time.Duration) (time.Time, error) {
	exp, err := claims.GetExpirationTime()
	if err != nil || exp == nil {
		return time.Time{}, refuse(CheckLifetime, "no usable exp")
	}
	iat, err := claims.GetIssuedAt()
	if err != nil || iat == nil {
		return time.Time{}, refuse(CheckLifetime, "no usable iat")
	}
	nbf, err := claims.GetNotBefore()
	if err != nil {
		return time.Time{}, refuse(CheckNotBefore, "nbf: %w", err)
	}
	if d := exp.Sub(iat.Time); d <= 0 || d > longest {
		return time.Time{}, refuse(CheckLifetime, "lives %v, at most %v are accepted", d, longest)
	}
	if !now.Before(exp.Add(slack)) {
		return time.Time{}, refuse(CheckExpiry, "expired at %v", exp.Time)
	}
	if iat.After(now.Add(slack)) || (nbf != nil && nbf.After(now.Add(slack))) {
		return time.Time{}, refuse(CheckNotBefore, "not valid yet")
	}
	return exp.Time, nil
}

// identify decides the kind by the audience. A token for both audiences, or one with
// roles and permissions at once, could be read as either and is refused.
func (v *Verifier) identify(claims jwt.MapClaims) (Identity, error) {
	audience, err := claims.GetAudience()
	if err != nil {
		return Identity{}, refuse(CheckAudience, "%w", err)
	}
	staff := slices.Contains(audience, v.cfg.Audience)
	customer := slices.Contains(audience, v.cfg.CustomerAudience)
	if staff == customer {
		return Identity{}, refuse(CheckAudience, "audience %q must hold exactly one of ours", audience)
	}
	subject, ok := claims["sub"].(string)
	if !ok || subject == "" || len(subject) > 255 {
		return Identity{}, refuse(CheckSubject, "sub must be 1 to 255 bytes of text")
	}
	issuer, _ := claims["iss"].(string)
	if customer {
		id, err := uuid.Parse(subject)
		if err != nil {
			return Identity{}, refuse(CheckSubject, "a customer's sub must be a UUID: %w", err)
		}
		return Identity{Kind: Customer, Issuer: issuer, Subject: id.String(), Roles: []string{CustomerRole}}, nil
	}
	return v.identifyStaff(claims, issuer, subject)
}

func (v *Verifier) identifyStaff(claims jwt.MapClaims, issuer, subject string) (Identity, error) {
	roles, err := texts(claims, "kefu_roles")
	if err != nil {
		return Identity{}, err
	}
	permissions, err := texts(claims, "kefu_permissions")
	if err != nil {
		return Identity{}, err
	}
	if len(roles) > 0 && len(permissions) > 0 {
		return Identity{}, refuse(CheckClaims, "a token holds roles or permissions, not both")
	}
	if len(permissions) > 0 {
		return Identity{Kind: ServiceAccount, Issuer: issuer, Subject: subject, Permissions: permissions}, nil
	}
	if v.cfg.GroupsClaim != "" {
		groups, err := texts(claims, v.cfg.GroupsClaim)
		if err != nil {
			return Identity{}, err
		}
		for _, g := range groups {
			roles = append(roles, v.cfg.GroupRoles[g]...)
		}
	}
	roles = slices.DeleteFunc(roles, func(r string) bool { return r == CustomerRole })
	slices.Sort(roles)
	return Identity{Kind: Person, Issuer: issuer, Subject: subject, Roles: slices.Compact(roles)}, nil
}

// texts reads a claim that is absent or an array of texts.
func texts(claims jwt.MapClaims, name string) ([]string, error) {
	raw, ok := claims[name]
	if !ok || raw == nil {
		return nil, nil
	}
	list, ok := raw.([]any)
	if !ok {
		return nil, refuse(CheckClaims, "%s is not an array", name)
	}
	out := make([]string, 0, len(list))
	for _, e := range list {
		s, ok := e.(string)
		if !ok || s == "" {
			return nil, refuse(CheckClaims, "%s holds something that is not a text", name)
		}
		out = append(out, s)
	}
	return out, nil
}

// boundedClient never reads more than maxDocument of an answer and follows no redirect,
// so that a provider cannot send us elsewhere or exhaust memory.
func boundedClient(c *http.Client) *http.Client {
	bounded := &http.Client{Timeout: fetchTimeout}
	var next http.RoundTripper
	if c != nil {
		*bounded = *c
		next = c.Transport
	}
	if next == nil {
		next = http.DefaultTransport
	}
	bounded.Transport = boundedTransport{next}
	bounded.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return bounded
}

type boundedTransport struct{ next http.RoundTripper }

func (t boundedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxDocument), resp.Body}
	return resp, nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
