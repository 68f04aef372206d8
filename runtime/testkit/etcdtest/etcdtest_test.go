package etcdtest_test

import (
	"context"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kefu-suite/kefu/runtime/testkit/etcdtest"
)

func get(t *testing.T, c *clientv3.Client, key string) *clientv3.GetResponse {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	resp, err := c.Get(ctx, key)
	if err != nil {
		t.Fatalf("get %s: %v", key, err)
	}
	return resp
}

func TestRestartKeepsDataAndWipeDoesNot(t *testing.T) {
	begin := time.Now()
	s := etcdtest.Start(t)
	t.Logf("ready after %v", time.Since(begin))
	c := s.Client(t)
	if _, err := c.Put(t.Context(), "key", "value"); err != nil {
		t.Fatalf("put: %v", err)
	}
	before := get(t, c, "key")

	s.Restart()
	after := get(t, c, "key")
	if after.Count != 1 || after.Header.ClusterId != before.Header.ClusterId {
		t.Errorf("after a restart: count %d, cluster %x; want 1, %x", after.Count, after.Header.ClusterId, before.Header.ClusterId)
	}

	s.Wipe()
	wiped := get(t, c, "key")
	if wiped.Count != 0 || wiped.Header.ClusterId == before.Header.ClusterId || wiped.Header.Revision >= before.Header.Revision {
		t.Errorf("after a wipe: count %d, cluster %x, revision %d; want none, a new cluster and a lower revision than %d",
			wiped.Count, wiped.Header.ClusterId, wiped.Header.Revision, before.Header.Revision)
	}
}

func TestCutHarmsOneWayOnly(t *testing.T) {
	s := etcdtest.Start(t)
	p := s.Proxy()
	open, cut := s.Client(t), etcdtest.Dial(t, p.Endpoint())
	get(t, cut, "key")
	p.Cut()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := cut.Get(ctx, "key"); err == nil {
		t.Error("a request passed the cut")
	}
	get(t, open, "key")
	s.Heal(p)
	get(t, cut, "key")
}
