package rpc

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Long marks a unary call that may take longer than one bounded try, such as a
// report. Bulk methods are long without it.
func Long() grpc.CallOption { return longCall{} }

type longCall struct{ grpc.EmptyCallOption }

// The throttle of tries that got no answer, with the numbers of serviceConfig.
const (
	throttleTokens = 100.0
	throttleRefill = 1.0
)

// tries bounds each try of a short call. grpc's own retries have no bound for a
// try, so a process that hangs would take the whole deadline of every call that
// round robin gives it.
type tries struct {
	bound   time.Duration
	most    int
	methods *methods

	mu     sync.Mutex
	tokens float64
}

// callDeadline is the deadline of a call whose caller set none.
const callDeadline = 30 * time.Second

func (t *tries) unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, callDeadline)
		defer cancel()
	}
	if t.long(method, opts) {
		return invoke(ctx, method, req, reply, cc, opts...)
	}
	for n := 1; n < t.most && t.open(); n++ {
		err := t.once(ctx, method, req, reply, cc, invoke, opts...)
		unanswered := status.Code(err) == codes.DeadlineExceeded && ctx.Err() == nil
		t.count(unanswered)
		if !unanswered {
			return err
		}
	}
	// The last try has what is left of the call's time: cutting it short would only
	// turn a slow answer into none.
	err := invoke(ctx, method, req, reply, cc, opts...)
	t.count(status.Code(err) == codes.DeadlineExceeded)
	return err
}

func (t *tries) once(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	ctx, cancel := context.WithTimeout(ctx, t.bound)
	defer cancel()
	return invoke(ctx, method, req, reply, cc, opts...)
}

func (t *tries) long(method string, opts []grpc.CallOption) bool {
	for _, o := range opts {
		if _, ok := o.(longCall); ok {
			return true
		}
	}
	return t.methods.of(method).bulk()
}

// open tells whether there have been answers enough lately for another try to be worth
// its load.
func (t *tries) open() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.tokens > throttleTokens/2
}

// count notes whether a try got an answer.
func (t *tries) count(unanswered bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if unanswered {
		t.tokens = max(t.tokens-1, 0)
	} else {
		t.tokens = min(t.tokens+throttleRefill, throttleTokens)
	}
}
