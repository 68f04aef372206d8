package organisation_test

import (
	"testing"

	"github.com/google/uuid"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/organisation"
)

func ready(id byte, load int) organisation.Person {
	return organisation.Person{
		ID: uuid.UUID{id}, Status: ticketv1.StaffStatus_STAFF_STATUS_AVAILABLE, OnShift: true, Load: load, Skilled: true, Speaks: true,
	}
}

func TestObstacles(t *testing.T) {
	for want, change := range map[organisation.Obstacle]func(p *organisation.Person){
		ticketv1.AssigneeObstacle_ASSIGNEE_OBSTACLE_STATUS:    func(p *organisation.Person) { p.Status = ticketv1.StaffStatus_STAFF_STATUS_LEFT },
		ticketv1.AssigneeObstacle_ASSIGNEE_OBSTACLE_ABSENT:    func(p *organisation.Person) { p.Absent = true },
		ticketv1.AssigneeObstacle_ASSIGNEE_OBSTACLE_OFF_SHIFT: func(p *organisation.Person) { p.OnShift = false },
		ticketv1.AssigneeObstacle_ASSIGNEE_OBSTACLE_LOAD:      func(p *organisation.Person) { p.Load = 3 },
		ticketv1.AssigneeObstacle_ASSIGNEE_OBSTACLE_SKILL:     func(p *organisation.Person) { p.Skilled = false },
		ticketv1.AssigneeObstacle_ASSIGNEE_OBSTACLE_LANGUAGE:  func(p *organisation.Person) { p.Speaks = false },
	} {
		p := ready(1, 2)
		if got := p.Obstacles(3); len(got) != 0 {
			t.Errorf("somebody ready: %v", got)
		}
		change(&p)
		if got := p.Obstacles(3); len(got) != 1 || got[0] != want {
			t.Errorf("%v: %v", want, got)
		}
	}
	dedicated := ready(1, 0)
	dedicated.Dedicated, dedicated.Skilled, dedicated.Speaks = true, false, false
	if got := dedicated.Obstacles(3); len(got) != 0 {
		t.Errorf("the dedicated person: %v", got)
	}
}

func TestRank(t *testing.T) {
	full, own := ready(1, 9), ready(4, 5)
	own.Dedicated = true
	people := []organisation.Person{full, ready(3, 2), ready(2, 2), ready(5, 0), own}
	organisation.Rank(people, 9)
	for i, want := range []byte{4, 5, 2, 3, 1} {
		if people[i].ID[0] != want {
			t.Errorf("place %d: %d, want %d", i, people[i].ID[0], want)
		}
	}
}
