package stack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The test binary stands in for every program when it is called by another name: it
// answers /readyz until it is told to stop, and `migrate` does nothing.
func TestMain(m *testing.M) {
	name := filepath.Base(os.Args[0])
	if name == "kefuctl" {
		os.Exit(standInForKefuctl())
	}
	for _, s := range append(services(), service{name: gatewayName}) {
		if name == s.name {
			os.Exit(standIn(name))
		}
	}
	os.Exit(m.Run())
}

func standIn(name string) int {
	if len(os.Args) == 2 && os.Args[1] == "migrate" {
		if !strings.Contains(os.Getenv("KEFU_OWNER_DATABASE_URL"), "_owner:") {
			return 3
		}
		return 0
	}
	for _, file := range []string{"KEFU_TLS_CA_FILE", "KEFU_TLS_CERT_FILE", "KEFU_TLS_KEY_FILE"} {
		if _, err := os.Stat(os.Getenv(file)); err != nil {
			return 4
		}
	}
	address := os.Getenv("KEFU_METRICS_LISTEN")
	if name == gatewayName {
		address = os.Getenv("KEFU_HTTP_LISTEN")
	}
	lis, err := net.Listen("tcp", address)
	if err != nil {
		fmt.Println(err)
		return 5
	}
	http.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
	http.HandleFunc("/clock", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, os.Getenv("KEFU_TEST_CLOCK_FILE")) })
	go func() { _ = http.Serve(lis, nil) }()
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	<-ctx.Done()
	return 0
}

func standInForKefuctl() int {
	err := Run(context.Background(), Options{
		Dir: os.Args[1], HTTP: "127.0.0.1:0", Replicas: 1, FreePorts: true,
		Bin: filepath.Dir(os.Args[0]), Environ: os.Environ(), Out: os.Stdout,
	})
	fmt.Println(err)
	return 1
}

// programs is a folder in which this binary bears every program's name.
func programs(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, s := range append(services(), service{name: gatewayName}, service{name: "kefuctl"}) {
		if err := os.Symlink(self, filepath.Join(dir, s.name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// output is what a stack said so far.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

func eventually(t *testing.T, what string, out fmt.Stringer, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within a minute; said:\n%s", what, out)
		}
	}
}

// environ is ours without a Postgres that the tests were given: a stack brings its own.
func environ() []string {
	var out []string
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "KEFU_DATABASE_URL=") {
			out = append(out, pair)
		}
	}
	return out
}

func start(t *testing.T, dir, bin string, replicas int) (State, *output, func() error) {
	t.Helper()
	return startWith(t, Options{Dir: dir, Bin: bin, Replicas: replicas})
}

func startWith(t *testing.T, o Options) (State, *output, func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, ended := &output{}, make(chan error, 1)
	o.HTTP, o.FreePorts, o.Environ, o.Out = "127.0.0.1:0", true, environ(), out
	go func() { ended <- Run(ctx, o) }()
	stop := sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { _ = stop() })
	return awaitState(t, o.Dir, out), out, stop
}

func awaitState(t *testing.T, dir string, out fmt.Stringer) (s State) {
	t.Helper()
	eventually(t, "ready", out, func() (ok bool) {
		var err error
		s, err = ReadState(dir)
		return err == nil
	})
	return s
}

