package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kefu-suite/kefu/runtime/config"
)

// productive is an environment that production takes.
func productive(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	file := func(name string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return map[string]string{
		"KEFU_ENV": "production", "KEFU_HTTP_LISTEN": "0.0.0.0:443", "KEFU_METRICS_LISTEN": "10.0.0.1:9100",
		"KEFU_TLS_CA_FILE": file("ca.pem"), "KEFU_TLS_CERT_FILE": file("cert.pem"), "KEFU_TLS_KEY_FILE": file("key.pem"),
		"KEFU_HTTP_TLS_CERT_FILE": file("edge.pem"), "KEFU_HTTP_TLS_KEY_FILE": file("edge-key.pem"),
		"KEFU_GATEWAY_KEY_FILE": file("gateway.pem"), "KEFU_ISSUERS": "https://login.example.com",
		"KEFU_CORS_ORIGINS": "https://desk.example.com", "KEFU_TRUSTED_HOPS": "10.0.0.0/24",
	}
}

func open(t *testing.T, file string) {
	t.Helper()
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestProductionRefusesEachUnsafeSettingAndNamesAllAtOnce(t *testing.T) {
	set := func(name, value string) func(map[string]string) {
		return func(e map[string]string) { e[name] = value }
	}
	readable := func(name string) func(map[string]string) {
		return func(e map[string]string) { open(t, e[name]) }
	}
	cases := []struct {
		setting, says string
		spoil         func(map[string]string)
	}{
		{"KEFU_HTTP_TLS_CERT_FILE", "without TLS", func(e map[string]string) { e["KEFU_HTTP_TLS_CERT_FILE"], e["KEFU_HTTP_TLS_KEY_FILE"] = "", "" }},
		{"KEFU_GATEWAY_KEY_FILE", "read by everyone", readable("KEFU_GATEWAY_KEY_FILE")},
		{"KEFU_TLS_KEY_FILE", "read by everyone", readable("KEFU_TLS_KEY_FILE")},
		{"KEFU_CORS_ORIGINS", "no single https origin", set("KEFU_CORS_ORIGINS", "*")},
		{"KEFU_TRUSTED_HOPS", "wider than any network", set("KEFU_TRUSTED_HOPS", "0.0.0.0/0")},
		{"KEFU_ISSUERS", "is not https", set("KEFU_ISSUERS", "http://127.0.0.1:9")},
		{"KEFU_CUSTOMER_AUDIENCE", "taken for those of staff", set("KEFU_CUSTOMER_AUDIENCE", "kefu")},
		{"KEFU_LOG_LEVEL", "at INFO or above", set("KEFU_LOG_LEVEL", "DEBUG")},
		{"KEFU_METRICS_LISTEN", "never stand on the public port", set("KEFU_METRICS_LISTEN", "0.0.0.0:443")},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "in the clear", set("OTEL_EXPORTER_OTLP_ENDPOINT", "http://traces.example:4317")},
		{"KEFU_HTTP_MAX_BODY_BYTES", "at most", set("KEFU_HTTP_MAX_BODY_BYTES", "1073741824")},
		{"KEFU_HTTP_MAX_IMPORT_BYTES", "at most", set("KEFU_HTTP_MAX_IMPORT_BYTES", "1073741824")},
		{"KEFU_HTTP_MAX_HEADER_BYTES", "at most", set("KEFU_HTTP_MAX_HEADER_BYTES", "1048576")},
		{"KEFU_HTTP_HEADER_READ", "at most", set("KEFU_HTTP_HEADER_READ", "1h")},
		{"KEFU_HTTP_READ", "at most", set("KEFU_HTTP_READ", "1h")},
		{"KEFU_HTTP_WRITE", "at most", set("KEFU_HTTP_WRITE", "1h")},
		{"KEFU_HTTP_IDLE", "at most", set("KEFU_HTTP_IDLE", "1h")},
		{"KEFU_HTTP_CALL", "at most", set("KEFU_HTTP_CALL", "1h")},
		{"KEFU_HTTP_TRANSFER_IDLE", "at most", set("KEFU_HTTP_TRANSFER_IDLE", "1h")},
		{"KEFU_HTTP_STREAM", "at most", set("KEFU_HTTP_STREAM", "24h")},
		{"KEFU_HTTP_MAX_UPLOAD_BYTES", "at most", set("KEFU_HTTP_MAX_UPLOAD_BYTES", "1099511627776")},
		{"KEFU_HTTP_MAX_DEPTH", "at most", set("KEFU_HTTP_MAX_DEPTH", "100000")},
		{"KEFU_HTTP_MAX_STREAMS", "at most", set("KEFU_HTTP_MAX_STREAMS", "1000000")},
	}
	if err := config.LoadFrom(new(Config), productive(t)); err != nil {
		t.Fatalf("a safe environment is refused: %v", err)
	}
	all := productive(t)
	for _, c := range cases {
		c.spoil(all)
		environ := productive(t)
		c.spoil(environ)
		problems := problemsOf(t, environ)
		if len(problems) != 1 || !strings.HasPrefix(problems[0], c.setting) || !strings.Contains(problems[0], c.says) {
			t.Errorf("%s: %q; expected one problem that says %q", c.setting, problems, c.says)
		}
	}
	if got := problemsOf(t, all); len(got) != len(cases) {
		t.Errorf("%d of %d unsafe settings are told at once:\n%s", len(got), len(cases), strings.Join(got, "\n"))
	}
	edge := productive(t)
	open(t, edge["KEFU_HTTP_TLS_KEY_FILE"])
	if got := problemsOf(t, edge); len(got) != 1 || !strings.HasPrefix(got[0], "KEFU_HTTP_TLS_KEY_FILE") {
		t.Errorf("the key of the public port may be read by everyone: %q", got)
	}
}

func TestLimitsMustBeLimits(t *testing.T) {
	environ := productive(t)
	environ["KEFU_ENV"] = "development"
	for _, name := range []string{
		"KEFU_HTTP_MAX_BODY_BYTES", "KEFU_HTTP_MAX_IMPORT_BYTES", "KEFU_HTTP_MAX_HEADER_BYTES", "KEFU_HTTP_MAX_DEPTH", "KEFU_HTTP_MAX_STREAMS",
		"KEFU_HTTP_MAX_UPLOAD_BYTES",
	} {
		environ[name] = "0"
	}
	for _, name := range []string{"KEFU_HTTP_HEADER_READ", "KEFU_HTTP_READ", "KEFU_HTTP_WRITE", "KEFU_HTTP_IDLE", "KEFU_HTTP_CALL", "KEFU_HTTP_STREAM", "KEFU_HTTP_TRANSFER_IDLE"} {
		environ[name] = "0s"
	}
	if got := problemsOf(t, environ); len(got) != 13 {
		t.Errorf("%d of 13 limits that are none are told: %q", len(got), got)
	}
}

func problemsOf(t *testing.T, environ map[string]string) (problems []string) {
	t.Helper()
	whole := new(config.Error)
	if err := config.LoadFrom(new(Config), environ); !errors.As(err, &whole) {
		t.Fatalf("it is taken: %v", err)
	}
	for _, p := range whole.Problems {
		problems = append(problems, p.Error())
	}
	return problems
}
