//go:build !faults

package e2e

// subjectTickets is how many tickets the person has who is exported and erased.
const subjectTickets = 1500
