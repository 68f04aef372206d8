package complaint_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
)

func TestWhatHappenedToAPastComplaint(t *testing.T) {
	at := func(hour int) time.Time { return time.Date(2026, 3, 2, hour, 0, 0, 0, time.UTC) }
	move := func(hour int, verb string, from, to complaint.State) complaint.Moved {
		return complaint.Moved{Verb: verb, From: from, To: to, At: at(hour)}
	}
	past := complaint.Past{Create: at(0), Moves: []complaint.Moved{
		move(0, "create", complaint.None, complaint.Received),
		move(1, "submit", complaint.Received, complaint.Submitted),
		move(2, "review", complaint.Submitted, complaint.Reviewed),
		move(3, "assign", complaint.Reviewed, complaint.Assigned),
		move(4, "assign", complaint.Assigned, complaint.Assigned),
		move(5, "recordContact", complaint.Assigned, complaint.Assigned), // an attempt
		move(6, "recordContact", complaint.Assigned, complaint.Contacted),
		move(7, "assign", complaint.Contacted, complaint.Assigned),
		move(8, "recordContact", complaint.Assigned, complaint.Contacted),
		move(9, "propose", complaint.Contacted, complaint.Proposed),
		move(10, "approve", complaint.Proposed, complaint.Contacted), // returned
		move(11, "retarget", complaint.Contacted, complaint.Contacted),
		move(12, "propose", complaint.Contacted, complaint.Proposed),
		move(13, "approve", complaint.Proposed, complaint.Approved),
		move(14, "tell", complaint.Approved, complaint.Told),
		move(15, "nextRound", complaint.Told, complaint.Submitted),
	}}
	var got []string
	for _, e := range past.Events() {
		mark := ""
		if e.Only != "" {
			mark = ">" + e.Only
		}
		if e.Again {
			mark = "+"
		}
		got = append(got, fmt.Sprintf("%d %s%s", e.At.Hour(), e.Name, mark))
	}
	want := "0 received, 0 opened, 1 submitted, 2 reviewed, 3 assigned, 6 contacted, 7 assigned>contacted, 8 contacted, " +
		"9 proposed, 12 proposed+, 13 approved, 14 told, 15 opened, 15 submitted"
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("%s\nwant %s", s, want)
	}
	got = nil
	for _, h := range past.Holds() {
		got = append(got, fmt.Sprintf("%s %d-%d", h.Reason, h.From.Hour(), h.To.Hour()))
	}
	if s, want := strings.Join(got, ", "), "approval-pending 9-10, returned 10-12, approval-pending 12-13"; s != want {
		t.Errorf("%s\nwant %s", s, want)
	}
	imported := complaint.Past{Create: at(1), Close: at(9), Moves: []complaint.Moved{move(9, "import", complaint.None, complaint.Closed)}}
	if e := imported.Events(); len(e) != 3 || e[2].Name != complaint.EventTold || !e[2].At.Equal(at(9)) {
		t.Errorf("imported: %v", e)
	}
}
