// Package crash names the moments at which a test build of a program can be made to die.
// In ordinary builds At does nothing and costs nothing.
//
// Built with the tag crash, a process that works in a folder with a file
// crash-<program>, which holds a point and a number n, kills itself when it passes that
// point the n-th time since the file appeared. It removes the file first, so that one
// process dies for one file.
package crash

// Point is a moment around a step whose loss must not show.
type Point string

// The points, in the order in which a change passes them.
const (
	// BeforeBegin: a write was called and has done nothing.
	BeforeBegin Point = "before-begin"
	// AfterBegin: its transaction has begun.
	AfterBegin Point = "after-begin"
	// BeforeCommit: all its rows are written, or are about to be sent in one batch.
	BeforeCommit Point = "before-commit"
	// AfterCommit: the commit was answered, and nobody else knows.
	AfterCommit Point = "after-commit"
	// BeforeReply: the answer of a mutation is made and not sent.
	BeforeReply Point = "before-reply"
	// AfterReply: it was handed to the connection.
	AfterReply Point = "after-reply"
	// BeforePosition: events are numbered and not committed.
	BeforePosition Point = "before-position"
	// AfterPosition: their numbers are committed, and no consumer was told.
	AfterPosition Point = "after-position"
	// BeforeEffect: a consumer has locked its cursor and applied nothing.
	BeforeEffect Point = "before-effect"
	// AfterEffect: it has applied events and moved its cursor, not committed.
	AfterEffect Point = "after-effect"
	// AfterEffectCommit: effects and cursor are committed, and nobody was told.
	AfterEffectCommit Point = "after-effect-commit"
)

// Points are all of them.
func Points() []Point {
	return []Point{BeforeBegin, AfterBegin, BeforeCommit, AfterCommit, BeforeReply, AfterReply,
		BeforePosition, AfterPosition, BeforeEffect, AfterEffect, AfterEffectCommit}
}
