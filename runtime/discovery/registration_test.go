package discovery_test

import (
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/naming/endpoints"

	"github.com/kefu-suite/kefu/runtime/discovery"
	"github.com/kefu-suite/kefu/runtime/testkit/etcdtest"
)

func TestLayoutIsThatOfEtcdNaming(t *testing.T) {
	t.Parallel()
	client := etcdtest.Start(t).Client(t)
	r, err := discovery.Register(t.Context(), client, service,
		discovery.Instance{ID: "one", Addr: "10.0.0.1:9001", Metadata: map[string]string{"version": "3"}})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, watched, "registered", r.Registered)
	m, err := endpoints.NewManager(client, service)
	if err != nil {
		t.Fatal(err)
	}
	list, err := m.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, ok := list[service+"/one"]
	if meta, _ := got.Metadata.(map[string]any); !ok || got.Addr != "10.0.0.1:9001" || meta["version"] != "3" {
		t.Errorf("etcd's naming package reads %v", list)
	}
	resp, err := client.Get(t.Context(), service+"/one")
	if err != nil || resp.Count != 1 {
		t.Fatal(resp, err)
	}
	if want := `{"Op":0,"Addr":"10.0.0.1:9001","Metadata":{"version":"3"}}`; string(resp.Kvs[0].Value) != want {
		t.Errorf("stored %s, want %s", resp.Kvs[0].Value, want)
	}
	ttl, err := client.TimeToLive(t.Context(), clientv3.LeaseID(resp.Kvs[0].Lease))
	if err != nil || ttl.GrantedTTL != 5 {
		t.Errorf("lease %v, %v; want one of five seconds", ttl, err)
	}
	for range 2 {
		if err := r.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if resp, err := client.Get(t.Context(), service+"/one"); err != nil || resp.Count != 0 || r.Registered() {
		t.Errorf("after Leave: %v, %v, registered %v", resp, err, r.Registered())
	}
}

func TestRegisterRefusesWhatCannotBeCalled(t *testing.T) {
	t.Parallel()
	client := etcdtest.Dial(t, "http://127.0.0.1:1")
	for name, c := range map[string]struct {
		service string
		inst    discovery.Instance
	}{
		"no service":       {"", discovery.Instance{ID: "one", Addr: "127.0.0.1:1"}},
		"slash in service": {"a/b", discovery.Instance{ID: "one", Addr: "127.0.0.1:1"}},
		"no id":            {service, discovery.Instance{Addr: "127.0.0.1:1"}},
		"slash in id":      {service, discovery.Instance{ID: "a/b", Addr: "127.0.0.1:1"}},
		"no address":       {service, discovery.Instance{ID: "one"}},
		"no host":          {service, discovery.Instance{ID: "one", Addr: ":9001"}},
		"port zero":        {service, discovery.Instance{ID: "one", Addr: "127.0.0.1:0"}},
	} {
		if _, err := discovery.Register(t.Context(), client, c.service, c.inst); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestWhatIsLostComesBack(t *testing.T) {
	t.Parallel()
	client := etcdtest.Start(t).Client(t)
	i := serve(t)
	register(t, client, "one", i)
	key := service + "/one"
	stands := func() bool {
		resp, err := client.Get(t.Context(), key)
		return err == nil && resp.Count == 1 && resp.Kvs[0].Lease != 0
	}
	lose := map[string]func() error{
		"key removed": func() error { _, err := client.Delete(t.Context(), key); return err },
		"key overwritten": func() error {
			_, err := client.Put(t.Context(), key, `{"Op":0,"Addr":"127.0.0.1:1"}`)
			return err
		},
		"lease revoked": func() error {
			resp, err := client.Get(t.Context(), key)
			if err != nil {
				return err
			}
			_, err = client.Revoke(t.Context(), clientv3.LeaseID(resp.Kvs[0].Lease))
			return err
		},
	}
	for name, do := range lose {
		if err := do(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if stands() {
			t.Fatalf("%s: nothing was lost", name)
		}
		eventually(t, watched, name+", stands again", stands)
	}
}

func TestLeaveWithoutEtcd(t *testing.T) {
	t.Parallel()
	s := etcdtest.Start(t)
	r, _ := register(t, s.Client(t), "one", serve(t))
	s.Stop()
	if err := r.Leave(t.Context()); err == nil {
		t.Error("it left an etcd that is not there")
	}
	if r.Registered() {
		t.Error("still registered after Leave")
	}
	// The entry outlives the failed removal by its lease at most.
	s.Restart()
	client := s.Client(t)
	eventually(t, watched, "entry runs out", func() bool {
		resp, err := client.Get(t.Context(), service+"/one")
		return err == nil && resp.Count == 0
	})
}
