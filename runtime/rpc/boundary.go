package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kefu-suite/kefu/runtime/crash"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// errStopping ends endless streams when the server stops.
var errStopping = errors.New("the server stops")

// boundary turns what handlers return into what callers see, and logs it.
type boundary struct {
	log *slog.Logger
	now func() time.Time
}

func (b *boundary) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	start := b.now()
	resp, err := next(ctx, req)
	if err != nil {
		return nil, b.close(ctx, info.FullMethod, start, err)
	}
	b.logged(ctx, slog.LevelDebug, info.FullMethod, start, slog.String("code", codes.OK.String()))
	if mutation(req) {
		crash.At(crash.BeforeReply)
	}
	return resp, nil
}

// mutation tells the requests that carry a request_id.
func mutation(req any) bool {
	r, ok := req.(interface{ GetRequestId() string })
	return ok && r.GetRequestId() != ""
}

func (b *boundary) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	start, w := b.now(), &boundStream{ServerStream: ss}
	err := next(srv, w)
	if err != nil {
		return b.close(ss.Context(), info.FullMethod, start, err)
	}
	b.logged(ss.Context(), slog.LevelDebug, info.FullMethod, start, slog.String("code", codes.OK.String()))
	return nil
}

// close makes the public status of err and logs it once.
func (b *boundary) close(ctx context.Context, method string, start time.Time, err error) error {
	e, private := publicOf(ctx, err)
	level := slog.LevelInfo
	attrs := []any{slog.String("code", e.Code().String()), slog.String("reason", e.Reason())}
	switch {
	case e.Code() == codes.Internal:
		level = slog.LevelError
	case private && e.Code() != codes.Canceled:
		level = slog.LevelWarn
	}
	if private {
		attrs = append(attrs, slog.String("error", loggable(err)))
	}
	var p *panicked
	if errors.As(err, &p) {
		attrs = append(attrs, slog.String("stack", string(p.stack)))
	}
	b.logged(ctx, level, method, start, attrs...)
	return e.With("request_id", RequestID(ctx)).Status(Language(ctx)).Err()
}

func (b *boundary) logged(ctx context.Context, level slog.Level, method string, start time.Time, attrs ...any) {
	if !b.log.Enabled(ctx, level) {
		return
	}
	attrs = append(attrs, slog.String("method", method), slog.String("request_id", RequestID(ctx)),
		slog.Duration("took", b.now().Sub(start)))
	b.log.Log(ctx, level, "call", attrs...)
}

// loggable is the text of a private error that may stand in a log: errors of
// Postgres carry row values, so of those only state and names.
func loggable(err error) string {
	if pg.Code(err) != "" {
		return pg.Describe(err)
	}
	return err.Error()
}

// publicOf gives what the caller sees, and whether err was private until now.
func publicOf(ctx context.Context, err error) (e *rpcerr.Error, private bool) {
	var c *cut
	if errors.As(err, &c) {
		return c.public, true
	}
	if errors.As(err, &e) {
		return e, false
	}
	if errors.Is(err, errStopping) {
		return rpcerr.New(codes.Unavailable, "SHUTTING_DOWN", rpcerr.T(
			"This instance is stopping; connect again.", "该实例正在停止，请重新连接。")), false
	}
	if ended := endedBy(ctx, err); ended != nil {
		return ended, true
	}
	if e := ofDatabase(err); e != nil {
		return e, true
	}
	if e := ofDownstream(err); e != nil {
		return e, true
	}
	return rpcerr.New(codes.Internal, rpcerr.ReasonInternal, rpcerr.T(
		"Something went wrong on our side; tell support the request id.",
		"服务内部出错，请将请求编号告知支持人员。")), true
}

// endedBy explains an error by the end of the call: its deadline, or the caller
// having gone.
func endedBy(ctx context.Context, err error) *rpcerr.Error {
	ended := ctx.Err()
	if ended == nil {
		return nil
	}
	code := status.Code(err)
	if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) &&
		code != codes.Canceled && code != codes.DeadlineExceeded && pg.Code(err) != "57014" && !pg.Unavailable(err) {
		return nil
	}
	if errors.Is(ended, context.DeadlineExceeded) {
		return rpcerr.New(codes.DeadlineExceeded, rpcerr.ReasonDeadline, rpcerr.T(
			"The call did not finish within its deadline; try again with the same request_id, or give it longer.",
			"调用未能在期限内完成；请使用相同的 request_id 重试，或延长期限。"))
	}
	return rpcerr.New(codes.Canceled, rpcerr.ReasonCanceled, rpcerr.T(
		"The caller cancelled the call.", "调用方取消了本次调用。"))
}

// ofDatabase recognises faults of Postgres that are no faults of the program.
func ofDatabase(err error) *rpcerr.Error {
	switch code := pg.Code(err); code {
	case "40001", "40P01", "55P03":
		return rpcerr.New(codes.Aborted, "CONFLICT", rpcerr.T(
			"Other calls are changing the same data at the moment; try again.",
			"其他调用正在修改同一数据，请重试。"))
	// Statement timeout, idle in transaction, read-only standby, resources, disk.
	case "57014", "25P03", "25006", "53000", "53100", "53200", "53400":
		return rpcerr.Unavailable("database")
	}
	if pg.Unavailable(err) {
		return rpcerr.Unavailable("database")
	}
	return nil
}

// ofDownstream recognises another service that is not there. What else it said
// is private until the handler translates it. UNIMPLEMENTED given directly is
// the generated code's own answer.
func ofDownstream(err error) *rpcerr.Error {
	if s, ok := err.(interface{ GRPCStatus() *status.Status }); ok && s.GRPCStatus().Code() == codes.Unimplemented {
		return rpcerr.New(codes.Unimplemented, rpcerr.ReasonNotServed, rpcerr.T(
			"This service does not serve the method.", "该服务不提供此方法。"))
	}
	s, ok := status.FromError(err)
	if !ok {
		return nil
	}
	switch s.Code() {
	case codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted, codes.Canceled:
		return rpcerr.Unavailable("another service")
	}
	return nil
}

// boundStream makes public what grpc itself finds wrong with a stream.
type boundStream struct{ grpc.ServerStream }

func (s *boundStream) RecvMsg(m any) error {
	err := s.ServerStream.RecvMsg(m)
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	switch st, _ := status.FromError(err); st.Code() {
	case codes.ResourceExhausted:
		return tooLarge(0, 0)
	case codes.Internal, codes.InvalidArgument:
		return rpcerr.New(codes.InvalidArgument, rpcerr.ReasonValidation, rpcerr.T(
			"A message could not be decoded; send it as the proto describes.",
			"消息无法解码；请按 proto 定义发送。"))
	}
	return err
}

// panicked is a panic of a handler, as an error.
type panicked struct {
	text  string
	stack []byte
}

func (p *panicked) Error() string { return p.text }

// recovered turns a panic into a private error. Its value may hold anything, so
// only those of the Go runtime are told.
func recovered(err *error) {
	v := recover()
	if v == nil {
		return
	}
	text := fmt.Sprintf("panic of type %T", v)
	if re, ok := v.(runtime.Error); ok {
		text = "panic: " + re.Error()
	}
	*err = &panicked{text: text, stack: debug.Stack()}
}

func unaryRecover(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (resp any, err error) {
	defer recovered(&err)
	return next(ctx, req)
}

func streamRecover(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	defer recovered(&err)
	return next(srv, ss)
}
