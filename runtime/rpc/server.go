package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"buf.build/go/protovalidate"
	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/stats"
)

// Interceptors is one step of the chain, for both kinds of calls.
type Interceptors interface {
	Unary() grpc.UnaryServerInterceptor
	Stream() grpc.StreamServerInterceptor
}

// ServerConfig says how a server is made. Log, Authn, Guard and Limits are required.
type ServerConfig struct {
	Log *slog.Logger
	// TLS is nil only where plain text was chosen on purpose.
	TLS *tls.Config
	// Authn establishes who calls, Guard decides whether they may.
	Authn, Guard Interceptors
	Limits       Limits
	// Validator is made by NewValidator where it is nil.
	Validator protovalidate.Validator
	// Metrics gets the metrics of calls; nil leaves them out.
	Metrics prometheus.Registerer
	// Stop, once closed, ends endless streams; nil never does.
	Stop <-chan struct{}
	// Forwarder is the service whose x-forwarded-for is believed, "" for none. See Address.
	Forwarder string
	// Reflection lets tools ask for the API without its files.
	Reflection bool
	// Now is the clock of rates and logs, time.Now where nil.
	Now func() time.Time
}

// NewServer makes a server with the whole chain and every limit; services are
// still to be registered. It fails when a required part is missing, a limit is
// not positive or a validation rule does not compile.
func NewServer(cfg ServerConfig) (*grpc.Server, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Validator == nil {
		v, err := NewValidator()
		if err != nil {
			return nil, err
		}
		cfg.Validator = v
	}
	options := append(transport(cfg.Limits),
		grpc.StatsHandler(otelgrpc.NewServerHandler(otelgrpc.WithFilter(
			func(i *stats.RPCTagInfo) bool { return !own(i.FullMethodName) }))),
	)
	if cfg.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(cfg.TLS)))
	}
	chain, err := chainOf(cfg)
	if err != nil {
		return nil, err
	}
	options = append(options, crashing()...)
	s := grpc.NewServer(append(options, chain...)...)
	if cfg.Reflection {
		reflection.Register(s)
	}
	return s, nil
}

func (c *ServerConfig) check() error {
	var problems []error
	if c.Log == nil || c.Authn == nil || c.Guard == nil {
		problems = append(problems, errors.New("rpc: a server needs Log, Authn and Guard"))
	}
	l := c.Limits
	for name, n := range map[string]float64{
		"MaxStreams": float64(l.MaxStreams), "MaxMessageBytes": float64(l.MaxMessageBytes),
		"MaxBulkBytes": float64(l.MaxBulkBytes), "MaxHeaderBytes": float64(l.MaxHeaderBytes),
		"Handshake": float64(l.Handshake), "ConnectionAge": float64(l.ConnectionAge),
		"ConnectionGrace": float64(l.ConnectionGrace), "PingEvery": float64(l.PingEvery),
		"Deadline": float64(l.Deadline), "MaxCalls": float64(l.MaxCalls), "MaxOpenStreams": float64(l.MaxOpenStreams), "StreamCheck": float64(l.StreamCheck),
		"DefaultRate": l.DefaultRate, "DefaultBurst": float64(l.DefaultBurst),
		"PublicRate": l.PublicRate, "PublicBurst": float64(l.PublicBurst),
		"BulkRate": l.BulkRate, "BulkBurst": float64(l.BulkBurst),
		"ServiceRate": l.ServiceRate, "ServiceBurst": float64(l.ServiceBurst), "RateCallers": float64(l.RateCallers),
	} {
		if n <= 0 {
			problems = append(problems, fmt.Errorf("rpc: the limit %s is %v, it must be positive", name, n))
		}
	}
	return errors.Join(problems...)
}

// transport are the limits that grpc itself holds.
func transport(l Limits) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxConcurrentStreams(l.MaxStreams),
		grpc.MaxRecvMsgSize(max(l.MaxMessageBytes, l.MaxBulkBytes)),
		grpc.MaxHeaderListSize(l.MaxHeaderBytes),
		grpc.ConnectionTimeout(l.Handshake),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionAge: l.ConnectionAge, MaxConnectionAgeGrace: l.ConnectionGrace,
			Time: time.Minute, Timeout: 10 * time.Second,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
			MinTime: l.PingEvery, PermitWithoutStream: true,
		}),
		// A stop returns when handlers have, so that nothing they use is closed under them.
		grpc.WaitForHandlers(true),
	}
}

// chainOf is the order of the package comment.
func chainOf(cfg ServerConfig) ([]grpc.ServerOption, error) {
	known := &methods{}
	edge := &boundary{log: cfg.Log, now: cfg.Now}
	limits := newBounds(cfg.Limits, known, cfg.Stop)
	rates := newRates(cfg.Limits, known, cfg.Now)
	calls := requests{forwarder: cfg.Forwarder}
	valid := validation{validator: cfg.Validator}
	standing := newStanding(cfg)

	var (
		unary  []grpc.UnaryServerInterceptor
		stream []grpc.StreamServerInterceptor
	)
	if cfg.Metrics != nil {
		m, err := serverMetrics(cfg.Metrics)
		if err != nil {
			return nil, err
		}
		unary = append(unary, m.UnaryServerInterceptor())
		stream = append(stream, m.StreamServerInterceptor())
	}
	for _, i := range []grpc.UnaryServerInterceptor{
		calls.unary, edge.unary, unaryRecover, limits.unary,
		cfg.Authn.Unary(), rates.unary, cfg.Guard.Unary(), valid.unary,
	} {
		unary = append(unary, unaryOurs(i))
	}
	for _, i := range []grpc.StreamServerInterceptor{
		calls.stream, edge.stream, streamRecover, limits.stream,
		cfg.Authn.Stream(), rates.stream, cfg.Guard.Stream(), standing.stream, valid.stream,
	} {
		stream = append(stream, streamOurs(i))
	}
	// Innermost, so that the streams of grpc itself end too.
	stream = append(stream, limits.ending)
	return []grpc.ServerOption{grpc.ChainUnaryInterceptor(unary...), grpc.ChainStreamInterceptor(stream...)}, nil
}

// unaryOurs applies an interceptor to our services only.
func unaryOurs(i grpc.UnaryServerInterceptor) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		if own(info.FullMethod) {
			return next(ctx, req)
		}
		return i(ctx, req, info, next)
	}
}

func streamOurs(i grpc.StreamServerInterceptor) grpc.StreamServerInterceptor {
	return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		if own(info.FullMethod) {
			return next(srv, ss)
		}
		return i(srv, ss, info, next)
	}
}

// serverMetrics are shared by all servers of a process that use one registry.
func serverMetrics(reg prometheus.Registerer) (*grpcprom.ServerMetrics, error) {
	m := grpcprom.NewServerMetrics(grpcprom.WithServerHandlingTimeHistogram(
		grpcprom.WithHistogramBuckets([]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 30})))
	return registered(reg, m)
}

// registered registers a collector, or gives the one already there.
func registered[C prometheus.Collector](reg prometheus.Registerer, c C) (C, error) {
	err := reg.Register(c)
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		if old, ok := already.ExistingCollector.(C); ok {
			return old, nil
		}
	}
	if err != nil {
		return c, fmt.Errorf("register metrics: %w", err)
	}
	return c, nil
}
