package testkit

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	"github.com/kefu-suite/kefu/runtime/app"
	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/devissuer"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/pii"
	"github.com/kefu-suite/kefu/runtime/rpc"
)

const (
	serviceStop = 5 * time.Second
	drainLimit  = 10 * time.Second
	drainPause  = 5 * time.Millisecond
)

// ServiceConfig says what a test serves.
type ServiceConfig struct {
	// Name of the service, "service-under-test" where empty.
	Name string
	// Migrations are the service's own; those of the runtime come before them.
	Migrations []pg.MigrationSet
	Policy     authz.Policy
	// Register is what the service's Spec.Run does.
	Register func(p *app.Process) error
	// Limits replaces the default limits.
	Limits *rpc.Limits
	// Background runs the sequencer and all that Register gave to p.Go. Without it
	// nothing happens beside the calls, and Events numbers what they left.
	Background bool
	// Peers are the services that the process connects to, by name; a test fakes them.
	Peers map[string]*grpc.ClientConn
	// Log gets the service's log; nil drops it.
	Log io.Writer
}

// Service is one service under test: the production chain of interceptors over TLS
// in memory, the production verification of tokens, and a database of its own.
type Service struct {
	// Conn takes each call's caller from its context: see As, AsStaff, AsPerson,
	// AsCustomer, AsAccount, AsService and AsPublic.
	Conn    grpc.ClientConnInterface
	Process *app.Process
	Issuer  *devissuer.Issuer
	// Authn verifies the tokens, for a bench that makes the server anew.
	Authn *authn.Authenticator
	DB    *DB
	Pool  *pgxpool.Pool
	// Clock is the process's clock. Tokens are checked by the real time.
	Clock *Clock

	t testing.TB
}

// NewService starts a service that ends with the test. Whatever hinders the start
// fails the test.
func NewService(t testing.TB, cfg ServiceConfig) *Service {
	t.Helper()
	p, s := Prepare(t, cfg)
	if cfg.Register != nil {
		if err := cfg.Register(p); err != nil {
			t.Fatalf("register the service: %v", err)
		}
	}
	if err := s.start(cfg.Background); err != nil {
		t.Fatalf("start the service: %v", err)
	}
	return s
}

// Prepare puts a service together without registering or starting it, for tests of
// the start itself.
func Prepare(t testing.TB, cfg ServiceConfig) (*app.Process, *Service) {
	t.Helper()
	if cfg.Name == "" {
		cfg.Name = "service-under-test"
	}
	limits := rpc.DefaultLimits()
	limits.StreamCheck = 20 * time.Millisecond // a test waits for it
	if cfg.Limits != nil {
		limits = *cfg.Limits
	}
	log := slog.New(slog.DiscardHandler)
	if cfg.Log != nil {
		log = slog.New(slog.NewJSONHandler(cfg.Log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	s := &Service{t: t, Clock: NewClock(), Issuer: newIssuer(t)}
	s.DB = Database(t, append(app.Migrations(), cfg.Migrations...)...)
	s.Pool = s.DB.Pool
	dialer := &dialer{t: t, dir: t.TempDir(), service: cfg.Name, lis: bufconn.Listen(1 << 20)}
	s.Conn = dialer
	files := dialer.begin()
	secure, err := authn.ServerTLS(files)
	if err != nil {
		t.Fatalf("certificate of the service: %v", err)
	}
	bearer, err := authn.NewVerifier(authn.VerifierConfig{
		Issuers: []string{s.Issuer.URL()}, Audience: audience, CustomerAudience: customerAudience,
		Development: true, HTTPClient: s.Issuer.Client(),
	})
	if err != nil {
		t.Fatalf("verifier: %v", err)
	}
	s.Authn = authn.New(bearer, nil, log)
	s.Process, err = app.New(app.Parts{
		Name: cfg.Name, Log: log, Pool: s.Pool, Keyring: keyring(t, s.Pool), Policy: cfg.Policy,
		Authn: newAnswers(t, s.Authn), TLS: secure, Limits: limits,
		Metrics: prometheus.NewRegistry(), Now: s.Clock.Now, Forwarder: "gateway", ErasureList: t.TempDir(),
		Dial: func(service, _ string) (*grpc.ClientConn, error) {
			if conn, ok := cfg.Peers[service]; ok {
				return conn, nil
			}
			return nil, fmt.Errorf("the test has no peer %q", service)
		},
	})
	if err != nil {
		t.Fatalf("put the service together: %v", err)
	}
	return s.Process, s
}

func keyring(t testing.TB, pool *pgxpool.Pool) *pii.Keyring {
	t.Helper()
	file := filepath.Join(t.TempDir(), "master.key")
	if err := pii.NewKeyFile(file); err != nil {
		t.Fatalf("master key: %v", err)
	}
	master, err := pii.OpenFileMaster(file)
	if err != nil {
		t.Fatalf("master key: %v", err)
	}
	k, err := pii.Open(t.Context(), pool, master, time.Now)
	if err != nil {
		t.Fatalf("keys of the service: %v", err)
	}
	return k
}

// NoneAtEnd fails the test if a query of one text column finds anything when it ends.
func (s *Service) NoneAtEnd(what, sql string, args ...any) {
	s.t.Cleanup(func() {
		rows, err := s.Pool.Query(context.Background(), sql, args...)
		if err != nil {
			s.t.Errorf("look for %s: %v", what, err)
			return
		}
		found, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil || len(found) > 0 {
			s.t.Errorf("%s: %q, %v", what, found, err)
		}
	})
}

// start serves until the test ends.
func (s *Service) start(background bool) error {
	if err := s.Process.Serve(s.Conn.(*dialer).lis); err != nil {
		return err
	}
	if background {
		s.Process.Start()
	}
	s.t.Cleanup(func() {
		if err := s.Process.Stop(serviceStop); err != nil {
			s.t.Errorf("stop the service: %v", err)
		}
		s.Process.Lists.Close()
	})
	return nil
}

// Events numbers what the calls have left in the outbox and gives all events of the
// service from the first on, as another service would receive them.
func (s *Service) Events(t testing.TB) []*eventv1.Envelope {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), drainLimit)
	defer cancel()
	last := s.number(ctx, t)
	if last == 0 {
		return nil
	}
	stream, err := eventv1.NewEventServiceClient(s.Conn).StreamEvents(
		context.WithValue(ctx, peerKey{}, "gateway"), &eventv1.StreamEventsRequest{})
	if err != nil {
		t.Fatalf("stream the events: %v", err)
	}
	var events []*eventv1.Envelope
	for int64(len(events)) < last {
		resp, err := stream.Recv()
		if err != nil {
			t.Fatalf("stream the events: %v", err)
		}
		events = append(events, resp.GetEvents()...)
	}
	return events
}

// number runs a sequencer until no event waits, and gives the last position.
func (s *Service) number(ctx context.Context, t testing.TB) int64 {
	t.Helper()
	work, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- event.NewSequencer(s.Pool, slog.New(slog.DiscardHandler),
			s.Process.Keyring.Derive(audit.KeyLabel), func() {}).Run(work)
	}()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("sequencer: %v", err)
		}
	}()
	for {
		var waiting, last int64
		err := s.Pool.QueryRow(ctx, `
SELECT count(*) FILTER (WHERE position IS NULL), coalesce(max(position), 0) FROM event_outbox`).Scan(&waiting, &last)
		if err != nil {
			t.Fatalf("read the outbox: %v", err)
		}
		if waiting == 0 {
			return last
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%d events were not numbered in %s", waiting, drainLimit)
		case <-time.After(drainPause):
		}
	}
}

