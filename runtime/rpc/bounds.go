package rpc

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// bounds hold the deadline, the size of messages and the number of calls.
type bounds struct {
	limits  Limits
	methods *methods
	calls   chan struct{}
	streams chan struct{}
	stop    <-chan struct{}
}

func newBounds(l Limits, m *methods, stop <-chan struct{}) *bounds {
	return &bounds{
		limits: l, methods: m, stop: stop,
		calls: make(chan struct{}, l.MaxCalls), streams: make(chan struct{}, l.MaxOpenStreams),
	}
}

func (b *bounds) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, b.limits.Deadline)
	defer cancel()
	if err := b.size(req, info.FullMethod); err != nil {
		return nil, err
	}
	select {
	case b.calls <- struct{}{}:
		defer func() { <-b.calls }()
	default:
		return nil, overloaded()
	}
	resp, err := next(ctx, req)
	if err != nil {
		// The boundary outside sees the caller's context, which may live longer.
		if ended := endedBy(ctx, err); ended != nil {
			return nil, &cut{public: ended, cause: err}
		}
	}
	return resp, err
}

// cut is the end of a call by its own deadline: public as such, private in what
// was going on.
type cut struct {
	public *rpcerr.Error
	cause  error
}

func (c *cut) Error() string { return c.cause.Error() }

func (c *cut) Unwrap() error { return c.cause }

// size refuses what only bulk methods may send: the transport admits the larger
// limit, because it does not know the method in time.
func (b *bounds) size(m any, full string) error {
	limit := b.limits.MaxMessageBytes
	if b.methods.of(full).bulk() {
		limit = b.limits.MaxBulkBytes
	}
	if msg, ok := m.(proto.Message); ok {
		if n := proto.Size(msg); n > limit {
			return tooLarge(n, limit)
		}
	}
	return nil
}

func (b *bounds) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	select {
	case b.streams <- struct{}{}:
		defer func() { <-b.streams }()
	default:
		return overloaded()
	}
	return next(srv, &sizedStream{ServerStream: ss, bounds: b, method: info.FullMethod})
}

// sizedStream holds each message of a stream to the method's size.
type sizedStream struct {
	grpc.ServerStream
	bounds *bounds
	method string
}

func (s *sizedStream) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	return s.bounds.size(m, s.method)
}

// ending ends endless streams when the server stops, also those of grpc itself.
func (b *bounds) ending(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if b.stop == nil || !endless(info.FullMethod) {
		return next(srv, ss)
	}
	ctx, cancel := context.WithCancelCause(ss.Context())
	defer cancel(nil)
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-b.stop:
			cancel(errStopping)
		case <-done:
		}
	}()
	err := next(srv, &stream{ServerStream: ss, ctx: ctx})
	if context.Cause(ctx) == errStopping && ss.Context().Err() == nil { //nolint:errorlint // the very value set above
		if own(info.FullMethod) {
			return status.Error(codes.Unavailable, errStopping.Error())
		}
		return errStopping
	}
	return err
}

func overloaded() *rpcerr.Error {
	return rpcerr.Exhausted(rpcerr.ReasonOverloaded, time.Second, rpcerr.T(
		"This instance handles as many calls as it can; try again in a second.",
		"该实例的并发处理已达上限，请一秒后重试。"))
}

func tooLarge(size, limit int) *rpcerr.Error {
	if limit == 0 {
		return rpcerr.New(codes.ResourceExhausted, rpcerr.ReasonTooLarge, rpcerr.T(
			"A message is larger than this method takes; send smaller ones.",
			"消息超过该方法允许的大小；请拆分后发送。"))
	}
	return rpcerr.New(codes.ResourceExhausted, rpcerr.ReasonTooLarge, rpcerr.T(
		"The message has %d bytes; this method takes at most %d.",
		"消息为 %d 字节，该方法最多接受 %d 字节。", size, limit))
}
