package app_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/kefu-suite/kefu/runtime/app"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/discovery"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/runtime/testkit/etcdtest"
)

// connect dials a child as another service would.
func (s *stack) connect(t *testing.T, target string, cfg rpc.ClientConfig) *grpc.ClientConn {
	t.Helper()
	secure, err := authn.ClientTLS(s.files, serviceName)
	if err != nil {
		t.Fatal(err)
	}
	cfg.TLS = secure
	conn, err := rpc.Dial(target, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestLife(t *testing.T) {
	s := newStack(t, "KEFU_LEAVE_WAIT=50ms")
	p := s.start(t, "serve").up()
	for path, want := range map[string]string{"/healthz": "ok", "/readyz": "ok", "/metrics": "go_goroutines"} {
		if code, body := p.get(path); code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %.200s", path, code, body)
		}
	}
	conn := s.connect(t, p.grpc, rpc.ClientConfig{Try: 10 * time.Second})
	if err := wait(t.Context(), conn, 0); err != nil {
		t.Fatal(err)
	}
	if _, body := p.get("/metrics"); !strings.Contains(body, `grpc_server_handled_total{grpc_code="OK",grpc_method="Wait"`) {
		t.Error("the call is not in the metrics")
	}

	// A call in flight survives the stop.
	inFlight := make(chan error, 1)
	go func() { inFlight <- wait(t.Context(), conn, time.Second) }()
	within(t, 20*time.Second, "the call in flight", func() bool {
		_, body := p.get("/metrics")
		return strings.Contains(body, `grpc_server_started_total{grpc_method="Wait",grpc_service="kefu.apptest.v1.AppTestService",grpc_type="unary"} 2`)
	})
	p.signal()
	if err := <-inFlight; err != nil {
		t.Errorf("the call in flight was lost: %v", err)
	}
	if code := p.end(10 * time.Second); code != 0 {
		t.Errorf("exit code %d:\n%s", code, p.log())
	}
}

func TestSecondSignalKills(t *testing.T) {
	s := newStack(t)
	p := s.start(t, "serve").up()
	conn := s.connect(t, p.grpc, rpc.ClientConfig{Try: 20 * time.Second, Tries: 1})
	go func() { _ = wait(t.Context(), conn, 15*time.Second) }() // killed with the process
	within(t, 20*time.Second, "the call in flight", func() bool {
		_, body := p.get("/metrics")
		return strings.Contains(body, `grpc_server_started_total{grpc_method="Wait"`) &&
			!strings.Contains(body, `grpc_service="kefu.apptest.v1.AppTestService",grpc_type="unary"} 0`)
	})
	p.signal()
	within(t, 5*time.Second, "the stop", func() bool { return strings.Contains(p.log(), `"stopping"`) })
	p.signal()
	if code := p.end(10 * time.Second); code != -1 {
		t.Errorf("exit code %d, want death by the signal", code)
	}
}

func TestStartIsRefused(t *testing.T) {
	s := newStack(t)
	for kind, want := range map[string]string{
		"unruled": "kefu.apptest.v1.AppTestService",
		"fails":   "nothing to serve",
		"task":    "the task broke",
	} {
		p := s.start(t, kind)
		if code := p.end(20 * time.Second); code != 1 {
			t.Errorf("%s: exit code %d", kind, code)
		}
		expect(t, p.log(), want)
		if kind == "unruled" && strings.Contains(p.log(), `"serving"`) {
			t.Error("it served before it looked at the rules")
		}
	}
	if code := s.start(t, "serve", "nonsense").end(20 * time.Second); code != 1 {
		t.Errorf("unknown arguments: exit code %d", code)
	}
}

func TestEveryProblemOfTheEnvironmentIsToldAtOnce(t *testing.T) {
	s := &stack{env: []string{"KEFU_ENV=staging", "KEFU_STOP_GRACE=soon", "KEFU_GATEWAY_KEYS_FILE=/nowhere/keys.pem"}}
	p := s.start(t, "serve")
	if code := p.end(20 * time.Second); code != 1 {
		t.Errorf("exit code %d", code)
	}
	expect(t, p.log(), "KEFU_DATABASE_URL", "KEFU_MASTER_KEY_FILE", "KEFU_ISSUERS", "KEFU_TLS_CA_FILE", "KEFU_TLS_CERT_FILE",
		"KEFU_TLS_KEY_FILE", `KEFU_ENV is "staging"`, "KEFU_STOP_GRACE", "KEFU_GATEWAY_KEYS_FILE")
}

func TestMigrate(t *testing.T) {
	db := testkit.Database(t)
	s := &stack{env: []string{"KEFU_OWNER_DATABASE_URL=" + db.OwnerDSN}}
	for range 2 { // the second time there is nothing to do
		if p := s.start(t, "serve", "migrate"); p.end(60*time.Second) != 0 {
			t.Fatalf("migrate failed:\n%s", p.log())
		}
	}
	for _, table := range []string{"event_outbox", "audit_records", "subject_keys", "idempotency_outcomes"} {
		if _, err := db.Pool.Exec(t.Context(), "SELECT FROM "+table); err != nil {
			t.Errorf("%s: %v", table, err)
		}
	}
	p := (&stack{}).start(t, "serve", "migrate")
	if code := p.end(20 * time.Second); code != 1 {
		t.Errorf("without a database: exit code %d", code)
	}
	expect(t, p.log(), "KEFU_OWNER_DATABASE_URL")
}

func TestParked(t *testing.T) {
	db := testkit.Database(t, app.Migrations()...)
	tell := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
		cmd.Env = []string{childEnv + "=serve", "KEFU_DATABASE_URL=" + db.DSN}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	expect(t, tell("parked"), "no event is parked")
	if _, err := db.Pool.Exec(t.Context(), `INSERT INTO event_parked VALUES
($1, 'survey', 'thing', 7, 'answer.received.v1', '', 10, 'it broke', now(), now() + interval '1 hour')`, serviceName); err != nil {
		t.Fatal(err)
	}
	expect(t, tell("parked"), "survey", "answer.received.v1", "thing", "it broke")
	expect(t, tell("redrive", "survey"), "1 events of survey are due now")
	var due bool
	if err := db.Pool.QueryRow(t.Context(), `SELECT retry_time <= now() FROM event_parked`).Scan(&due); err != nil || !due {
		t.Errorf("due: %v, %v", due, err)
	}
}

// TestReadinessFollowsTheDatabase: it drops and comes back, in the time that
// TestReadinessIsToldInTime measures; liveness depends on nothing outside.
func TestReadinessFollowsTheDatabase(t *testing.T) {
	s := newStack(t)
	p := s.start(t, "serve").up()
	admin := connectAdmin(t)
	name := s.db.Pool.Config().ConnConfig.Database
	allow := func(yes bool) {
		t.Helper()
		if _, err := admin.Exec(t.Context(), fmt.Sprintf("ALTER DATABASE %s ALLOW_CONNECTIONS %t", pgx.Identifier{name}.Sanitize(), yes)); err != nil {
			t.Fatal(err)
		}
	}
	allow(false)
	t.Cleanup(func() { // dropping it needs no connection, but be tidy
		_, _ = admin.Exec(context.WithoutCancel(t.Context()), fmt.Sprintf("ALTER DATABASE %s ALLOW_CONNECTIONS true", pgx.Identifier{name}.Sanitize()))
	})
	if _, err := admin.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name); err != nil {
		t.Fatal(err)
	}
	within(t, 20*time.Second, "the end of readiness", func() bool { code, _ := p.get("/readyz"); return code == http.StatusServiceUnavailable })
	if code, _ := p.get("/healthz"); code != http.StatusOK {
		t.Errorf("liveness: %d", code)
	}
	_, reason := p.get("/readyz")
	expect(t, reason, "database")
	allow(true)
	within(t, 20*time.Second, "readiness", func() bool { code, _ := p.get("/readyz"); return code == http.StatusOK })
}

