package app

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpc"
)

// The values of KEFU_ENV.
const (
	Development = "development"
	Production  = "production"
)

// Config is what every service reads from its environment. A service embeds it in
// its own configuration struct.
type Config struct {
	// Env is development or production; production refuses what is not safe there.
	Env      string     `env:"KEFU_ENV" envDefault:"development"`
	LogLevel slog.Level `env:"KEFU_LOG_LEVEL" envDefault:"INFO"`

	// Listen is the address of gRPC. Port 0 takes a free one.
	Listen string `env:"KEFU_LISTEN" envDefault:"127.0.0.1:0"`
	// Advertise is the address written to etcd; empty means the one listened on.
	Advertise string `env:"KEFU_ADVERTISE"`
	// MetricsListen is the address of /metrics, /healthz and /readyz.
	MetricsListen string `env:"KEFU_METRICS_LISTEN" envDefault:"127.0.0.1:0"`
	// EtcdEndpoints are where services find each other; with none nothing is
	// registered and targets must be addresses.
	EtcdEndpoints []string `env:"KEFU_ETCD_ENDPOINTS"`

	Database pg.Config

	// TLSCA, TLSCert and TLSKey are the files of mutual TLS. Plaintext goes without,
	// in development only.
	TLSCA     string `env:"KEFU_TLS_CA_FILE"`
	TLSCert   string `env:"KEFU_TLS_CERT_FILE"`
	TLSKey    string `env:"KEFU_TLS_KEY_FILE"`
	Plaintext bool   `env:"KEFU_PLAINTEXT"`

	Keys Keys

	// ErasureList is the folder of the erasure list, outside of whatever holds the database
	// and its backups; replicas share it.
	ErasureList string `env:"KEFU_ERASURE_LIST_DIR"`

	Tokens Tokens
	// GatewayKeys is the file of the gateway's public keys; without it no gateway
	// token is accepted.
	GatewayKeys string `env:"KEFU_GATEWAY_KEYS_FILE"`

	// AuditAnchors is the directory where heads of the audit chain are kept outside of the
	// database; empty means that none are, in development only. AuditAnchorEvery is how often.
	AuditAnchors     string        `env:"KEFU_AUDIT_ANCHORS"`
	AuditAnchorEvery time.Duration `env:"KEFU_AUDIT_ANCHOR_EVERY" envDefault:"60s"`

	// TraceEndpoint gets traces by OTLP over gRPC; empty means that none are made.
	TraceEndpoint string `env:"OTEL_EXPORTER_OTLP_ENDPOINT"`

	Limits rpc.Limits

	// TestClock is the file of a [TestClock] to go by, in development only; empty means
	// the machine's clock.
	TestClock string `env:"KEFU_TEST_CLOCK_FILE"`

	// LeaveWait is how long calls are still taken after leaving etcd: one round of
	// the clients' watches.
	LeaveWait time.Duration `env:"KEFU_LEAVE_WAIT" envDefault:"300ms"`
	// StopGrace bounds finishing the calls in flight.
	StopGrace time.Duration `env:"KEFU_STOP_GRACE" envDefault:"20s"`
}

// base lets Main find the Config inside a service's own.
func (c *Config) base() *Config { return c }

