package stack

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// State is what stack.json says of a running stack. The file appears when the stack is
// ready, is replaced whenever a program was started again, and goes with the stack.
type State struct {
	// PID is the process of `kefuctl up`.
	PID       int       `json:"pid"`
	ReadyTime time.Time `json:"readyTime"`
	// REST is the base URL of the public API.
	REST   string `json:"rest"`
	Issuer string `json:"issuer"`
	Etcd   string `json:"etcd"`
	// CAFile verifies the certificates of the gRPC ports.
	CAFile   string    `json:"caFile"`
	Programs []Running `json:"programs"`
}

// Running is one program of a stack.
type Running struct {
	Name    string `json:"name"`
	Replica int    `json:"replica"`
	// PID is 0 between a death and the next start; Starts counts the starts.
	PID    int `json:"pid"`
	Starts int `json:"starts"`
	// GRPC, HTTP and Metrics are host:port; one that it does not have is empty.
	GRPC    string `json:"grpc,omitempty"`
	HTTP    string `json:"http,omitempty"`
	Metrics string `json:"metrics"`
	Log     string `json:"log"`
}

// ReadState reads the state of the stack in a folder; errors.Is(err, fs.ErrNotExist)
// says that none is ready there.
func ReadState(path string) (State, error) {
	var s State
	content, err := os.ReadFile(Dir(path).stateFile())
	if err == nil {
		err = json.Unmarshal(content, &s)
	}
	if err != nil {
		return s, fmt.Errorf("state of the stack in %s: %w", path, err)
	}
	return s, nil
}

// publish writes the state, once the stack has been ready.
func (u *up) publish() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.readyTime.IsZero() {
		return nil
	}
	s := State{
		PID: os.Getpid(), ReadyTime: u.readyTime, Issuer: u.issuer.url,
		Etcd: u.etcd.endpoints, CAFile: u.secrets.ca.CertFile(),
	}
	for _, p := range u.programs {
		r := p.running()
		if p.edge {
			s.REST = "http://" + r.HTTP
		}
		s.Programs = append(s.Programs, r)
	}
	content, err := json.MarshalIndent(s, "", "  ")
	if err == nil {
		err = writeFile(u.dir.stateFile(), content)
	}
	if err != nil {
		return fmt.Errorf("state of the stack: %w", err)
	}
	return nil
}

// unpublish says that the stack is no longer ready.
func (u *up) unpublish() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.readyTime = time.Time{}
	if err := os.Remove(u.dir.stateFile()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (p *program) running() Running {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Running{
		Name: p.name, Replica: p.replica, PID: p.pid, Starts: p.starts,
		GRPC: p.grpc, HTTP: p.http, Metrics: p.metrics, Log: p.up.dir.logFile(p.label()),
	}
}