// TestStartWaitsForTheDatabase: a database that is down is waited for, alive and not
// ready, and the wait can be stopped.
func TestStartWaitsForTheDatabase(t *testing.T) {
	s := newStack(t, "KEFU_DATABASE_URL=postgres://x:x@127.0.0.1:1/x")
	p := s.start(t, "serve")
	p.reached(p.starting)
	within(t, 10*time.Second, "the wait", func() bool { return strings.Contains(p.log(), "waiting for the database") })
	if code, _ := p.get("/healthz"); code != http.StatusOK {
		t.Errorf("liveness: %d", code)
	}
	if code, body := p.get("/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("readiness: %d %s", code, body)
	}
	p.signal()
	if code := p.end(5 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func connectAdmin(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), testkit.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func TestStartWaitsForNoEtcd(t *testing.T) {
	s := newStack(t, "KEFU_ETCD_ENDPOINTS=http://127.0.0.1:1")
	p := s.start(t, "serve").up()
	if code, body := p.get("/readyz"); code != http.StatusOK {
		t.Errorf("readyz: %d %s", code, body)
	}
	p.signal()
	if code := p.end(10 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestOrderedStopLosesNoCall: one of two replicas stops under load; nobody notices.
func TestOrderedStopLosesNoCall(t *testing.T) {
	etcd := etcdtest.Start(t)
	s := newStack(t, "KEFU_ETCD_ENDPOINTS="+strings.Join(etcd.Endpoints(), ","))
	first, second := s.start(t, "serve").up(), s.start(t, "serve").up()
	conn := s.connect(t, "etcd:///"+serviceName, rpc.ClientConfig{Resolver: discovery.NewResolver(etcd.Client(t)), Try: 10 * time.Second})
	within(t, 10*time.Second, "both replicas in turn", func() bool {
		_ = wait(t.Context(), conn, 0)
		return served(first) > 0 && served(second) > 0
	})
	var done atomic.Int64
	end := make(chan struct{})
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
				}
				// No retry: what is lost shows.
				err := conn.Invoke(t.Context(), waitMethod, durationpb.New(5*time.Millisecond), new(durationpb.Duration), grpc.MaxRetryRPCBufferSize(0))
				if err != nil {
					t.Errorf("lost a call: %v", err)
				}
				done.Add(1)
			}
		})
	}
	within(t, 10*time.Second, "load", func() bool { return done.Load() > 50 })
	first.signal()
	if code := first.end(10 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	before := done.Load()
	within(t, 10*time.Second, "load on the other", func() bool { return done.Load() > before+50 })
	close(end)
	callers.Wait()
}

