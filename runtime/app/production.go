package app

import (
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kefu-suite/kefu/runtime/rpc"
)

// Exposure is what every program of the suite, the gateway included, has to show before it
// runs in production.
type Exposure struct {
	LogLevel slog.Level
	// Listen and MetricsListen are the public address and that of the operators.
	ListenName, Listen, MetricsListen string
	Tokens                            Tokens
	TraceEndpoint                     string
	// Secrets are files that only the program's own user and group may read, by setting.
	Secrets map[string]string
}

// Unsafe tells everything that production refuses, each with its setting.
func (e Exposure) Unsafe() []error {
	var problems []error
	add := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if e.LogLevel < slog.LevelInfo {
		add("KEFU_LOG_LEVEL is %s; production logs at INFO or above", e.LogLevel)
	}
	if _, port, err := net.SplitHostPort(e.MetricsListen); err == nil && port != "0" && e.MetricsListen == e.Listen {
		add("KEFU_METRICS_LISTEN is %s like %s; metrics never stand on the public port", e.MetricsListen, e.ListenName)
	}
	for _, issuer := range e.Tokens.Issuers {
		if u, err := url.Parse(issuer); err != nil || u.Scheme != "https" {
			add("KEFU_ISSUERS: %q is not https; a development issuer has no place in production", issuer)
		}
	}
	if e.Tokens.Audience == e.Tokens.CustomerAudience {
		add("KEFU_CUSTOMER_AUDIENCE is %q like KEFU_AUDIENCE; tokens of customers would be taken for those of staff", e.Tokens.CustomerAudience)
	}
	if u, err := url.Parse(e.TraceEndpoint); err == nil && u.Scheme == "http" && !loopback(u.Hostname()) {
		add("OTEL_EXPORTER_OTLP_ENDPOINT: %s is not https; traces do not leave the machine in the clear", e.TraceEndpoint)
	}
	for name, file := range e.Secrets {
		if info, err := os.Stat(file); file != "" && err == nil && info.Mode().Perm()&0o007 != 0 {
			add("%s: %s may be read by everyone; take those rights away", name, file)
		}
	}
	return problems
}

// The largest values that production takes: above them a limit is none.
const (
	mostDeadline = 5 * time.Minute
	// mostStreamCheck is how long a stream may outlive its caller's right at most.
	mostStreamCheck = time.Minute
	mostStatement   = time.Minute
	mostMessage     = 64 << 20
	// mostTimes is how many times its default a rate or a number of calls at once may be.
	mostTimes = 20
)

// unsafe is what production refuses of a service.
func (c *Config) unsafe() []error {
	problems := Exposure{
		LogLevel: c.LogLevel, ListenName: "KEFU_LISTEN", Listen: c.Listen, MetricsListen: c.MetricsListen,
		Tokens: c.Tokens, TraceEndpoint: c.TraceEndpoint,
		Secrets: map[string]string{"KEFU_TLS_KEY_FILE": c.TLSKey},
	}.Unsafe()
	add := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if c.Plaintext {
		add("KEFU_PLAINTEXT: production does not run without TLS")
	}
	if c.TestClock != "" {
		add("KEFU_TEST_CLOCK_FILE: production goes by the machine's clock")
	}
	if c.GatewayKeys == "" {
		add("KEFU_GATEWAY_KEYS_FILE is not set; without it nobody gets through the gateway")
	}
	if c.AuditAnchors == "" {
		add("KEFU_AUDIT_ANCHORS is not set; without anchors outside of the database a cut end of the audit trail does not show")
	}
	if c.AuditAnchorEvery > time.Minute {
		add("KEFU_AUDIT_ANCHOR_EVERY is %s; production anchors at least every minute", c.AuditAnchorEvery)
	}
	if c.Database.StatementTimeout > mostStatement {
		add("KEFU_DATABASE_STATEMENT_TIMEOUT is %s; production allows at most %s", c.Database.StatementTimeout, mostStatement)
	}
	if c.Limits.StreamCheck > mostStreamCheck {
		add("KEFU_GRPC_STREAM_CHECK is %s; production allows at most %s", c.Limits.StreamCheck, mostStreamCheck)
	}
	if c.Limits.Deadline > mostDeadline {
		add("KEFU_GRPC_DEADLINE is %s; production allows at most %s", c.Limits.Deadline, mostDeadline)
	}
	for name, n := range map[string]int{"KEFU_GRPC_MAX_MESSAGE_BYTES": c.Limits.MaxMessageBytes, "KEFU_GRPC_MAX_BULK_BYTES": c.Limits.MaxBulkBytes} {
		if n > mostMessage {
			add("%s is %d; production allows at most %d", name, n, mostMessage)
		}
	}
	return slices.Concat(problems, unsafeRates(c.Limits), c.Keys.unsafe(), unsafeDatabase(c.Database.URL))
}

