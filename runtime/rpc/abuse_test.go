package rpc_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/testkit/rawh2"
)

func rawCall(path string, more ...string) []string {
	return append([]string{":method", "POST", ":scheme", "http", ":authority", "x", ":path", path,
		"content-type", "application/grpc", "te", "trailers"}, more...)
}

// TestRapidResetIsBounded: calls that are opened and taken back at once never occupy more
// handlers than the limit, and others are served afterwards.
func TestRapidResetIsBounded(t *testing.T) {
	var running, most atomic.Int64
	s := serve(t, func(_ context.Context, _ string, req *dynamicpb.Message) (proto.Message, error) {
		if n := running.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer running.Add(-1)
		return req, nil
	}, noStream, func(c *rpc.ServerConfig) { c.Limits.MaxStreams, c.Limits.MaxCalls = 20, 5 })
	c := rawh2.Dial(t, s.addr, nil)
	if got := c.Settings[http2.SettingMaxConcurrentStreams]; got != 20 {
		t.Errorf("the server allows %d streams", got)
	}
	for range 3000 {
		stream, err := c.Open(true, rawCall("/"+sampleService+"/Get")...)
		if err != nil || c.Reset(stream) != nil {
			break // it has had enough
		}
	}
	if n := most.Load(); n > 5 {
		t.Errorf("%d handlers ran at once", n)
	}
	if _, err := call(t.Context(), dial(t, s.addr, rpc.ClientConfig{}), "Get", "x"); err != nil {
		t.Errorf("another client: %v", err)
	}
}

func TestStreamsAndHeadersOfHTTP2AreBounded(t *testing.T) {
	s := serve(t, echo, noStream, func(c *rpc.ServerConfig) { c.Limits.MaxStreams = 3 })
	c := rawh2.Dial(t, s.addr, nil)
	for range 4 { // none of them ends
		if _, err := c.Open(false, rawCall("/"+sampleService+"/Get")...); err != nil {
			t.Fatal(err)
		}
	}
	if code := c.Refusal(); code != http2.ErrCodeRefusedStream {
		t.Errorf("the fourth stream ended with %v", code)
	}
	c = rawh2.Dial(t, s.addr, nil)
	if got := c.Settings[http2.SettingMaxHeaderListSize]; got != 16<<10 {
		t.Errorf("the server allows %d bytes of headers", got)
	}
	_, _ = c.Open(true, rawCall("/"+sampleService+"/Get", "x-large", strings.Repeat("x", 64<<10))...) // it may hang up before the end
	if code := c.Refusal(); code == http2.ErrCodeInternal {
		t.Errorf("headers of 64 KiB ended the stream with %v", code)
	}
}
