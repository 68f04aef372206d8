package app_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kefu-suite/kefu/runtime/app"
	"github.com/kefu-suite/kefu/runtime/config"
	"github.com/kefu-suite/kefu/runtime/pii"
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
	master := filepath.Join(dir, "master.key")
	if err := pii.NewKeyFile(master); err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"KEFU_ENV": "production", "KEFU_DATABASE_URL": "postgres://complaint:p@db.example/complaint?sslmode=verify-full",
		"KEFU_MASTER_KEY_FILE": master, "KEFU_GATEWAY_KEYS_FILE": file("gateway.pem"),
		"KEFU_TLS_CA_FILE": file("ca.pem"), "KEFU_TLS_CERT_FILE": file("cert.pem"), "KEFU_TLS_KEY_FILE": file("key.pem"),
		"KEFU_ISSUERS": "https://login.example.com", "KEFU_AUDIT_ANCHORS": dir, "KEFU_ERASURE_LIST_DIR": dir,
		"KEFU_LISTEN": "10.0.0.1:9003", "KEFU_METRICS_LISTEN": "10.0.0.1:9103",
		"OTEL_EXPORTER_OTLP_ENDPOINT": "https://traces.example:4317",
	}
}

// open lets everyone read the file of a setting.
func open(t *testing.T, environ map[string]string, name string) {
	t.Helper()
	if err := os.Chmod(environ[name], 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestProductionRefusesEachUnsafeSettingAndNamesAllAtOnce(t *testing.T) {
	clock := filepath.Join(t.TempDir(), "clock")
	if err := os.WriteFile(clock, []byte("+1h\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	set := func(name, value string) func(map[string]string) {
		return func(e map[string]string) { e[name] = value }
	}
	cases := []struct {
		setting, says string
		spoil         func(map[string]string)
	}{
		{"KEFU_PLAINTEXT", "does not run without TLS", set("KEFU_PLAINTEXT", "true")},
		{"KEFU_TEST_CLOCK_FILE", "the machine's clock", set("KEFU_TEST_CLOCK_FILE", clock)},
		{"KEFU_GATEWAY_KEYS_FILE", "is not set", set("KEFU_GATEWAY_KEYS_FILE", "")},
		{"KEFU_AUDIT_ANCHORS", "is not set", set("KEFU_AUDIT_ANCHORS", "")},
		{"KEFU_AUDIT_ANCHOR_EVERY", "at least every minute", set("KEFU_AUDIT_ANCHOR_EVERY", "1h")},
		{"KEFU_ISSUERS", "is not https", set("KEFU_ISSUERS", "http://127.0.0.1:9,https://login.example.com")},
		{"KEFU_CUSTOMER_AUDIENCE", "taken for those of staff", set("KEFU_CUSTOMER_AUDIENCE", "kefu")},
		{"KEFU_LOG_LEVEL", "at INFO or above", set("KEFU_LOG_LEVEL", "DEBUG")},
		{"KEFU_METRICS_LISTEN", "never stand on the public port", set("KEFU_METRICS_LISTEN", "10.0.0.1:9003")},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "in the clear", set("OTEL_EXPORTER_OTLP_ENDPOINT", "http://traces.example:4317")},
		{"KEFU_MASTER_KEY_FILE", "read by everyone", func(e map[string]string) { open(t, e, "KEFU_MASTER_KEY_FILE") }},
		{"KEFU_KMS_TOKEN_FILE", "read by everyone", func(e map[string]string) {
			e["KEFU_KMS_TOKEN_FILE"] = e["KEFU_TLS_CA_FILE"]
			open(t, e, "KEFU_KMS_TOKEN_FILE")
		}},
		{"KEFU_TLS_KEY_FILE", "read by everyone", func(e map[string]string) { open(t, e, "KEFU_TLS_KEY_FILE") }},
		{"KEFU_DATABASE_URL", "may go without TLS", set("KEFU_DATABASE_URL", "postgres://complaint:p@db.example/complaint?sslmode=prefer")},
		{"KEFU_DATABASE_URL", "can alter the audit trail", set("KEFU_DATABASE_URL", "postgres://complaint_owner:p@127.0.0.1/complaint?sslmode=disable")},
		{"KEFU_DATABASE_STATEMENT_TIMEOUT", "at most", set("KEFU_DATABASE_STATEMENT_TIMEOUT", "10m")},
		{"KEFU_GRPC_DEADLINE", "at most", set("KEFU_GRPC_DEADLINE", "1h")},
		{"KEFU_GRPC_STREAM_CHECK", "at most 1m0s", set("KEFU_GRPC_STREAM_CHECK", "10m")},
		{"KEFU_GRPC_MAX_MESSAGE_BYTES", "at most", set("KEFU_GRPC_MAX_MESSAGE_BYTES", "1073741824")},
		{"KEFU_GRPC_MAX_BULK_BYTES", "at most", set("KEFU_GRPC_MAX_BULK_BYTES", "1073741824")},
		{"KEFU_GRPC_MAX_CALLS", "at most 5120", set("KEFU_GRPC_MAX_CALLS", "1000000")},
		{"KEFU_GRPC_MAX_STREAMS", "at most 20000", set("KEFU_GRPC_MAX_STREAMS", "1000000")},
		{"KEFU_GRPC_MAX_OPEN_STREAMS", "at most 20000", set("KEFU_GRPC_MAX_OPEN_STREAMS", "1000000")},
		{"KEFU_GRPC_HANDSHAKE", "at most 100", set("KEFU_GRPC_HANDSHAKE", "1h")},
		{"KEFU_RATE_PUBLIC", "at most 400", set("KEFU_RATE_PUBLIC", "1000000")},
		{"KEFU_RATE_PUBLIC_BURST", "at most 2000", set("KEFU_RATE_PUBLIC_BURST", "1000000")},
		{"KEFU_RATE_DEFAULT", "at most 10000", set("KEFU_RATE_DEFAULT", "1000000")},
		{"KEFU_RATE_DEFAULT_BURST", "at most 20000", set("KEFU_RATE_DEFAULT_BURST", "1000000")},
		{"KEFU_RATE_BULK", "at most 1000", set("KEFU_RATE_BULK", "1000000")},
		{"KEFU_RATE_BULK_BURST", "at most 2000", set("KEFU_RATE_BULK_BURST", "1000000")},
		{"KEFU_RATE_SERVICE", "at most 100000", set("KEFU_RATE_SERVICE", "1000000")},
		{"KEFU_RATE_SERVICE_BURST", "at most 200000", set("KEFU_RATE_SERVICE_BURST", "1000000")},
	}
	if err := config.LoadFrom(new(app.Config), productive(t)); err != nil {
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
		environ["KEFU_ENV"] = "development"
		if c.setting != "KEFU_GATEWAY_KEYS_FILE" {
			if err := config.LoadFrom(new(app.Config), environ); err != nil {
				t.Errorf("%s: development refuses it: %v", c.setting, err)
			}
		}
	}
	// The URL can be wrong in one way at a time here, and names the owner last.
	if got := problemsOf(t, all); len(got) != len(cases)-1 {
		t.Errorf("%d of %d unsafe settings are told at once:\n%s", len(got), len(cases)-1, strings.Join(got, "\n"))
	}
}

func problemsOf(t *testing.T, environ map[string]string) (problems []string) {
	t.Helper()
	whole := new(config.Error)
	if err := config.LoadFrom(new(app.Config), environ); !errors.As(err, &whole) {
		t.Fatalf("production takes it: %v", err)
	}
	for _, p := range whole.Problems {
		problems = append(problems, p.Error())
	}
	return problems
}
