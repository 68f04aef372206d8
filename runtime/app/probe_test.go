package app

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// TestReadinessIsToldInTime: it drops within two seconds after something it depends on is
// gone, be that told or silence, and is back within five.
func TestReadinessIsToldInTime(t *testing.T) {
	told := func(context.Context) error { return errors.New("gone") }
	silent := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	for name, fault := range map[string]func(context.Context) error{"told": told, "silent": silent} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := health.NewServer()
				r := newReadiness(h)
				broken := make(chan bool, 1)
				broken <- false
				r.add("database", func(ctx context.Context) error {
					now := <-broken
					broken <- now
					if now {
						return fault(ctx)
					}
					return nil
				})
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- r.run(ctx) }()
				for _, gone := range []bool{false, true, false} {
					<-broken
					broken <- gone
					time.Sleep(map[bool]time.Duration{true: 2 * time.Second, false: 5 * time.Second}[gone])
					answer, err := h.Check(ctx, &grpc_health_v1.HealthCheckRequest{})
					if err != nil {
						t.Fatal(err)
					}
					if serves := answer.GetStatus() == grpc_health_v1.HealthCheckResponse_SERVING; serves == gone || (r.err() == nil) == gone {
						t.Errorf("gone: %v, but it says %v for %v", gone, answer.GetStatus(), r.err())
					}
				}
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		})
	}
}
