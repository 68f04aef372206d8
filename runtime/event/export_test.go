package event

import (
	"time"

	"github.com/sethvargo/go-retry"
)

// SetPace makes failures of a consumer quick to watch.
func (c *Consumer) SetPace(between, parkedEvery, parkedFirst time.Duration) {
	c.pace = pace{
		backoff:     func() retry.Backoff { return retry.NewConstant(between) },
		parkedEvery: parkedEvery, parkedFirst: parkedFirst,
	}
}

// SetBeat makes heartbeats quick to watch.
func (s *Server) SetBeat(every time.Duration) { s.beat = every }