// Check tells what may not stand together, or not in production; all of it at once.
func (c *Config) Check() []error {
	var problems []error
	add := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if c.Env != Development && c.Env != Production {
		add("KEFU_ENV is %q; it must be %s or %s", c.Env, Development, Production)
	}
	if !c.Plaintext {
		for name, file := range map[string]string{
			"KEFU_TLS_CA_FILE": c.TLSCA, "KEFU_TLS_CERT_FILE": c.TLSCert, "KEFU_TLS_KEY_FILE": c.TLSKey,
		} {
			if file == "" {
				add("%s is not set; connections between services need it", name)
			}
		}
	}
	for name, file := range map[string]string{
		"KEFU_TLS_CA_FILE": c.TLSCA, "KEFU_TLS_CERT_FILE": c.TLSCert, "KEFU_TLS_KEY_FILE": c.TLSKey,
		"KEFU_GATEWAY_KEYS_FILE": c.GatewayKeys,
	} {
		if err := readable(file); err != nil {
			add("%s: %w", name, err)
		}
	}
	if c.AuditAnchors != "" {
		if info, err := os.Stat(c.AuditAnchors); err != nil || !info.IsDir() {
			add("KEFU_AUDIT_ANCHORS: %s is no directory that is there", c.AuditAnchors)
		}
	}
	if c.AuditAnchorEvery <= 0 {
		add("KEFU_AUDIT_ANCHOR_EVERY is %s; it must be positive, as 60s", c.AuditAnchorEvery)
	}
	problems = append(problems, c.Keys.check()...)
	if c.ErasureList == "" {
		add("KEFU_ERASURE_LIST_DIR is not set; without the list of erasures a restored backup would bring people back")
	} else if info, err := os.Stat(c.ErasureList); err != nil || !info.IsDir() {
		add("KEFU_ERASURE_LIST_DIR: %s is no folder", c.ErasureList)
	}
	if c.TestClock != "" {
		if _, err := NewTestClock(c.TestClock); err != nil {
			add("KEFU_TEST_CLOCK_FILE: %w", err)
		}
	}
	if c.Env == Production {
		problems = append(problems, c.unsafe()...)
	}
	return problems
}

// readable tells whether a file that is named can be read.
func readable(file string) error {
	if file == "" {
		return nil
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return errors.New(file + " is a directory")
	}
	return nil
}

// clock is the business time: the machine's, unless a test sets another.
func (c *Config) clock() (func() time.Time, error) {
	if c.TestClock == "" {
		return time.Now, nil
	}
	clock, err := NewTestClock(c.TestClock)
	if err != nil {
		return nil, fmt.Errorf("KEFU_TEST_CLOCK_FILE: %w", err)
	}
	return clock.Now, nil
}

func (c *Config) tls() authn.TLSConfig {
	return authn.TLSConfig{CAFile: c.TLSCA, CertFile: c.TLSCert, KeyFile: c.TLSKey}
}

// Tokens says whose access tokens are accepted.
type Tokens struct {
	// Issuers are the URLs of the OpenID providers.
	Issuers          []string `env:"KEFU_ISSUERS,required,notEmpty"`
	Audience         string   `env:"KEFU_AUDIENCE" envDefault:"kefu"`
	CustomerAudience string   `env:"KEFU_CUSTOMER_AUDIENCE" envDefault:"kefu-customers"`
	// GroupsClaim and GroupRoles map an issuer's groups to roles: "group:role|role,…".
	GroupsClaim string            `env:"KEFU_GROUPS_CLAIM"`
	GroupRoles  map[string]string `env:"KEFU_GROUP_ROLES"`
}

// Verifier makes what verifies them. It does not ask the issuers yet. Development
// admits an issuer on plain http at a loopback address.
func (t Tokens) Verifier(development bool) (*authn.Verifier, error) {
	roles := map[string][]string{}
	for group, list := range t.GroupRoles {
		roles[group] = strings.Split(list, "|")
	}
	return authn.NewVerifier(authn.VerifierConfig{
		Issuers: t.Issuers, Audience: t.Audience, CustomerAudience: t.CustomerAudience,
		GroupsClaim: t.GroupsClaim, GroupRoles: roles, Development: development,
	})
}

// authenticator accepts what security asks for: tokens of the issuers, of the
// gateway, and certificates.
func (c *Config) authenticator(log *slog.Logger) (*authn.Authenticator, error) {
	bearer, err := c.Tokens.Verifier(c.Env == Development)
	if err != nil {
		return nil, err
	}
	var gateway *authn.GatewayVerifier
	if c.GatewayKeys != "" {
		if gateway, err = authn.NewGatewayVerifier(c.GatewayKeys); err != nil {
			return nil, err
		}
	}
	return authn.New(bearer, gateway, log), nil
}
