//go:build long

package event_test

import "time"

const (
	crowd     = 1_000_000
	delayRate = 500
	delayTime = 30 * time.Second
	// delayLimit is what is promised.
	delayLimit = time.Second
)
