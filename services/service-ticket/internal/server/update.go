package server

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/fieldmask"
	"github.com/kefu-suite/kefu/services/internal/textsearch"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// UpdateTicket corrects what was recorded.
func (s *Server) UpdateTicket(ctx context.Context, req *ticketv1.UpdateTicketRequest) (*ticketv1.Ticket, error) {
	id, err := parseID("ticket.id", req.GetTicket().GetId())
	if err != nil {
		return nil, err
	}
	if err := correctable(req.GetUpdateMask()); err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.Ticket, error) {
		row, err := s.lock(ctx, tx, id, req.GetTicket().GetEtag())
		if err != nil {
			return nil, err
		}
		if err := ticket.Editable(ticket.State(row.State)); err != nil {
			return nil, err
		}
		// Merged with all that is kept, whatever the caller sees of it.
		kept, err := s.present(ctx, tx, *row)
		if err != nil {
			return nil, err
		}
		merged := kept[0]
		if err := fieldmask.Apply(merged, req.GetTicket(), req.GetUpdateMask(), "id"); err != nil {
			return nil, err
		}
		// The rules of a ticket, with the paths of this request.
		if err := rpc.Check(s.validator, &ticketv1.CreateTicketRequest{Ticket: merged}); err != nil {
			return nil, err
		}
		if err := s.correct(ctx, tx, row, merged, names(req.GetUpdateMask(), "reporter")); err != nil {
			return nil, err
		}
		if err := s.q.UpdateTicketRecord(ctx, tx, updateRecord(row)); err != nil {
			return nil, fmt.Errorf("update ticket: %w", err)
		}
		text, position, err := searchText(row)
		if err != nil {
			return nil, err
		}
		if err := s.q.SetTicketText(ctx, tx, text, textsearch.Terms(text, position), id); err != nil {
			return nil, fmt.Errorf("keep what the ticket is found by: %w", err)
		}
		tx.Emit(ticketEvent("ticket.updated.v1", ticket.State(row.State), row, row.UpdateTime))
		tx.Audit("ticket", id, merged)
		return s.presentOne(ctx, tx, row)
	})
}

// correct writes the corrected record to the row.
func (s *Server) correct(ctx context.Context, tx *write.Tx, row *db.Ticket, t *ticketv1.Ticket, reporterToo bool) error {
	row.Title, row.Description, row.ProductModel = t.GetTitle(), t.GetDescription(), t.GetProductModel()
	row.SerialNumber, row.OrderNumber = t.GetSerialNumber(), t.GetOrderNumber()
	row.UpdateTime, row.Version = s.now(), row.Version+1
	if !reporterToo {
		return nil
	}
	told, faults := s.normalize(t.GetReporter())
	if len(faults) > 0 {
		return invalid("ticket.", faults)
	}
	if !told.contacts() {
		return s.seal(row, told, nil)
	}
	key, err := s.keys.Subject(ctx, tx, row.ReporterSubjectID)
	if err != nil {
		return erased(err)
	}
	return s.seal(row, told, key)
}

// correctable refuses masks that name what registration or a verb settles.
func correctable(mask *fieldmaskpb.FieldMask) error {
	for _, path := range mask.GetPaths() {
		var by rpcerr.Text
		switch path {
		case "customer_id", "channel", "mode", "phase":
			by = rpcerr.T("is settled when the ticket is registered", "在登记工单时确定")
		case "type", "priority", "urgency", "impact":
			by = rpcerr.T("is settled by triage", "由分类（triage）操作确定")
		case "needs", "needs.language", "needs.skills":
			by = rpcerr.T("is changed by setNeeds", "由 setNeeds 操作修改")
		default:
			continue
		}
		text := rpcerr.Text{
			EN: fmt.Sprintf("The update mask names %q, which %s; leave it out.", path, by.EN),
			ZH: fmt.Sprintf("update_mask 包含 %q，该字段%s；请将其去掉。", path, by.ZH),
		}
		return rpcerr.New(codes.InvalidArgument, fieldmask.ReasonInvalid, text).Field("update_mask", text).With("path", path)
	}
	return nil
}

// names tells whether a mask names a field or a part of it.
func names(mask *fieldmaskpb.FieldMask, field string) bool {
	for _, path := range mask.GetPaths() {
		if head, _, _ := strings.Cut(path, "."); head == field {
			return true
		}
	}
	return false
}

func updateRecord(row *db.Ticket) db.UpdateTicketRecordParams {
	return db.UpdateTicketRecordParams{
		ID: row.ID, Title: row.Title, Description: row.Description, ProductModel: row.ProductModel,
		SerialNumber: row.SerialNumber, OrderNumber: row.OrderNumber, ReporterName: row.ReporterName,
		ReporterSubjectID: row.ReporterSubjectID, ReporterPhone: row.ReporterPhone,
		ReporterPhoneIndex: row.ReporterPhoneIndex, ReporterEmail: row.ReporterEmail,
		UpdateTime: row.UpdateTime, Version: row.Version,
	}
}
