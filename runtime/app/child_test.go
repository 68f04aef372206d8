package app_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/durationpb"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	"github.com/kefu-suite/kefu/runtime/app"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/pii"
	"github.com/kefu-suite/kefu/runtime/testkit"
)

// The tests start this very binary again as a service: childEnv says as which.
const childEnv = "APP_TEST_CHILD"

// settings is the configuration of the child.
type settings struct {
	app.Config
	Child string `env:"APP_TEST_CHILD"`
}

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		os.Exit(app.Main(app.Spec[settings]{Name: serviceName, Run: child}))
	}
	os.Exit(m.Run())
}

const serviceName = "app-test"

// child registers a service whose Wait waits for as long as it is asked to.
func child(_ context.Context, p *app.Process, cfg settings) error {
	switch cfg.Child {
	case "unruled":
		return describe(p.GRPC, nil)
	case "fails":
		return errors.New("nothing to serve")
	case "clock":
		p.Log.Info("the time", "now", p.Now())
	case "task":
		p.Go("task", func(context.Context) error { return errors.New("the task broke") })
	}
	return describe(p.GRPC, &accessv1.AccessRule{Public: true, Audit: accessv1.Audit_AUDIT_NONE})
}

const waitMethod = "/kefu.apptest.v1.AppTestService/Wait"

// describe registers the service with a rule on its only method, or without.
func describe(s *grpc.Server, rule *accessv1.AccessRule) error {
	options := &descriptorpb.MethodOptions{}
	if rule != nil {
		proto.SetExtension(options, accessv1.E_Access, rule)
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("kefu/apptest/v1/apptest.proto"), Package: proto.String("kefu.apptest.v1"), Syntax: proto.String("proto3"),
		Dependency: []string{"google/protobuf/duration.proto", "kefu/access/v1/access.proto"},
		Service: []*descriptorpb.ServiceDescriptorProto{{
			Name: proto.String("AppTestService"),
			Method: []*descriptorpb.MethodDescriptorProto{{
				Name: proto.String("Wait"), Options: options,
				InputType: proto.String(".google.protobuf.Duration"), OutputType: proto.String(".google.protobuf.Duration"),
			}},
		}},
	}, protoregistry.GlobalFiles)
	if err != nil {
		return err
	}
	if err := protoregistry.GlobalFiles.RegisterFile(file); err != nil {
		return err
	}
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: "kefu.apptest.v1.AppTestService", HandlerType: (*any)(nil), Metadata: file.Path(),
		Methods: []grpc.MethodDesc{{MethodName: "Wait", Handler: func(_ any, ctx context.Context, decode func(any) error, chain grpc.UnaryServerInterceptor) (any, error) {
			req := new(durationpb.Duration)
			if err := decode(req); err != nil {
				return nil, err
			}
			return chain(ctx, req, &grpc.UnaryServerInfo{FullMethod: waitMethod}, func(context.Context, any) (any, error) {
				time.Sleep(req.AsDuration()) // the work of the call
				return req, nil
			})
		}}},
	}, nil)
	return nil
}

// wait makes a call that takes d in the service.
func wait(ctx context.Context, conn grpc.ClientConnInterface, d time.Duration) error {
	return conn.Invoke(ctx, waitMethod, durationpb.New(d), new(durationpb.Duration))
}

// stack is what the children of one test share.
type stack struct {
	db    *testkit.DB
	files authn.TLSConfig
	env   []string
}

func newStack(t *testing.T, env ...string) *stack {
	t.Helper()
	dir := t.TempDir()
	ca, err := authn.NewCA(filepath.Join(dir, "ca"))
	if err != nil {
		t.Fatal(err)
	}
	s := &stack{db: testkit.Database(t, app.Migrations()...)}
	if s.files, err = ca.Issue(serviceName); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(dir, "master.key")
	if err := pii.NewKeyFile(key); err != nil {
		t.Fatal(err)
	}
	s.env = append([]string{
		"KEFU_DATABASE_URL=" + s.db.DSN, "KEFU_MASTER_KEY_FILE=" + key, "KEFU_ISSUERS=http://127.0.0.1:9", "KEFU_ERASURE_LIST_DIR=" + dir,
		"KEFU_TLS_CA_FILE=" + s.files.CAFile, "KEFU_TLS_CERT_FILE=" + s.files.CertFile, "KEFU_TLS_KEY_FILE=" + s.files.KeyFile,
		"KEFU_RATE_PUBLIC=100000", "KEFU_RATE_PUBLIC_BURST=100000", // all callers share an address here
	}, env...)
	return s
}

// program is one running child.
type program struct {
	t        *testing.T
	cmd      *exec.Cmd
	grpc     string
	metrics  string
	ended    chan error
	starting chan struct{} // closed when metrics is known
	serving  chan struct{} // closed when grpc is known too
	mu       sync.Mutex
	logLines []string
}

// start runs a child; it is killed at the end of the test if it still runs.
func (s *stack) start(t *testing.T, kind string, args ...string) *program {
	t.Helper()
	p := &program{t: t, cmd: exec.Command(os.Args[0], args...), ended: make(chan error, 1),
		starting: make(chan struct{}), serving: make(chan struct{})}
	p.cmd.Env = append(append([]string{}, s.env...), childEnv+"="+kind)
	out, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.follow(out)
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		<-p.ended
		if t.Failed() {
			t.Logf("log of the child:\n%s", p.log())
		}
	})
	return p
}

func (p *program) follow(out io.Reader) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		p.mu.Lock()
		p.logLines = append(p.logLines, lines.Text())
		p.mu.Unlock()
		var record struct{ Msg, GRPC, Metrics string }
		if json.Unmarshal(lines.Bytes(), &record) != nil {
			continue
		}
		switch record.Msg {
		case "starting":
			p.metrics = record.Metrics
			close(p.starting)
		case "serving":
			p.grpc = record.GRPC
			close(p.serving)
		}
	}
	err := p.cmd.Wait()
	p.ended <- err
	close(p.ended)
}

func (p *program) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.logLines, "\n")
}

// up waits until the child serves.
func (p *program) up() *program {
	p.t.Helper()
	return p.reached(p.serving)
}

// reached waits for one step of the child's start.
func (p *program) reached(step <-chan struct{}) *program {
	p.t.Helper()
	select {
	case <-step:
	case err := <-p.ended:
		p.t.Fatalf("the child ended: %v\n%s", err, p.log())
	case <-time.After(20 * time.Second):
		p.t.Fatalf("the child does not get on:\n%s", p.log())
	}
	return p
}

func (p *program) signal() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
}

// end waits for the end and gives the exit code, -1 if a signal killed it.
func (p *program) end(limit time.Duration) int {
	p.t.Helper()
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(limit):
		p.t.Fatalf("the child still runs after %s:\n%s", limit, p.log())
		return 0
	}
}

// get asks the operators' side.
func (p *program) get(path string) (int, string) {
	p.t.Helper()
	client := http.Client{Timeout: 5 * time.Second}
	resp, err := client.Get("http://" + p.metrics + path)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(body)
}

// within polls until ok, and tells how long it took.
func within(t *testing.T, limit time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	for !ok() {
		if time.Since(start) > limit {
			t.Fatalf("%s did not happen within %s", what, limit)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(start)
}

func expect(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is missing in:\n%s", part, text)
		}
	}
}
