package rpc

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
)

// Rechecker is an interceptor that can say of a call that goes on whether it would still be
// let in. Its error is public.
type Rechecker interface {
	Recheck(ctx context.Context, fullMethod string) error
}

// standing ends streams whose caller would no longer be let in. A unary call is over before
// that matters.
type standing struct {
	checks []Rechecker
	every  time.Duration
}

// newStanding takes what of the chain can check again; identity comes before rights.
func newStanding(cfg ServerConfig) standing {
	s := standing{every: cfg.Limits.StreamCheck}
	for _, i := range []Interceptors{cfg.Authn, cfg.Guard} {
		if r, ok := i.(Rechecker); ok {
			s.checks = append(s.checks, r)
		}
	}
	return s
}

// lapsed is why a stream was ended: an error that its caller is to see.
type lapsed struct{ error }

func (l lapsed) Unwrap() error { return l.error }

func (s standing) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if len(s.checks) == 0 {
		return next(srv, ss)
	}
	ctx, end := context.WithCancelCause(ss.Context())
	defer end(nil)
	go s.watch(ctx, info.FullMethod, end)
	err := next(srv, &standingStream{ServerStream: ss, ctx: ctx})
	if over := endOf(ctx); err != nil && over != nil {
		return over
	}
	return err
}

// watch checks until the stream is over.
func (s standing) watch(ctx context.Context, method string, end context.CancelCauseFunc) {
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, c := range s.checks {
			if err := c.Recheck(ctx, method); err != nil {
				end(lapsed{err})
				return
			}
		}
	}
}

// endOf gives the error with which a stream was ended, nil where it was not.
func endOf(ctx context.Context) error {
	var l lapsed
	if errors.As(context.Cause(ctx), &l) {
		return l.error
	}
	return nil
}

// standingStream sends nothing any more once it was ended, whatever its handler minds.
type standingStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *standingStream) Context() context.Context { return s.ctx }

func (s *standingStream) SendMsg(m any) error {
	if over := endOf(s.ctx); over != nil {
		return over
	}
	return s.ServerStream.SendMsg(m)
}
