//go:build fuzz

package e2e

// fuzzRequests is how many requests the fuzzer makes.
const fuzzRequests = 50000
