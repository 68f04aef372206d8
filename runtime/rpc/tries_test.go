package rpc

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
)

const (
	shortMethod = "/kefu.test.v1.TestService/Get"
	bulkMethod  = "/kefu.test.v1.TestService/Load"
)

// network is the rest of the chain: each try takes as long as the next of takes says,
// zero being for ever, and ends as what is left of its time allows.
type network struct {
	takes []time.Duration
	tries []time.Duration // the time each try was given
}

func (n *network) invoke(ctx context.Context, _ string, _, _ any, _ *grpc.ClientConn, _ ...grpc.CallOption) error {
	given := time.Duration(0)
	if end, ok := ctx.Deadline(); ok {
		given = time.Until(end)
	}
	var answer <-chan time.Time
	if i := len(n.tries); i < len(n.takes) && n.takes[i] > 0 {
		answer = time.After(n.takes[i])
	}
	n.tries = append(n.tries, given)
	select {
	case <-answer:
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}

func newTries(bound time.Duration, most int) *tries {
	known := &methods{}
	known.known.Store(bulkMethod, method{rule: &accessv1.AccessRule{Rate: accessv1.RateClass_RATE_CLASS_BULK}})
	return &tries{bound: bound, most: most, methods: known, tokens: throttleTokens}
}

func TestTries(t *testing.T) {
	const s = time.Second
	for name, test := range map[string]struct {
		method string
		opts   []grpc.CallOption
		given  time.Duration   // the caller's deadline, zero for none
		takes  []time.Duration // how long each try needs
		want   []time.Duration // the time each try got
		lasts  time.Duration
		code   codes.Code
	}{
		"an answer in time is the only try": {shortMethod, nil, 10 * s, []time.Duration{s / 2}, []time.Duration{s}, s / 2, codes.OK},
		"a hung instance costs one try":     {shortMethod, nil, 10 * s, []time.Duration{0, s / 2}, []time.Duration{s, s}, s + s/2, codes.OK},
		"the last try has the whole rest":   {shortMethod, nil, 10 * s, []time.Duration{0, 0, 7 * s}, []time.Duration{s, s, 8 * s}, 9 * s, codes.OK},
		"no try outlasts the call":          {shortMethod, nil, s + s/2, []time.Duration{0, 0, 0}, []time.Duration{s, s / 2}, s + s/2, codes.DeadlineExceeded},
		"nobody answers":                    {shortMethod, nil, 5 * s, []time.Duration{0, 0, 0}, []time.Duration{s, s, 3 * s}, 5 * s, codes.DeadlineExceeded},
		"without a deadline it is 30 s":     {shortMethod, nil, 0, []time.Duration{0, 0, 0}, []time.Duration{s, s, 28 * s}, 30 * s, codes.DeadlineExceeded},
		"what is marked long is not cut":    {shortMethod, []grpc.CallOption{Long()}, 10 * s, []time.Duration{7 * s}, []time.Duration{10 * s}, 7 * s, codes.OK},
		"what is bulk is not cut":           {bulkMethod, nil, 10 * s, []time.Duration{7 * s}, []time.Duration{10 * s}, 7 * s, codes.OK},
		"a long call has its bound as well": {shortMethod, []grpc.CallOption{Long()}, 0, []time.Duration{0}, []time.Duration{30 * s}, 30 * s, codes.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, n := t.Context(), &network{takes: test.takes}
				if test.given > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, test.given)
					defer cancel()
				}
				began := time.Now()
				err := newTries(time.Second, 3).unary(ctx, test.method, nil, nil, nil, n.invoke, test.opts...)
				if status.Code(err) != test.code || time.Since(began) != test.lasts {
					t.Errorf("%v after %v, want %v after %v", err, time.Since(began), test.code, test.lasts)
				}
				if !slices.Equal(n.tries, test.want) {
					t.Errorf("tries were given %v, want %v", n.tries, test.want)
				}
			})
		})
	}
}

// TestRefusalsAreNotTriedAgain: only a missing answer is, though a server that ran out of
// time may say so itself.
func TestRefusalsAreNotTriedAgain(t *testing.T) {
	for code, want := range map[codes.Code]int{codes.DeadlineExceeded: 3, codes.NotFound: 1, codes.Unavailable: 1, codes.Canceled: 1} {
		n := 0
		err := newTries(time.Second, 3).unary(t.Context(), shortMethod, nil, nil, nil,
			func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error {
				n++
				return status.Error(code, "as the server says")
			})
		if n != want || status.Code(err) != code {
			t.Errorf("%v: %d tries and %v, want %d tries", code, n, err, want)
		}
	}
}

// TestTriesAreThrottled: when nothing answers, repeating stops; when answers come again,
// so does repeating.
func TestTriesAreThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := newTries(time.Second, 3)
		call := func(takes ...time.Duration) int {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			n := &network{takes: takes}
			_ = tries.unary(ctx, shortMethod, nil, nil, nil, n.invoke) // how it ends is no matter
			return len(n.tries)
		}
		made := 0
		for range 100 {
			made += call()
		}
		// The 50 tokens above the half are worth 17 calls of three tries.
		if made != 100+2*17 {
			t.Errorf("%d tries for 100 calls without an answer, want 134", made)
		}
		answers := 0
		for call(0, time.Millisecond) == 1 { // throttled: its one try has the whole time and gets nothing
			for range 100 {
				call(time.Millisecond)
				answers++
			}
			if answers > 10_000 {
				t.Fatal("repeating never came back")
			}
		}
		if answers < int(throttleTokens/2/throttleRefill) {
			t.Errorf("repeating came back after %d answers", answers)
		}
	})
}
