//go:build bench

package bench

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/kefu-suite/kefu/runtime/testkit"
)

const readyWithin = 2 * time.Minute

// programState is what a running stack says of one of its programs.
type programState struct {
	Name    string `json:"name"`
	PID     int    `json:"pid"`
	GRPC    string `json:"grpc"`
	Metrics string `json:"metrics"`
}

// stack is the suite as processes of its own, on a Postgres with real durability.
type stack struct {
	bin, dir string
	admin    string // URL of the server's administrator
	postgres string // the server's folder
	rest     string // host:port
	programs map[string]programState
	trusted  *x509.CertPool
}

// startStack builds the programs and brings them up with rates that do not bind.
func startStack(t *testing.T, bin string) *stack {
	t.Helper()
	dir := t.TempDir()
	if bin == "" {
		bin = filepath.Join(dir, "bin")
		build(t, bin)
	}
	s := &stack{bin: bin, dir: filepath.Join(dir, "stack"), postgres: filepath.Join(dir, "postgres"), programs: map[string]programState{}}
	s.admin = testkit.Durable(t, s.postgres)
	var output bytes.Buffer
	up := exec.Command(filepath.Join(bin, "kefuctl"), "up", "--dir", s.dir, "--http", "127.0.0.1:0", "--free-ports")
	up.Env = append(os.Environ(), "KEFU_DATABASE_URL="+s.admin)
	for _, class := range []string{"DEFAULT", "PUBLIC", "BULK", "SERVICE"} {
		up.Env = append(up.Env, "KEFU_RATE_"+class+"=1000000", "KEFU_RATE_"+class+"_BURST=1000000")
	}
	up.Stdout, up.Stderr = &output, &output
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- up.Wait() }()
	t.Cleanup(func() {
		_ = up.Process.Signal(os.Interrupt) // gone already is reported by its end
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("the stack did not end in order: %v\n%s", err, &output)
			}
		case <-time.After(time.Minute):
			_ = up.Process.Kill()
			t.Error("the stack did not stop within a minute")
		}
	})
	for deadline := time.Now().Add(readyWithin); s.read() != nil; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) || len(ended) > 0 {
			t.Fatalf("the stack did not become ready:\n%s", &output)
		}
	}
	return s
}

func build(t *testing.T, bin string) {
	t.Helper()
	cmd := exec.Command("go", "build", "-o", bin+"/", "./services/customer-registry", "./services/service-ticket",
		"./services/complaint", "./services/survey", "./gateway", "./deploy/kefuctl")
	cmd.Dir = filepath.Join("..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
}

// read takes in what the stack says of itself once it is ready.
func (s *stack) read() error {
	var state struct {
		REST     string         `json:"rest"`
		CAFile   string         `json:"caFile"`
		Programs []programState `json:"programs"`
	}
	raw, err := os.ReadFile(filepath.Join(s.dir, "stack.json"))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, &state); err != nil {
		return err
	}
	s.rest = strings.TrimPrefix(state.REST, "http://")
	for _, p := range state.Programs {
		s.programs[p.Name] = p
	}
	pem, err := os.ReadFile(state.CAFile)
	if err != nil {
		return err
	}
	s.trusted = x509.NewCertPool()
	if !s.trusted.AppendCertsFromPEM(pem) {
		return errors.New("no certificate in " + state.CAFile)
	}
	return nil
}

// token is an access token of the development issuer.
func (s *stack) token(t *testing.T, role string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(s.bin, "kefuctl"), "token", "--dir", s.dir, "--role", role)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("kefuctl token: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// dial connects to a service as an internal system does: TLS and an access token.
func (s *stack) dial(t *testing.T, service string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(s.programs[service].GRPC,
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: s.trusted, MinVersion: tls.VersionTLS13})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}
