package localetcd_test

import (
	"context"
	"testing"
	"time"

	"github.com/kefu-suite/kefu/runtime/discovery"
	"github.com/kefu-suite/kefu/runtime/localetcd"
)

func start(t *testing.T, o localetcd.Options) *localetcd.Server {
	t.Helper()
	begin := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	s, err := localetcd.Start(ctx, o)
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Logf("ready after %v", time.Since(begin))
	t.Cleanup(s.Stop)
	return s
}

func TestDirectoryServesOneAtATime(t *testing.T) {
	o := localetcd.Options{Dir: t.TempDir()}
	s := start(t, o)
	if _, err := localetcd.Start(t.Context(), o); err == nil {
		t.Fatal("two servers run on one directory")
	}
	s.Stop()
	s.Stop()
	start(t, o)
}

func TestTakenAddressIsAnError(t *testing.T) {
	s := start(t, localetcd.Options{Dir: t.TempDir(), NoSync: true})
	dir := t.TempDir()
	if _, err := localetcd.Start(t.Context(), localetcd.Options{Dir: dir, Addr: s.Addr()}); err == nil {
		t.Fatalf("two servers listen on %s", s.Addr())
	}
	start(t, localetcd.Options{Dir: dir, NoSync: true}) // the failure left nothing behind
}

func TestDataSurvivesOnTheSameAddress(t *testing.T) {
	o := localetcd.Options{Dir: t.TempDir()}
	s := start(t, o)
	o.Addr = s.Addr()
	put := func(c context.Context) error {
		client, err := discovery.Dial([]string{s.Endpoint()}, nil)
		if err != nil {
			return err
		}
		defer func() { _ = client.Close() }()
		_, err = client.Put(c, "key", "value")
		return err
	}
	if err := put(t.Context()); err != nil {
		t.Fatalf("put: %v", err)
	}
	s.Stop()

	s = start(t, o)
	client, err := discovery.Dial([]string{s.Endpoint()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	resp, err := client.Get(t.Context(), "key")
	if err != nil || resp.Count != 1 {
		t.Fatalf("after a restart: %v, %v; want the key", resp, err)
	}
}
