package complaint

import (
	"slices"

	"github.com/google/uuid"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
)

// A complaint is open to few: who registered it, its handlers, who decides and quality
// control. Each of them is a reader's key; a caller sees the complaints that have one of
// the caller's keys. Keys are stored with the complaint, so that a list is a walk along
// an index however many complaints there are.

// Keys that name no one in particular.
const (
	// queueKey is on complaints that wait for the intake and that no staff registered.
	queueKey = "queue"
	// qualityKey is on complaints about the quality of a product.
	qualityKey = "quality"
	// reviewKey is on complaints before the review, which any service supervisor makes.
	reviewKey = "review"
	// approvalKey is on complaints whose proposal a service supervisor may approve.
	approvalKey = "approval"
	// closureKey is on complaints that were told and are no team's to close or take on.
	closureKey = "closure"
)

func actorKey(actor string) string      { return "actor:" + actor }
func staffKey(id uuid.UUID) string      { return "staff:" + id.String() }
func departmentKey(id uuid.UUID) string { return "department:" + id.String() }
func registrarsKey(id uuid.UUID) string { return "desk:" + id.String() }

// Openness is what decides who may read a complaint. Zero ids mean none.
type Openness struct {
	State    State
	Category complaintv1.Category
	Quality  complaintv1.Quality
	// RegisteredBy is the actor, RegisteredIn their department.
	RegisteredBy string
	RegisteredIn uuid.UUID
	// SelfRegistered tells that a customer or another system registered it.
	SelfRegistered bool
	Department     uuid.UUID
	// Handlers of every round.
	Handlers []uuid.UUID
	// SupervisorDecides tells that a proposal waits which a service supervisor may approve.
	SupervisorDecides bool
}

// Readers gives the keys of a complaint, sorted.
func Readers(o Openness) []string {
	keys := []string{actorKey(o.RegisteredBy)}
	intake := o.State == Received || o.State == Submitted
	if o.RegisteredIn != uuid.Nil {
		keys = append(keys, registrarsKey(o.RegisteredIn))
	} else if o.State == Told {
		keys = append(keys, closureKey)
	}
	if intake && o.SelfRegistered {
		keys = append(keys, queueKey)
	}
	if intake {
		keys = append(keys, reviewKey)
	}
	if o.SupervisorDecides {
		keys = append(keys, approvalKey)
	}
	if o.Department != uuid.Nil {
		keys = append(keys, departmentKey(o.Department))
	}
	for _, h := range o.Handlers {
		keys = append(keys, staffKey(h))
	}
	if o.Quality == complaintv1.Quality_QUALITY_QUALITY || o.Category == complaintv1.Category_CATEGORY_PRODUCT_QUALITY {
		keys = append(keys, qualityKey)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// Viewer is who wants to read, and how far their grant reaches.
type Viewer struct {
	Actor string
	Scope accessv1.Scope
	// Staff and Department are zero where the directory does not know them.
	Staff, Department uuid.UUID
	// Heads lists the departments they head.
	Heads []uuid.UUID
	// Receiver receives what no staff registered.
	Receiver bool
	// What the token's roles make of them.
	Supervisor, Inspector bool
}

// Everything tells whether the viewer may read every complaint.
func (v Viewer) Everything() bool { return v.Scope == accessv1.Scope_SCOPE_COMPANY }

// Keys gives the keys of a viewer who may not read everything.
func (v Viewer) Keys() []string {
	keys := []string{actorKey(v.Actor)}
	if v.Staff != uuid.Nil {
		keys = append(keys, staffKey(v.Staff))
	}
	for _, d := range v.Heads {
		keys = append(keys, departmentKey(d))
	}
	if v.Receiver {
		keys = append(keys, queueKey)
	}
	if v.Scope == accessv1.Scope_SCOPE_TEAM {
		if v.Department != uuid.Nil {
			keys = append(keys, departmentKey(v.Department), registrarsKey(v.Department))
		}
		if v.Inspector {
			keys = append(keys, qualityKey)
		}
		if v.Supervisor {
			// Beyond their team's they see what waits for a step of theirs, while it waits.
			keys = append(keys, reviewKey, approvalKey, closureKey)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}
