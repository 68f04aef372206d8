package authn

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// Metadata keys. Every key with ReservedPrefix is deleted before a handler runs.
const (
	BearerKey      = "authorization"
	GatewayKey     = "kefu-gateway-token"
	ReservedPrefix = "kefu-"
)

// Authenticator establishes the identity of each call.
type Authenticator struct {
	bearer  *Verifier
	gateway *GatewayVerifier
	log     *slog.Logger
}

// New returns an authenticator. A nil verifier accepts no token of its kind; log may be
// nil and gets, at debug level, which check a refused token failed.
func New(bearer *Verifier, gateway *GatewayVerifier, log *slog.Logger) *Authenticator {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Authenticator{bearer: bearer, gateway: gateway, log: log}
}

// Authenticate returns a context with the identity of the call and without the reserved
// and credential metadata. A bad, doubled or contradictory credential is an error that
// may be sent to the caller; no credential at all is the Public identity.
func (a *Authenticator) Authenticate(ctx context.Context) (context.Context, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	i, cred, err := a.identify(ctx, md)
	if err != nil {
		a.log.DebugContext(ctx, "credential refused", "error", err)
		return nil, PublicError(err)
	}
	clean := metadata.MD{}
	for key, values := range md {
		if key != BearerKey && !strings.HasPrefix(key, ReservedPrefix) {
			clean[key] = values
		}
	}
	ctx = metadata.NewIncomingContext(ctx, clean)
	return NewContext(withCredential(ctx, cred), i), nil
}

func (a *Authenticator) identify(ctx context.Context, md metadata.MD) (Identity, credential, error) {
	bearer, gateway := md[BearerKey], md[GatewayKey]
	switch {
	case len(bearer)+len(gateway) > 1:
		return Identity{}, credential{}, refuse(CheckCredential, "%d credentials in one call", len(bearer)+len(gateway))
	case len(bearer) == 1:
		raw, ok := bearerToken(bearer[0])
		if !ok || a.bearer == nil {
			return Identity{}, credential{}, refuse(CheckCredential, "not a bearer token, or none is accepted here")
		}
		i, err := a.bearer.Verify(ctx, raw)
		return i, credential{key: BearerKey, value: bearer[0]}, err
	case len(gateway) == 1:
		if PeerService(ctx) == "" {
			return Identity{}, credential{}, refuse(CheckPeer, "a gateway token from a peer without certificate")
		}
		if a.gateway == nil {
			return Identity{}, credential{}, refuse(CheckCredential, "no gateway token is accepted here")
		}
		i, err := a.gateway.Verify(gateway[0])
		return i, credential{key: GatewayKey, value: gateway[0]}, err
	}
	if name := PeerService(ctx); name != "" {
		return Identity{Kind: Service, Service: name}, credential{}, nil
	}
	return Identity{}, credential{}, nil
}

func bearerToken(header string) (string, bool) {
	scheme, token, ok := strings.Cut(header, " ")
	return token, ok && strings.EqualFold(scheme, "Bearer") && token != ""
}

// Unary establishes the identity of a unary call.
func (a *Authenticator) Unary() grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		ctx, err := a.Authenticate(ctx)
		if err != nil {
			return nil, err
		}
		return next(ctx, req)
	}
}

// Recheck says whether the caller of a call that goes on would still be let in: not once the
// access token they signed in with has expired, nor when its issuer has taken its key away. An
// issuer that cannot be asked takes nothing away.
func (a *Authenticator) Recheck(ctx context.Context, _ string) error {
	if until := FromContext(ctx).Until; !until.IsZero() && !a.now().Before(until) {
		return refuse(CheckExpiry, "expired at %v", until).Public()
	}
	c, _ := ctx.Value(credentialKey{}).(credential)
	if c.key != BearerKey || a.bearer == nil {
		return nil
	}
	raw, _ := bearerToken(c.value)
	_, err := a.bearer.Verify(ctx, raw)
	var refused *Refusal
	if errors.As(err, &refused) && refused.Check != CheckProvider {
		a.log.DebugContext(ctx, "credential refused while a stream went on", "error", err)
		return refused.Public()
	}
	return nil
}

// now is the clock of what verifies tokens.
func (a *Authenticator) now() time.Time {
	switch {
	case a.bearer != nil:
		return a.bearer.cfg.Now()
	case a.gateway != nil:
		return a.gateway.now()
	}
	return time.Now()
}

// Stream establishes the identity of a stream when it begins; see Recheck for what comes after.
func (a *Authenticator) Stream() grpc.StreamServerInterceptor {
	return func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		ctx, err := a.Authenticate(ss.Context())
		if err != nil {
			return err
		}
		return next(srv, &streamContext{ServerStream: ss, ctx: ctx})
	}
}

type streamContext struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *streamContext) Context() context.Context { return s.ctx }
