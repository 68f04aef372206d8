//go:build !long

package write_test

// crowdKeys is how many request ids every caller of TestCrowdOfRepeatedCalls uses.
const crowdKeys = 20
