package authn

import (
	"crypto/sha256"
	"sync"
	"time"
)

const (
	cacheLife = 60 * time.Second
	cacheSize = 4096
)

// tokenCache remembers verified tokens by their hash for at most cacheLife, so that a
// burst of calls costs one signature check. It holds two generations; when the younger
// one is full or old it becomes the elder and the elder is dropped, which bounds memory
// without a sweeper.
type tokenCache struct {
	mu           sync.Mutex
	young, elder map[[sha256.Size]byte]cached
	turned       time.Time
}

type cached struct {
	identity Identity
	until    time.Time
}

func (c *tokenCache) get(key [sha256.Size]byte, now time.Time) (Identity, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.young[key]
	if !ok {
		e, ok = c.elder[key]
	}
	if !ok || !now.Before(e.until) {
		return Identity{}, false
	}
	return e.identity, true
}

// put remembers the identity until the earlier of expiry and cacheLife from now.
func (c *tokenCache) put(key [sha256.Size]byte, i Identity, expiry, now time.Time) {
	until := now.Add(cacheLife)
	if expiry.Before(until) {
		until = expiry
	}
	if !now.Before(until) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.young == nil || len(c.young) >= cacheSize/2 || now.Sub(c.turned) > cacheLife {
		c.elder, c.young, c.turned = c.young, make(map[[sha256.Size]byte]cached), now
	}
	c.young[key] = cached{identity: i, until: until}
}

// mintedCache remembers the tokens that a Minter made lately, in two generations as
// tokenCache does.
type mintedCache struct {
	mu           sync.Mutex
	young, elder map[string]minted
	turned       time.Time
}

type minted struct {
	raw  string
	when time.Time
}

func (c *mintedCache) get(key string, now time.Time) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.young[key]
	if !ok {
		e, ok = c.elder[key]
	}
	age := now.Sub(e.when)
	return e.raw, ok && age >= 0 && age < mintedLife
}

func (c *mintedCache) put(key, raw string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.young == nil || len(c.young) >= mintedSize/2 || now.Sub(c.turned) > mintedLife {
		c.elder, c.young, c.turned = c.young, make(map[string]minted), now
	}
	c.young[key] = minted{raw: raw, when: now}
}
