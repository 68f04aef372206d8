package organisation

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/google/uuid"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
)

// Obstacle is why somebody gets no ticket now.
type Obstacle = ticketv1.AssigneeObstacle

// Person is what is asked of somebody who may get a ticket.
type Person struct {
	ID     uuid.UUID
	Status ticketv1.StaffStatus
	// OnShift: in their working hours, or on duty.
	OnShift bool
	// Absent: somebody stands in for them.
	Absent bool
	// Load is how many open tickets are in their hands.
	Load int
	// Skilled and Speaks are about the ticket.
	Skilled, Speaks bool
	// Dedicated: the account manager of the key customer, or who stands in for them.
	Dedicated bool
}

// Obstacles are why somebody gets no ticket now, none where they do. The account manager
// of a key customer gets it whatever skill and language it asks for.
func (p *Person) Obstacles(maxLoad int) []Obstacle {
	var out []Obstacle
	add := func(is bool, o Obstacle) {
		if is {
			out = append(out, o)
		}
	}
	add(p.Status != ticketv1.StaffStatus_STAFF_STATUS_AVAILABLE, ticketv1.AssigneeObstacle_ASSIGNEE_OBSTACLE_STATUS)
	add(p.Absent, ticketv1.AssigneeObstacle_ASSIGNEE_OBSTACLE_ABSENT)
	add(!p.OnShift, ticketv1.AssigneeObstacle_ASSIGNEE_OBSTACLE_OFF_SHIFT)
	add(p.Load >= maxLoad, ticketv1.AssigneeObstacle_ASSIGNEE_OBSTACLE_LOAD)
	add(!p.Skilled && !p.Dedicated, ticketv1.AssigneeObstacle_ASSIGNEE_OBSTACLE_SKILL)
	add(!p.Speaks && !p.Dedicated, ticketv1.AssigneeObstacle_ASSIGNEE_OBSTACLE_LANGUAGE)
	return out
}

// Rank puts who may get a ticket in order: those without an obstacle first, of these the
// dedicated person, then the least load.
func Rank(people []Person, maxLoad int) {
	slices.SortFunc(people, func(a, b Person) int {
		free := func(p *Person) int { return min(1, len(p.Obstacles(maxLoad))) }
		dedicated := func(p *Person) int {
			if p.Dedicated {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(free(&a), free(&b)), cmp.Compare(dedicated(&a), dedicated(&b)),
			cmp.Compare(a.Load, b.Load), bytes.Compare(a.ID[:], b.ID[:]))
	})
}