func TestUpRestartsStopsAndKeeps(t *testing.T) {
	dir, bin := t.TempDir(), programs(t)
	before, out, stop := start(t, dir, bin, 2)
	if len(before.Programs) != 9 {
		t.Fatalf("%d programs run, want 2 of each service and a gateway", len(before.Programs))
	}

	t.Run("a second one on the same folder is refused", func(t *testing.T) {
		err := Run(t.Context(), Options{Dir: dir, HTTP: "127.0.0.1:0", Replicas: 1, FreePorts: true, Bin: bin, Out: &output{}})
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("already running in %s (process %d)", dir, os.Getpid())) {
			t.Fatalf("got %v", err)
		}
		if _, err := ReadState(dir); err != nil {
			t.Fatalf("the refused one disturbed the first: %v", err)
		}
	})

	victim := before.Programs[0]
	if err := syscall.Kill(victim.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "restart", out, func() bool {
		s, err := ReadState(dir)
		return err == nil && s.Programs[0].PID != 0 && s.Programs[0].PID != victim.PID && s.Programs[0].Starts == 2
	})
	if !strings.Contains(out.String(), "customer-registry-1 ended (signal: killed)") {
		t.Errorf("the death was not told:\n%s", out)
	}

	token, err := os.ReadFile(Dir(dir).masterKey("survey"))
	if err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadState(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the state outlived the stack: %v", err)
	}
	for _, p := range before.Programs {
		if identity(p.PID) != "" {
			t.Errorf("%s-%d still runs", p.Name, p.Replica)
		}
	}

	after, _, stop := start(t, dir, bin, 1)
	again, err := os.ReadFile(Dir(dir).masterKey("survey"))
	if err != nil || !bytes.Equal(token, again) {
		t.Errorf("the master key did not stay (%v)", err)
	}
	if after.Issuer != before.Issuer {
		t.Errorf("the issuer moved from %s to %s", before.Issuer, after.Issuer)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func TestEveryServiceGetsTheTestClock(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("clock", []byte("+36h"), 0o600); err != nil {
		t.Fatal(err)
	}
	want, err := filepath.Abs("clock")
	if err != nil {
		t.Fatal(err)
	}
	s, out, stop := startWith(t, Options{Dir: t.TempDir(), Bin: programs(t), Replicas: 1, TestClock: "clock"})
	for _, p := range s.Programs {
		if p.Name == gatewayName {
			continue
		}
		res, err := http.Get("http://" + p.Metrics + "/clock")
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		if err = errors.Join(err, res.Body.Close()); err != nil || string(got) != want {
			t.Errorf("%s goes by %q, %v, want %q", p.Name, got, err, want)
		}
	}
	if !strings.Contains(out.String(), "as clock says") {
		t.Errorf("the clock was not told:\n%s", out)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	err = Run(t.Context(), Options{Dir: t.TempDir(), HTTP: "127.0.0.1:0", Replicas: 1, FreePorts: true, Bin: programs(t),
		TestClock: "none", Out: &output{}})
	if err == nil || !strings.Contains(err.Error(), "--test-clock") || !strings.Contains(err.Error(), "+36h") {
		t.Errorf("without the file: %v", err)
	}
}

func TestKilledUpHindersNothing(t *testing.T) {
	dir, bin := t.TempDir(), programs(t)
	out := &output{}
	cmd := exec.Command(filepath.Join(bin, "kefuctl"), dir)
	cmd.Env, cmd.Stdout, cmd.Stderr = environ(), out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := awaitState(t, dir, out)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed is what we want
	for _, p := range s.Programs {
		eventually(t, p.Name+" ends with it", out, func() bool { return identity(p.PID) == "" })
	}
	_, _, stop := start(t, dir, bin, 1)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func TestEndLeftovers(t *testing.T) {
	run := func() *exec.Cmd {
		cmd := exec.Command("sleep", "600")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { _ = cmd.Wait(); close(ended) }()
		t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
		return cmd
	}
	ours, other := run(), run()
	path := filepath.Join(t.TempDir(), "children.json")
	record := newChildren(path)
	if err := errors.Join(record.add("ours", ours.Process.Pid), record.add("other", other.Process.Pid)); err != nil {
		t.Fatal(err)
	}
	// The second record is of an earlier process that had the same id.
	if err := record.change(func() {
		r := record.all["other"]
		r.Identity = "1 " + r.Identity
		record.all["other"] = r
	}); err != nil {
		t.Fatal(err)
	}
	ended, err := endLeftovers(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(ended) != 1 || ended[0].Program != "ours" || identity(ours.Process.Pid) != "" {
		t.Fatalf("ended %v", ended)
	}
	if identity(other.Process.Pid) == "" {
		t.Fatal("a process that was not ours was ended")
	}
	if again, err := endLeftovers(path); err != nil || again != nil {
		t.Fatalf("the record did not go: %v, %v", again, err)
	}
}

func TestRESTAddress(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lis.Close() }()
	taken := lis.Addr().String()
	_, port, _ := net.SplitHostPort(taken)
	if _, err := restAddress(taken); err == nil || !strings.Contains(err.Error(), "port "+port) || !strings.Contains(err.Error(), "--http") {
		t.Errorf("taken: %v", err)
	}
	if _, err := restAddress("8080"); err == nil || !strings.Contains(err.Error(), "HOST:PORT") {
		t.Errorf("malformed: %v", err)
	}
	got, err := restAddress("127.0.0.1:0")
	if err != nil || strings.HasSuffix(got, ":0") {
		t.Errorf("free: %s, %v", got, err)
	}
}

func TestUpNamesWhatIsNotBuilt(t *testing.T) {
	err := Run(t.Context(), Options{Dir: t.TempDir(), HTTP: "127.0.0.1:0", Replicas: 1, FreePorts: true, Bin: t.TempDir(), Out: &output{}})
	if err == nil || !strings.Contains(err.Error(), "gateway") || !strings.Contains(err.Error(), "make build") {
		t.Fatalf("got %v", err)
	}
}
