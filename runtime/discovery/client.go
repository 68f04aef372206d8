// Package discovery finds the instances of a service by name through etcd, and announces this one.
//
// Instances stand in etcd as etcd's own naming package writes them: the key is service/instance, the value a
// JSON endpoint, and the key lives as long as a lease of five seconds that the instance renews. Neither side
// needs etcd to be up: a registration waits for it, and a resolver goes on with the endpoints it last knew.
//
// No personal data belongs in an instance's id or metadata; anyone who may read etcd sees them.
package discovery

import (
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// Dial makes an etcd client fit for a long life: it finds a dead connection within ten seconds, tries to
// reconnect at least every second, and logs nothing itself. A nil config means no TLS.
//
// It does not wait for etcd, so it fails only for endpoints that cannot be addresses. Close the client after
// everything that uses it.
func Dial(endpoints []string, config *tls.Config) (*clientv3.Client, error) {
	if len(endpoints) == 0 {
		return nil, errors.New("discovery: no etcd endpoints")
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints:            endpoints,
		TLS:                  config,
		DialKeepAliveTime:    5 * time.Second,
		DialKeepAliveTimeout: 5 * time.Second,
		Logger:               zap.NewNop(),
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: 2 * time.Second,
		})},
	})
	if err != nil {
		return nil, fmt.Errorf("discovery: etcd client for %v: %w", endpoints, err)
	}
	return client, nil
}
