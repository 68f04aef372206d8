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
	mostUpload  = 4 << 30
	mostHeader  = 64 << 10
	mostDepth   = 256
	mostStreams = 2000
	mostTimeout = 2 * time.Minute
	mostStream  = time.Hour
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
	return append(problems, c.boundless()...)
}

// boundless tells the limits that are so large that they bound nothing.
func (c *Config) boundless() []error {
	var problems []error
	for name, is := range map[string]struct{ n, most int64 }{
		"KEFU_HTTP_MAX_BODY_BYTES":   {c.Limits.BodyBytes, mostBody},
		"KEFU_HTTP_MAX_IMPORT_BYTES": {c.Limits.ImportBytes, mostBody},
		"KEFU_HTTP_MAX_UPLOAD_BYTES": {c.Limits.UploadBytes, mostUpload},
		"KEFU_HTTP_MAX_HEADER_BYTES": {int64(c.Limits.HeaderBytes), mostHeader},
		"KEFU_HTTP_MAX_DEPTH":        {int64(c.Limits.Depth), mostDepth},
		"KEFU_HTTP_MAX_STREAMS":      {int64(c.Limits.Streams), mostStreams},
	} {
		if is.n > is.most {
			problems = append(problems, fmt.Errorf("%s is %d; production allows at most %d", name, is.n, is.most))
		}
	}
	for name, is := range map[string]struct{ d, most time.Duration }{
		"KEFU_HTTP_HEADER_READ": {c.Limits.HeaderRead, mostTimeout}, "KEFU_HTTP_READ": {c.Limits.Read, mostTimeout},
		"KEFU_HTTP_WRITE": {c.Limits.Write, mostTimeout}, "KEFU_HTTP_IDLE": {c.Limits.Idle, mostTimeout},
		"KEFU_HTTP_CALL": {c.Limits.Call, mostTimeout}, "KEFU_HTTP_TRANSFER_IDLE": {c.Limits.Transfer, mostTimeout},
		"KEFU_HTTP_STREAM": {c.Limits.Stream, mostStream},
	} {
		if is.d > is.most {
			problems = append(problems, fmt.Errorf("%s is %s; production allows at most %s", name, is.d, is.most))
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
