package rpc_test

import (
	"context"
	"crypto/tls"
	"path/filepath"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/rpc"
)

// where answers with the address that the server has of the caller.
func where(ctx context.Context, _ string, _ *dynamicpb.Message) (proto.Message, error) {
	return newNote(rpc.Address(ctx).String()), nil
}

// programs are the certificates of the sample service and of its callers; "" has none.
func programs(t *testing.T, names ...string) (server *tls.Config, clients map[string]*tls.Config) {
	t.Helper()
	ca, err := authn.NewCA(filepath.Join(t.TempDir(), "ca"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := ca.Issue("sample")
	if err != nil {
		t.Fatal(err)
	}
	if server, err = authn.ServerTLS(files); err != nil {
		t.Fatal(err)
	}
	clients = map[string]*tls.Config{}
	for _, name := range names {
		files := authn.TLSConfig{CAFile: ca.CertFile()}
		if name != "" {
			if files, err = ca.Issue(name); err != nil {
				t.Fatal(err)
			}
		}
		if clients[name], err = authn.ClientTLS(files, "sample"); err != nil {
			t.Fatal(err)
		}
	}
	return server, clients
}

// TestAddressIsWhatWasSeenAndNotWhatWasSaid: the connection says from where a call comes, save
// that the gateway and the services may speak of their callers, each in its own way.
func TestAddressIsWhatWasSeenAndNotWhatWasSaid(t *testing.T) {
	server, clients := programs(t, "", "gateway", "survey")
	s := serve(t, where, noStream, func(c *rpc.ServerConfig) { c.TLS, c.Forwarder = server, "gateway" })
	const forwarded, origin = "x-forwarded-for", "kefu-origin"
	for name, c := range map[string]struct {
		peer string
		says []string
		want string
	}{
		"a stranger":                   {"", []string{forwarded, "203.0.113.7", origin, "203.0.113.7"}, "127.0.0.1"},
		"the gateway":                  {"gateway", []string{forwarded, "203.0.113.7"}, "203.0.113.7"},
		"the gateway, after others":    {"gateway", []string{forwarded, "10.0.0.1, 203.0.113.7"}, "203.0.113.7"},
		"the gateway, last of two":     {"gateway", []string{forwarded, "10.0.0.1", forwarded, "203.0.113.7"}, "203.0.113.7"},
		"the gateway, of a new kind":   {"gateway", []string{forwarded, "2001:db8::7"}, "2001:db8::7"},
		"the gateway, mapped":          {"gateway", []string{forwarded, "::ffff:203.0.113.7"}, "203.0.113.7"},
		"the gateway, with nonsense":   {"gateway", []string{forwarded, "somewhere"}, "127.0.0.1"},
		"the gateway, by itself":       {"gateway", nil, "127.0.0.1"},
		"the gateway, as services do":  {"gateway", []string{origin, "203.0.113.7"}, "127.0.0.1"},
		"a service":                    {"survey", []string{origin, "203.0.113.7"}, "203.0.113.7"},
		"a service, as the gateway":    {"survey", []string{forwarded, "203.0.113.7"}, "127.0.0.1"},
		"a service, with nonsense":     {"survey", []string{origin, "203.0.113"}, "127.0.0.1"},
		"a service, for itself, a job": {"survey", nil, "127.0.0.1"},
	} {
		// Our own client would take away what is reserved.
		conn, err := grpc.NewClient(s.addr, grpc.WithTransportCredentials(credentials.NewTLS(clients[c.peer])))
		if err != nil {
			t.Fatal(err)
		}
		got, err := call(metadata.AppendToOutgoingContext(t.Context(), c.says...), conn, "Get", "x")
		if err != nil || got != c.want {
			t.Errorf("%s: the caller is at %q, %v; expected %s", name, got, err, c.want)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
	if rpc.Address(t.Context()).IsValid() {
		t.Error("outside of a call there is an address")
	}
}

// TestAddressTravelsOn: a service that calls another for its caller says from where that one
// came; what the caller wrote there does not arrive.
func TestAddressTravelsOn(t *testing.T) {
	server, clients := programs(t, "", "gateway", "survey")
	behind := func(c *rpc.ServerConfig) { c.TLS, c.Forwarder = server, "gateway" }
	last := serve(t, where, noStream, behind)
	onward := dial(t, last.addr, rpc.ClientConfig{TLS: clients["survey"]})
	front := serve(t, func(ctx context.Context, _ string, _ *dynamicpb.Message) (proto.Message, error) {
		got, err := call(metadata.AppendToOutgoingContext(ctx, rpc.OriginKey, "192.0.2.66"), onward, "Get", "x")
		return newNote(got), err
	}, noStream, behind)
	for peer, want := range map[string]string{"": "127.0.0.1", "gateway": "203.0.113.7"} {
		conn := dial(t, front.addr, rpc.ClientConfig{TLS: clients[peer]})
		got, err := call(metadata.AppendToOutgoingContext(t.Context(), rpc.ForwardedKey, "203.0.113.7"), conn, "Get", "x")
		if err != nil || got != want {
			t.Errorf("through %q the last service sees %q, %v; expected %s", peer, got, err, want)
		}
	}
}
