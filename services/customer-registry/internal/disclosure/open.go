// Package disclosure holds the rules of who gets to see a customer's file: whom it is open
// to, how access is asked for, granted and ended, and what of a quarter's reads stands out.
// It reads no clock and no database.
package disclosure

import (
	"time"

	"github.com/google/uuid"
)

// Clearance is what a role's permission shows of a file.
type Clearance int

// The clearances.
const (
	// None needs a grant.
	None Clearance = iota
	// Masked hides contact data.
	Masked
	// Whole shows everything.
	Whole
)

// Sight is how much of the summaries somebody sees: it decides whether they may know that a
// customer exists.
type Sight int

// The sights.
const (
	// Blind sees no summaries.
	Blind Sight = iota
	// Own sees the lines of customers they own.
	Own
	// All sees every line.
	All
)

// Reader is who wants to see a file.
type Reader struct {
	Clearance Clearance
	Sight     Sight
	// Trusted reads the files of key customers whatever their team: the information
	// administrator, managers, the customer themselves, systems.
	Trusted bool
	// Staff and Department are those of the directory, zero when it does not know them.
	Staff, Department uuid.UUID
}

// File is what decides about a file.
type File struct {
	// Key marks a key customer's.
	Key bool
	// Owner is the account manager, OwnerDepartment theirs; zero for none.
	Owner, OwnerDepartment uuid.UUID
}

// Grant is a right to read one customer's file for a time.
type Grant struct {
	ID         uuid.UUID
	BreakGlass bool
	EndTime    time.Time
}

// Basis is what a read rests on.
type Basis int

// The bases.
const (
	// Refused: there is none.
	Refused Basis = iota
	// ByRole is the clearance of a role.
	ByRole
	// ByTeam is the clearance of a role in the account team of a key customer.
	ByTeam
	// ByGrant is an approved access request.
	ByGrant
	// ByBreakGlass is an opening in an emergency.
	ByBreakGlass
	// ByVisit is a ticket for which the reader goes to the customer.
	ByVisit
)

// Verdict is what a reader gets of a file.
type Verdict struct {
	Basis Basis
	// Whole shows everything; else contact data is masked. Meaningless when refused.
	Whole bool
	// Grant is the one used; of a refused reader the last they had, zero for none.
	Grant Grant
	// Ticket is the one of a visit.
	Ticket uuid.UUID
	// Hidden: the reader may not know of the customer.
	Hidden bool
}

// Right names the verdict's right for the audit record; role is the one by which the call
// was let in.
func (v Verdict) Right(role string) string {
	switch v.Basis {
	case ByTeam:
		return "team/" + role
	case ByGrant:
		return "grant:" + v.Grant.ID.String()
	case ByBreakGlass:
		return "break-glass:" + v.Grant.ID.String()
	case ByVisit:
		return "ticket:" + v.Ticket.String()
	}
	return role
}

// ByClearance decides without grants: they are for reading, and looked up only for those
// who need one.
func ByClearance(r Reader, f File) Verdict {
	basis := ByRole
	if f.Key && !r.Trusted {
		if !inTeam(r, f) {
			return refusal(r, f)
		}
		basis = ByTeam
	}
	if r.Clearance == None {
		return refusal(r, f)
	}
	return Verdict{Basis: basis, Whole: r.Clearance == Whole}
}

// inTeam: the account team is the account manager and their department.
func inTeam(r Reader, f File) bool {
	return f.Owner != uuid.Nil && (r.Staff == f.Owner || r.Department != uuid.Nil && r.Department == f.OwnerDepartment)
}

func refusal(r Reader, f File) Verdict {
	hidden := r.Sight == Own && (r.Staff == uuid.Nil || r.Staff != f.Owner)
	return Verdict{Hidden: hidden}
}

// WithGrant improves what clearance gives by the best grant of the reader for the file, the
// one that ends last; zero for none. It opens the whole file while it lasts. Who had one
// knows of the customer.
func WithGrant(v Verdict, g Grant, now time.Time) Verdict {
	if v.Whole && v.Basis != Refused || g.ID == uuid.Nil {
		return v
	}
	if now.Before(g.EndTime) {
		basis := ByGrant
		if g.BreakGlass {
			basis = ByBreakGlass
		}
		return Verdict{Basis: basis, Whole: true, Grant: g}
	}
	v.Grant, v.Hidden = g, false
	return v
}