// unsafeRates tells rates and numbers of calls that bound nobody.
func unsafeRates(l rpc.Limits) []error {
	var problems []error
	usual := rpc.DefaultLimits()
	for name, is := range map[string]struct{ n, usual float64 }{
		"KEFU_RATE_DEFAULT":          {l.DefaultRate, usual.DefaultRate},
		"KEFU_RATE_DEFAULT_BURST":    {float64(l.DefaultBurst), float64(usual.DefaultBurst)},
		"KEFU_RATE_PUBLIC":           {l.PublicRate, usual.PublicRate},
		"KEFU_RATE_PUBLIC_BURST":     {float64(l.PublicBurst), float64(usual.PublicBurst)},
		"KEFU_RATE_BULK":             {l.BulkRate, usual.BulkRate},
		"KEFU_RATE_BULK_BURST":       {float64(l.BulkBurst), float64(usual.BulkBurst)},
		"KEFU_RATE_SERVICE":          {l.ServiceRate, usual.ServiceRate},
		"KEFU_RATE_SERVICE_BURST":    {float64(l.ServiceBurst), float64(usual.ServiceBurst)},
		"KEFU_GRPC_MAX_CALLS":        {float64(l.MaxCalls), float64(usual.MaxCalls)},
		"KEFU_GRPC_MAX_STREAMS":      {float64(l.MaxStreams), float64(usual.MaxStreams)},
		"KEFU_GRPC_MAX_OPEN_STREAMS": {float64(l.MaxOpenStreams), float64(usual.MaxOpenStreams)},
		"KEFU_GRPC_HANDSHAKE":        {l.Handshake.Seconds(), usual.Handshake.Seconds()},
	} {
		if is.n > mostTimes*is.usual {
			problems = append(problems, fmt.Errorf("%s is %v; production allows at most %v", name, is.n, mostTimes*is.usual))
		}
	}
	return problems
}

// unsafeDatabase wants TLS to a database elsewhere, and the role that cannot change the
// audit trail. A URL that cannot be read is told when it is used; its text holds a password.
func unsafeDatabase(dsn string) []error {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil
	}
	var problems []error
	plain := cfg.TLSConfig == nil && !local(cfg.Host)
	for _, f := range cfg.Fallbacks {
		plain = plain || (f.TLSConfig == nil && !local(f.Host))
	}
	if plain {
		problems = append(problems, fmt.Errorf("KEFU_DATABASE_URL: the connection to %s may go without TLS; set sslmode=verify-full", cfg.Host))
	}
	if cfg.User == "postgres" || strings.HasSuffix(cfg.User, "_owner") {
		problems = append(problems, fmt.Errorf("KEFU_DATABASE_URL: the role %s can alter the audit trail; run as the service's own role", cfg.User))
	}
	return problems
}

// local tells a Unix socket or an address of this machine.
func local(host string) bool { return strings.HasPrefix(host, "/") || loopback(host) }

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}
