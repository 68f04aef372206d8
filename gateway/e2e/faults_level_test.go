//go:build faults

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// levelWithin is how long after a fault the resources may take to come back.
	levelWithin = 30 * time.Second
	// What may be more than before: streams that moved to another replica, connections
	// that a pool opened and will close when idle.
	moreGoroutines, moreDescriptors, moreConnections = 30, 15, 6
	// mostConnections is a full pool and what a process needs beside it: the sequencer,
	// its listener and the probe.
	mostConnections = 20 + 3
	// memoryGoal is for an idle service.
	memoryGoal = 40 << 20
)

// program is one process of the stack, with what it holds.
type program struct {
	Name                                       string `json:"name"`
	Replica                                    int    `json:"replica"`
	PID                                        int    `json:"pid"`
	Metrics                                    string `json:"metrics"`
	goroutines, descriptors, resident, private int
}

func (p program) label() string { return fmt.Sprintf("%s-%d", p.Name, p.Replica) }

// level is what all processes hold, and the connections by database.
type level struct {
	programs    map[string]program
	connections map[string]int
}

// programs are those of the stack, as they are now.
func (g *ground) programs() ([]program, error) {
	raw, err := os.ReadFile(filepath.Join(g.s.dir, "stack.json"))
	if err != nil {
		return nil, err
	}
	var st struct {
		Programs []program `json:"programs"`
	}
	err = json.Unmarshal(raw, &st)
	return st.Programs, err
}

// ready asks a program whether it can serve.
func (p program) ready(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Metrics+"/readyz", nil)
	if err != nil {
		return false
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	return res.Body.Close() == nil && res.StatusCode == http.StatusOK
}

// measure fails while a process cannot be asked, because it is starting again.
func (g *ground) measure(ctx context.Context) (level, error) {
	l := level{programs: map[string]program{}, connections: map[string]int{}}
	programs, err := g.programs()
	if err != nil {
		return l, err
	}
	for _, p := range programs {
		if err := p.measure(ctx); err != nil {
			return l, fmt.Errorf("%s: %w", p.label(), err)
		}
		l.programs[p.label()] = p
	}
	conn, err := pgx.Connect(ctx, g.admin)
	if err != nil {
		return l, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	rows, err := conn.Query(ctx, `SELECT datname, count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND datname <> current_database() GROUP BY 1`)
	if err != nil {
		return l, err
	}
	var name string
	var n int
	_, err = pgx.ForEachRow(rows, []any{&name, &n}, func() error { l.connections[name] = n; return nil })
	return l, err
}

func (p *program) measure(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Metrics+"/metrics", nil)
	if err != nil {
		return err
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "go_goroutines "); ok {
			if p.goroutines, err = strconv.Atoi(value); err != nil {
				return err
			}
		}
	}
	proc := filepath.Join("/proc", strconv.Itoa(p.PID))
	open, err := os.ReadDir(filepath.Join(proc, "fd"))
	if err != nil {
		return err
	}
	p.descriptors = len(open)
	statm, err := os.ReadFile(filepath.Join(proc, "statm"))
	if err != nil {
		return err
	}
	fields := strings.Fields(string(statm))
	if len(fields) < 3 || p.goroutines == 0 {
		return errors.New("its metrics or its memory cannot be read")
	}
	resident, err := strconv.Atoi(fields[1])
	if err != nil {
		return err
	}
	shared, err := strconv.Atoi(fields[2]) // pages of files, the program itself among them
	p.resident, p.private = resident*os.Getpagesize(), (resident-shared)*os.Getpagesize()
	return err
}

// above names what is more than before.
func (l level) above(before level) (wrong []string) {
	for label, was := range before.programs {
		now, ok := l.programs[label]
		switch {
		case !ok:
			wrong = append(wrong, label+" is gone")
		case now.goroutines > was.goroutines+moreGoroutines:
			wrong = append(wrong, fmt.Sprintf("%s: %d goroutines, before %d", label, now.goroutines, was.goroutines))
		case now.descriptors > was.descriptors+moreDescriptors:
			wrong = append(wrong, fmt.Sprintf("%s: %d descriptors, before %d", label, now.descriptors, was.descriptors))
		}
	}
	replicas := (len(l.programs) - 1) / len(serviceNames())
	for name, n := range l.connections {
		if n > max(before.connections[name]+moreConnections, replicas*mostConnections) {
			wrong = append(wrong, fmt.Sprintf("database %s: %d connections, before %d", name, n, before.connections[name]))
		}
	}
	return wrong
}

// settle gives the level when everything is ready and quiet.
func (g *ground) settle(t testing.TB) level {
	t.Helper()
	var l level
	var err error
	for deadline := time.Now().Add(levelWithin); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if l, err = g.measure(t.Context()); err == nil {
			return l
		}
	}
	t.Fatalf("the stack cannot be measured: %v", err)
	return l
}

// leveled fails when something does not come back to the level before.
func (g *ground) leveled(t testing.TB, before level, after string) {
	t.Helper()
	var wrong []string
	for deadline := time.Now().Add(levelWithin); time.Now().Before(deadline); time.Sleep(500 * time.Millisecond) {
		l, err := g.measure(t.Context())
		if err != nil {
			wrong = []string{err.Error()}
			continue
		}
		if wrong = l.above(before); len(wrong) == 0 {
			return
		}
	}
	t.Errorf("%s: not back to the level before within %v: %s", after, levelWithin, strings.Join(wrong, "; "))
}

// memory prints what every process holds.
func (l level) memory(t testing.TB, when string) {
	t.Helper()
	for _, service := range append(serviceNames(), "gateway") {
		for replica := 1; ; replica++ {
			p, ok := l.programs[fmt.Sprintf("%s-%d", service, replica)]
			if !ok {
				break
			}
			over := ""
			if p.resident > memoryGoal {
				over = " (above the goal of 40 MiB)"
			}
			t.Logf("%s: %-20s %5.1f MiB%s, %.1f of it private, %d goroutines, %d descriptors", when, p.label(), float64(p.resident)/(1<<20), over, float64(p.private)/(1<<20), p.goroutines, p.descriptors)
		}
	}
}

// privatePostgres is the admin URL of the Postgres that `kefuctl up` runs in dir.
func privatePostgres(t testing.TB, dir string) string {
	t.Helper()
	password, err := os.ReadFile(filepath.Join(dir, "postgres", "password"))
	if err != nil {
		t.Fatal(err)
	}
	u := url.URL{Scheme: "postgres", User: url.UserPassword("postgres", string(password)), Path: "/postgres"}
	u.RawQuery = url.Values{"sslmode": {"disable"}, "host": {filepath.Join(dir, "postgres", "socket")}, "port": {"5432"}}.Encode()
	return u.String()
}
