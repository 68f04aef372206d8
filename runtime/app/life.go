package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/discovery"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpc"
)

// The bounds of the steps of starting and stopping.
const (
	openLimit  = 5 * time.Second
	openPause  = 500 * time.Millisecond
	closeLimit = 5 * time.Second
)

// life holds what a process has opened, so that close undoes exactly that.
type life struct {
	name, instance string
	cfg            *Config
	log            *slog.Logger
	metrics        *prometheus.Registry
	process        *Process

	ops          *Ops
	traces       func(context.Context) error
	pool         *pgxpool.Pool
	etcd         *clientv3.Client
	registration *discovery.Registration

	mu    sync.Mutex
	conns map[string]*grpc.ClientConn
}

func newLife(name string, cfg *Config, out io.Writer) *life {
	return &life{
		name: name, instance: uuid.NewString(), cfg: cfg,
		log: NewLogger(out, name, cfg.LogLevel), metrics: NewMetrics(),
		conns: map[string]*grpc.ClientConn{},
	}
}

// begin opens everything and puts the process together.
func (l *life) begin(ctx context.Context, policy authz.Policy) error {
	if err := l.beginToTell(ctx); err != nil {
		return err
	}
	identity, err := l.cfg.authenticator(l.log)
	if err != nil {
		return err
	}
	now, err := l.cfg.clock()
	if err != nil {
		return err
	}
	if l.cfg.TestClock != "" {
		l.log.Warn("going by a test clock", "file", l.cfg.TestClock, "now", now())
	}
	var secure *tls.Config
	if !l.cfg.Plaintext {
		if secure, err = authn.ServerTLS(l.cfg.tls()); err != nil {
			return err
		}
	}
	if len(l.cfg.EtcdEndpoints) > 0 {
		if l.etcd, err = discovery.Dial(l.cfg.EtcdEndpoints, nil); err != nil {
			return err
		}
	}
	if err := l.openPool(ctx); err != nil {
		return err
	}
	keyring, err := l.cfg.Keys.open(ctx, l.pool)
	if err != nil {
		return err
	}
	p, err := New(Parts{
		Name: l.name, Log: l.log, Pool: l.pool, Keyring: keyring, Policy: policy, Authn: identity,
		TLS: secure, Limits: l.cfg.Limits, Metrics: l.metrics, Dial: l.dial, Forwarder: authn.GatewayService,
		Reflection: l.cfg.Env == Development, Now: now, ErasureList: l.cfg.ErasureList,
	})
	if err != nil {
		return err
	}
	probe := &databaseProbe{config: l.pool.Config().ConnConfig}
	p.Ready("database", probe.check)
	if l.cfg.AuditAnchors != "" {
		a, err := newAnchoring(l.log, l.metrics, l.pool, audit.AnchorFile(l.cfg.AuditAnchors, l.name), l.cfg.AuditAnchorEvery)
		if err != nil {
			return err
		}
		p.Go("audit anchors", a.run)
	}
	p.Go("readiness", func(ctx context.Context) error {
		defer probe.close()
		return p.ready.run(ctx)
	})
	l.mu.Lock()
	l.process = p
	l.mu.Unlock()
	return nil
}

// beginToTell opens what operators hear of the process by.
func (l *life) beginToTell(ctx context.Context) error {
	var err error
	if l.ops, err = StartOps(l.log, l.cfg.MetricsListen, l.metrics, l.readyErr, l.cfg.Env == Development); err != nil {
		return err
	}
	l.log.Info("starting", "metrics", l.ops.Addr())
	l.traces, err = StartTraces(ctx, l.name, l.instance, l.cfg.TraceEndpoint)
	return err
}

// readyErr answers /readyz, also before there is a process.
func (l *life) readyErr() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.process == nil {
		return errNotStarted
	}
	return l.process.ready.err()
}

