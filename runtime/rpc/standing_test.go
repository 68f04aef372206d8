package rpc_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// rechecked lets callers in until it is told otherwise.
type rechecked struct {
	pass
	over *atomic.Pointer[rpcerr.Error]
}

func (r rechecked) Recheck(_ context.Context, method string) error {
	if e := r.over.Load(); e != nil && method == "/"+sampleService+"/StreamAll" {
		return e
	}
	return nil
}

// A stream ends when its caller would no longer be let in, by token or by right, whether its
// handler waits, sends or does not mind; the error is the one of a new call, in the caller's
// language.
func TestStreamsEndWithTheRight(t *testing.T) {
	expired := rpcerr.Unauthenticated("TOKEN_EXPIRED", rpcerr.T("Expired.", "已过期。"))
	denied := rpcerr.Denied("PERMISSION_DENIED", rpcerr.T("No more.", "已撤销。"))
	handlers := map[string]func(grpc.ServerStream) error{
		"waits": func(ss grpc.ServerStream) error {
			<-ss.Context().Done()
			return ss.Context().Err()
		},
		"sends": func(ss grpc.ServerStream) error {
			for {
				if err := ss.SendMsg(newNote("more")); err != nil {
					return err
				}
			}
		},
	}
	for how, handler := range handlers {
		for name, c := range map[string]struct {
			authn, guard *rpcerr.Error
			code         codes.Code
			reason       string
		}{
			"the token": {expired, nil, codes.Unauthenticated, "TOKEN_EXPIRED"},
			"the right": {nil, denied, codes.PermissionDenied, "PERMISSION_DENIED"},
			"both":      {expired, denied, codes.Unauthenticated, "TOKEN_EXPIRED"},
		} {
			t.Run(how+", "+name, func(t *testing.T) {
				var authn, guard atomic.Pointer[rpcerr.Error]
				s := serve(t, echo, func(ss grpc.ServerStream) error {
					if err := ss.SendMsg(newNote("first")); err != nil {
						return err
					}
					return handler(ss)
				}, func(cfg *rpc.ServerConfig) {
					cfg.Authn, cfg.Guard = rechecked{over: &authn}, rechecked{over: &guard}
					cfg.Limits.StreamCheck = 5 * time.Millisecond
				})
				ctx := metadata.AppendToOutgoingContext(t.Context(), "accept-language", "zh-CN")
				stream, err := dial(t, s.addr, rpc.ClientConfig{}).NewStream(ctx,
					&grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/"+sampleService+"/StreamAll")
				if err != nil {
					t.Fatal(err)
				}
				if err := stream.RecvMsg(dynamicpb.NewMessage(note())); err != nil {
					t.Fatalf("it does not begin: %v", err)
				}
				authn.Store(c.authn)
				guard.Store(c.guard)
				for err == nil {
					err = stream.RecvMsg(dynamicpb.NewMessage(note()))
				}
				if status.Code(err) != c.code || rpcerr.Reason(err) != c.reason {
					t.Errorf("it ended with %v", err)
				}
			})
		}
	}
}

// A stream that came to its end before is not spoilt.
func TestAFinishedStreamStaysFinished(t *testing.T) {
	var over atomic.Pointer[rpcerr.Error]
	s := serve(t, echo, func(ss grpc.ServerStream) error { return ss.SendMsg(newNote("all")) }, func(cfg *rpc.ServerConfig) {
		cfg.Authn, cfg.Limits.StreamCheck = rechecked{over: &over}, time.Hour
	})
	over.Store(rpcerr.Denied("PERMISSION_DENIED", rpcerr.T("No more.", "已撤销。")))
	stream, err := dial(t, s.addr, rpc.ClientConfig{}).NewStream(t.Context(),
		&grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/"+sampleService+"/StreamAll")
	if err != nil {
		t.Fatal(err)
	}
	got := dynamicpb.NewMessage(note())
	if err := stream.RecvMsg(got); err != nil || read(got, "text") != "all" {
		t.Errorf("answered %q, %v", read(got, "text"), err)
	}
}
