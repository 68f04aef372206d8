// Command gateway is the REST edge of the suite.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/resolver"

	"github.com/kefu-suite/kefu/gateway/internal/docs"
	"github.com/kefu-suite/kefu/gateway/internal/edge"
	"github.com/kefu-suite/kefu/runtime/app"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/config"
	"github.com/kefu-suite/kefu/runtime/discovery"
	"github.com/kefu-suite/kefu/runtime/rpc"
)

const name = "gateway"

// Config is everything the gateway reads from its environment.
type Config struct {
	Env      string     `env:"KEFU_ENV" envDefault:"development"`
	LogLevel slog.Level `env:"KEFU_LOG_LEVEL" envDefault:"INFO"`
	// Listen is the public address; MetricsListen that of operators.
	Listen        string   `env:"KEFU_HTTP_LISTEN" envDefault:"127.0.0.1:8080"`
	MetricsListen string   `env:"KEFU_METRICS_LISTEN" envDefault:"127.0.0.1:0"`
	EtcdEndpoints []string `env:"KEFU_ETCD_ENDPOINTS"`

	TLSCA   string `env:"KEFU_TLS_CA_FILE,required,notEmpty"`
	TLSCert string `env:"KEFU_TLS_CERT_FILE,required,notEmpty"`
	TLSKey  string `env:"KEFU_TLS_KEY_FILE,required,notEmpty"`
	// EdgeCert and EdgeKey are the certificate of the public port and its key. Without them
	// it speaks plain HTTP, in development only.
	EdgeCert string `env:"KEFU_HTTP_TLS_CERT_FILE"`
	EdgeKey  string `env:"KEFU_HTTP_TLS_KEY_FILE"`
	// SigningKey is the file of the key that the gateway's tokens are signed with.
	SigningKey string `env:"KEFU_GATEWAY_KEY_FILE,required,notEmpty"`

	Tokens  app.Tokens
	Targets Targets
	Limits  edge.Limits
	// Origins are the web origins that browsers may call from.
	Origins []string `env:"KEFU_CORS_ORIGINS"`
	// TrustedHops are the networks of proxies whose X-Forwarded-For is believed.
	TrustedHops   []netip.Prefix `env:"KEFU_TRUSTED_HOPS"`
	TraceEndpoint string         `env:"OTEL_EXPORTER_OTLP_ENDPOINT"`
	// StopGrace bounds finishing the calls in flight.
	StopGrace time.Duration `env:"KEFU_STOP_GRACE" envDefault:"20s"`
}

// Targets are where the services are, as gRPC target strings.
type Targets struct {
	CustomerRegistry string `env:"KEFU_CUSTOMER_REGISTRY_TARGET" envDefault:"etcd:///customer-registry"`
	ServiceTicket    string `env:"KEFU_SERVICE_TICKET_TARGET" envDefault:"etcd:///service-ticket"`
	Complaint        string `env:"KEFU_COMPLAINT_TARGET" envDefault:"etcd:///complaint"`
	Survey           string `env:"KEFU_SURVEY_TARGET" envDefault:"etcd:///survey"`
}

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	context.AfterFunc(ctx, cancel) // a second signal kills
	if err := run(ctx); err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	var cfg Config
	if err := config.Load(&cfg); err != nil {
		return err
	}
	app.TuneGC()
	log := app.NewLogger(os.Stderr, name, cfg.LogLevel)
	metrics := app.NewMetrics()
	flush, err := app.StartTraces(ctx, name, "", cfg.TraceEndpoint)
	if err != nil {
		return err
	}
	verifier, err := cfg.Tokens.Verifier(cfg.Env == app.Development)
	if err != nil {
		return err
	}
	minter, err := authn.NewMinter(cfg.SigningKey)
	if err != nil {
		return err
	}
	services, err := dial(cfg, metrics)
	if err != nil {
		return err
	}
	defer services.close(log)
	handler, err := edge.New(ctx, edge.Config{
		Log: log, Limits: cfg.Limits, Verifier: verifier, Minter: minter, Docs: docs.Handler(),
		Origins: cfg.Origins, TrustedHops: cfg.TrustedHops, Ready: services.ready,
		Conns: edge.Conns{
			Customer: services.conns["customer-registry"], Ticket: services.conns["service-ticket"],
			Complaint: services.conns["complaint"], Survey: services.conns["survey"],
		},
	})
	if err != nil {
		return err
	}
	ops, err := app.StartOps(log, cfg.MetricsListen, metrics, func() error { return services.anyReady(ctx) }, cfg.Env == app.Development)
	if err != nil {
		return err
	}
	return errors.Join(serve(ctx, cfg, handler, log), ops.Stop(context.Background()), flush(context.Background()))
}

