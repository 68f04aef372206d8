package server

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
)

// ListTimeline lists all that happened to a ticket.
func (s *Server) ListTimeline(ctx context.Context, req *ticketv1.ListTimelineRequest) (*ticketv1.ListTimelineResponse, error) {
	t, err := s.find(ctx, "ticket_id", req.GetTicketId())
	if err != nil {
		return nil, err
	}
	after, err := s.lineCursor(ctx, req)
	if err != nil {
		return nil, err
	}
	lines, err := s.q.ListLines(ctx, s.pool, t.ID, customer(ctx) != uuid.Nil, after, onceMore(req))
	if err != nil {
		return nil, fmt.Errorf("list the timeline: %w", err)
	}
	lines, next, err := onePage(ctx, s, req, lines, func(l db.Line) string {
		return fmt.Sprintf("%d %d %s %d", l.Time.UnixMicro(), l.Kind, l.ID, l.Version)
	})
	if err != nil {
		return nil, err
	}
	told, err := s.happened(ctx, t.ID, lines)
	if err != nil {
		return nil, err
	}
	out := &ticketv1.ListTimelineResponse{NextPageToken: next}
	for _, l := range lines {
		if e := told.entry(l); e != nil {
			e.Time = timestamppb.New(l.Time)
			out.Entries = append(out.Entries, e)
		}
	}
	return out, nil
}

// lineCursor opens a page token to a place in a timeline.
func (s *Server) lineCursor(ctx context.Context, req *ticketv1.ListTimelineRequest) (l db.Line, err error) {
	place, err := s.pages.Open(ctx, req, req.GetPageToken())
	if err != nil || place == "" {
		return l, err
	}
	parts := strings.Fields(place)
	if len(parts) != 4 {
		return l, fmt.Errorf("cursor of a timeline: %d parts", len(parts))
	}
	at, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil {
		return l, fmt.Errorf("cursor of a timeline: %w", err)
	}
	kind, err := strconv.ParseInt(parts[1], 10, 16)
	if err != nil {
		return l, fmt.Errorf("cursor of a timeline: %w", err)
	}
	if l.ID, err = uuid.Parse(parts[2]); err != nil {
		return l, fmt.Errorf("cursor of a timeline: %w", err)
	}
	if l.Version, err = strconv.ParseInt(parts[3], 10, 64); err != nil {
		return l, fmt.Errorf("cursor of a timeline: %w", err)
	}
	l.Time, l.Kind = time.UnixMicro(at), int16(kind)
	return l, nil
}

// happened holds what the lines of a page tell, by their ids.
type happened struct {
	moves     map[int64]*db.TicketTransition
	comments  map[uuid.UUID]*ticketv1.Comment
	contacts  map[uuid.UUID]*ticketv1.TicketContact
	plans     map[uuid.UUID]*ticketv1.SolutionPlan
	entries   map[uuid.UUID]*ticketv1.WorkEntry
	tasks     map[uuid.UUID]*ticketv1.Task
	changes   map[uuid.UUID]*ticketv1.TaskChange
	deadlines map[string]*ticketv1.TimelineDeadline
}

