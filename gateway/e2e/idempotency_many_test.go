//go:build faults

package e2e

const repeatedKeys = 1000
