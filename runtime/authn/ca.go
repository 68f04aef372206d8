package authn

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const (
	caLife   = 10 * 365 * 24 * time.Hour
	leafLife = 30 * 24 * time.Hour
	// renewBefore leaves a program that is restarted now and then two thirds of the life.
	renewBefore = 10 * 24 * time.Hour
	backdate    = 5 * time.Minute
)

// CA is the local authority that names the programs of one stack to each other. It signs
// for spiffe://kefu/… on loopback only and is not for the open network. It is not safe
// for concurrent use.
type CA struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	now  func() time.Time
}

// NewCA makes a new authority in dir (created 0700): ca.pem and ca-key.pem (0600). It
// fails if there is one already.
func NewCA(dir string) (*CA, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("authn: authority: %w", err)
	}
	ca := &CA{dir: dir, now: time.Now}
	if _, err := os.Stat(ca.keyFile()); !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("authn: authority: %s exists already", ca.keyFile())
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("authn: authority: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	now := ca.now()
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "Kefu local authority"},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(caLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage:                    x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		PermittedDNSDomainsCritical: true,
		PermittedURIDomains:         []string{trustDomain},
		PermittedDNSDomains:         []string{"localhost"},
		PermittedIPRanges:           loopbackRanges(),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("authn: authority: %w", err)
	}
	if err := writePEM(ca.CertFile(), "CERTIFICATE", der, 0o644); err != nil {
		return nil, err
	}
	// The key comes last, because there is an authority once there is a key.
	if err := writeKey(ca.keyFile(), key); err != nil {
		return nil, err
	}
	return LoadCA(dir)
}

// LoadCA reads the authority that NewCA made in dir; errors.Is(err, fs.ErrNotExist) says
// that there is none.
func LoadCA(dir string) (*CA, error) {
	ca := &CA{dir: dir, now: time.Now}
	var err error
	if ca.cert, err = readCert(ca.CertFile()); err != nil {
		return nil, fmt.Errorf("authn: authority: %w", err)
	}
	if ca.key, err = readKey(ca.keyFile()); err != nil {
		return nil, fmt.Errorf("authn: authority: %w", err)
	}
	if !ca.key.PublicKey.Equal(ca.cert.PublicKey) {
		return nil, fmt.Errorf("authn: authority: %s does not belong to %s", ca.keyFile(), ca.CertFile())
	}
	return ca, nil
}

// CertFile is the certificate that programs are given as TLSConfig.CAFile.
func (ca *CA) CertFile() string { return filepath.Join(ca.dir, "ca.pem") }

func (ca *CA) keyFile() string { return filepath.Join(ca.dir, "ca-key.pem") }

// Issue returns the files with which the named program shows itself. What is there is
// kept while it is of this authority and lives for ten days more, else both files are
// replaced; running programs notice. A certificate lives 30 days: call Issue at every
// start and daily.
func (ca *CA) Issue(name string) (TLSConfig, error) {
	if !serviceName.MatchString(name) || name == "ca" {
		return TLSConfig{}, fmt.Errorf("authn: %q is not the name of a service", name)
	}
	files := TLSConfig{
		CAFile:   ca.CertFile(),
		CertFile: filepath.Join(ca.dir, name+".pem"),
		KeyFile:  filepath.Join(ca.dir, name+"-key.pem"),
	}
	if ca.fresh(files, name) {
		return files, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return TLSConfig{}, fmt.Errorf("authn: issue %s: %w", name, err)
	}
	serial, err := newSerial()
	if err != nil {
		return TLSConfig{}, err
	}
	now := ca.now()
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(leafLife), BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1).To4(), net.IPv6loopback},
	}
	template.URIs = append(template.URIs, spiffeID(name))
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
	if err != nil {
		return TLSConfig{}, fmt.Errorf("authn: issue %s: %w", name, err)
	}
	// Between the two a reader sees a pair that does not match and keeps the former.
	if err := writeKey(files.KeyFile, key); err != nil {
		return TLSConfig{}, err
	}
	return files, writePEM(files.CertFile, "CERTIFICATE", der, 0o644)
}

func (ca *CA) fresh(files TLSConfig, name string) bool {
	cert, err := readCert(files.CertFile)
	if err != nil {
		return false
	}
	key, err := readKey(files.KeyFile)
	if err != nil || !key.PublicKey.Equal(cert.PublicKey) {
		return false
	}
	return cert.CheckSignatureFrom(ca.cert) == nil && certificateName(cert) == name &&
		ca.now().Add(renewBefore).Before(cert.NotAfter)
}

func loopbackRanges() []*net.IPNet {
	return []*net.IPNet{
		{IP: net.IPv4(127, 0, 0, 0).To4(), Mask: net.CIDRMask(8, 32)},
		{IP: net.IPv6loopback, Mask: net.CIDRMask(128, 128)},
	}
}

func newSerial() (*big.Int, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("authn: serial number: %w", err)
	}
	return serial, nil
}

func readCert(file string) (*x509.Certificate, error) {
	der, err := readPEM(file)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func readKey(file string) (*ecdsa.PrivateKey, error) {
	der, err := readPEM(file)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s holds a %T, not an ECDSA key", file, parsed)
	}
	return key, nil
}

func writeKey(file string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("authn: %s: %w", file, err)
	}
	return writePEM(file, "PRIVATE KEY", der, 0o600)
}

func readPEM(file string) ([]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM block", file)
	}
	return block.Bytes, nil
}

// writePEM replaces the file in one step, so that a reader sees the old or the new one.
func writePEM(file, kind string, der []byte, mode os.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*")
	if err != nil {
		return fmt.Errorf("authn: %w", err)
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	err = pem.Encode(tmp, &pem.Block{Type: kind, Bytes: der})
	if err = errors.Join(err, tmp.Chmod(mode), tmp.Sync(), tmp.Close()); err != nil {
		return fmt.Errorf("authn: %s: %w", file, err)
	}
	if err := os.Rename(tmp.Name(), file); err != nil {
		return fmt.Errorf("authn: %w", err)
	}
	return nil
}
