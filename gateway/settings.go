package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/kefu-suite/kefu/runtime/app"
)

// Check tells what may not stand together, or not in production; all of it at once.
func (c *Config) Check() []error {
	problems := c.Limits.Check()
	if c.Env != app.Development && c.Env != app.Production {
		problems = append(problems, fmt.Errorf("KEFU_ENV is %q; it must be %s or %s", c.Env, app.Development, app.Production))
	}
	if (c.EdgeCert == "") != (c.EdgeKey == "") {
		problems = append(problems, errors.New("KEFU_HTTP_TLS_CERT_FILE and KEFU_HTTP_TLS_KEY_FILE go together; set both or neither"))
	}
	for name, file := range map[string]string{
		"KEFU_TLS_CA_FILE": c.TLSCA, "KEFU_TLS_CERT_FILE": c.TLSCert, "KEFU_TLS_KEY_FILE": c.TLSKey,
		"KEFU_GATEWAY_KEY_FILE": c.SigningKey, "KEFU_HTTP_TLS_CERT_FILE": c.EdgeCert, "KEFU_HTTP_TLS_KEY_FILE": c.EdgeKey,
	} {
		if file == "" {
			continue
		}
		if _, err := os.Stat(file); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", name, err))
		}
	}
	if c.Env == app.Production {
		problems = append(problems, c.unsafe()...)
	}
	return problems
}

// The largest values that production takes: above them a limit is none.
const (
	mostBody    = 64 << 20
	mostHeader  = 64 << 10
	mostTimeout = 2 * time.Minute
)

// unsafe is what production refuses of the gateway.
func (c *Config) unsafe() []error {
	problems := app.Exposure{
		LogLevel: c.LogLevel, ListenName: "KEFU_HTTP_LISTEN", Listen: c.Listen, MetricsListen: c.MetricsListen,
		Tokens: c.Tokens, TraceEndpoint: c.TraceEndpoint,
		Secrets: map[string]string{
			"KEFU_GATEWAY_KEY_FILE": c.SigningKey, "KEFU_TLS_KEY_FILE": c.TLSKey, "KEFU_HTTP_TLS_KEY_FILE": c.EdgeKey,
		},
	}.Unsafe()
	add := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if c.EdgeCert == "" {
		add("KEFU_HTTP_TLS_CERT_FILE is not set; production does not serve the API without TLS")
	}
	for _, origin := range c.Origins {
		if strings.Contains(origin, "*") || !strings.HasPrefix(origin, "https://") {
			add("KEFU_CORS_ORIGINS: %q is no single https origin", origin)
		}
	}
	for _, hops := range c.TrustedHops {
		if wide(hops) {
			add("KEFU_TRUSTED_HOPS: %s is wider than any network of proxies; whoever is in it chooses the address they are counted by", hops)
		}
	}
	for name, n := range map[string]int64{"KEFU_HTTP_MAX_BODY_BYTES": c.Limits.BodyBytes, "KEFU_HTTP_MAX_IMPORT_BYTES": c.Limits.ImportBytes} {
		if n > mostBody {
			add("%s is %d; production allows at most %d", name, n, mostBody)
		}
	}
	if c.Limits.HeaderBytes > mostHeader {
		add("KEFU_HTTP_MAX_HEADER_BYTES is %d; production allows at most %d", c.Limits.HeaderBytes, mostHeader)
	}
	for name, d := range map[string]time.Duration{
		"KEFU_HTTP_HEADER_READ": c.Limits.HeaderRead, "KEFU_HTTP_READ": c.Limits.Read,
		"KEFU_HTTP_WRITE": c.Limits.Write, "KEFU_HTTP_IDLE": c.Limits.Idle,
	} {
		if d > mostTimeout {
			add("%s is %s; production allows at most %s", name, d, mostTimeout)
		}
	}
	return problems
}

// wide tells a network that no company's proxies fill.
func wide(p netip.Prefix) bool {
	if p.Addr().Is4() {
		return p.Bits() < 8
	}
	return p.Bits() < 32
}
