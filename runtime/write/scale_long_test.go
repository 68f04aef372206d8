//go:build long

package write_test

const crowdKeys = 1000
