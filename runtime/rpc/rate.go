package rpc

import (
	"container/list"
	"context"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/grpc"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// rates gives each caller a token bucket for each class of calls.
type rates struct {
	limits  Limits
	methods *methods
	now     func() time.Time

	mu      sync.Mutex
	buckets map[bucketKey]*list.Element
	recent  *list.List // of *bucket, the latest used first
}

type bucketKey struct {
	class  accessv1.RateClass
	caller string
}

type bucket struct {
	key     bucketKey
	limiter *rate.Limiter
}

func newRates(l Limits, m *methods, now func() time.Time) *rates {
	return &rates{
		limits: l, methods: m, now: now,
		buckets: map[bucketKey]*list.Element{}, recent: list.New(),
	}
}

func (r *rates) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if err := r.take(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	return next(ctx, req)
}

func (r *rates) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if err := r.take(ss.Context(), info.FullMethod); err != nil {
		return err
	}
	return next(srv, ss)
}

// take draws one token, or says when there will be one.
func (r *rates) take(ctx context.Context, full string) error {
	class := r.methods.of(full).rule.GetRate()
	if class == accessv1.RateClass_RATE_CLASS_UNSPECIFIED {
		class = accessv1.RateClass_RATE_CLASS_DEFAULT
	}
	who := authn.FromContext(ctx)
	key := bucketKey{class: class, caller: who.Actor()}
	limit, burst := r.limits.DefaultRate, r.limits.DefaultBurst
	switch {
	case who.Kind == authn.Service:
		limit, burst = r.limits.ServiceRate, r.limits.ServiceBurst
	case who.Kind == authn.Public || class == accessv1.RateClass_RATE_CLASS_PUBLIC:
		key = bucketKey{class: accessv1.RateClass_RATE_CLASS_PUBLIC, caller: Address(ctx).String()}
		limit, burst = r.limits.PublicRate, r.limits.PublicBurst
	case class == accessv1.RateClass_RATE_CLASS_BULK:
		limit, burst = r.limits.BulkRate, r.limits.BulkBurst
	}
	now := r.now()
	reserved := r.bucket(key, rate.Limit(limit), burst).ReserveN(now, 1)
	wait := reserved.DelayFrom(now)
	if reserved.OK() && wait == 0 {
		return nil
	}
	reserved.CancelAt(now)
	seconds := int(math.Ceil(wait.Seconds()))
	return rpcerr.Exhausted(rpcerr.ReasonRate, wait, rpcerr.T(
		"You call more often than %[1]g times a second; try again in %[2]d s.",
		"调用频率超过每秒 %[1]g 次，请在 %[2]d 秒后重试。", limit, max(seconds, 1)))
}

// bucket finds or makes the caller's bucket. Beyond the bound the one unused for
// longest is forgotten, which at worst gives its caller a full bucket again.
func (r *rates) bucket(key bucketKey, limit rate.Limit, burst int) *rate.Limiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := r.buckets[key]; ok {
		r.recent.MoveToFront(e)
		return e.Value.(*bucket).limiter
	}
	if r.recent.Len() >= r.limits.RateCallers {
		oldest := r.recent.Back()
		delete(r.buckets, r.recent.Remove(oldest).(*bucket).key)
	}
	b := &bucket{key: key, limiter: rate.NewLimiter(limit, burst)}
	r.buckets[key] = r.recent.PushFront(b)
	return b.limiter
}
