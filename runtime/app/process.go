package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"buf.build/go/protovalidate"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	auditv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/audit/v1"
	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/idempotency"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/pii"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/write"
)

// pageKeyLabel is under which the key of page tokens is derived from the keyring.
const pageKeyLabel = "page"

// purgeEvery is how often outcomes past their keeping time are removed.
const purgeEvery = time.Hour

// Migrations are those of the runtime packages, applied before a service's own.
func Migrations() []pg.MigrationSet {
	return []pg.MigrationSet{pii.Migrations(), event.Migrations(), audit.Migrations(), idempotency.Migrations()}
}

// Parts is what a Process is put together from. All but TLS, Dial, Now and Forwarder
// are required.
type Parts struct {
	Name    string
	Log     *slog.Logger
	Pool    *pgxpool.Pool
	Keyring *pii.Keyring
	Policy  authz.Policy
	Authn   rpc.Interceptors
	TLS     *tls.Config
	Limits  rpc.Limits
	Metrics *prometheus.Registry
	// Dial connects to another service at a target; nil refuses.
	Dial func(service, target string) (*grpc.ClientConn, error)
	// Forwarder is the service whose x-forwarded-for is believed.
	Forwarder  string
	Reflection bool
	Now        func() time.Time
	// ErasureList is the folder of the erasure list.
	ErasureList string
}

// Process is one running service: what its handlers and background work need. Its
// fields are set before Spec.Run and never change.
type Process struct {
	Name string
	Log  *slog.Logger
	Pool *pgxpool.Pool
	// Lists is a pool of [pg.InOrder] beside Pool.
	Lists     *pgxpool.Pool
	Keyring   *pii.Keyring
	Write     *write.Path
	Pages     *page.Sealer
	Validator protovalidate.Validator
	GRPC      *grpc.Server
	Health    *health.Server
	Metrics   *prometheus.Registry
	// Now is the business time: what happens when, and what is due. Tokens, rates and
	// timeouts go by the machine's clock.
	Now func() time.Time
	// ErasureList is the folder of the erasure list.
	ErasureList string

	guard *authz.Guard
	ready *readiness
	tasks *tasks
	dial  func(service, target string) (*grpc.ClientConn, error)
	wake  func()        // makes the sequencer look at once
	quit  chan struct{} // closed to end endless streams
	once  sync.Once
}

// New puts a process together, with the sequencer, the services of events and of the audit
// trail, and the health service that every service has. Nothing runs yet.
func New(parts Parts) (*Process, error) {
	if parts.Now == nil {
		parts.Now = time.Now
	}
	p := &Process{
		Name: parts.Name, Log: parts.Log, Pool: parts.Pool, Keyring: parts.Keyring,
		Metrics: parts.Metrics, Now: parts.Now, ErasureList: parts.ErasureList, Health: health.NewServer(),
		guard: authz.New(parts.Policy), tasks: newTasks(parts.Log), dial: parts.Dial,
		quit: make(chan struct{}),
	}
	p.ready = newReadiness(p.Health)
	var err error
	if p.Lists, err = pg.InOrder(p.Pool); err != nil {
		return nil, err
	}
	if p.Validator, err = rpc.NewValidator(); err != nil {
		return nil, err
	}
	if p.GRPC, err = rpc.NewServer(rpc.ServerConfig{
		Log: p.Log, TLS: parts.TLS, Authn: parts.Authn, Guard: p.guard, Limits: parts.Limits,
		Validator: p.Validator, Metrics: parts.Metrics, Stop: p.quit, Forwarder: parts.Forwarder,
		Reflection: parts.Reflection,
	}); err != nil {
		return nil, err
	}
	if p.Pages, err = page.NewSealer(p.Keyring.Derive(pageKeyLabel), p.Now); err != nil {
		return nil, err
	}
	grpc_health_v1.RegisterHealthServer(p.GRPC, p.Health)
	return p, p.addEvents()
}

