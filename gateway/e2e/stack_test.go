// Package e2e uses the suite as its users do: over HTTP and gRPC, on the running stack
// of separate processes, real Postgres and real etcd.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// readyWithin bounds the start of a stack whose programs are built.
const readyWithin = 60 * time.Second

// mostComplaints are shown of each program's log when a test fails.
const mostComplaints = 20

// state is what a running stack says of itself.
type state struct {
	PID      int    `json:"pid"`
	REST     string `json:"rest"`
	Etcd     string `json:"etcd"`
	CAFile   string `json:"caFile"`
	Programs []struct {
		Name    string `json:"name"`
		Replica int    `json:"replica"`
		PID     int    `json:"pid"`
		Starts  int    `json:"starts"`
		GRPC    string `json:"grpc"`
		Log     string `json:"log"`
	} `json:"programs"`
}

// grpc is the address of a program's first replica.
func (s *state) grpc(program string) string {
	for _, p := range s.Programs {
		if p.Name == program {
			return p.GRPC
		}
	}
	return ""
}

// stack is a running suite.
type stack struct {
	bin, dir string
	process  *exec.Cmd
	ended    chan error
	output   *transcript

	mu     sync.Mutex
	tokens map[string]string
}

// transcript keeps what a process says while others read it.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *transcript) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *transcript) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// suite is the stack that the tests of this package share.
var suite *stack

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "grpcurl" { // a tour calls
		if err := grpcurl(os.Args[2:], os.Stdout); err != nil {
			_, _ = fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	flag.Parse()
	code, err := run(m)
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "kefu-e2e-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	bin := filepath.Join(dir, "bin")
	if err := build(bin); err != nil {
		return 1, err
	}
	if suite, err = start(bin, filepath.Join(dir, "stack")); err != nil {
		return 1, err
	}
	code = m.Run()
	if code != 0 {
		suite.showLogs()
	}
	return code, suite.stop()
}

// build makes the programs; unchanged ones come from Go's cache.
func build(bin string) error {
	if err := os.MkdirAll(bin, 0o700); err != nil {
		return err
	}
	cmd := exec.Command("go", "build", "-o", bin+"/",
		"./services/customer-registry", "./services/service-ticket", "./services/complaint", "./services/survey", "./gateway", "./deploy/kefuctl")
	cmd.Dir = filepath.Join("..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	return nil
}

// start brings up a stack in dir and waits until it is ready.
func start(bin, dir string, flags ...string) (*stack, error) {
	s := &stack{bin: bin, dir: dir, output: &transcript{}, tokens: map[string]string{}}
	args := append([]string{"up", "--dir", dir, "--http", "127.0.0.1:0", "--free-ports"}, flags...)
	s.process = exec.Command(filepath.Join(bin, "kefuctl"), args...)
	s.process.Stdout, s.process.Stderr = s.output, s.output
	if err := s.process.Start(); err != nil {
		return nil, err
	}
	s.ended = make(chan error, 1)
	go func() { s.ended <- s.process.Wait() }()
	deadline := time.After(readyWithin)
	for {
		if st, err := s.state(); err == nil && st.PID == s.process.Process.Pid {
			return s, nil
		}
		select {
		case err := <-s.ended:
			return nil, fmt.Errorf("the stack ended before it was ready: %w\n%s", err, s.output)
		case <-deadline:
			_ = s.process.Process.Kill()
			return nil, fmt.Errorf("the stack was not ready within %v:\n%s", readyWithin, s.output)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// state reads what the stack last said of itself.
func (s *stack) state() (state, error) {
	var st state
	raw, err := os.ReadFile(filepath.Join(s.dir, "stack.json"))
	if err != nil {
		return st, err
	}
	return st, json.Unmarshal(raw, &st)
}

// stop ends the stack as Ctrl-C does.
func (s *stack) stop() error {
	if err := s.process.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	select {
	case err := <-s.ended:
		if err != nil {
			return fmt.Errorf("the stack did not end in order: %w\n%s", err, s.output)
		}
		return nil
	case <-time.After(45 * time.Second):
		_ = s.process.Process.Kill()
		return fmt.Errorf("the stack did not stop within 45 s:\n%s", s.output)
	}
}

// token gives a development token, made as a person would.
func (s *stack) token(t testing.TB, args ...string) string {
	t.Helper()
	key := strings.Join(args, " ")
	s.mu.Lock()
	defer s.mu.Unlock()
	if token, ok := s.tokens[key]; ok {
		return token
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "kefuctl"), append([]string{"token", "--dir", s.dir}, args...)...)
	var diagnosis bytes.Buffer
	cmd.Stderr = &diagnosis
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("kefuctl token %s: %v\n%s", key, err, &diagnosis)
	}
	token := strings.TrimSpace(string(out))
	if strings.ContainsAny(token, " \n") || token == "" {
		t.Fatalf("kefuctl token %s printed more than a token: %q", key, out)
	}
	s.tokens[key] = token
	return token
}

// showLogs prints what each program complained of last.
func (s *stack) showLogs() {
	_, _ = fmt.Fprintf(os.Stderr, "--- kefuctl up\n%s", s.output)
	st, err := s.state()
	if err != nil {
		return
	}
	for _, p := range st.Programs {
		raw, err := os.ReadFile(p.Log)
		if err != nil {
			continue
		}
		complaints := slices.DeleteFunc(slices.Collect(strings.Lines(string(raw))), func(line string) bool {
			return !strings.Contains(line, `"level":"ERROR"`) && !strings.Contains(line, `"level":"WARN"`) && !strings.Contains(line, "panic")
		})
		for _, line := range complaints[max(0, len(complaints)-mostComplaints):] {
			_, _ = fmt.Fprintf(os.Stderr, "%s-%d: %s", p.Name, p.Replica, line)
		}
	}
}
