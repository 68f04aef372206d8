package rpc_test

import (
	"log/slog"
	"testing"

	"github.com/kefu-suite/kefu/runtime/rpc"
)

// Whoever does not ask for reflection, as production does not, gets none.
func TestReflectionIsServedWhereAskedFor(t *testing.T) {
	for _, asked := range []bool{true, false} {
		s, err := rpc.NewServer(rpc.ServerConfig{
			Log: slog.New(slog.DiscardHandler), Authn: pass{}, Guard: pass{}, Limits: rpc.DefaultLimits(), Reflection: asked,
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"} {
			if _, there := s.GetServiceInfo()[name]; there != asked {
				t.Errorf("asked for %v, %s is served: %v", asked, name, there)
			}
		}
	}
}