type peerKey struct{}

// dialer is a connection that is made anew for each identity: calls without a
// certificate share one, and each service has its own.
type dialer struct {
	t       testing.TB
	dir     string
	service string
	lis     *bufconn.Listener

	mu    sync.Mutex
	ca    *authn.CA
	conns map[string]*grpc.ClientConn
}

// begin makes the authority and the certificate of the service itself.
func (d *dialer) begin() authn.TLSConfig {
	d.t.Helper()
	ca, err := authn.NewCA(filepath.Join(d.dir, "ca"))
	if err != nil {
		d.t.Fatalf("test authority: %v", err)
	}
	files, err := ca.Issue(d.service)
	if err != nil {
		d.t.Fatalf("certificate of the service: %v", err)
	}
	d.ca, d.conns = ca, map[string]*grpc.ClientConn{}
	return files
}

// conn is the connection for the identity in ctx.
func (d *dialer) conn(ctx context.Context) (*grpc.ClientConn, error) {
	name, _ := ctx.Value(peerKey{}).(string)
	d.mu.Lock()
	defer d.mu.Unlock()
	if conn, ok := d.conns[name]; ok {
		return conn, nil
	}
	files := authn.TLSConfig{CAFile: d.ca.CertFile()}
	if name != "" {
		var err error
		if files, err = d.ca.Issue(name); err != nil {
			return nil, err
		}
	}
	secure, err := authn.ClientTLS(files, d.service)
	if err != nil {
		return nil, err
	}
	conn, err := rpc.Dial("passthrough:///"+d.service, rpc.ClientConfig{
		TLS: secure, Try: 10 * time.Second, // a busy machine is no reason to try twice
		Dialer: func(ctx context.Context, _ string) (net.Conn, error) { return d.lis.DialContext(ctx) },
	})
	if err != nil {
		return nil, err
	}
	d.t.Cleanup(func() { _ = conn.Close() }) // it may be closed already
	d.conns[name] = conn
	return conn, nil
}

// Invoke makes a unary call as the identity in ctx.
func (d *dialer) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	conn, err := d.conn(ctx)
	if err != nil {
		return err
	}
	return conn.Invoke(ctx, method, args, reply, opts...)
}

// NewStream opens a stream as the identity in ctx.
func (d *dialer) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	conn, err := d.conn(ctx)
	if err != nil {
		return nil, err
	}
	return conn.NewStream(ctx, desc, method, opts...)
}