// served is the number of calls that a child has answered.
func served(p *program) int {
	_, body := p.get("/metrics")
	var n int
	for _, line := range strings.Split(body, "\n") {
		if rest, ok := strings.CutPrefix(line, `grpc_server_handled_total{grpc_code="OK",grpc_method="Wait",grpc_service="kefu.apptest.v1.AppTestService",grpc_type="unary"} `); ok {
			_, _ = fmt.Sscan(rest, &n) // zero where it is no number
		}
	}
	return n
}

func TestKeys(t *testing.T) {
	s := newStack(t)
	call := func(verb string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), os.Args[0], "keys", verb)
		cmd.Env = append(append([]string{}, s.env...), childEnv+"=serve")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", verb, err, out)
		}
		return string(out)
	}
	p := s.start(t, "serve").up() // works meanwhile
	expect(t, call("status"), "root", "secret", "wraps")
	expect(t, call("rotate"), "the master key is now", "wraps", "retired")
	if out := call("status"); strings.Contains(out, "to be replaced") {
		t.Errorf("after the rotation:\n%s", out)
	}
	if _, err := s.db.Owner(t).Exec(t.Context(), `UPDATE service_keys SET retire_time = retire_time - interval '1 hour' WHERE retire_time IS NOT NULL`); err != nil {
		t.Fatal(err)
	}
	call("rotate")
	call("retire")
	p.signal()
	if code := p.end(20 * time.Second); code != 0 {
		t.Errorf("the service beside it: exit code %d", code)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "keys", "lose")
	cmd.Env = append(append([]string{}, s.env...), childEnv+"=serve")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "keys rotate") {
		t.Errorf("an unknown verb: %v\n%s", err, out)
	}
}
