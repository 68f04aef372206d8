package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/google/uuid"
	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // client-side health checking
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/stats"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
)

// ClientConfig says how a connection to another service is made.
type ClientConfig struct {
	// TLS is nil only where plain text was chosen on purpose.
	TLS *tls.Config
	// Resolver finds instances for its own scheme; nil leaves grpc's own schemes.
	Resolver resolver.Builder
	// Metrics gets the metrics of calls; nil leaves them out.
	Metrics prometheus.Registerer
	// Try bounds one try of a short unary call, 1 s where zero.
	Try time.Duration
	// Tries bounds how often a call that got no answer is tried, 3 where zero.
	Tries int
	// MaxMessageBytes bounds an answer, 4 MiB where zero.
	MaxMessageBytes int
	// Dialer replaces the network, for tests in memory.
	Dialer func(ctx context.Context, address string) (net.Conn, error)
}

// serviceConfig: every mutation carries a request_id, so repeating is safe on all
// methods. The throttle stops retries where more than half of the tries fail, so they never
// more than double the load, and after an outage 51 answers in a row open it again: with a
// smaller ratio a quiet connection went without retries for minutes.
const serviceConfig = `{
  "loadBalancingConfig": [{"round_robin": {}}],
  "healthCheckConfig": {"serviceName": ""},
  "methodConfig": [{
    "name": [{}],
    "retryPolicy": {
      "maxAttempts": 4, "initialBackoff": "0.05s", "maxBackoff": "0.4s", "backoffMultiplier": 2,
      "retryableStatusCodes": ["UNAVAILABLE"]
    }
  }],
  "retryThrottling": {"maxTokens": 100, "tokenRatio": 1}
}`

// Dial makes a connection to all instances behind target: round robin over those
// that report healthy, UNAVAILABLE tried again elsewhere, each try of a short
// unary call bounded, the caller's credential, request id and address passed on, a missing
// request_id filled. It does not wait: with no instance calls fail UNAVAILABLE at
// once. It fails only for a target that cannot be parsed.
func Dial(target string, cfg ClientConfig) (*grpc.ClientConn, error) {
	unary, stream, err := clientChain(cfg)
	if err != nil {
		return nil, err
	}
	creds := insecure.NewCredentials()
	if cfg.TLS != nil {
		creds = credentials.NewTLS(cfg.TLS)
	}
	size := cfg.MaxMessageBytes
	if size == 0 {
		size = 4 << 20
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithDisableServiceConfig(),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler(otelgrpc.WithFilter(
			func(i *stats.RPCTagInfo) bool { return !own(i.FullMethodName) }))),
		grpc.WithChainUnaryInterceptor(unary...),
		grpc.WithChainStreamInterceptor(stream...),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(size)),
		// A peer that is gone without a word is noticed within 25 s even when idle.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: 20 * time.Second, Timeout: 5 * time.Second, PermitWithoutStream: true,
		}),
	}
	if cfg.Resolver != nil {
		options = append(options, grpc.WithResolvers(cfg.Resolver))
	}
	if cfg.Dialer != nil {
		options = append(options, grpc.WithContextDialer(cfg.Dialer))
	}
	conn, err := grpc.NewClient(target, options...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", target, err)
	}
	return conn, nil
}

func clientChain(cfg ClientConfig) ([]grpc.UnaryClientInterceptor, []grpc.StreamClientInterceptor, error) {
	known := &methods{}
	unary := []grpc.UnaryClientInterceptor{fill(known), authn.PropagateUnary(), carryUnary}
	stream := []grpc.StreamClientInterceptor{authn.PropagateStream(), carryStream}
	if cfg.Metrics != nil {
		m, err := registered(cfg.Metrics, grpcprom.NewClientMetrics(grpcprom.WithClientHandlingTimeHistogram()))
		if err != nil {
			return nil, nil, err
		}
		unary = append(unary, m.UnaryClientInterceptor())
		stream = append(stream, m.StreamClientInterceptor())
	}
	t := &tries{bound: cfg.Try, most: cfg.Tries, methods: known, tokens: throttleTokens}
	if t.bound == 0 {
		t.bound = time.Second
	}
	if t.most == 0 {
		t.most = 3
	}
	return append(unary, t.unary), stream, nil
}

// carry passes the request id, the language and the caller's address on. It comes after the
// credential, because that step takes whatever is reserved away.
func carry(ctx context.Context) context.Context {
	r := requestOf(ctx)
	md, _ := metadata.FromOutgoingContext(ctx)
	if r.id != "" && len(md.Get(RequestIDKey)) == 0 {
		ctx = metadata.AppendToOutgoingContext(ctx, RequestIDKey, r.id)
	}
	if r.language != "" && len(md.Get(LanguageKey)) == 0 {
		ctx = metadata.AppendToOutgoingContext(ctx, LanguageKey, r.language)
	}
	if r.address.IsValid() {
		ctx = metadata.AppendToOutgoingContext(ctx, OriginKey, r.address.String())
	}
	return ctx
}

func carryUnary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return invoke(carry(ctx), method, req, reply, cc, opts...)
}

func carryStream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return open(carry(ctx), desc, cc, method, opts...)
}

// fill gives mutations without a request_id one of their own, on a copy: the
// caller's message may be sent twice on purpose.
func fill(known *methods) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		filled, err := withRequestID(known.of(method), req)
		if err != nil {
			return err
		}
		return invoke(ctx, method, filled, reply, cc, opts...)
	}
}

func withRequestID(m method, req any) (any, error) {
	if m.rule.GetAudit() != accessv1.Audit_AUDIT_WRITE {
		return req, nil
	}
	msg, ok := req.(proto.Message)
	if !ok {
		return req, nil
	}
	field := msg.ProtoReflect().Descriptor().Fields().ByName("request_id")
	if field == nil || field.Kind() != protoreflect.StringKind || field.IsList() ||
		msg.ProtoReflect().Get(field).String() != "" {
		return req, nil
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, errors.Join(errors.New("make a request_id"), err)
	}
	filled := proto.Clone(msg)
	filled.ProtoReflect().Set(field, protoreflect.ValueOfString(id.String()))
	return filled, nil
}
