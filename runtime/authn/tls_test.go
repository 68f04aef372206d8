package authn

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// authority is a CA and the certificates tests need of it.
func authority(t testing.TB) *CA {
	t.Helper()
	ca, err := NewCA(filepath.Join(t.TempDir(), "ca"))
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func issue(t testing.TB, ca *CA, name string) TLSConfig {
	t.Helper()
	cfg, err := ca.Issue(name)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// witness is a real server on loopback that remembers who called it last and with what.
type witness struct {
	addr string

	mu   sync.Mutex
	who  Identity
	seen metadata.MD
	then func(ctx context.Context) error
}

func (w *witness) note(ctx context.Context) error {
	md, _ := metadata.FromIncomingContext(ctx)
	w.mu.Lock()
	w.who, w.seen = FromContext(ctx), md
	then := w.then
	w.mu.Unlock()
	if then != nil {
		return then(ctx)
	}
	return nil
}

func (w *witness) last() (Identity, metadata.MD) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.who, w.seen
}

func newWitness(t testing.TB, cfg TLSConfig, a *Authenticator) *witness {
	t.Helper()
	conf, err := ServerTLS(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w := &witness{}
	s := grpc.NewServer(grpc.Creds(credentials.NewTLS(conf)),
		grpc.ChainUnaryInterceptor(a.Unary(), func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			if err := w.note(ctx); err != nil {
				return nil, err
			}
			return next(ctx, req)
		}),
		grpc.ChainStreamInterceptor(a.Stream(), func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			if err := w.note(ss.Context()); err != nil {
				return err
			}
			return next(srv, ss)
		}))
	healthpb.RegisterHealthServer(s, health.NewServer())
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.addr = lis.Addr().String()
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(lis) })
	t.Cleanup(func() { s.Stop(); serving.Wait() })
	return w
}

// dial connects to the address and expects the named service there.
func dial(t testing.TB, cfg TLSConfig, service, addr string, opts ...grpc.DialOption) healthpb.HealthClient {
	t.Helper()
	conf, err := ClientTLS(cfg, service)
	if err != nil {
		t.Fatal(err)
	}
	return dialTLS(t, conf, addr, opts...)
}

