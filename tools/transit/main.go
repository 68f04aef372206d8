// Command transit serves the transit engine of Vault over HTTP on loopback, with its keys in
// memory, so that tests hold our KMS against the engine itself. What stands around it in Vault,
// which seals, signs in and routes, is not there: one mount, one token, one key `kefu`.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/builtin/logical/transit"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

const mount = "/v1/transit/"

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: transit TOKEN; it prints its address and serves until its input ends")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "transit:", err)
		os.Exit(1)
	}
}

func run(token string) error {
	s := &server{token: token, storage: &logical.InmemStorage{}}
	cfg := &logical.BackendConfig{
		StorageView: s.storage, System: &logical.StaticSystemView{DefaultLeaseTTLVal: time.Hour, MaxLeaseTTLVal: time.Hour}, Logger: hclog.NewNullLogger(),
	}
	engine, err := transit.Backend(context.Background(), cfg)
	if err != nil {
		return fmt.Errorf("start the engine: %w", err)
	}
	// The setting of its cache is declared in a way that the framework's tagged release, which is
	// younger than the engine, does not take. Nobody asks for it.
	engine.Paths = slices.DeleteFunc(engine.Paths, func(p *framework.Path) bool { return p.Pattern == "cache-config" })
	if err := engine.Setup(context.Background(), cfg); err != nil {
		return fmt.Errorf("start the engine: %w", err)
	}
	s.engine = engine
	_, err = s.engine.HandleRequest(context.Background(), &logical.Request{
		Operation: logical.UpdateOperation, Path: "keys/kefu", Storage: s.storage, Data: map[string]any{"type": "aes256-gcm96"},
	})
	if err != nil {
		return fmt.Errorf("make the key: %w", err)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(lis.Addr())
	ended := make(chan error, 1)
	go func() { ended <- http.Serve(lis, s) }() //nolint:gosec // on loopback, for a test
	go func() {
		_, err := io.Copy(io.Discard, os.Stdin) // whoever started it has gone
		ended <- err
	}()
	return <-ended
}

type server struct {
	token   string
	engine  logical.Backend
	storage logical.Storage
}

// ServeHTTP makes the engine's request of one over HTTP and its answer one over HTTP, as Vault
// does.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fail := func(code int, errs ...string) {
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(map[string]any{"errors": errs})
	}
	path, ok := strings.CutPrefix(r.URL.Path, mount)
	switch {
	case r.Header.Get("X-Vault-Token") != s.token:
		fail(http.StatusForbidden, "permission denied")
		return
	case !ok:
		fail(http.StatusNotFound, "no handler for route "+r.URL.Path)
		return
	}
	req := &logical.Request{Operation: logical.ReadOperation, Path: path, Storage: s.storage, Data: map[string]any{}}
	if r.Method == http.MethodPut || r.Method == http.MethodPost {
		req.Operation = logical.UpdateOperation
		if err := json.NewDecoder(r.Body).Decode(&req.Data); err != nil && !errors.Is(err, io.EOF) {
			fail(http.StatusBadRequest, err.Error())
			return
		}
	}
	res, err := s.engine.HandleRequest(r.Context(), req)
	if code, err := logical.RespondErrorCommon(req, res, err); err != nil {
		fail(code, err.Error())
		return
	}
	if res == nil || len(res.Data) == 0 {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"data": res.Data})
}
