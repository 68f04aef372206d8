//go:build !fuzz

package e2e

// fuzzRequests is how many requests the fuzzer makes; fifty thousand under the tag fuzz.
const fuzzRequests = 1000
