package pii

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/tink-crypto/tink-go-hcvault/v2/integration/hcvault"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// VaultMaster is a key of the transit engine of OpenBao or HashiCorp Vault. It never leaves
// that server.
type VaultMaster struct {
	client    *api.Client
	tokenFile string
	name      string // hcvault:transit/keys/kefu
	key       string // transit/keys/kefu
	aead      tink.AEAD
}

// VaultConfig says where the key is.
type VaultConfig struct {
	// URI is hcvault://HOST:PORT/MOUNT/keys/NAME; the server is asked over TLS.
	URI string
	// TokenFile holds the token; it is read anew for every call, so an agent may replace it.
	TokenFile string
	// CAFile verifies the server; empty means the system's authorities.
	CAFile string
}

const (
	vaultPrefix  = "hcvault:"
	vaultTimeout = 5 * time.Second
	vaultRetries = 2
)

// OpenVaultMaster prepares the connection. It fails on a configuration that cannot work and
// does not ask the server yet.
func OpenVaultMaster(cfg VaultConfig) (*VaultMaster, error) {
	u, err := url.Parse(cfg.URI)
	if err != nil || u.Scheme != "hcvault" || u.Host == "" {
		return nil, fmt.Errorf("pii: the KMS key is %q; it must be hcvault://HOST:PORT/transit/keys/NAME", cfg.URI)
	}
	transport := api.DefaultConfig().HttpClient.Transport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.CAFile != "" {
		pem, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return nil, fmt.Errorf("pii: authority of the KMS: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("pii: authority of the KMS: %s holds no certificate", cfg.CAFile)
		}
		transport.TLSClientConfig.RootCAs = pool
	}
	client, err := api.NewClient(&api.Config{
		Address: "https://" + u.Host, HttpClient: &http.Client{Transport: transport}, Timeout: vaultTimeout, MaxRetries: vaultRetries,
	})
	if err != nil {
		return nil, fmt.Errorf("pii: KMS: %w", err)
	}
	aead, err := hcvault.NewAEAD(u.EscapedPath(), client.Logical())
	if err != nil {
		return nil, fmt.Errorf("pii: the KMS key is %q; it must be hcvault://HOST:PORT/transit/keys/NAME: %w", cfg.URI, err)
	}
	m := &VaultMaster{client: client, tokenFile: cfg.TokenFile, key: strings.TrimPrefix(u.Path, "/"), aead: aead}
	m.name = vaultPrefix + m.key
	return m, m.login()
}

func (m *VaultMaster) login() error {
	token, err := os.ReadFile(m.tokenFile)
	if err != nil {
		return fmt.Errorf("pii: token of the KMS: %w", err)
	}
	m.client.SetToken(strings.TrimSpace(string(token)))
	return nil
}

func (m *VaultMaster) id(version string) string { return m.name + ":v" + version }

// Current asks the server for the newest version.
func (m *VaultMaster) Current(ctx context.Context) (string, error) {
	if err := m.login(); err != nil {
		return "", err
	}
	secret, err := m.client.Logical().ReadWithContext(ctx, m.key)
	if err != nil {
		return "", fmt.Errorf("pii: KMS: read %s: %w", m.key, err)
	}
	if secret == nil {
		return "", fmt.Errorf("pii: KMS: there is no key %s", m.key)
	}
	version, ok := secret.Data["latest_version"].(json.Number)
	if !ok {
		return "", fmt.Errorf("pii: KMS: %s has no latest_version", m.key)
	}
	return m.id(version.String()), nil
}

// Has tells whether the name is one of this key's.
func (m *VaultMaster) Has(id string) bool { return strings.HasPrefix(id, m.name+":v") }

// Wrap lets the server encrypt; what it answers names the version.
func (m *VaultMaster) Wrap(_ context.Context, key, associated []byte) ([]byte, string, error) {
	if err := m.login(); err != nil {
		return nil, "", err
	}
	wrapped, err := m.aead.Encrypt(key, associated)
	if err != nil {
		return nil, "", fmt.Errorf("pii: KMS: encrypt by %s: %w", m.key, err)
	}
	parts := strings.SplitN(string(wrapped), ":", 3)
	if len(parts) != 3 || !strings.HasPrefix(parts[1], "v") {
		return nil, "", fmt.Errorf("pii: KMS: a ciphertext of %s does not name its version", m.key)
	}
	return wrapped, m.id(parts[1][1:]), nil
}

// Unwrap lets the server decrypt.
func (m *VaultMaster) Unwrap(_ context.Context, id string, wrapped, associated []byte) ([]byte, error) {
	if !m.Has(id) {
		return nil, noMaster(id)
	}
	if err := m.login(); err != nil {
		return nil, err
	}
	key, err := m.aead.Decrypt(wrapped, associated)
	var answer *api.ResponseError
	switch {
	case errors.As(err, &answer) && answer.StatusCode == http.StatusBadRequest:
		// The server says so of a version below min_decryption_version too.
		return nil, errors.Join(ErrCorrupt, fmt.Errorf("pii: KMS: decrypt by %s: %w", id, err))
	case err != nil:
		return nil, fmt.Errorf("pii: KMS: decrypt by %s: %w", id, err)
	}
	return key, nil
}

// Rotate lets the server make a version.
func (m *VaultMaster) Rotate(ctx context.Context) (string, error) {
	if err := m.login(); err != nil {
		return "", err
	}
	if _, err := m.client.Logical().WriteWithContext(ctx, m.key+"/rotate", nil); err != nil {
		return "", fmt.Errorf("pii: KMS: rotate %s: %w", m.key, err)
	}
	return m.Current(ctx)
}

// Retire raises min_decryption_version to the oldest that is used.
func (m *VaultMaster) Retire(ctx context.Context, used []string) error {
	if err := m.login(); err != nil {
		return err
	}
	oldest := 0
	for _, id := range used {
		if !m.Has(id) {
			continue
		}
		n, err := strconv.Atoi(strings.TrimPrefix(id, m.name+":v"))
		if err != nil {
			return fmt.Errorf("pii: KMS: version %q: %w", id, err)
		}
		if oldest == 0 || n < oldest {
			oldest = n
		}
	}
	if oldest == 0 {
		return nil
	}
	_, err := m.client.Logical().WriteWithContext(ctx, m.key+"/config", map[string]any{"min_decryption_version": oldest})
	if err != nil {
		return fmt.Errorf("pii: KMS: retire versions of %s: %w", m.key, err)
	}
	return nil
}
