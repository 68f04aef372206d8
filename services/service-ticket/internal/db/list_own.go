package db

import (
	"strings"
	"sync"

	"github.com/google/uuid"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
)

// unfiltered is what the text depends on where somebody who is looked up asks for all that is in their reach.
type unfiltered struct {
	scope       accessv1.Scope
	queue, next bool
	size        int32
}

// texts are those of the lists that are asked for most: writing one takes ten times as long as finding it.
var texts sync.Map // of string by unfiltered

// page is statement, with a text that was written before where there is one.
func (f *TicketFilter) page() (sql string, args []any, merged bool) {
	v := f.For
	if f.Subject == "" || v.Everything() || v.Customer != uuid.Nil || f.filters() {
		return f.statement()
	}
	if f.Before != uuid.Nil {
		args = append(args, f.Before)
	}
	args = append(args, f.Issuer, f.Subject, v.Actor)
	kind := unfiltered{v.Scope, v.Queue, f.Before != uuid.Nil, f.Size}
	if text, ok := texts.Load(kind); ok {
		return text.(string), args, true
	}
	sql, bound, merged := f.statement()
	if merged && len(bound) == len(args) { // else it binds states too
		texts.Store(kind, sql)
	}
	return sql, bound, merged
}

// filters tells whether less is asked for than all that the viewer reaches.
func (f *TicketFilter) filters() bool {
	return len(f.States) > 0 || f.key() != "" || f.rare() || f.ExternalID != "" || f.Text != "" || !f.Away.IsZero()
}

// apart tells whether the other ways read in the order of the list and find nothing twice, as what whoever
// is looked up has and what waits for somebody: then whole rows are merged as they are read. What
// somebody registered may be found by any of them.
func apart(registered *TicketFilter, others []*TicketFilter) bool {
	for _, way := range others {
		if !way.own && !way.unassigned || !way.Away.IsZero() || !way.ordered() {
			return false
		}
	}
	return registered.registrar != "" && len(others) > 0
}

// alone reads what somebody registered and no other way finds. The newest are weighed by the index
// alone, and those that are left are read: of a page's newest, none that another way finds is missed.
func (f *TicketFilter) alone(bind binder, size string, others []*TicketFilter) string {
	text := "(SELECT t.* FROM tickets t WHERE t.id = ANY(ARRAY(SELECT r.id FROM (" +
		f.one(bind, size, "t.id, t.assignee_staff_id, t.department_id, t.state") + ") r WHERE ("
	for i, way := range others {
		if i > 0 {
			text += " OR "
		}
		text += strings.Join(way.reason(bind), " AND ")
	}
	return text + ") IS NOT TRUE)) ORDER BY t.id DESC)"
}

// reason is what makes a ticket r one that a way finds which is apart, the filters of all ways aside.
func (f *TicketFilter) reason(bind binder) []string {
	var why []string
	if key := f.key(); key != "" {
		why = append(why, "r."+key+" = "+f.keyed(key, bind))
	}
	if f.noDepartment {
		why = append(why, "r.department_id IS NULL")
	}
	if f.unassigned {
		why = append(why, "r.assignee_staff_id IS NULL", "r.state IN "+inQueue)
	}
	return why
}