func dialTLS(t testing.TB, conf *tls.Config, addr string, opts ...grpc.DialOption) healthpb.HealthClient {
	t.Helper()
	cc, err := grpc.NewClient("passthrough:///"+addr, append(opts, grpc.WithTransportCredentials(credentials.NewTLS(conf)))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	return healthpb.NewHealthClient(cc)
}

func call(t testing.TB, c healthpb.HealthClient, md ...string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err := c.Check(metadata.AppendToOutgoingContext(ctx, md...), &healthpb.HealthCheckRequest{})
	return err
}

func TestCertificateIsTheService(t *testing.T) {
	ca, foreign := authority(t), authority(t)
	w := newWitness(t, issue(t, ca, "complaint"), New(nil, nil, nil))

	if err := call(t, dial(t, issue(t, ca, "survey"), "complaint", w.addr)); err != nil {
		t.Fatal(err)
	}
	if who, _ := w.last(); who.Kind != Service || who.Service != "survey" || who.Actor() != "survey" {
		t.Errorf("with a certificate: %+v", who)
	}
	if err := call(t, dial(t, TLSConfig{CAFile: ca.CertFile()}, "complaint", w.addr)); err != nil {
		t.Fatal(err)
	}
	if who, _ := w.last(); who.Kind != Public || who.Actor() != "public" {
		t.Errorf("without certificate: %+v", who)
	}

	// A certificate of another authority, whatever it says.
	strange := issue(t, foreign, "gateway")
	strange.CAFile = ca.CertFile()
	if err := call(t, dial(t, strange, "complaint", w.addr)); status.Code(err) != codes.Unavailable {
		t.Errorf("certificate of another authority: %v", err)
	}
	// The client looks for the service, not for the host.
	if err := call(t, dial(t, issue(t, ca, "survey"), "customer-registry", w.addr)); status.Code(err) != codes.Unavailable {
		t.Errorf("expected another service: %v", err)
	}
	wrongRoot := issue(t, ca, "survey")
	wrongRoot.CAFile = foreign.CertFile()
	if err := call(t, dial(t, wrongRoot, "complaint", w.addr)); status.Code(err) != codes.Unavailable {
		t.Errorf("server of another authority: %v", err)
	}
	old, err := ClientTLS(issue(t, ca, "survey"), "complaint")
	if err != nil {
		t.Fatal(err)
	}
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	if err := call(t, dialTLS(t, old, w.addr)); status.Code(err) != codes.Unavailable {
		t.Errorf("TLS 1.2: %v", err)
	}
}

func TestCertificatesAreReadAgain(t *testing.T) {
	ca, next := authority(t), authority(t)
	server, client := issue(t, ca, "complaint"), issue(t, ca, "survey")
	w := newWitness(t, server, New(nil, nil, nil))
	conf, err := ClientTLS(client, "complaint")
	if err != nil {
		t.Fatal(err)
	}
	if err := call(t, dialTLS(t, conf, w.addr)); err != nil {
		t.Fatal(err)
	}
	// The whole authority is replaced below the running programs.
	for file, from := range map[string]TLSConfig{"complaint": issue(t, next, "complaint"), "survey": issue(t, next, "survey")} {
		to := map[string]TLSConfig{"complaint": server, "survey": client}[file]
		write(t, to.KeyFile, read(t, from.KeyFile))
		write(t, to.CertFile, read(t, from.CertFile))
	}
	write(t, ca.CertFile(), read(t, next.CertFile()))
	outsider := issue(t, next, "gateway")
	eventually(t, "the server shows and trusts the new authority", func() bool {
		return call(t, dial(t, outsider, "complaint", w.addr)) == nil
	})
	eventually(t, "the client does so too", func() bool { return call(t, dialTLS(t, conf, w.addr)) == nil })
	if who, _ := w.last(); who.Service != "survey" {
		t.Errorf("after renewal: %+v", who)
	}
}

func TestAuthorityRenews(t *testing.T) {
	ca := authority(t)
	cfg := issue(t, ca, "survey")
	for _, f := range []string{cfg.KeyFile, ca.keyFile()} {
		if info, err := os.Stat(f); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f, info.Mode(), err)
		}
	}
	first := read(t, cfg.CertFile)
	again, err := LoadCA(ca.dir)
	if err != nil {
		t.Fatal(err)
	}
	issue(t, again, "survey")
	if string(read(t, cfg.CertFile)) != string(first) {
		t.Error("a fresh certificate was replaced")
	}
	again.now = func() time.Time { return time.Now().Add(leafLife - renewBefore + time.Hour) }
	issue(t, again, "survey")
	if string(read(t, cfg.CertFile)) == string(first) {
		t.Error("a certificate near its end was kept")
	}
	write(t, cfg.KeyFile, read(t, issue(t, ca, "complaint").KeyFile))
	if _, err := tls.LoadX509KeyPair(issue(t, ca, "survey").CertFile, cfg.KeyFile); err != nil {
		t.Errorf("a pair that does not match was kept: %v", err)
	}
	// Whoever ends while it makes one leaves no key, and the next makes both.
	half := t.TempDir()
	if err := os.Mkdir(filepath.Join(half, "ca.pem"), 0o700); err != nil { // no file can take its place
		t.Fatal(err)
	}
	if _, err := NewCA(half); err == nil {
		t.Error("an authority without a certificate")
	}
	if err := os.Remove(filepath.Join(half, "ca.pem")); err != nil {
		t.Fatal(err)
	}
	if _, err := NewCA(half); err != nil {
		t.Error(err)
	}
	if _, err := NewCA(ca.dir); err == nil {
		t.Error("an authority was overwritten")
	}
	for _, name := range []string{"", "ca", "../ca", "Survey", "a/b", "kefu.x", "-a"} {
		if _, err := ca.Issue(name); err == nil {
			t.Errorf("issued for %q", name)
		}
		if _, err := ClientTLS(cfg, name); err == nil && name != "ca" {
			t.Errorf("a client expects %q", name)
		}
	}
}

func TestAuthorityIsConfinedToTheStack(t *testing.T) {
	ca := authority(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	for name, change := range map[string]func(c *x509.Certificate){
		"host on the open network": func(c *x509.Certificate) { c.DNSNames = []string{"bank.example.com"} },
		"address elsewhere":        func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(192, 0, 2, 1)} },
		"other trust domain":       func(c *x509.Certificate) { c.URIs = []*url.URL{{Scheme: "spiffe", Host: "bank", Path: "/x"}} },
	} {
		template := &x509.Certificate{SerialNumber: big.NewInt(7), NotBefore: time.Now().Add(-time.Minute),
			NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
		change(template)
		der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cert.Verify(x509.VerifyOptions{Roots: roots}); err == nil {
			t.Errorf("%s: the authority's signature is worth something", name)
		}
	}
}

func TestCertificateName(t *testing.T) {
	for raw, want := range map[string]string{
		"spiffe://kefu/survey":   "survey",
		"spiffe://kefu/a-b-9":    "a-b-9",
		"spiffe://kefu/":         "",
		"spiffe://kefu":          "",
		"spiffe://other/survey":  "",
		"https://kefu/survey":    "",
		"spiffe://kefu/a/b":      "",
		"spiffe://kefu/survey?x": "",
		"spiffe://u@kefu/survey": "",
		"spiffe://kefu:1/survey": "",
		"spiffe://kefu/%73urvey": "",
		"spiffe://kefu/Survey":   "",
	} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := certificateName(&x509.Certificate{URIs: []*url.URL{u}}); got != want {
			t.Errorf("%s: %q, want %q", raw, got, want)
		}
	}
	two := []*url.URL{spiffeID("survey"), spiffeID("gateway")}
	if got := certificateName(&x509.Certificate{URIs: two}); got != "" {
		t.Errorf("two names: %q", got)
	}
}
