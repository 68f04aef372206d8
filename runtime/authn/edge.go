package authn

import (
	"crypto/tls"
	"fmt"
)

// EdgeTLS is TLS 1.2 or newer for a public HTTP port, with the certificate of the files,
// which are read again when they change: new connections get the new certificate, those
// that are open go on. It fails if the files cannot be used now; later failures keep the
// former certificate in use.
func EdgeTLS(certFile, keyFile string) (*tls.Config, error) {
	files, err := newReloader(func() (*tls.Certificate, error) {
		cert, err := tls.LoadX509KeyPair(certFile, keyFile)
		return &cert, err
	}, certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("authn: certificate %s with %s: %w", certFile, keyFile, err)
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return files.get(), nil },
	}, nil
}
