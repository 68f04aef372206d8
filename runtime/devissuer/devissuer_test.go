package devissuer

import (
	"cmp"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/kefu-suite/kefu/runtime/authn"
)

func open(t testing.TB, file, url string) *Issuer {
	t.Helper()
	i, err := Open(file, url)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestTokensAreAccepted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "issuer.key")
	server := httptest.NewUnstartedServer(nil)
	served := open(t, file, "http://"+server.Listener.Addr().String()+"/")
	server.Config.Handler = served
	server.Start()
	defer server.Close()
	// Another process with the same key file mints for the one that is served.
	minter := open(t, file, served.URL())
	const customer = "0198c5a0-7d3e-7c4b-9f60-0123456789ab"
	for name, c := range map[string]authn.VerifierConfig{
		"over HTTP":  {},
		"in process": {HTTPClient: served.Client()},
	} {
		t.Run(name, func(t *testing.T) {
			c.Issuers, c.Audience, c.CustomerAudience, c.Development = []string{served.URL()}, "kefu", "kefu-customers", true
			v, err := authn.NewVerifier(c)
			if err != nil {
				t.Fatal(err)
			}
			for _, tc := range []struct {
				claims Claims
				want   authn.Identity
			}{
				{Claims{Subject: "u", Audience: "kefu", Roles: []string{"auditor"}},
					authn.Identity{Kind: authn.Person, Issuer: served.URL(), Subject: "u", Roles: []string{"auditor"}}},
				{Claims{Subject: "erp", Audience: "kefu", Permissions: []string{"orders.import"}, Lifetime: time.Minute},
					authn.Identity{Kind: authn.ServiceAccount, Issuer: served.URL(), Subject: "erp", Permissions: []string{"orders.import"}}},
				{Claims{Subject: customer, Audience: "kefu-customers"},
					authn.Identity{Kind: authn.Customer, Issuer: served.URL(), Subject: customer, Roles: []string{"customer"}}},
			} {
				raw, err := minter.Mint(tc.claims)
				if err != nil {
					t.Fatal(err)
				}
				got, err := v.Verify(t.Context(), raw)
				if err != nil {
					t.Fatal(err)
				}
				lives := cmp.Or(tc.claims.Lifetime, time.Hour)
				if left := time.Until(got.Until); left > lives || left < lives-30*time.Second {
					t.Errorf("it is accepted for %s, it lives %s", left, lives)
				}
				got.Until = time.Time{}
				if d := gocmp.Diff(tc.want, got); d != "" {
					t.Error(d)
				}
			}
			late, err := minter.WithClock(func() time.Time { return time.Now().Add(-2 * time.Hour) }).Mint(Claims{Subject: "u", Audience: "kefu"})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := v.Verify(t.Context(), late); err == nil {
				t.Error("an expired token was accepted")
			}
		})
	}
}

func TestMintNeedsSubjectAndAudience(t *testing.T) {
	i := open(t, filepath.Join(t.TempDir(), "issuer.key"), "http://127.0.0.1:1")
	for _, c := range []Claims{{Subject: "u"}, {Audience: "kefu"}} {
		if _, err := i.Mint(c); err == nil {
			t.Errorf("minted %+v", c)
		}
	}
}

func TestKeyIsMadeOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "issuer.key")
	kids := make([]string, 16)
	var group sync.WaitGroup
	for n := range kids {
		group.Go(func() {
			i, err := Open(file, "http://127.0.0.1:1")
			if err != nil {
				t.Error(err)
				return
			}
			kids[n] = i.kid
		})
	}
	group.Wait()
	for _, kid := range kids {
		if kid != kids[0] || kid == "" {
			t.Fatalf("different keys: %v", kids)
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(file, []byte("spoilt"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file, "http://127.0.0.1:1"); err == nil {
		t.Error("a spoilt key file was accepted or replaced")
	}
}
