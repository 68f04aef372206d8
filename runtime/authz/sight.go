package authz

import (
	"encoding/binary"
	"slices"
	"strings"
	"sync"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	"github.com/kefu-suite/kefu/runtime/mask"
)

// sights are kept by clearances and never by whose they are: there are as many as there are
// sets of roles that see different things.
var sights = struct {
	sync.RWMutex
	of map[string]*mask.Sight
}{of: map[string]*mask.Sight{}}

// sightOf is that of whoever has these clearances.
func sightOf(with []Clearance) *mask.Sight {
	with = together(with)
	var buf [128]byte
	key := buf[:0]
	for _, c := range with {
		key = binary.AppendUvarint(key, uint64(len(c.Purpose)))
		key = append(key, c.Purpose...)
		key = append(key, byte(c.Shown), byte(c.Masked))
	}
	sights.RLock()
	s := sights.of[string(key)]
	sights.RUnlock()
	if s != nil {
		return s
	}
	sights.Lock()
	defer sights.Unlock()
	if s := sights.of[string(key)]; s != nil {
		return s
	}
	s = mask.NewSight(func(rule *accessv1.DataRule) mask.View { return See(with, rule) })
	sights.of[string(key)] = s
	return s
}

// together gives one clearance for each purpose, in their order, with which everything is seen
// as with the given ones.
func together(with []Clearance) []Clearance {
	out := make([]Clearance, 0, len(with))
	for _, c := range with {
		i, found := slices.BinarySearchFunc(out, c, func(a, b Clearance) int { return strings.Compare(a.Purpose, b.Purpose) })
		if !found {
			out = slices.Insert(out, i, c)
			continue
		}
		out[i].Shown, out[i].Masked = max(out[i].Shown, c.Shown), max(out[i].Masked, c.Masked)
	}
	return out
}
