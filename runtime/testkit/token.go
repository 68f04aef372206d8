package testkit

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"

	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/devissuer"
	"github.com/kefu-suite/kefu/runtime/rpc"
)

// The audiences of test tokens; they are the defaults of app.Config.
const (
	audience         = "kefu"
	customerAudience = "kefu-customers"
)

// newIssuer makes an issuer whose documents the production verifier fetches and whose
// signatures it checks.
func newIssuer(t testing.TB) *devissuer.Issuer {
	t.Helper()
	i, err := devissuer.Open(filepath.Join(t.TempDir(), "issuer.key"), "http://127.0.0.1:9")
	if err != nil {
		t.Fatalf("test issuer: %v", err)
	}
	return i
}

// As is a context of a person with these roles, whose subject follows from them; calls
// made with it carry a bearer token.
func (s *Service) As(roles ...string) context.Context {
	return s.AsPerson("tester-"+strings.Join(roles, "-"), roles...)
}

// AsStaff is a context of the person with that subject, in one role.
func (s *Service) AsStaff(role, subject string) context.Context {
	return s.AsPerson(subject, role)
}

// AsPerson is a context of the person with that subject, in any number of roles.
func (s *Service) AsPerson(subject string, roles ...string) context.Context {
	return s.with(devissuer.Claims{Subject: subject, Audience: audience, Roles: roles})
}

// AsCustomer is a context of the customer with that id.
func (s *Service) AsCustomer(id string) context.Context {
	return s.with(devissuer.Claims{Subject: id, Audience: customerAudience})
}

// AsAccount is a context of a service account with exactly these permissions.
func (s *Service) AsAccount(subject string, permissions ...string) context.Context {
	return s.with(devissuer.Claims{Subject: subject, Audience: audience, Permissions: permissions})
}

// AsService is a context whose calls come over a connection with the certificate of
// that service, and without any token.
func (s *Service) AsService(name string) context.Context {
	return context.WithValue(s.t.Context(), peerKey{}, name)
}

// From adds to a context with a token that its calls come through the gateway, from a caller at
// that address.
func (s *Service) From(ctx context.Context, address string) context.Context {
	ctx = context.WithValue(ctx, peerKey{}, authn.GatewayService)
	return metadata.AppendToOutgoingContext(ctx, rpc.ForwardedKey, address)
}

// AsPublic is a context of a caller without token and certificate.
func (s *Service) AsPublic() context.Context { return s.t.Context() }

func (s *Service) with(c devissuer.Claims) context.Context {
	s.t.Helper()
	raw, err := s.Issuer.Mint(c)
	if err != nil {
		s.t.Fatalf("test token: %v", err)
	}
	return authn.WithBearer(s.t.Context(), raw)
}
