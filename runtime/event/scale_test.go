//go:build !long

package event_test

import "time"

// crowd is the number of events that TestExactlyOnceInACrowd makes; the delay is measured
// with delayRate events a second for delayTime.
const (
	crowd     = 20_000
	delayRate = 200
	delayTime = 3 * time.Second
	// delayLimit leaves room for a machine that is busy with other tests; `make long` has
	// the promised second.
	delayLimit = 20 * time.Second
)
