package authn

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

const trustDomain = "kefu"

// TLSConfig names the files of one program's certificate and of the authority it trusts.
// All of them are read again when they change.
type TLSConfig struct{ CAFile, CertFile, KeyFile string }

type tlsFiles struct {
	roots *x509.CertPool
	cert  *tls.Certificate // nil for a client without certificate
}

func (c TLSConfig) load() (tlsFiles, error) {
	data, err := os.ReadFile(c.CAFile)
	if err != nil {
		return tlsFiles{}, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(data) {
		return tlsFiles{}, fmt.Errorf("%s holds no certificate", c.CAFile)
	}
	if c.CertFile == "" && c.KeyFile == "" {
		return tlsFiles{roots: roots}, nil
	}
	cert, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		return tlsFiles{}, fmt.Errorf("%s with %s: %w", c.CertFile, c.KeyFile, err)
	}
	return tlsFiles{roots: roots, cert: &cert}, nil
}

func (c TLSConfig) reloader() (*reloader[tlsFiles], error) {
	r, err := newReloader(c.load, c.CAFile, c.CertFile, c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("authn: TLS files: %w", err)
	}
	return r, nil
}

// ServerTLS is TLS 1.3 with the certificate of the files. A client may come without a
// certificate; one that shows a certificate of another authority is refused. It fails if
// the files cannot be used now; later failures keep the former ones in use.
func ServerTLS(cfg TLSConfig) (*tls.Config, error) {
	if cfg.CertFile == "" || cfg.KeyFile == "" {
		return nil, errors.New("authn: a server needs a certificate and its key")
	}
	files, err := cfg.reloader()
	if err != nil {
		return nil, err
	}
	current := func() *tls.Config {
		f := files.get()
		return &tls.Config{
			MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"},
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return f.cert, nil },
			ClientCAs:      f.roots, ClientAuth: tls.VerifyClientCertIfGiven,
			// A resumed session would carry an identity past the change of the authority.
			SessionTicketsDisabled: true,
		}
	}
	outer := current()
	outer.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return current(), nil }
	return outer, nil
}

// ClientTLS is TLS 1.3 towards the named service, whatever address it has: the server
// must show a certificate of the authority with the URI spiffe://kefu/<service>. DNS
// names are not looked at. The client's own certificate is optional.
func ClientTLS(cfg TLSConfig, service string) (*tls.Config, error) {
	if !serviceName.MatchString(service) {
		return nil, fmt.Errorf("authn: %q is not the name of a service", service)
	}
	files, err := cfg.reloader()
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if cert := files.get().cert; cert != nil {
				return cert, nil
			}
			return &tls.Certificate{}, nil
		},
		// The standard check compares host names; VerifyConnection below makes the whole
		// check of chain, use and name instead, on every handshake.
		InsecureSkipVerify: true, //nolint:gosec // #nosec G402
		VerifyConnection: func(cs tls.ConnectionState) error {
			return verifyServer(cs, files.get().roots, service)
		},
	}, nil
}

func verifyServer(cs tls.ConnectionState, roots *x509.CertPool, service string) error {
	if len(cs.PeerCertificates) == 0 {
		return errors.New("authn: the server showed no certificate")
	}
	rest := x509.NewCertPool()
	for _, c := range cs.PeerCertificates[1:] {
		rest.AddCert(c)
	}
	leaf := cs.PeerCertificates[0]
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: rest,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}); err != nil {
		return fmt.Errorf("authn: certificate of %s: %w", service, err)
	}
	if got := certificateName(leaf); got != service {
		return fmt.Errorf("authn: expected the certificate of %s, the server is %q", service, got)
	}
	return nil
}

var serviceName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)

func spiffeID(service string) *url.URL {
	return &url.URL{Scheme: "spiffe", Host: trustDomain, Path: "/" + service}
}

// certificateName is the service in the only URI of the certificate, or "".
func certificateName(cert *x509.Certificate) string {
	if len(cert.URIs) != 1 || len(cert.URIs[0].Path) < 2 {
		return ""
	}
	name := cert.URIs[0].Path[1:]
	if !serviceName.MatchString(name) || cert.URIs[0].String() != spiffeID(name).String() {
		return ""
	}
	return name
}

// PeerService is the name of the service at the other end of the connection, by its
// verified certificate, or "" if it showed none. It never comes from metadata.
func PeerService(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return ""
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 || len(info.State.VerifiedChains[0]) == 0 {
		return ""
	}
	return certificateName(info.State.VerifiedChains[0][0])
}
