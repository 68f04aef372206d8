package db

const (
	// inHands are the states in which a ticket is in somebody's hands.
	inHands = "(3, 4, 5)"
	// ledAway stands for the key of a list that goes from one of those who are away to the next.
	ledAway = "away"
)

// byAway reads the newest of each state of each of those who are away, along the index that
// leads with whoever has a ticket: that costs by how many are away, and not by how many tickets
// there are. The conditions on the state are those of byState.
func (f *TicketFilter) byAway(bind binder, size, what string) string {
	w := *f
	w.whole, w.led = true, ledAway
	where := append([]string{"t.assignee_staff_id = a.id"}, w.ofState()...)
	if len(w.States) > 0 {
		where = append(where, "t.state = ANY("+bind(w.States)+"::smallint[])")
	}
	where = append(where, w.conditions(bind)...)
	return "SELECT " + what + " FROM away_staff(" + bind(w.Away) + ") a(id) CROSS JOIN (SELECT unnest(ARRAY[3, 4, 5]::smallint[]) AS state) s CROSS JOIN LATERAL (" +
		"SELECT " + what + " FROM tickets t" + all(where) + " ORDER BY t.state DESC, t.id DESC LIMIT " + size + ") t ORDER BY t.id DESC LIMIT " + size
}

// dueAway is due for those who are away: the first due of each. The key is a part of the order and
// of a place in it, as in due.
func (f *TicketFilter) dueAway(bind binder, at DuePlace, size string) string {
	w := *f
	w.whole, w.led = true, ledAway
	where := []string{
		"t.due_time IS NOT NULL", "t.assignee_staff_id <= a.id", "t.state IN " + inHands,
		"(t.assignee_staff_id, t.due_time, t.id) > (a.id, " + bind(at.Due) + ", " + bind(at.ID) + ")",
	}
	if !at.Before.IsZero() {
		where = append(where, "t.due_time < "+bind(at.Before))
	}
	if len(w.States) > 0 {
		where = append(where, "t.state = ANY("+bind(w.States)+"::smallint[])")
	}
	where = append(where, w.conditions(bind)...)
	return "SELECT t.id, t.due_time FROM away_staff(" + bind(w.Away) + ") a(id) CROSS JOIN LATERAL (" +
		"SELECT t.id, t.due_time FROM tickets t" + all(where) + " ORDER BY t.assignee_staff_id, t.due_time, t.id LIMIT " + size + ") t ORDER BY t.due_time, t.id LIMIT " + size
}
