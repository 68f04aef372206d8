package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/kefu-suite/kefu/runtime/authn"
)

const (
	createTicket = "kefu.ticket.v1.TicketService/CreateTicket"
	aTicket      = `{"channel": "CHANNEL_PHONE", "title": "forged"}`
	aTicketRPC   = `{"ticket": {"channel": "CHANNEL_PHONE", "title": "forged"}}`
)

// forge makes tokens from a good one of a service manager, with the provider's own key or
// another.
type forge struct {
	key            *ecdsa.PrivateKey
	header, claims map[string]any
	good           string
}

func newForge(a *attacker) *forge {
	a.t.Helper()
	content, err := os.ReadFile(filepath.Join(a.s.dir, "keys", "issuer.pem"))
	if err != nil {
		a.t.Fatal(err)
	}
	block, _ := pem.Decode(content)
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		a.t.Fatal(err)
	}
	f := &forge{key: parsed.(*ecdsa.PrivateKey), good: a.s.token(a.t, role("service-manager")...)}
	parts := strings.Split(f.good, ".")
	for i, into := range []*map[string]any{&f.header, &f.claims} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err == nil {
			err = json.Unmarshal(raw, into)
		}
		if err != nil {
			a.t.Fatal(err)
		}
	}
	return f
}

func segment(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// with changes header and claims; a nil value takes one out.
func with(base map[string]any, changes ...any) map[string]any {
	out := maps.Clone(base)
	for i := 0; i+1 < len(changes); i += 2 {
		if changes[i+1] == nil {
			delete(out, changes[i].(string))
			continue
		}
		out[changes[i].(string)] = changes[i+1]
	}
	return out
}

func sign(key *ecdsa.PrivateKey, header, claims map[string]any) string {
	text := segment(header) + "." + segment(claims)
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		panic(err)
	}
	signature := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// claim signs the good claims with changes as the provider would.
func (f *forge) claim(changes ...any) string {
	return sign(f.key, f.header, with(f.claims, changes...))
}

// head signs a header with changes as the provider would.
func (f *forge) head(changes ...any) string { return sign(f.key, with(f.header, changes...), f.claims) }

// stranger is a key that the provider does not have.
func stranger() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

func (f *forge) hs256() string {
	der, err := x509.MarshalPKIXPublicKey(f.key.Public())
	if err != nil {
		panic(err)
	}
	text := segment(with(f.header, "alg", "HS256")) + "." + segment(f.claims)
	mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func jwk(key *ecdsa.PrivateKey) map[string]any {
	point, err := key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		panic(err)
	}
	return map[string]any{"kty": "EC", "crv": "P-256", "kid": "mine", "alg": "ES256", "use": "sig",
		"x": base64.RawURLEncoding.EncodeToString(point[1:33]), "y": base64.RawURLEncoding.EncodeToString(point[33:])}
}

// tokenAttacks try to create a ticket with a token that nobody gave them.
func tokenAttacks() []attack {
	now := time.Now().Unix()
	forgeries := []struct {
		name, reason string
		make         func(f *forge) string
	}{
		{"a token that is nonsense", "TOKEN_INVALID", func(*forge) string { return "nonsense" }},
		{"an unsigned token", "TOKEN_INVALID", func(f *forge) string { return segment(with(f.header, "alg", "none")) + "." + segment(f.claims) + "." }},
		{"a token signed with the public key", "TOKEN_INVALID", (*forge).hs256},
		{"a token that names another algorithm", "TOKEN_INVALID", func(f *forge) string { return f.head("alg", "RS256") }},
		{"a token with a signature cut short", "TOKEN_INVALID", func(f *forge) string { return f.good[:len(f.good)-8] }},
		{"a token without its signature", "TOKEN_INVALID", func(f *forge) string { return f.good[:strings.LastIndex(f.good, ".")+1] }},
		{"a token with other claims under an old signature", "TOKEN_INVALID", func(f *forge) string {
			parts := strings.Split(f.good, ".")
			return parts[0] + "." + segment(with(f.claims, "kefu_roles", []string{"company-manager"})) + "." + parts[2]
		}},
		{"a token signed by a stranger under a known key id", "TOKEN_INVALID", func(f *forge) string { return sign(stranger(), f.header, f.claims) }},
		{"a token with a key id that nobody has", "TOKEN_INVALID", func(f *forge) string { return f.head("kid", "mine") }},
		{"a token with a path for its key id", "TOKEN_INVALID", func(f *forge) string { return f.head("kid", "../../etc/passwd") }},
		{"a token with its key in it", "TOKEN_INVALID", func(f *forge) string {
			key := stranger()
			return sign(key, with(f.header, "kid", "mine", "jwk", jwk(key)), f.claims)
		}},
		{"a token with a critical extension", "TOKEN_INVALID", func(f *forge) string { return f.head("crit", []string{"exp"}) }},
		{"a token that has expired", "TOKEN_EXPIRED", func(f *forge) string { return f.claim("iat", now-7200, "nbf", now-7200, "exp", now-3600) }},
		{"a token of tomorrow", "TOKEN_INVALID", func(f *forge) string { return f.claim("nbf", now+86400, "exp", now+86400+600) }},
		{"a token for a year", "TOKEN_INVALID", func(f *forge) string { return f.claim("exp", now+365*86400) }},
		{"a token without an end", "TOKEN_INVALID", func(f *forge) string { return f.claim("exp", nil) }},
		{"a token of another issuer", "TOKEN_INVALID", func(f *forge) string { return f.claim("iss", "https://login.example.com") }},
		{"a token for somebody else", "TOKEN_INVALID", func(f *forge) string { return f.claim("aud", "payroll") }},
		{"a token of nobody", "TOKEN_INVALID", func(f *forge) string { return f.claim("sub", "") }},
		{"a token of ten kilobytes", "TOKEN_INVALID", func(f *forge) string { return f.claim("more", strings.Repeat("x", 10<<10)) }},
		{"two tokens in one header", "TOKEN_INVALID", func(f *forge) string { return f.good + " " + f.good }},
	}
	out := []attack{row{name: "no token", code: codes.Unauthenticated, reason: "TOKEN_MISSING",
		verb: "POST", path: "/v1/tickets", body: aTicket, method: createTicket, rpcs: aTicketRPC}.attack()}
	for _, c := range forgeries {
		out = append(out, attack{name: c.name,
			rest: func(a *attacker) {
				a.rest(http.StatusUnauthorized, c.reason, "POST", "/v1/tickets", aTicket, bearer(c.make(newForge(a)))...)
			},
			rpcs: func(a *attacker) {
				a.rpc(codes.Unauthenticated, c.reason, createTicket, aTicketRPC, "authorization", "Bearer "+c.make(newForge(a)))
			}})
	}
	return append(out, fetchAttack(), gatewayAttack(), customerAudienceAttack())
}

// fetchAttack names a place of its own where the key is to be had. Nobody may go there.
func fetchAttack() attack {
	token := func(a *attacker) (token string, check func()) {
		a.t.Helper()
		key := stranger()
		asked := make(chan string, 16)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked <- r.URL.Path
			_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{jwk(key)}})
		}))
		f := newForge(a)
		return sign(key, with(f.header, "kid", "mine", "jku", server.URL+"/jku", "x5u", server.URL+"/x5u"), f.claims), func() {
			server.Close()
			if len(asked) > 0 {
				a.t.Errorf("the key was fetched from where the token said: %s", <-asked)
			}
		}
	}
	return attack{name: "a token that says where its key is",
		rest: func(a *attacker) {
			raw, check := token(a)
			a.rest(http.StatusUnauthorized, "TOKEN_INVALID", "POST", "/v1/tickets", aTicket, bearer(raw)...)
			check()
		},
		rpcs: func(a *attacker) {
			raw, check := token(a)
			a.rpc(codes.Unauthenticated, "TOKEN_INVALID", createTicket, aTicketRPC, "authorization", "Bearer "+raw)
			check()
		}}
}

