package pii

import (
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	// CacheLife is how long an unwrapped key is used without asking the database.
	CacheLife = 5 * time.Second
	// settled is the age from which a key is certainly committed: no transaction lives
	// so long. A younger one may be of a transaction that is yet to be rolled back, and
	// what others sealed with it would be lost.
	settled = 10 * time.Minute
	// barred is how long a shredded subject is not cached: longer than the shredding
	// transaction lives, before whose commit others still read the key.
	barred    = 10 * time.Minute
	cacheSize = 4096
)

// keyCache keeps unwrapped keys for CacheLife. The window is short because another
// process may shred; this process's own Shred bars the subject at once.
type keyCache struct {
	now func() time.Time

	mu      sync.Mutex
	keys    map[uuid.UUID]cachedKey
	bars    map[uuid.UUID]time.Time
	cleaned time.Time
}

type cachedKey struct {
	subject *Subject
	until   time.Time
}

func newKeyCache(now func() time.Time) *keyCache {
	return &keyCache{now: now, keys: make(map[uuid.UUID]cachedKey), bars: make(map[uuid.UUID]time.Time)}
}

func (c *keyCache) get(id uuid.UUID) (*Subject, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.keys[id]
	if !ok || !c.now().Before(k.until) {
		return nil, false
	}
	return k.subject, true
}

func (c *keyCache) put(id uuid.UUID, s *Subject) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if until, ok := c.bars[id]; ok && now.Before(until) {
		return
	}
	if len(c.keys) >= cacheSize || now.Sub(c.cleaned) > CacheLife {
		c.clean(now)
	}
	c.keys[id] = cachedKey{subject: s, until: now.Add(CacheLife)}
}

func (c *keyCache) bar(id uuid.UUID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.keys, id)
	c.bars[id] = c.now().Add(barred)
}

// clean drops what is over, and all keys if that is not enough; it needs the lock.
func (c *keyCache) clean(now time.Time) {
	c.cleaned = now
	for id, k := range c.keys {
		if !now.Before(k.until) {
			delete(c.keys, id)
		}
	}
	if len(c.keys) >= cacheSize {
		clear(c.keys)
	}
	for id, until := range c.bars {
		if !now.Before(until) {
			delete(c.bars, id)
		}
	}
}
