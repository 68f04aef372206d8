//go:build long

package e2e

const repeatedKeys = 1000