// openPool waits for a database that is down, because it may come up after us; any
// other failure is final.
func (l *life) openPool(ctx context.Context) error {
	cfg := l.cfg.Database
	if cfg.Application == "" {
		cfg.Application = l.name
	}
	for {
		try, cancel := context.WithTimeout(ctx, openLimit)
		pool, err := pg.Open(try, cfg)
		cancel()
		if err == nil {
			l.pool = pool
			return nil
		}
		if ctx.Err() != nil || (!pg.Unavailable(err) && !errors.Is(err, context.DeadlineExceeded)) {
			return err
		}
		l.log.Warn("waiting for the database", "error", pg.Describe(err))
		timer := time.NewTimer(openPause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// dial makes, or gives again, the connection to a service.
func (l *life) dial(service, target string) (*grpc.ClientConn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := service + " " + target
	if conn, ok := l.conns[key]; ok {
		return conn, nil
	}
	cfg := rpc.ClientConfig{Metrics: l.metrics}
	if l.etcd != nil {
		cfg.Resolver = discovery.NewResolver(l.etcd)
	}
	if !l.cfg.Plaintext {
		secure, err := authn.ClientTLS(l.cfg.tls(), service)
		if err != nil {
			return nil, err
		}
		cfg.TLS = secure
	}
	conn, err := rpc.Dial(target, cfg)
	if err != nil {
		return nil, err
	}
	l.conns[key] = conn
	return conn, nil
}

// serve opens the listener, starts background work and announces the instance.
func (l *life) serve() error {
	lis, err := net.Listen("tcp", l.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	address, err := advertised(l.cfg.Advertise, lis.Addr())
	if err == nil {
		err = l.process.Serve(lis)
	}
	if err != nil {
		return errors.Join(err, lis.Close())
	}
	l.process.Start()
	if l.etcd != nil {
		l.registration, err = discovery.Register(l.process.tasks.ctx, l.etcd, l.name,
			discovery.Instance{ID: l.instance, Addr: address})
		if err != nil {
			return err
		}
	}
	l.log.Info("serving", "grpc", lis.Addr().String(), "advertised", address, "metrics", l.ops.Addr(), "env", l.cfg.Env)
	return nil
}

// stop is the ordered end: nobody new comes, then those who are here finish.
func (l *life) stop() error {
	l.process.ready.close()
	if l.registration != nil {
		ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
		if err := l.registration.Leave(ctx); err != nil {
			l.log.Warn("could not leave etcd; the entry ends with its lease", "error", err)
		}
		cancel()
		<-time.After(l.cfg.LeaveWait)
	}
	err := l.process.Stop(l.cfg.StopGrace)
	l.log.Info("stopped")
	return err
}

// close gives back whatever begin opened, also after a start that failed half-way.
func (l *life) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
	defer cancel()
	var problems []error
	if l.process != nil {
		l.process.GRPC.Stop()
		problems = append(problems, l.process.tasks.stop(closeLimit))
	}
	l.mu.Lock()
	for _, conn := range l.conns {
		problems = append(problems, conn.Close())
	}
	l.mu.Unlock()
	if l.etcd != nil {
		problems = append(problems, l.etcd.Close())
	}
	if l.pool != nil {
		closed := make(chan struct{})
		go func() {
			if l.process != nil {
				l.process.Lists.Close()
			}
			l.pool.Close()
			close(closed)
		}()
		select {
		case <-closed:
		case <-ctx.Done():
			problems = append(problems, errors.New("database connections were still in use at the end"))
		}
	}
	if l.traces != nil {
		problems = append(problems, l.traces(ctx))
	}
	if l.ops != nil {
		problems = append(problems, l.ops.Stop(ctx))
	}
	return errors.Join(problems...)
}

// advertised is the address others are told: the configured one, its port taken from
// the listener where it names none.
func advertised(configured string, lis net.Addr) (string, error) {
	host, port, err := net.SplitHostPort(lis.String())
	if err != nil {
		return "", fmt.Errorf("listener: %w", err)
	}
	if configured != "" {
		h, p, err := net.SplitHostPort(configured)
		if err != nil {
			return "", fmt.Errorf("KEFU_ADVERTISE: %w", err)
		}
		host = h
		if p != "" && p != "0" {
			port = p
		}
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		return "", fmt.Errorf("%q is no address that others can call; set KEFU_ADVERTISE", net.JoinHostPort(host, port))
	}
	return net.JoinHostPort(host, port), nil
}