// addEvents registers what carries the service's events to the others.
func (p *Process) addEvents() error {
	server := event.NewServer(p.Pool, p.Log)
	sequencer := event.NewSequencer(p.Pool, p.Log, p.Keyring.Derive(audit.KeyLabel), server.Wake)
	path, err := write.New(write.Config{
		Pool: p.Pool, Keyring: p.Keyring, Service: p.Name, Log: p.Log, Wake: sequencer.Wake, Now: p.Now,
	})
	if err != nil {
		return err
	}
	p.Write, p.wake = path, sequencer.Wake
	eventv1.RegisterEventServiceServer(p.GRPC, server)
	auditv1.RegisterAuditServiceServer(p.GRPC, audit.NewServer(
		p.Name, p.Pool, p.Keyring.Derive(audit.KeyLabel), p.Pages, sequencer.Wake, p.Now))
	p.Go("sequencer", sequencer.Run)
	p.Go("idempotency purge", p.purge)
	p.Go("master key", p.followMaster)
	return nil
}

// purge removes old outcomes now and then. A failure is told and tried again later:
// they cost space only.
func (p *Process) purge(ctx context.Context) error {
	tick := time.NewTicker(purgeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := idempotency.Purge(ctx, p.Pool, p.Now()); err != nil && ctx.Err() == nil {
			p.Log.WarnContext(ctx, "purge of outcomes failed", "error", pg.Describe(err))
		}
	}
}

// Go runs work beside the calls, from the start of serving until the stop, after the
// calls in flight have ended. Work returns nil when ctx ends; an error before that
// stops the process.
func (p *Process) Go(name string, work func(ctx context.Context) error) {
	p.tasks.add(task{name: name, work: work})
}

// Follow applies the events of the service at target, each exactly once and those of one
// subject in order, as [event.Consumer] does.
func (p *Process) Follow(service, target string, handle func(ctx context.Context, tx pgx.Tx, e *eventv1.Envelope) error) error {
	return p.FollowAs(p.Name, service, target, handle)
}

// FollowAs is [Process.Follow] with a place in the stream of its own. A service that comes to
// take more of a stream than it took before follows it under another name, such as
// "name/what", and gets all of it once more.
func (p *Process) FollowAs(consumer, service, target string, handle func(ctx context.Context, tx pgx.Tx, e *eventv1.Envelope) error) error {
	return p.follow(&event.Consumer{Name: consumer, Source: service, Handle: handle}, target)
}

// FollowAll is Follow for a function that applies a run of events together.
func (p *Process) FollowAll(service, target string, handle func(ctx context.Context, tx pgx.Tx, events []*eventv1.Envelope) error) error {
	return p.follow(&event.Consumer{Name: p.Name, Source: service, HandleAll: handle}, target)
}

func (p *Process) follow(c *event.Consumer, target string) error {
	conn, err := p.Dial(c.Source, target)
	if err != nil {
		return err
	}
	c.Conn, c.Pool, c.Log, c.Wake, c.Registerer = conn, p.Pool, p.Log, p.wake, p.Metrics
	p.Go("events of "+c.Source, c.Run)
	return nil
}

// Ready puts a condition of the service's own on readiness. The check must return
// within a second and end with its context.
func (p *Process) Ready(name string, check func(ctx context.Context) error) {
	p.ready.add(name, check)
}

// Dial connects to a service at a target (etcd:///customer-registry, localhost:9001);
// the peer must show that service's certificate. One connection a service is made and
// shared; the process closes it. Dial does not wait for the service.
func (p *Process) Dial(service, target string) (*grpc.ClientConn, error) {
	if p.dial == nil {
		return nil, errors.New("this process connects to nobody")
	}
	return p.dial(service, target)
}

// Serve takes calls on lis. It fails without having served when a registered method
// has no valid access rule or the policy is faulty. A failure of the listener later
// stops the process.
func (p *Process) Serve(lis net.Listener) error {
	if err := p.guard.Check(p.GRPC.GetServiceInfo()); err != nil {
		return err
	}
	go func() {
		if err := p.GRPC.Serve(lis); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			p.tasks.fail(fmt.Errorf("serve: %w", err))
		}
	}()
	p.ready.set(nil)
	return nil
}

// Start begins the background work.
func (p *Process) Start() { p.tasks.start() }

// Stop finishes the calls in flight, at most for grace, ends endless streams at once
// and then the background work. Readiness should be off before.
func (p *Process) Stop(grace time.Duration) error {
	p.ready.close()
	p.once.Do(func() { close(p.quit) })
	cut := time.AfterFunc(grace, p.GRPC.Stop)
	p.GRPC.GracefulStop()
	if !cut.Stop() {
		p.Log.Warn("calls were cut off", "grace", grace)
	}
	return p.tasks.stop(taskGrace)
}
