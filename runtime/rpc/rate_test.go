package rpc_test

import (
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// slow allows two calls at once and one every ten seconds, in every class.
func slow(c *clock) option {
	return func(s *rpc.ServerConfig) {
		s.Now = c.now
		l := &s.Limits
		l.DefaultRate, l.DefaultBurst, l.PublicRate, l.PublicBurst = .1, 2, .1, 2
		l.BulkRate, l.BulkBurst, l.ServiceRate, l.ServiceBurst = .1, 2, .1, 2
	}
}

func TestRatesAreKeptForEachCallerAndClass(t *testing.T) {
	c := &clock{at: time.Unix(1_700_000_000, 0)}
	s := serve(t, echo, noStream, slow(c))
	conn := dial(t, s.addr, rpc.ClientConfig{})
	try := func(caller, method string) error {
		ctx := t.Context()
		if caller != "" {
			ctx = as(ctx, caller)
		}
		_, err := call(ctx, conn, method, "x")
		return err
	}
	for range 2 {
		if err := try("li", "Get"); err != nil {
			t.Fatal(err)
		}
	}
	err := try("li", "Get")
	if status.Code(err) != codes.ResourceExhausted || rpcerr.Reason(err) != "RATE_LIMITED" || retryDelay(err) != 10*time.Second {
		t.Fatalf("got %v, retry in %s", err, retryDelay(err))
	}
	for _, other := range [][2]string{{"wang", "Get"}, {"li", "Load"}, {"", "Get"}} {
		if err := try(other[0], other[1]); err != nil {
			t.Errorf("%v pays for another: %v", other, err)
		}
	}
	c.advance(10 * time.Second)
	if err := try("li", "Get"); err != nil {
		t.Errorf("after the time named: %v", err)
	}
	if err := try("li", "Get"); err == nil {
		t.Error("refused calls must not have been paid back twice")
	}
}

func TestRatesForgetTheOldestCaller(t *testing.T) {
	c := &clock{at: time.Unix(1_700_000_000, 0)}
	s := serve(t, echo, noStream, slow(c), func(s *rpc.ServerConfig) { s.Limits.RateCallers = 2; s.Limits.DefaultBurst = 1 })
	conn := dial(t, s.addr, rpc.ClientConfig{})
	for _, caller := range []string{"a", "b", "c", "a"} {
		if _, err := call(as(t.Context(), caller), conn, "Get", "x"); err != nil {
			t.Fatalf("%s: %v", caller, err)
		}
	}
	if _, err := call(as(t.Context(), "c"), conn, "Get", "x"); err == nil {
		t.Fatal("a caller that is remembered got a second call")
	}
}

// TestForwardedAddressIsBelievedFromTheGatewayOnly: behind the gateway each caller
// without a token has a bucket of their own; from others the header is a claim.
func TestForwardedAddressIsBelievedFromTheGatewayOnly(t *testing.T) {
	secure, clients := programs(t, "gateway", "survey")
	c := &clock{at: time.Unix(1_700_000_000, 0)}
	for peer, believed := range map[string]bool{"gateway": true, "survey": false} {
		s := serve(t, echo, noStream, slow(c), func(s *rpc.ServerConfig) {
			s.TLS, s.Forwarder, s.Limits.PublicBurst = secure, "gateway", 1
		})
		conn := dial(t, s.addr, rpc.ClientConfig{TLS: clients[peer]})
		var refused int
		for _, address := range []string{"192.0.2.1", "spoofed, 192.0.2.2", "192.0.2.3"} {
			ctx := metadata.AppendToOutgoingContext(t.Context(), "x-forwarded-for", address)
			if _, err := call(ctx, conn, "Get", "x"); err != nil {
				refused++
			}
		}
		if (refused == 0) != believed {
			t.Errorf("from %s %d of 3 callers were refused", peer, refused)
		}
	}
}

func TestPlainConnectionsAreRefusedByTLS(t *testing.T) {
	secure, _ := programs(t)
	s := serve(t, echo, noStream, func(c *rpc.ServerConfig) { c.TLS, c.Limits.Handshake = secure, 200*time.Millisecond })
	if _, err := call(t.Context(), dial(t, s.addr, rpc.ClientConfig{}), "Get", "x"); status.Code(err) != codes.Unavailable {
		t.Fatalf("got %v", err)
	}
	if _, err := net.Dial("tcp", s.addr); err != nil {
		t.Fatalf("the server is gone: %v", err)
	}
}
