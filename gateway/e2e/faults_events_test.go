//go:build faults

package e2e

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
)

func serviceNames() []string {
	return []string{"customer-registry", "service-ticket", "complaint", "survey"}
}

// ledger reads every service's events for as long as the stack runs, through every fault,
// as a consumer would.
type ledger struct {
	mu     sync.Mutex
	events map[string][]*eventv1.Envelope // by service
	wrong  []string
}

func newLedger(t testing.TB, s *stack) *ledger {
	t.Helper()
	l := &ledger{events: map[string][]*eventv1.Envelope{}}
	ctx, cancel := context.WithCancel(context.Background())
	var readers sync.WaitGroup
	t.Cleanup(func() { cancel(); readers.Wait() })
	for _, service := range serviceNames() {
		secure, err := authn.ClientTLS(authn.TLSConfig{
			CAFile: filepath.Join(s.dir, "ca", "ca.pem"), CertFile: filepath.Join(s.dir, "ca", "gateway.pem"), KeyFile: filepath.Join(s.dir, "ca", "gateway-key.pem"),
		}, service)
		if err != nil {
			t.Fatal(err)
		}
		readers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				_ = l.read(ctx, s, service, n, grpc.WithTransportCredentials(credentials.NewTLS(secure))) // it reads on elsewhere
				select {
				case <-ctx.Done():
				case <-time.After(200 * time.Millisecond):
				}
			}
		})
	}
	return l
}

// read follows the stream of one replica, another at each try.
func (l *ledger) read(ctx context.Context, s *stack, service string, try int, how grpc.DialOption) (err error) {
	st, err := s.state()
	if err != nil {
		return err
	}
	var addresses []string
	for _, p := range st.Programs {
		if p.Name == service {
			addresses = append(addresses, p.GRPC)
		}
	}
	conn, err := grpc.NewClient(addresses[try%len(addresses)], how)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// A replica that hangs is left for the other.
	silence := time.AfterFunc(20*time.Second, cancel)
	defer silence.Stop()
	stream, err := eventv1.NewEventServiceClient(conn).StreamEvents(ctx, &eventv1.StreamEventsRequest{AfterPosition: l.position(service)})
	if err != nil {
		return err
	}
	for {
		answer, err := stream.Recv()
		if err != nil {
			return err
		}
		silence.Reset(20 * time.Second)
		l.add(service, answer.GetEvents())
	}
}

func (l *ledger) position(service string) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int64(len(l.events[service]))
}

func (l *ledger) add(service string, events []*eventv1.Envelope) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range events {
		if want := int64(len(l.events[service])) + 1; e.GetPosition() != want {
			l.wrong = append(l.wrong, fmt.Sprintf("%s: the stream gave position %d after %d", service, e.GetPosition(), want-1))
			return
		}
		l.events[service] = append(l.events[service], e)
	}
}

// bySubject gives the events after the positions, by the thing they tell of.
func (l *ledger) bySubject(after map[string]int64) map[string][]*eventv1.Envelope {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[string][]*eventv1.Envelope{}
	for service, events := range l.events {
		for _, e := range events[after[service]:] {
			out[e.GetSubjectId()] = append(out[e.GetSubjectId()], e)
		}
	}
	return out
}

func (l *ledger) positions() map[string]int64 {
	out := map[string]int64{}
	for _, service := range serviceNames() {
		out[service] = l.position(service)
	}
	return out
}

// verify notes in h what is wrong with the streams themselves: ids that come twice, and
// things whose versions do not go up.
func (l *ledger) verify(h *history, after map[string]int64) {
	l.mu.Lock()
	for _, w := range l.wrong {
		h.violated("%s", w)
	}
	l.wrong = nil
	l.mu.Unlock()
	ids := map[string]bool{}
	for subject, events := range l.bySubject(after) {
		var version int64
		for _, e := range events {
			if ids[e.GetId()] {
				h.violated("event %s came twice", e.GetId())
			}
			ids[e.GetId()] = true
			// A comment tells no change of its ticket.
			if v := e.GetSubjectVersion(); v < version || (v == version && e.GetType() != "comment.added.v1") {
				h.violated("%s: %s has version %d after version %d", subject, e.GetType(), v, version)
			}
			version = e.GetSubjectVersion()
		}
	}
}

func types(events []*eventv1.Envelope) []string {
	out := make([]string, 0, len(events))
	for _, e := range events {
		out = append(out, e.GetType())
	}
	return out
}

// settled waits until the streams have told all that the things' calls caused.
func (l *ledger) settled(things []*thing, after map[string]int64) bool {
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		seen := l.bySubject(after)
		missing := slices.ContainsFunc(things, func(th *thing) bool { return th.id != "" && len(seen[th.id]) < len(th.events) })
		if !missing {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
	}
}
