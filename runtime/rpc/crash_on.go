//go:build crash

package rpc

import (
	"context"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"

	"github.com/kefu-suite/kefu/runtime/crash"
)

// crashing sees the end of calls: no interceptor lives that long.
func crashing() []grpc.ServerOption { return []grpc.ServerOption{grpc.StatsHandler(replied{})} }

// replied passes crash.AfterReply when the answer of a mutation has been sent.
type replied struct{}

type mutating struct{}

func (replied) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	return context.WithValue(ctx, mutating{}, new(atomic.Bool))
}

func (replied) HandleRPC(ctx context.Context, s stats.RPCStats) {
	found, ok := ctx.Value(mutating{}).(*atomic.Bool)
	if !ok {
		return
	}
	switch s := s.(type) {
	case *stats.InPayload:
		found.Store(mutation(s.Payload))
	case *stats.End:
		if found.Load() && s.Error == nil {
			crash.At(crash.AfterReply)
		}
	}
}

func (replied) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (replied) HandleConn(context.Context, stats.ConnStats)                       {}
