package server

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
)

// RemoveWatcher ends somebody's watch.
func (s *Server) RemoveWatcher(ctx context.Context, req *ticketv1.RemoveWatcherRequest) (*emptypb.Empty, error) {
	who, err := parseID("staff_id", req.GetStaffId())
	if err != nil {
		return nil, err
	}
	return s.detach(ctx, req, req.GetTicketId(), "watcher", who, func(tx *write.Tx, of uuid.UUID) (int64, error) {
		return s.q.DeleteWatcher(ctx, tx, of, who)
	})
}

// UnlinkTickets takes a link back.
func (s *Server) UnlinkTickets(ctx context.Context, req *ticketv1.UnlinkTicketsRequest) (*emptypb.Empty, error) {
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	return s.detach(ctx, req, req.GetTicketId(), "link", id, func(tx *write.Tx, of uuid.UUID) (int64, error) {
		return s.q.DeleteLink(ctx, tx, id, of)
	})
}

// detach takes something away that hangs on a ticket within the caller's reach.
func (s *Server) detach(ctx context.Context, req write.Request, ticketID, kind string, id uuid.UUID, del func(tx *write.Tx, of uuid.UUID) (int64, error)) (*emptypb.Empty, error) {
	of, err := parseID("ticket_id", ticketID)
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*emptypb.Empty, error) {
		t, err := s.lock(ctx, tx, of, "")
		if err != nil {
			return nil, err
		}
		n, err := del(tx, of)
		if err != nil {
			return nil, fmt.Errorf("take a %s away: %w", kind, err)
		}
		if n == 0 {
			return nil, rpcerr.NotFound(kind, id.String())
		}
		tx.AuditOf(idValue(t.CustomerID), "ticket", of, map[string]any{kind: id.String(), "deleted": true})
		return &emptypb.Empty{}, nil
	})
}

// LinkTickets says that two tickets hang together.
func (s *Server) LinkTickets(ctx context.Context, req *ticketv1.LinkTicketsRequest) (*ticketv1.TicketLink, error) {
	of, err := parseID("ticket_id", req.GetTicketId())
	if err != nil {
		return nil, err
	}
	to, err := parseID("other_id", req.GetOtherId())
	if err != nil {
		return nil, err
	}
	if of == to {
		return nil, rpcerr.Invalid("other_id", rpcerr.T(
			"it is the ticket itself; give the id of another one", "与本工单相同；请填写另一张工单的 id"))
	}
	id, err := newID()
	if err != nil {
		return nil, err
	}
	out, err := write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.TicketLink, error) {
		t, err := s.lock(ctx, tx, of, "")
		if err != nil {
			return nil, err
		}
		other, err := s.linked(ctx, tx, to)
		if err != nil {
			return nil, err
		}
		row := db.TicketLink{ID: id, TicketID: of, OtherID: to, Kind: int16(req.GetKind()), CreateTime: s.now()}
		if err := s.q.InsertLink(ctx, tx, db.InsertLinkParams(row)); err != nil {
			return nil, fmt.Errorf("link tickets: %w", err)
		}
		link := linkProto(&row)
		link.TicketId, link.TicketNumber, link.OtherId, link.OtherNumber = of.String(), t.Number, to.String(), other.Number
		tx.AuditOf(idValue(t.CustomerID), "ticket", of, link)
		return link, nil
	})
	if pg.Violates(err, "ticket_links_ticket_id_other_id_kind_key") {
		return nil, rpcerr.Exists("link", "other_id and kind", to.String()+" "+req.GetKind().String())
	}
	return out, err
}

func linkProto(row *db.TicketLink) *ticketv1.TicketLink {
	return &ticketv1.TicketLink{Id: row.ID.String(), Kind: ticketv1.LinkKind(row.Kind), CreateTime: timestamppb.New(row.CreateTime)}
}

// FindTicketLinks lists the links of a ticket.
func (s *Server) FindTicketLinks(ctx context.Context, req *ticketv1.FindTicketLinksRequest) (*ticketv1.FindTicketLinksResponse, error) {
	t, err := s.find(ctx, "ticket_id", req.GetTicketId())
	if err != nil {
		return nil, err
	}
	links, err := s.q.ListLinks(ctx, s.pool, t.ID)
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	var ids []uuid.UUID
	for i := range links {
		ids = append(ids, links[i].TicketID, links[i].OtherID)
	}
	rows, err := s.q.ListTicketsByID(ctx, s.pool, ids)
	if err != nil {
		return nil, fmt.Errorf("read linked tickets: %w", err)
	}
	ends, scope := map[uuid.UUID]end{}, authz.Held(ctx, "tickets.read")
	for i := range rows {
		e := end{number: rows[i].Number}
		seen, err := s.covers(ctx, s.pool, scope, &rows[i])
		if err != nil {
			return nil, err
		}
		if seen {
			e.id = rows[i].ID.String()
		}
		ends[rows[i].ID] = e
	}
	out := &ticketv1.FindTicketLinksResponse{}
	for i := range links {
		link, from, to := linkProto(&links[i]), ends[links[i].TicketID], ends[links[i].OtherID]
		link.TicketId, link.TicketNumber, link.OtherId, link.OtherNumber = from.id, from.number, to.id, to.number
		out.Links = append(out.Links, link)
	}
	return out, nil
}

// end is one side of a link as the caller sees it.
type end struct{ id, number string }
