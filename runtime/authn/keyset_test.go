package authn

import (
	"context"
	"crypto/elliptic"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func es256(t testing.TB, kid string) signer {
	return ecSigner(t, kid, jwt.SigningMethodES256, elliptic.P256())
}

func TestUnknownKeysCauseOneFetch(t *testing.T) {
	const callers = 100
	es := es256(t, "es")
	c := newClock()
	p := newProvider(t, es)
	v := p.verifier(t, c)
	storm := func(kid func(i int) string) map[Check]int {
		hold := make(chan struct{})
		p.mu.Lock()
		p.hold = hold
		p.mu.Unlock()
		var began, ended sync.WaitGroup
		var mu sync.Mutex
		got := map[Check]int{}
		for i := range callers {
			began.Add(1)
			ended.Go(func() {
				raw := es.token(t, p.claims(c, jwt.MapClaims{"n": i}), map[string]any{"kid": kid(i)})
				began.Done()
				check := verifyCheck(t, v, t.Context(), raw)
				mu.Lock()
				got[check]++
				mu.Unlock()
			})
		}
		began.Wait()
		close(hold)
		ended.Wait()
		return got
	}
	if got := storm(func(int) string { return "es" }); got[""] != callers || p.fetches.Load() != 1 {
		t.Errorf("cold start: %v with %d fetches", got, p.fetches.Load())
	}
	unknown := func(i int) string { return fmt.Sprint("forged-", i) }
	if got := storm(unknown); got[CheckKey] != callers || p.fetches.Load() != 1 {
		t.Errorf("within a minute: %v with %d fetches", got, p.fetches.Load())
	}
	c.advance(fetchApart)
	if got := storm(unknown); got[CheckKey] != callers || p.fetches.Load() != 2 {
		t.Errorf("after a minute: %v with %d fetches", got, p.fetches.Load())
	}
}

func TestKeysRotateUnderLoad(t *testing.T) {
	first, second := es256(t, "first"), es256(t, "second")
	c := newClock()
	p := newProvider(t, first)
	v := p.verifier(t, c)
	current := &first
	var changing sync.RWMutex // calls hold it to read: after a change none is under the first key
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	var served, serial atomic.Int64
	defer load.Wait()
	defer stop()
	for range 4 {
		load.Go(func() {
			for ctx.Err() == nil {
				changing.RLock()
				raw := current.token(t, p.claims(c, jwt.MapClaims{"n": serial.Add(1)}), nil)
				_, err := v.Verify(context.WithoutCancel(ctx), raw)
				changing.RUnlock()
				if err != nil {
					t.Errorf("good token refused: %v", err)
					return
				}
				served.Add(1)
			}
		})
	}
	fetched := func() {
		t.Helper()
		before := p.fetches.Load()
		c.advance(refreshAfter + time.Second)
		eventually(t, "keys are fetched anew", func() bool { return p.fetches.Load() > before })
		n := served.Load()
		eventually(t, "calls go on", func() bool { return served.Load() > n+20 })
	}
	eventually(t, "the first calls", func() bool { return served.Load() > 20 })
	p.publish(first, second)
	fetched()
	eventually(t, "the new key is known", func() bool {
		return verifyCheck(t, v, t.Context(), second.token(t, p.claims(c, jwt.MapClaims{"n": serial.Add(1)}), nil)) == ""
	})
	changing.Lock()
	current = &second
	changing.Unlock()
	p.publish(second)
	fetched()
	eventually(t, "the old key is refused", func() bool {
		return verifyCheck(t, v, t.Context(), first.token(t, p.claims(c, jwt.MapClaims{"n": serial.Add(1)}), nil)) == CheckKey
	})
}

func TestProviderDown(t *testing.T) {
	es := es256(t, "es")
	c := newClock()
	p := newProvider(t, es)
	p.fail(down)
	v := p.verifier(t, c) // starts although the provider is down
	check := func() Check {
		return verifyCheck(t, v, t.Context(), es.token(t, p.claims(c, jwt.MapClaims{"n": c.now().UnixNano()}), nil))
	}
	if got := check(); got != CheckProvider {
		t.Errorf("before the first fetch: %q", got)
	}
	p.fail(nil)
	if got := check(); got != CheckProvider {
		t.Errorf("fetched again within a minute: %q", got)
	}
	c.advance(fetchApart)
	if got := check(); got != "" {
		t.Fatalf("provider is back: %q", got)
	}
	p.fail(down)
	for range 24 {
		c.advance(59 * time.Minute)
		if got := check(); got != "" {
			t.Fatalf("down for less than 24 h, at %v: %q", c.now(), got)
		}
	}
	c.advance(25 * time.Minute)
	if got := check(); got != CheckProvider {
		t.Errorf("down for more than 24 h: %q", got)
	}
	_, err := v.Verify(t.Context(), es.token(t, p.claims(c, nil), nil))
	if got := status.Code(PublicError(err)); got != codes.Unavailable {
		t.Errorf("the caller sees %v, want Unavailable", got)
	}
	p.fail(nil)
	c.advance(fetchApart)
	if got := check(); got != "" {
		t.Errorf("provider is back after a day: %q", got)
	}
}

func TestFetchFailures(t *testing.T) {
	for name, change := range map[string]func(p *provider){
		"wrong issuer in discovery": func(p *provider) {
			p.fail(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = fmt.Fprintf(w, `{"issuer":"https://evil.example","jwks_uri":%q}`, p.URL+"/keys")
			})
		},
		"keys on plain http elsewhere": func(p *provider) { p.jwksURI = "http://keys.example.com/" },
		"keys by file":                 func(p *provider) { p.jwksURI = "file:///etc/passwd" },
		"redirect": func(p *provider) {
			p.fail(func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/.well-known/openid-configuration":
					http.Redirect(w, r, p.URL+"/moved", http.StatusFound)
				case "/moved":
					_, _ = fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, p.URL, p.URL+"/keys")
				default:
					_ = json.NewEncoder(w).Encode(map[string]any{"keys": p.keys})
				}
			})
		},
		"no key": func(p *provider) { p.publish() },
		"not JSON": func(p *provider) {
			p.fail(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) })
		},
		"answer of two megabytes": func(p *provider) {
			p.fail(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/keys" {
					_ = json.NewEncoder(w).Encode(map[string]any{"keys": p.keys})
					return
				}
				_, _ = fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q,"pad":%q}`, p.URL, p.URL+"/keys", strings.Repeat("a", 2*maxDocument))
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			es := es256(t, "es")
			c := newClock()
			p := newProvider(t, es)
			change(p)
			if got := verifyCheck(t, p.verifier(t, c), t.Context(), es.token(t, p.claims(c, nil), nil)); got != CheckProvider {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestBadAnswerKeepsGoodKeys(t *testing.T) {
	es := es256(t, "es")
	c := newClock()
	p := newProvider(t, es)
	v := p.verifier(t, c)
	if got := verifyCheck(t, v, t.Context(), es.token(t, p.claims(c, nil), nil)); got != "" {
		t.Fatal(got)
	}
	p.publish()
	c.advance(awaitAfter + time.Minute) // the call waits for the fetch
	if got := verifyCheck(t, v, t.Context(), es.token(t, p.claims(c, nil), nil)); got != "" {
		t.Errorf("an empty key set took the keys away: %q", got)
	}
	if p.fetches.Load() != 2 {
		t.Errorf("%d fetches", p.fetches.Load())
	}
}

func TestCallerDoesNotWaitLongerThanItMay(t *testing.T) {
	es := es256(t, "es")
	c := newClock()
	p := newProvider(t, es)
	hold := make(chan struct{})
	defer close(hold)
	p.hold = hold
	v := p.verifier(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if got := verifyCheck(t, v, ctx, es.token(t, p.claims(c, nil), nil)); got != CheckProvider {
		t.Errorf("got %q", got)
	}
}

func TestSlowFetchIsNotDoubled(t *testing.T) {
	es := es256(t, "es")
	c := newClock()
	p := newProvider(t, es)
	hold := make(chan struct{})
	p.hold = hold
	v := p.verifier(t, c)
	raw := es.token(t, p.claims(c, nil), nil)
	var first sync.WaitGroup
	first.Go(func() {
		if got := verifyCheck(t, v, t.Context(), raw); got != "" {
			t.Errorf("the first caller: %q", got)
		}
	})
	eventually(t, "the fetch runs", func() bool { return p.fetches.Load() == 1 })
	c.advance(2 * fetchApart)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if got := verifyCheck(t, v, ctx, raw); got != CheckProvider {
		t.Errorf("the second caller: %q", got)
	}
	close(hold)
	first.Wait()
	if n := p.fetches.Load(); n != 1 {
		t.Errorf("%d fetches at once", n)
	}
}
