package stack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/kefu-suite/kefu/runtime/devissuer"
)

// Dir is the folder of one stack: everything it keeps lies in it.
type Dir string

func (d Dir) in(names ...string) string {
	return filepath.Join(append([]string{string(d)}, names...)...)
}

func (d Dir) lockFile() string      { return d.in("lock") }
func (d Dir) childrenFile() string  { return d.in("children.json") }
func (d Dir) stateFile() string     { return d.in("stack.json") }
func (d Dir) passwordFile() string  { return d.in("keys", "passwords.json") }
func (d Dir) issuerKey() string     { return d.in("keys", "issuer.pem") }
func (d Dir) issuerAddress() string { return d.in("issuer-address") }
func (d Dir) anchors() string       { return d.in("anchors") }
func (d Dir) gatewayKey() string    { return d.in("keys", "gateway.pem") }
func (d Dir) gatewayKeys() string   { return d.in("keys", "gateway-public.pem") }
func (d Dir) masterKey(service string) string {
	return d.in("keys", "master-"+service+".key")
}
func (d Dir) erasures() string                  { return d.in("erasures") }
func (d Dir) environFile(service string) string { return d.in("keys", service+".env") }
func (d Dir) logFile(program string) string     { return d.in("logs", program+".log") }

// openDir makes the folder and its parts, readable by nobody else.
func openDir(path string) (Dir, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("folder of the stack: %w", err)
	}
	d := Dir(abs)
	for _, p := range []string{abs, d.in("keys"), d.in("logs"), d.erasures(), d.anchors()} {
		if err := os.MkdirAll(p, 0o700); err != nil {
			return "", fmt.Errorf("folder of the stack: %w", err)
		}
	}
	return d, nil
}

// lock keeps a second stack off the folder. The kernel frees it with the process,
// however that ends, so a stale one cannot exist.
func (d Dir) lock() (*os.File, error) {
	f, err := os.OpenFile(d.lockFile(), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(d.lockFile())
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("a stack is already running in %s (process %s); stop it first, or name another folder with --dir",
				d, strings.TrimSpace(string(holder)))
		}
		return nil, fmt.Errorf("lock %s: %w", d.lockFile(), err)
	}
	if err = f.Truncate(0); err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock: %w", err), f.Close())
	}
	return f, nil
}

// OpenIssuer is the development issuer of the stack in a folder, running or not: what
// it mints is accepted while the stack runs. It fails with a sentence that says what to
// do when no stack was ever started there.
func OpenIssuer(path string) (*devissuer.Issuer, error) {
	d := Dir(path)
	address, err := os.ReadFile(d.issuerAddress())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no stack was started in %s; run `kefuctl up` first, or name its folder with --dir", path)
	}
	if err != nil {
		return nil, fmt.Errorf("address of the issuer: %w", err)
	}
	return devissuer.Open(d.issuerKey(), "http://"+strings.TrimSpace(string(address)))
}

// writeFile leaves either the old content or the new, readable by nobody else.
func writeFile(path string, content []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = tmp.Write(content)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