// happened reads what the lines of a page tell.
func (s *Server) happened(ctx context.Context, ticket uuid.UUID, lines []db.Line) (*happened, error) {
	ids, versions := map[int16][]uuid.UUID{}, []int64{}
	for _, l := range lines {
		if l.Kind == db.LineMove {
			versions = append(versions, l.Version)
		}
		ids[l.Kind] = append(ids[l.Kind], l.ID)
	}
	out := &happened{moves: map[int64]*db.TicketTransition{}, deadlines: map[string]*ticketv1.TimelineDeadline{}}
	if len(versions) > 0 {
		moves, err := s.q.ListTransitionsByVersion(ctx, s.pool, ticket, versions)
		if err != nil {
			return nil, fmt.Errorf("read moves: %w", err)
		}
		for i := range moves {
			out.moves[moves[i].Version] = &moves[i]
		}
	}
	var err error
	if out.comments, err = byIDs(ctx, ids[db.LineComment], s.q.ListCommentsByID, s.pool, commentProto); err != nil {
		return nil, err
	}
	if out.contacts, err = byIDs(ctx, ids[db.LineContact], s.q.ListContactsByID, s.pool, contactProto); err != nil {
		return nil, err
	}
	if out.plans, err = byIDs(ctx, ids[db.LinePlan], s.q.ListSolutionPlansByID, s.pool, planProto); err != nil {
		return nil, err
	}
	if out.entries, err = byIDs(ctx, ids[db.LineEntry], s.q.ListWorkEntriesByID, s.pool, entryProto); err != nil {
		return nil, err
	}
	if out.tasks, err = byIDs(ctx, append(ids[db.LineTask], ids[db.LineTaskEnd]...), s.q.ListTasksByID, s.pool, taskProto); err != nil {
		return nil, err
	}
	if out.changes, err = byIDs(ctx, ids[db.LineTaskChange], s.q.ListTaskChangesByID, s.pool, taskChangeProto); err != nil {
		return nil, err
	}
	if len(ids[db.LineDeadline]) == 0 {
		return out, nil
	}
	deadlines, err := s.q.ListDeadlines(ctx, s.pool, ids[db.LineDeadline])
	if err != nil {
		return nil, fmt.Errorf("read deadlines: %w", err)
	}
	words := map[clock.Type]string{clock.EntryWarned: "warned", clock.EntryMissed: "missed", clock.EntryEscalated: "escalated"}
	for _, d := range deadlines {
		out.deadlines[deadlineKey(d.Clock, d.Position)] = &ticketv1.TimelineDeadline{Kind: d.Kind, Event: words[clock.Type(d.Type)], Step: d.Step}
	}
	return out, nil
}

func deadlineKey(of uuid.UUID, position int64) string { return fmt.Sprint(of, position) }

// identified is a resource with its id.
type identified interface{ GetId() string }

// byIDs reads rows and gives them by their ids, as they are told.
func byIDs[R any, P identified](ctx context.Context, ids []uuid.UUID, read func(context.Context, db.DBTX, []uuid.UUID) ([]R, error), on db.DBTX, tell func(*R) P) (map[uuid.UUID]P, error) {
	out := map[uuid.UUID]P{}
	if len(ids) == 0 {
		return out, nil
	}
	rows, err := read(ctx, on, ids)
	if err != nil {
		return nil, fmt.Errorf("read what happened: %w", err)
	}
	for i := range rows {
		p := tell(&rows[i])
		id, err := uuid.Parse(p.GetId())
		if err != nil {
			return nil, fmt.Errorf("id of what happened: %w", err)
		}
		out[id] = p
	}
	return out, nil
}

// entry is what a line tells; nil for what is not there any more.
func (t *happened) entry(l db.Line) *ticketv1.TimelineEntry {
	e := &ticketv1.TimelineEntry{}
	switch l.Kind {
	case db.LineMove:
		e.What = &ticketv1.TimelineEntry_Transition{Transition: transitionProto(t.moves[l.Version])}
	case db.LineComment:
		e.What = &ticketv1.TimelineEntry_Comment{Comment: t.comments[l.ID]}
	case db.LineContact:
		e.What = &ticketv1.TimelineEntry_Contact{Contact: t.contacts[l.ID]}
	case db.LinePlan:
		e.What = &ticketv1.TimelineEntry_Plan{Plan: t.plans[l.ID]}
	case db.LineEntry:
		e.What = &ticketv1.TimelineEntry_Entry{Entry: t.entries[l.ID]}
	case db.LineTask:
		e.What = &ticketv1.TimelineEntry_TaskCreated{TaskCreated: t.tasks[l.ID]}
	case db.LineTaskEnd:
		e.What = &ticketv1.TimelineEntry_TaskEnded{TaskEnded: t.tasks[l.ID]}
	case db.LineTaskChange:
		e.What = &ticketv1.TimelineEntry_TaskChanged{TaskChanged: t.changes[l.ID]}
	case db.LineLink:
		e.What = &ticketv1.TimelineEntry_LinkedTicketId{LinkedTicketId: l.ID.String()}
	case db.LineMerged:
		e.What = &ticketv1.TimelineEntry_MergedTicketId{MergedTicketId: l.ID.String()}
	case db.LineDeadline:
		e.What = &ticketv1.TimelineEntry_Deadline{Deadline: t.deadlines[deadlineKey(l.ID, l.Version)]}
	default:
		return nil
	}
	return e
}
