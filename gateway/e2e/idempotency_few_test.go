//go:build !long

package e2e

// repeatedKeys is how many idempotency keys every caller uses.
const repeatedKeys = 40