// gatewayAttack has a token of the gateway's own, as one that was overheard, but not its
// certificate.
func gatewayAttack() attack {
	overheard := func(a *attacker) string {
		a.t.Helper()
		minter, err := authn.NewMinter(filepath.Join(a.s.dir, "keys", "gateway.pem"))
		if err != nil {
			a.t.Fatal(err)
		}
		token, err := minter.Mint(authn.Identity{Kind: authn.Person, Issuer: "x", Subject: "y", Roles: []string{"service-manager"}})
		if err != nil {
			a.t.Fatal(err)
		}
		return token
	}
	return attack{name: "a token of the gateway without its certificate",
		rest: func(a *attacker) {
			a.rest(http.StatusUnauthorized, "TOKEN_INVALID", "POST", "/v1/tickets", aTicket, bearer(overheard(a))...)
			a.rest(http.StatusUnauthorized, "TOKEN_MISSING", "POST", "/v1/tickets", aTicket, "Kefu-Gateway-Token", overheard(a))
			a.rest(http.StatusUnauthorized, "TOKEN_MISSING", "POST", "/v1/tickets", aTicket, "Grpc-Metadata-Kefu-Gateway-Token", overheard(a))
		},
		rpcs: func(a *attacker) {
			a.rpc(codes.Unauthenticated, "TOKEN_INVALID", createTicket, aTicketRPC, authn.GatewayKey, overheard(a))
			a.rpc(codes.Unauthenticated, "TOKEN_INVALID", createTicket, aTicketRPC, "authorization", "Bearer "+overheard(a))
			a.rpc(codes.Unauthenticated, "TOKEN_INVALID", createTicket, aTicketRPC,
				authn.GatewayKey, overheard(a), "authorization", "Bearer "+newForge(a).good)
		}}
}

// customerAudienceAttack: roles of staff in a token for customers are nothing.
func customerAudienceAttack() attack {
	token := func(a *attacker) string {
		return newForge(a).claim("aud", "kefu-customers", "sub", a.ids.Replace("$ME"))
	}
	body := `{"code": "x", "name": {"zh": "x", "en": "x"}, "function": "DEPARTMENT_FUNCTION_AFTER_SALES"}`
	return attack{name: "roles of staff in a token for customers",
		rest: func(a *attacker) {
			a.rest(http.StatusForbidden, "PERMISSION_DENIED", "POST", "/v1/departments", body, bearer(token(a))...)
		},
		rpcs: func(a *attacker) {
			a.rpc(codes.PermissionDenied, "PERMISSION_DENIED", "kefu.ticket.v1.DirectoryService/CreateDepartment",
				`{"department": `+body+`}`, "authorization", "Bearer "+token(a))
		}}
}
