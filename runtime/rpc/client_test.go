package rpc_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// several is a target of several addresses.
func several(addresses ...string) *manual.Resolver {
	r := manual.NewBuilderWithScheme("several")
	var state resolver.State
	for _, a := range addresses {
		state.Endpoints = append(state.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: a}}})
	}
	r.InitialState(state)
	return r
}

// names answers with the server's own name.
func names(name string) handler {
	return func(context.Context, string, *dynamicpb.Message) (proto.Message, error) { return newNote(name), nil }
}

func TestMissingRequestIDIsFilledOnMutations(t *testing.T) {
	s := serve(t, func(_ context.Context, _ string, req *dynamicpb.Message) (proto.Message, error) {
		return newNote(read(req, "request_id")), nil
	}, noStream)
	conn := dial(t, s.addr, rpc.ClientConfig{})
	first, err := call(t.Context(), conn, "Create", "x")
	if err != nil || len(first) != 36 {
		t.Fatalf("got %q, %v", first, err)
	}
	if second, err := call(t.Context(), conn, "Create", "x"); err != nil || second == first {
		t.Errorf("two calls share the id %q (%v)", second, err)
	}
	if got, err := call(t.Context(), conn, "Get", "x"); err != nil || got != "" {
		t.Errorf("a read got the id %q (%v)", got, err)
	}
	own := newNote("x")
	own.Set(note().Fields().ByName("request_id"), own.NewField(note().Fields().ByName("request_id")))
	reply := dynamicpb.NewMessage(note())
	if err := conn.Invoke(t.Context(), "/"+sampleService+"/Create", own, reply); err != nil {
		t.Fatal(err)
	}
	if read(own, "request_id") != "" {
		t.Error("the caller's own message was changed")
	}
}

func TestRequestIDAndLanguageTravelOn(t *testing.T) {
	last := serve(t, func(ctx context.Context, _ string, _ *dynamicpb.Message) (proto.Message, error) {
		return newNote(rpc.RequestID(ctx) + " " + rpc.Language(ctx)), nil
	}, noStream)
	onward := dial(t, last.addr, rpc.ClientConfig{})
	front := serve(t, func(ctx context.Context, _ string, _ *dynamicpb.Message) (proto.Message, error) {
		got, err := call(ctx, onward, "Get", "x")
		return newNote(got), err
	}, noStream)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-request-id", "call-9", "accept-language", "zh")
	if got, err := call(ctx, dial(t, front.addr, rpc.ClientConfig{}), "Get", "x"); err != nil || got != "call-9 zh-CN" {
		t.Fatalf("got %q, %v", got, err)
	}
}

// TestKilledInstanceCostsNoCall: calls go on over the other instance.
func TestKilledInstanceCostsNoCall(t *testing.T) {
	a, b := serve(t, names("a"), noStream), serve(t, names("b"), noStream)
	conn := dial(t, "several:///x", rpc.ClientConfig{Resolver: several(a.addr, b.addr)})
	seen := map[string]int{}
	for seen["a"] == 0 || seen["b"] == 0 {
		got, err := call(t.Context(), conn, "Get", "x")
		if err != nil {
			t.Fatal(err)
		}
		seen[got]++
	}
	var failed, done atomic.Int64
	var callers sync.WaitGroup
	end := make(chan struct{})
	for range 4 {
		callers.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
				}
				if _, err := call(t.Context(), conn, "Get", "x"); err != nil {
					failed.Add(1)
					t.Errorf("lost a call: %v", err)
				}
				done.Add(1)
			}
		})
	}
	waitFor(t, func() bool { return done.Load() > 100 })
	a.Server.Stop()
	before := done.Load()
	waitFor(t, func() bool { return done.Load() > before+500 })
	close(end)
	callers.Wait()
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	end := time.After(20 * time.Second)
	for !ok() {
		select {
		case <-end:
			t.Fatal("it did not happen within 20 s")
		case <-time.After(time.Millisecond):
		}
	}
}

// TestHungInstanceIsLeft: a call that gets no answer from one instance is tried at
// another; tries_test.go has the times.
func TestHungInstanceIsLeft(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	var hung atomic.Int64
	stuck := serve(t, func(_ context.Context, _ string, req *dynamicpb.Message) (proto.Message, error) {
		hung.Add(1)
		<-hang // deaf to the end of its call, as a stopped process is
		return req, nil
	}, noStream)
	good := serve(t, names("good"), noStream)
	conn := dial(t, "several:///x", rpc.ClientConfig{Resolver: several(stuck.addr, good.addr), Try: time.Second, Tries: 20})
	for hung.Load() == 0 {
		got, err := call(t.Context(), conn, "Get", "x")
		if err != nil || got != "good" {
			t.Fatalf("got %q, %v", got, err)
		}
	}
}

func TestUnhealthyInstanceIsAvoided(t *testing.T) {
	start := func(name string) (addr string, h *health.Server) {
		h = health.NewServer()
		s := grpc.NewServer()
		register(s, names(name), noStream)
		grpc_health_v1.RegisterHealthServer(s, h)
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() { _ = s.Serve(lis) }()
		t.Cleanup(s.Stop)
		return lis.Addr().String(), h
	}
	a, sick := start("a")
	b, _ := start("b")
	conn := dial(t, "several:///x", rpc.ClientConfig{Resolver: several(a, b)})
	if _, err := call(t.Context(), conn, "Get", "x"); err != nil {
		t.Fatal(err)
	}
	sick.SetServingStatus("", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	waitFor(t, func() bool {
		for range 10 {
			got, err := call(t.Context(), conn, "Get", "x")
			if err != nil {
				t.Fatal(err)
			}
			if got == "a" {
				return false
			}
		}
		return true
	})
}

func TestNobodyThereFailsAtOnce(t *testing.T) {
	conn := dial(t, "several:///x", rpc.ClientConfig{Resolver: several()})
	// A call that waited for somebody would end with its deadline.
	if _, err := call(t.Context(), conn, "Get", "x"); status.Code(err) != codes.Unavailable {
		t.Fatal(err)
	}
}

// TestUnavailableIsTriedAgain: what a handler could not do just now is done at the next
// try, without the caller noticing.
func TestUnavailableIsTriedAgain(t *testing.T) {
	var tries atomic.Int64
	s := serve(t, func(context.Context, string, *dynamicpb.Message) (proto.Message, error) {
		if tries.Add(1) == 1 {
			return nil, rpcerr.Unavailable("database")
		}
		return newNote("done"), nil
	}, noStream)
	got, err := call(t.Context(), dial(t, s.addr, rpc.ClientConfig{}), "Create", "x")
	if err != nil || got != "done" || tries.Load() != 2 {
		t.Errorf("got %q, %v after %d tries", got, err, tries.Load())
	}
}

func TestErrorsCarryTheRequestID(t *testing.T) {
	s := serve(t, func(context.Context, string, *dynamicpb.Message) (proto.Message, error) {
		return nil, rpcerr.NotFound("note", "x")
	}, noStream)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-request-id", "call-10")
	var trailer metadata.MD
	_, err := call(ctx, dial(t, s.addr, rpc.ClientConfig{}), "Get", "x", grpc.Trailer(&trailer))
	if status.Code(err) != codes.NotFound || strings.Join(trailer.Get("x-request-id"), ",") != "call-10" {
		t.Errorf("got %v with %v", err, trailer)
	}
}
