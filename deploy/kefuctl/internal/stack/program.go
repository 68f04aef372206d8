package stack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// How a program is kept running and how it is ended.
const (
	firstPause = 300 * time.Millisecond
	maxPause   = 10 * time.Second
	// steady is how long a program must have run for its next death to count as the
	// first.
	steady = 30 * time.Second
	// stopWait is more than a program gives the calls in flight.
	stopWait = 30 * time.Second
	logMax   = 64 << 20
)

// program is one supervised process: a replica of a service, or the gateway.
type program struct {
	up      *up
	name    string
	replica int
	binary  string
	// edge is true of the gateway, which starts last and stops first.
	edge bool
	// fixed says that http was chosen by the operator and nothing may stand in for it.
	fixed   bool
	environ func(*program) []string

	mu sync.Mutex
	// grpc is empty for the gateway, http for a service.
	grpc, metrics, http string

	pid    int
	starts int

	cancel context.CancelFunc
	done   chan struct{}
}

func (p *program) label() string { return fmt.Sprintf("%s-%d", p.name, p.replica) }

// supervise starts the program and starts it again whenever it dies, until stop.
func (p *program) supervise() {
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel, p.done = cancel, make(chan struct{})
	go func() {
		defer close(p.done)
		pause := &backoff.ExponentialBackOff{InitialInterval: firstPause, Multiplier: 2, MaxInterval: maxPause}
		pause.Reset()
		for {
			began := time.Now()
			err := p.live(ctx)
			if ctx.Err() != nil {
				return
			}
			if time.Since(began) > steady {
				pause.Reset()
			}
			wait := pause.NextBackOff()
			p.up.say("%s ended (%v): %s; starting it again in %s (log: %s)",
				p.label(), err, lastLine(p.up.dir.logFile(p.label())), wait, p.up.dir.logFile(p.label()))
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
		}
	}()
}

// stop ends the program in good order and waits for its end.
func (p *program) stop() {
	p.cancel()
	<-p.done
}

// live runs the program once, to its end.
func (p *program) live(ctx context.Context) error {
	if err := p.claim(); err != nil {
		return err
	}
	cmd, err := p.start()
	if err != nil {
		return err
	}
	p.note(cmd.Process.Pid)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer p.note(0)
	select {
	case err := <-ended:
		if err == nil {
			err = errors.New("exit status 0")
		}
		return err
	case <-ctx.Done():
	}
	_ = cmd.Process.Signal(syscall.SIGTERM) // gone already is what we want
	select {
	case <-ended:
	case <-time.After(stopWait):
		p.up.say("%s does not stop and is killed", p.label())
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
	}
	return nil
}

// claim looks once more whether the addresses are free, and takes others for those that
// the operator did not choose.
func (p *program) claim() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, address := range []*string{&p.grpc, &p.metrics, &p.http} {
		if *address == "" || (address == &p.http && p.fixed) || listenable(*address) == nil {
			continue
		}
		other, err := freeAddress("")
		if err != nil {
			return err
		}
		p.up.say("%s: %s is taken, listening on %s instead", p.label(), *address, other)
		*address = other
	}
	return nil
}

func (p *program) start() (*exec.Cmd, error) {
	log, err := openLog(p.up.dir.logFile(p.label()))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(p.binary)
	cmd.Env, cmd.Dir = p.environ(p), string(p.up.dir)
	if err := keepEnviron(p.up.dir.environFile(p.name), cmd.Env); err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = log, log, childAttr()
	p.up.launcher.do(func() { err = cmd.Start() })
	if err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	return cmd, nil
}

// note writes down that the program runs as pid, or with 0 that it does not.
func (p *program) note(pid int) {
	p.mu.Lock()
	p.pid = pid
	if pid != 0 {
		p.starts++
	}
	p.mu.Unlock()
	err := p.up.children.remove(p.label())
	if pid != 0 {
		err = p.up.children.add(p.label(), pid)
	}
	if err == nil {
		err = p.up.publish()
	}
	if err != nil {
		p.up.say("%v", err)
	}
}

// openLog appends, after putting a log that has grown large aside.
func openLog(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && info.Size() > logMax {
		if err := os.Rename(path, path+".old"); err != nil {
			return nil, fmt.Errorf("log: %w", err)
		}
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	return f, nil
}

// lastLine is what a program said last, shortened.
func lastLine(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return "no log"
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err == nil && info.Size() > 4096 {
		_, _ = f.Seek(-4096, io.SeekEnd) // else from the beginning
	}
	text, _ := io.ReadAll(f)
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	line := strings.ToValidUTF8(string(lines[len(lines)-1]), "?")
	if len(line) > 300 {
		line = line[:300] + "…"
	}
	if line == "" {
		return "it said nothing"
	}
	return line
}
