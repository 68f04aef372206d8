package server

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// WatchTickets streams what happens to tickets within the caller's reach.
func (s *Server) WatchTickets(req *ticketv1.WatchTicketsRequest, stream grpc.ServerStreamingServer[httpbody.HttpBody]) error {
	ctx := stream.Context()
	after, err := s.watchFrom(ctx, req)
	if err != nil {
		return err
	}
	w := &watch{ServerStream: stream, s: s, out: stream, watchedOnly: req.GetWatchedOnly()}
	// The first bytes tell a front end that it is connected.
	if err := w.send(fmt.Sprintf("retry: 2000\nid: %d\n: watching\n\n", after)); err != nil {
		return err
	}
	return s.feed.StreamEvents(&eventv1.StreamEventsRequest{AfterPosition: after}, w)
}

// watchFrom is the position after which a watch begins: the one a browser had seen before it
// lost the connection, the one asked for, or the present one. A browser that connects again
// repeats what it asked for first, so what it has seen since goes before that.
func (s *Server) watchFrom(ctx context.Context, req *ticketv1.WatchTicketsRequest) (int64, error) {
	if seen := metadata.ValueFromIncomingContext(ctx, "last-event-id"); len(seen) == 1 {
		n, err := strconv.ParseInt(seen[0], 10, 64)
		if err != nil || n < 0 {
			return 0, rpcerr.Invalid("after_position", rpcerr.T(
				"Last-Event-ID is %[1]q; it must be a position that this stream gave", "Last-Event-ID 为 %[1]q；应为本流给出过的位置", seen[0]))
		}
		return n, nil
	}
	if req.GetAfterPosition() > 0 {
		return req.GetAfterPosition(), nil
	}
	last, err := event.LastPosition(ctx, s.pool)
	if err != nil {
		return 0, fmt.Errorf("read the last position: %w", err)
	}
	return last, nil
}

// watch turns runs of events into server-sent events.
type watch struct {
	grpc.ServerStream
	s           *Server
	out         grpc.ServerStreamingServer[httpbody.HttpBody]
	watchedOnly bool
}

// Send tells of a run of events what is within the caller's reach.
func (w *watch) Send(run *eventv1.StreamEventsResponse) error {
	if len(run.GetEvents()) == 0 {
		return w.send(": beat\n\n")
	}
	text, err := w.tell(w.Context(), run.GetEvents())
	if err != nil {
		return err
	}
	return w.send(text)
}

func (w *watch) send(text string) error {
	return w.out.Send(&httpbody.HttpBody{ContentType: "text/event-stream", Data: []byte(text)})
}

// about is the ticket that an event is about, zero for none.
func about(e *eventv1.Envelope) (uuid.UUID, error) {
	id := e.GetSubjectId()
	if !strings.HasPrefix(e.GetType(), "ticket.") && e.GetType() != "comment.added.v1" {
		m, err := e.GetPayload().UnmarshalNew()
		if err != nil || e.GetPayload() == nil {
			return uuid.Nil, nil //nolint:nilerr // of another kind of thing
		}
		of, ok := m.(interface{ GetTicketId() string })
		if !ok {
			return uuid.Nil, nil
		}
		id = of.GetTicketId()
	}
	return uuid.Parse(id)
}

// tell writes the notices of a run of events, and at its end the last position, so that who
// sees nothing of it goes on from there.
func (w *watch) tell(ctx context.Context, events []*eventv1.Envelope) (string, error) {
	ids := make([]uuid.UUID, 0, len(events))
	for _, e := range events {
		id, err := about(e)
		if err != nil {
			return "", fmt.Errorf("ticket of event %s: %w", e.GetId(), err)
		}
		ids = append(ids, id)
	}
	reach, err := w.reach(ctx, ids)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for i, e := range events {
		notice := reach.notice(ids[i], e)
		if notice == nil {
			continue
		}
		authz.Hide(ctx, notice)
		data, err := protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(notice)
		if err != nil {
			return "", fmt.Errorf("write a notice: %w", err)
		}
		fmt.Fprintf(&out, "id: %d\nevent: ticket\ndata: %s\n\n", e.GetPosition(), data)
	}
	if out.Len() == 0 {
		fmt.Fprintf(&out, "id: %d\n\n", events[len(events)-1].GetPosition())
	}
	return out.String(), nil
}

// reached is what a caller may be told of some tickets.
type reached struct {
	who     ticket.Viewer
	tickets map[uuid.UUID]*db.Ticket
	only    map[uuid.UUID]bool // watched by the caller; nil where that is not asked
}

// reach reads tickets and what the caller has to do with them, once for a run of events.
func (w *watch) reach(ctx context.Context, ids []uuid.UUID) (*reached, error) {
	out := &reached{tickets: map[uuid.UUID]*db.Ticket{}}
	var err error
	if out.who, err = w.s.viewer(ctx, w.s.pool, authz.FromContext(ctx).Scope); err != nil {
		return nil, err
	}
	rows, err := w.s.q.ListTicketsByID(ctx, w.s.pool, ids)
	if err != nil {
		return nil, fmt.Errorf("read tickets: %w", err)
	}
	for i := range rows {
		out.tickets[rows[i].ID] = &rows[i]
	}
	if !w.watchedOnly {
		return out, nil
	}
	me, err := w.s.me(ctx, w.s.pool)
	if err != nil {
		return nil, err
	}
	out.only = map[uuid.UUID]bool{}
	if me == nil {
		return out, nil
	}
	watched, err := w.s.q.ListWatched(ctx, w.s.pool, me.ID, ids)
	if err != nil {
		return nil, fmt.Errorf("read what is watched: %w", err)
	}
	for _, id := range watched {
		out.only[id] = true
	}
	return out, nil
}

// notice is what the caller is told of an event, nil for nothing.
func (r *reached) notice(id uuid.UUID, e *eventv1.Envelope) *ticketv1.TicketNotice {
	row := r.tickets[id]
	if row == nil || r.only != nil && !r.only[id] {
		return nil
	}
	now := holding(row)
	if r.who.Covers(now) {
		return &ticketv1.TicketNotice{
			TicketId: id.String(), Number: row.Number, Type: e.GetType(), State: ticketv1.TicketState(row.State), Etag: etag(row.Version),
			DepartmentId: idString(row.DepartmentID), AssigneeStaffId: idString(row.AssigneeStaffID), Priority: ticketv1.Priority(row.Priority),
		}
	}
	// Somebody took it from the queue, where the caller saw it.
	if changed, err := e.GetPayload().UnmarshalNew(); err == nil {
		if c, ok := changed.(*ticketv1.TicketChanged); ok {
			now.Assignee, now.State = uuid.Nil, c.GetStateBefore()
			if c.GetStateBefore() != c.GetStateAfter() && r.who.Covers(now) {
				return &ticketv1.TicketNotice{TicketId: id.String(), Type: e.GetType(), Gone: true}
			}
		}
	}
	return nil
}
