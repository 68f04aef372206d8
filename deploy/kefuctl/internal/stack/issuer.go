package stack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/kefu-suite/kefu/runtime/devissuer"
)

// firstIssuer is out of the range that the kernel hands out, so the address is still
// free at the next start and tokens and staff records go on naming the same issuer.
const firstIssuer = "127.0.0.1:9080"

// issuer serves the development issuer.
type issuer struct {
	url    string
	server *http.Server
}

func (u *up) startIssuer() (*issuer, error) {
	lis, err := u.listenIssuer()
	if err != nil {
		return nil, err
	}
	handler, err := devissuer.Open(u.dir.issuerKey(), "http://"+lis.Addr().String())
	if err != nil {
		return nil, errors.Join(err, lis.Close())
	}
	i := &issuer{url: handler.URL(), server: &http.Server{
		Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second,
		WriteTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}}
	go func() {
		if err := i.server.Serve(lis); !errors.Is(err, http.ErrServerClosed) {
			u.say("the development issuer ended: %v", err)
		}
	}()
	return i, nil
}

// listenIssuer takes the address of the start before, for the issuer's address is its
// name.
func (u *up) listenIssuer() (net.Listener, error) {
	kept, err := os.ReadFile(u.dir.issuerAddress())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("address of the issuer: %w", err)
	}
	before := strings.TrimSpace(string(kept))
	wanted := before
	if wanted == "" && !u.opts.FreePorts {
		wanted = firstIssuer
	}
	address, err := freeAddress(wanted)
	if err != nil {
		return nil, err
	}
	if before != "" && address != before {
		u.say("%s is taken by another program: the development issuer moves to %s, and staff recorded under the old one must be given the new", before, address)
	}
	lis, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("development issuer: %w", err)
	}
	if err := writeFile(u.dir.issuerAddress(), []byte(address+"\n")); err != nil {
		return nil, errors.Join(fmt.Errorf("address of the issuer: %w", err), lis.Close())
	}
	return lis, nil
}

func (i *issuer) stop(ctx context.Context) error { return i.server.Shutdown(ctx) }
