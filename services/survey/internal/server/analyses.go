package server

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
)

// maxAnalyses bounds the analyses that a process remembers.
const maxAnalyses = 200

// analyses remembers what was computed, by the request and by the state of the data that it was
// computed of. What a key stands for never changes, so nothing has to be made invalid: new
// answers make another key.
type analyses struct {
	mu    sync.Mutex
	known map[analysisKey]*surveyv1.Analysis
}

type analysisKey struct {
	request [sha256.Size]byte
	data    string
}

// key names the request and the data of its snapshot. Answers, invitations and withdrawals are
// only ever added, and snapshots see them in the order of their commits, so their numbers tell
// which are there; flags change, and their epoch tells.
func (a *analyst) key(version int32) (analysisKey, error) {
	asked := proto.CloneOf(a.req)
	asked.RequestId = "" // each call has its own
	request, err := proto.MarshalOptions{Deterministic: true}.Marshal(asked)
	if err != nil {
		return analysisKey{}, fmt.Errorf("encode request: %w", err)
	}
	data := []string{fmt.Sprintf("clean %t, flags %d", a.clean, a.epoch), fmt.Sprintf("version %d, %d answers, %d asked, %d answered, %d withdrawn",
		version, a.tables.Recorded, a.tables.Asked, a.tables.Answered, a.withdrawn)}
	for _, tier := range slices.Sorted(maps.Keys(a.tables.Population)) {
		data = append(data, fmt.Sprintf("%s %d", tier, a.tables.Population[tier]))
	}
	return analysisKey{request: sha256.Sum256(request), data: strings.Join(data, ", ")}, nil
}

// get gives a copy of the analysis, nil where it is not known.
func (c *analyses) get(key analysisKey) *surveyv1.Analysis {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.known[key]
	if known == nil {
		return nil
	}
	return proto.CloneOf(known)
}

func (c *analyses) put(key analysisKey, a *surveyv1.Analysis) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		c.known = map[analysisKey]*surveyv1.Analysis{}
	}
	// At the bound any one is forgotten; the ones of old data go in time.
	for forgotten := range c.known {
		if len(c.known) < maxAnalyses {
			break
		}
		delete(c.known, forgotten)
	}
	c.known[key] = proto.CloneOf(a)
}
