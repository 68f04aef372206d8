// Package costtest measures what the protection of calls costs: who calls, whether they may,
// what they see of the answer, and the audit record. No program can be run without these, so
// the bench makes the service's server twice, with the same handlers on the same database:
// once with what production has in the chain, and once with something in its place that lets
// everybody in; and where a read leaves a record a third time, so that it leaves none either.
// The audit record cannot be left out of a write path. What it costs there is measured as a bare
// batch with and without it, and taken from what both servers cost.
package costtest

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	"github.com/kefu-suite/kefu/runtime/app"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/services/internal/access"
)

const (
	// settles is how long what goes on behind calls takes: until records are filed and what is held of
	// them was looked for. Asking all the time whether it is over took a tenth of what a record takes.
	settles = 2 * time.Second
	// unbound is a rate that does not bind.
	unbound = 1e9
	// settleLimit bounds the wait for what goes on behind answers.
	settleLimit = time.Minute
)

// pace is how the ways of a case alternate: how often each has its turn, how long one lasts,
// short because the speed of a machine changes within seconds, and whether each waits for what goes
// on behind its calls.
type pace struct {
	rounds int
	slice  time.Duration
	waits  bool
}

var (
	// passing is the pace of calls that leave nothing behind.
	passing = pace{45, 200 * time.Millisecond, false}
	// recorded is that of ways some of which leave a record, of which the sequencer files many in a pass.
	recorded = pace{30, 600 * time.Millisecond, true}
	// writing is that of writes by the servers. What goes on behind them is alike for both, and falls into
	// the slices of either: to wait for it each time would leave too few rounds for what costs this much.
	writing = pace{150, 300 * time.Millisecond, false}
)

// Case is one call to measure.
type Case struct {
	Name string
	// As carries the caller's token.
	As   context.Context
	Call func(ctx context.Context, on grpc.ClientConnInterface) error
	// Recorded says that the call only reads and leaves a record of it.
	Recorded bool
	// Record queues what stands in the audit trail of a call that writes, Rest what else its
	// transaction writes.
	Record, Rest func(ctx context.Context, b *pg.Batch) error
}

// Bench has the servers.
type Bench struct {
	t             testing.TB
	service       *testkit.Service
	postgres      string
	on, off, bare *grpc.ClientConn
}

// New makes the servers for a service that runs its background work. register puts its
// handlers on one of them, unrecorded puts such there that leave no record of what is read, nil
// where none do; postgres is the folder of its database server.
func New(t testing.TB, s *testkit.Service, postgres string, register, unrecorded func(grpc.ServiceRegistrar)) *Bench {
	t.Helper()
	app.TuneGC()
	ca, err := authn.NewCA(filepath.Join(t.TempDir(), "ca"))
	if err != nil {
		t.Fatal(err)
	}
	b := &Bench{t: t, service: s, postgres: postgres}
	guard := authz.New(access.Policy())
	production := b.serve(ca, s.Authn, guard, register)
	if err := guard.Check(production.server.GetServiceInfo()); err != nil {
		t.Fatal(err)
	}
	b.on, b.off = production.conn, b.serve(ca, anybody{}, anything{}, register).conn
	if unrecorded != nil {
		b.bare = b.serve(ca, anybody{}, anything{}, unrecorded).conn
	}
	return b
}

// served is a server with a connection to it.
type served struct {
	server *grpc.Server
	conn   *grpc.ClientConn
}

// serve makes a server as a service does, on TLS, with rates that do not bind.
func (b *Bench) serve(ca *authn.CA, who, may rpc.Interceptors, register func(grpc.ServiceRegistrar)) served {
	b.t.Helper()
	name := b.service.Process.Name
	files, err := ca.Issue(name)
	if err != nil {
		b.t.Fatal(err)
	}
	secure, err := authn.ServerTLS(files)
	if err != nil {
		b.t.Fatal(err)
	}
	limits := rpc.DefaultLimits()
	limits.DefaultRate, limits.DefaultBurst, limits.ServiceRate, limits.ServiceBurst = unbound, unbound, unbound, unbound
	server, err := rpc.NewServer(rpc.ServerConfig{
		Log: slog.New(slog.DiscardHandler), TLS: secure, Authn: who, Guard: may, Limits: limits,
		Validator: b.service.Process.Validator, Metrics: prometheus.NewRegistry(),
	})
	if err != nil {
		b.t.Fatal(err)
	}
	register(server)
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.t.Fatal(err)
	}
	go func() { _ = server.Serve(lis) }() // ends with Stop; calls tell what goes wrong
	b.t.Cleanup(server.Stop)
	trusting, err := authn.ClientTLS(authn.TLSConfig{CAFile: ca.CertFile()}, name)
	if err != nil {
		b.t.Fatal(err)
	}
	conn, err := rpc.Dial(lis.Addr().String(), rpc.ClientConfig{TLS: trusting, Try: settleLimit})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = conn.Close() })
	return served{server, conn}
}

// anybody takes every caller for a service, of whom handlers ask nothing further.
type anybody struct{}

func (anybody) Unary() grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		return next(authn.NewContext(ctx, authn.Identity{Kind: authn.Service, Service: "bench"}), req)
	}
}

func (anybody) Stream() grpc.StreamServerInterceptor { return closed }

// anything lets every call in and shows all of its answer.
type anything struct{}

func (anything) Unary() grpc.UnaryServerInterceptor {
	all := authz.Decision{Scope: accessv1.Scope_SCOPE_COMPANY, Right: "caller:bench"}
	return func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		return next(authz.NewContext(ctx, all), req)
	}
}

func (anything) Stream() grpc.StreamServerInterceptor { return closed }

// closed refuses streams, which no case opens.
func closed(any, grpc.ServerStream, *grpc.StreamServerInfo, grpc.StreamHandler) error {
	return status.Error(codes.Unimplemented, "the bench serves no streams")
}
