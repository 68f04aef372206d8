package localpg

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

const childEnv = "LOCALPG_TEST_CHILD"

// TestMain lets the test binary also be the program that is killed.
func TestMain(m *testing.M) {
	if mode, dir, ok := strings.Cut(os.Getenv(childEnv), ":"); ok {
		child(mode, dir)
		return
	}
	m.Run()
}

// child brings a server up, says its URL, and waits for the end of its input.
func child(mode, dir string) {
	runtime.LockOSThread()
	up := Start
	if mode == "share" {
		up = Share
	}
	s, err := up(context.Background(), options(dir))
	if err != nil {
		fmt.Println("error:", err)
		return
	}
	fmt.Println(s.AdminURL())
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func options(dir string) Options {
	return Options{Dir: dir, Path: os.Getenv("PATH"), Volatile: true, Idle: time.Second}
}

func spawn(t *testing.T, mode, dir string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+mode+":"+dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || strings.HasPrefix(line, "error:") {
		t.Fatalf("child: %q %v", line, err)
	}
	return cmd, strings.TrimSpace(line)
}

// begin starts a server on this goroutine's locked thread.
func begin(t *testing.T, o Options) *Server {
	t.Helper()
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *Server) {
	t.Helper()
	if err := s.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}

func query(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	var answer string
	if err := conn.QueryRow(t.Context(), sql).Scan(&answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

// gone waits until nothing works in the data directory any more.
func gone(t *testing.T, data string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		pids, err := living(data)
		if err != nil {
			t.Fatal(err)
		}
		if len(pids) == 0 {
			return
		}
		if pause(ctx, poll) != nil {
			t.Fatalf("processes %v still work in %s", pids, data)
		}
	}
}

func TestStartStopStart(t *testing.T) {
	o := options(t.TempDir())
	o.Settings = []string{"work_mem=8MB"}
	s := begin(t, o)
	for setting, want := range map[string]string{
		"max_connections": "300", "work_mem": "8MB", "server_encoding": "UTF8", "lc_ctype": "C.UTF-8", "listen_addresses": "",
		"wal_writer_flush_after": "8kB",
	} {
		if got := query(t, s.AdminURL(), "SHOW "+setting); got != want {
			t.Errorf("%s = %q, want %q", setting, got, want)
		}
	}
	query(t, s.AdminURL(), "SELECT set_config('search_path', 'public', false)")
	query(t, s.AdminURL(), "WITH x AS (SELECT lo_create(4711)) SELECT lo_create::text FROM x")
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := Start(short, o); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("a second start: %v", err)
	}
	stop(t, s)
	stop(t, s)
	select {
	case <-s.Done():
	default:
		t.Error("stopped but not done")
	}
	gone(t, s.dir.data())
	again := begin(t, o)
	if n := query(t, again.AdminURL(), "SELECT count(*)::text FROM pg_largeobject_metadata WHERE oid = 4711"); n != "1" {
		t.Error("what was written is not there after a restart")
	}
	other, err := Start(t.Context(), Options{AdminURL: again.AdminURL()})
	if err != nil {
		t.Fatal(err)
	}
	stop(t, other)
	query(t, again.AdminURL(), "SELECT 'still there'")
	if _, err := Start(t.Context(), Options{AdminURL: "postgres://u:sesame@127.0.0.1:1/x"}); err == nil || strings.Contains(err.Error(), "sesame") {
		t.Errorf("a dead external server: %v", err)
	}
}

func TestPasswordIsNeeded(t *testing.T) {
	s := begin(t, options(t.TempDir()))
	password, err := os.ReadFile(s.dir.password())
	if err != nil {
		t.Fatal(err)
	}
	if ping(t.Context(), strings.Replace(s.AdminURL(), string(password), "wrong", 1)) == nil {
		t.Error("a wrong password was let in")
	}
}

// A path too long for a socket means a port, and a taken port another one.
func TestLongPathAndTakenPort(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), strings.Repeat("long", 25)))
	s := begin(t, o)
	if !strings.Contains(s.AdminURL(), "@127.0.0.1:") {
		t.Fatalf("admin URL %s", s.AdminURL())
	}
	port, err := s.dir.readPort()
	if err != nil {
		t.Fatal(err)
	}
	stop(t, s)
	taken, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	s = begin(t, o)
	if now, err := s.dir.readPort(); err != nil || now == port {
		t.Errorf("port %d, %v; want another than %d", now, err, port)
	}
	query(t, s.AdminURL(), "SELECT 'up'")
}

func TestKilledStarterLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	cmd, url := spawn(t, "start", dir)
	query(t, url, "SELECT lo_create(4711)::text")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	s := begin(t, options(dir))
	if n := query(t, s.AdminURL(), "SELECT count(*)::text FROM pg_largeobject_metadata WHERE oid = 4711"); n != "1" {
		t.Error("what was written is not there after kill -9")
	}
}

func TestKilledServer(t *testing.T) {
	o := options(t.TempDir())
	s := begin(t, o)
	pid := s.cmd.Process.Pid
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-s.Done()
	stop(t, s)
	s = begin(t, o)
	stop(t, s)
	// The process id in the file may belong to anyone after a reboot.
	stale := fmt.Sprintf("%d\n%s\n1\n5432\n%s\n\n\n", os.Getppid(), s.dir.data(), s.dir.socket())
	if err := os.WriteFile(filepath.Join(s.dir.data(), "postmaster.pid"), []byte(stale), 0o600); err != nil {
		t.Fatal(err)
	}
	query(t, begin(t, o).AdminURL(), "SELECT 'up'")
}

func TestShare(t *testing.T) {
	dir := t.TempDir()
	first, url := spawn(t, "share", dir)
	second, same := spawn(t, "share", dir)
	if url != same {
		t.Fatalf("two servers: %s and %s", url, same)
	}
	started := query(t, url, "SELECT pg_postmaster_start_time()::text")
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()
	// Longer than the idle time: the second user keeps it.
	if query(t, url, "SELECT 'up' FROM pg_sleep(2.5)") != "up" {
		t.Error("the server left its second user")
	}
	third, _ := spawn(t, "share", dir)
	if now := query(t, url, "SELECT pg_postmaster_start_time()::text"); now != started {
		t.Error("the server was started anew for a third user")
	}
	for _, cmd := range []*exec.Cmd{second, third} {
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
	}
	gone(t, filepath.Join(dir, "data"))
	fourth, url := spawn(t, "share", dir)
	query(t, url, "SELECT 'up'")
	_ = fourth.Process.Kill()
	_ = fourth.Wait()
	gone(t, filepath.Join(dir, "data"))
}

func TestChoose(t *testing.T) {
	fake := func(version string) string {
		dir := t.TempDir()
		for _, name := range []string{"postgres", "initdb"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+version+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	older, silent := fake("echo 'postgres (PostgreSQL) 14.9'"), fake("exit 1")
	sixteen, newest := fake("echo 'postgres (PostgreSQL) 16.2 (Debian)'"), fake("echo 'postgres (PostgreSQL) 99.1'")
	path := strings.Join([]string{silent, older, sixteen, newest}, string(os.PathListSeparator))
	found := find(t.Context(), path)
	if len(found) < 2 || found[0] != (binaries{newest, 99}) {
		t.Fatalf("found %v, want %s first", found, newest)
	}
	for _, b := range found {
		if b.major < oldestMajor {
			t.Errorf("found %v", b)
		}
	}
	data := t.TempDir()
	for made, want := range map[string]string{"16": sixteen, "13": ""} {
		if err := os.WriteFile(filepath.Join(data, "PG_VERSION"), []byte(made+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := choose(t.Context(), path, data, options("").log())
		if b.major != 0 && b.major != 16 || (err == nil) != (want != "") {
			t.Errorf("data of %s: %v, %v", made, b, err)
		}
	}
}