// serve answers until ctx ends, then finishes the calls in flight.
func serve(ctx context.Context, cfg Config, handler http.Handler, log *slog.Logger) error {
	lis, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen for REST: %w", err)
	}
	server := edge.NewServer(cfg.Limits, handler, log)
	take := server.Serve
	if cfg.EdgeCert != "" {
		if server.TLSConfig, err = authn.EdgeTLS(cfg.EdgeCert, cfg.EdgeKey); err != nil {
			return errors.Join(err, lis.Close())
		}
		take = func(lis net.Listener) error { return server.ServeTLS(lis, "", "") }
	}
	failed := make(chan error, 1)
	go func() { failed <- take(lis) }()
	log.Info("serving", "http", lis.Addr().String(), "tls", cfg.EdgeCert != "", "env", cfg.Env)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	log.Info("stopping")
	end, cancel := context.WithTimeout(context.Background(), cfg.StopGrace)
	defer cancel()
	return server.Shutdown(end)
}

// services are the connections to the four services.
type services struct {
	conns map[string]*grpc.ClientConn
	etcd  interface{ Close() error }
}

func dial(cfg Config, metrics prometheus.Registerer) (*services, error) {
	s := &services{conns: map[string]*grpc.ClientConn{}}
	var etcd resolver.Builder
	if len(cfg.EtcdEndpoints) > 0 {
		client, err := discovery.Dial(cfg.EtcdEndpoints, nil)
		if err != nil {
			return nil, err
		}
		s.etcd, etcd = client, discovery.NewResolver(client)
	}
	files := authn.TLSConfig{CAFile: cfg.TLSCA, CertFile: cfg.TLSCert, KeyFile: cfg.TLSKey}
	for service, target := range map[string]string{
		"customer-registry": cfg.Targets.CustomerRegistry, "service-ticket": cfg.Targets.ServiceTicket,
		"complaint": cfg.Targets.Complaint, "survey": cfg.Targets.Survey,
	} {
		secure, err := authn.ClientTLS(files, service)
		if err != nil {
			return nil, err
		}
		conn, err := rpc.Dial(target, rpc.ClientConfig{TLS: secure, Resolver: etcd, Metrics: metrics})
		if err != nil {
			return nil, err
		}
		s.conns[service] = conn
	}
	return s, nil
}

// probeLimit bounds asking one service whether it serves.
const probeLimit = time.Second

// ready asks every service, at once, whether it serves.
func (s *services) ready(ctx context.Context) map[string]error {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	type answer struct {
		service string
		err     error
	}
	answers := make(chan answer, len(s.conns))
	for service, conn := range s.conns {
		go func() {
			_, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
			if err != nil {
				err = errors.New("not reachable")
			}
			answers <- answer{service, err}
		}()
	}
	out := make(map[string]error, len(s.conns))
	for range s.conns {
		a := <-answers
		out[a.service] = a.err
	}
	return out
}

// anyReady is nil while at least one service serves.
func (s *services) anyReady(ctx context.Context) error {
	for _, err := range s.ready(ctx) {
		if err == nil {
			return nil
		}
	}
	return errors.New("no service can be reached")
}

func (s *services) close(log *slog.Logger) {
	var problems []error
	for _, conn := range s.conns {
		problems = append(problems, conn.Close())
	}
	if s.etcd != nil {
		problems = append(problems, s.etcd.Close())
	}
	if err := errors.Join(problems...); err != nil {
		log.Warn("closing connections", "error", err)
	}
}
