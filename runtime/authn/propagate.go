package authn

import (
	"context"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// credential is what the caller of the current call presented, kept verbatim.
type credential struct{ key, value string }

type credentialKey struct{}

func withCredential(ctx context.Context, c credential) context.Context {
	return context.WithValue(ctx, credentialKey{}, c)
}

// WithGatewayToken returns a context whose outgoing calls present the gateway token. It
// is for the gateway, which has just minted it.
func WithGatewayToken(ctx context.Context, raw string) context.Context {
	return withCredential(ctx, credential{key: GatewayKey, value: raw})
}

// WithBearer returns a context whose outgoing calls present the access token. It is for
// clients and tests.
func WithBearer(ctx context.Context, raw string) context.Context {
	return withCredential(ctx, credential{key: BearerKey, value: "Bearer " + raw})
}

// Propagate returns the context with outgoing metadata that carries on, unchanged, the
// credential of the call being served, so that the next service sees the same person.
// Whatever credential or reserved metadata stood there before is removed. A context of a
// job or consumer has no credential: the certificate speaks for the service.
func Propagate(ctx context.Context) context.Context {
	md, _ := metadata.FromOutgoingContext(ctx)
	out := metadata.MD{}
	for key, values := range md {
		if key != BearerKey && !strings.HasPrefix(key, ReservedPrefix) {
			out[key] = values
		}
	}
	if c, ok := ctx.Value(credentialKey{}).(credential); ok && c.key != "" {
		out.Set(c.key, c.value)
	}
	return metadata.NewOutgoingContext(ctx, out)
}

// PropagateUnary is Propagate as a client interceptor.
func PropagateUnary() grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn,
		invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		return invoke(Propagate(ctx), method, req, reply, cc, opts...)
	}
}

// PropagateStream is Propagate as a client interceptor.
func PropagateStream() grpc.StreamClientInterceptor {
	return func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string,
		stream grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		return stream(Propagate(ctx), desc, cc, method, opts...)
	}
}
