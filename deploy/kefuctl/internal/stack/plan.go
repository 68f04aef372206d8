package stack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/pg"
)

const (
	gatewayName = "gateway"
	// connections are what all programs together may hold of the private Postgres's
	// three hundred; a pool is never larger than poolMax.
	connections = 240
	poolMax     = 20
)

// service is one of the suite's services and the port of its first replica.
type service struct {
	name string
	port int
}

// services are those of the suite, in the order in which they need each other.
func services() []service {
	return []service{{"customer-registry", 9001}, {"service-ticket", 9002}, {"complaint", 9003}, {"survey", 9004}}
}

// plan settles which programs will run and on which addresses.
func (u *up) plan() error {
	paths := []string{filepath.Join(u.opts.Bin, gatewayName)}
	for _, s := range services() {
		paths = append(paths, filepath.Join(u.opts.Bin, s.name))
	}
	if err := missing(paths); err != nil {
		return err
	}
	if err := u.findTestClock(); err != nil {
		return err
	}
	rest, err := restAddress(u.opts.HTTP)
	if err != nil {
		return err
	}
	var programs []*program
	for _, s := range services() {
		for n := 1; n <= u.opts.Replicas; n++ {
			p := &program{up: u, name: s.name, replica: n, binary: filepath.Join(u.opts.Bin, s.name), environ: u.serviceEnviron}
			wanted := ""
			if n == 1 && !u.opts.FreePorts {
				wanted = "127.0.0.1:" + strconv.Itoa(s.port)
			}
			if p.grpc, err = freeAddress(wanted); err != nil {
				return err
			}
			if wanted != "" && p.grpc != wanted {
				u.say("%s is taken by another program; %s listens on %s", wanted, p.label(), p.grpc)
			}
			programs = append(programs, p)
		}
	}
	programs = append(programs, &program{up: u, name: gatewayName, replica: 1, edge: true, http: rest, fixed: rest == u.opts.HTTP,
		binary: filepath.Join(u.opts.Bin, gatewayName), environ: u.gatewayEnviron})
	for _, p := range programs {
		if p.metrics, err = freeAddress(""); err != nil {
			return err
		}
	}
	u.mu.Lock()
	u.programs = programs
	u.mu.Unlock()
	return nil
}

// findTestClock wants the file to be there and makes its path good for programs that run
// in other folders.
func (u *up) findTestClock() error {
	if u.opts.TestClock == "" {
		return nil
	}
	file, err := filepath.Abs(u.opts.TestClock)
	if err == nil {
		_, err = os.Stat(file)
	}
	if err != nil {
		return fmt.Errorf("--test-clock: %w; write a time such as 2026-02-13T17:50:00+08:00 or +36h to it first", err)
	}
	u.opts.TestClock = file
	return nil
}

// prepareDatabases makes every service's database and roles and migrates it.
func (u *up) prepareDatabases(ctx context.Context) error {
	if _, err := u.certificates(); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range services() {
		group.Go(func() error {
			words := u.secrets.passwords[s.name]
			access, err := pg.CreateDatabase(ctx, u.adminURL(), s.name, words.Owner, words.Run)
			if err != nil {
				return fmt.Errorf("database of %s: %w", s.name, err)
			}
			return u.migrate(ctx, s.name, access.OwnerDSN)
		})
	}
	return group.Wait()
}

// migrate calls the service's own subcommand as the owner of its database.
func (u *up) migrate(ctx context.Context, name, owner string) (err error) {
	log, err := openLog(u.dir.logFile("migrate-" + name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	cmd := exec.Command(filepath.Join(u.opts.Bin, name), "migrate")
	cmd.Env = u.environ(map[string]string{"KEFU_OWNER_DATABASE_URL": owner})
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = string(u.dir), log, log, childAttr()
	u.launcher.do(func() { err = cmd.Start() })
	if err != nil {
		return fmt.Errorf("migrate %s: %w", name, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("migrate %s: %w: %s (log: %s)", name, err, lastLine(log.Name()), log.Name())
	}
	return nil
}

// certificates issues or renews those of all programs.
func (u *up) certificates() (map[string]authn.TLSConfig, error) {
	files := map[string]authn.TLSConfig{}
	names := []string{gatewayName}
	for _, s := range services() {
		names = append(names, s.name)
	}
	for _, name := range names {
		tls, err := u.secrets.ca.Issue(name)
		if err != nil {
			return nil, err
		}
		files[name] = tls
	}
	return files, nil
}

// serviceEnviron is what a service reads at its start.
func (u *up) serviceEnviron(p *program) []string {
	at := p.running()
	url, err := u.runURL(p.name)
	if err != nil {
		u.say("%s: %v", p.label(), err)
	}
	clock := map[string]string{}
	if u.opts.TestClock != "" {
		clock["KEFU_TEST_CLOCK_FILE"] = u.opts.TestClock
	}
	return u.environ(u.common(p), clock, map[string]string{
		"KEFU_LISTEN":             at.GRPC,
		"KEFU_DATABASE_URL":       url,
		"KEFU_DATABASE_MAX_CONNS": strconv.Itoa(max(2, min(poolMax, connections/(len(services())*u.opts.Replicas)))),
		"KEFU_MASTER_KEY_FILE":    u.dir.masterKey(p.name),
		"KEFU_GATEWAY_KEYS_FILE":  u.dir.gatewayKeys(),
		"KEFU_ERASURE_LIST_DIR":   u.dir.erasures(),
		"KEFU_AUDIT_ANCHORS":      u.dir.anchors(),
	})
}

// runURL is the database of a service, as its run role.
func (u *up) runURL(name string) (string, error) {
	role := strings.ReplaceAll(name, "-", "_")
	return pg.Login(u.adminURL(), role, u.secrets.passwords[name].Run, role)
}

// gatewayEnviron is what the gateway reads at its start.
func (u *up) gatewayEnviron(p *program) []string {
	return u.environ(u.common(p), map[string]string{
		"KEFU_HTTP_LISTEN":      p.running().HTTP,
		"KEFU_GATEWAY_KEY_FILE": u.dir.gatewayKey(),
	})
}

// common is what every program reads.
func (u *up) common(p *program) map[string]string {
	return map[string]string{
		"KEFU_ENV":               "development",
		"KEFU_METRICS_LISTEN":    p.running().Metrics,
		"KEFU_ETCD_ENDPOINTS":    u.etcd.endpoints,
		"KEFU_TLS_CA_FILE":       u.secrets.ca.CertFile(),
		"KEFU_TLS_CERT_FILE":     u.dir.in("ca", p.name+".pem"),
		"KEFU_TLS_KEY_FILE":      u.dir.in("ca", p.name+"-key.pem"),
		"KEFU_ISSUERS":           u.issuer.url,
		"KEFU_AUDIENCE":          "kefu",
		"KEFU_CUSTOMER_AUDIENCE": "kefu-customers",
	}
}

// environ is the environment we were started in, less what names another place to work
// on, plus the given variables.
func (u *up) environ(sets ...map[string]string) []string {
	own := map[string]string{}
	for _, set := range sets {
		maps.Copy(own, set)
	}
	var out []string
	for _, pair := range u.opts.Environ {
		name, _, _ := strings.Cut(pair, "=")
		_, replaced := own[name]
		if !replaced && name != "KEFU_DATABASE_URL" && !strings.HasSuffix(name, "_TARGET") && name != "KEFU_ADVERTISE" {
			out = append(out, pair)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(own)) {
		out = append(out, name+"="+own[name])
	}
	return out
}
