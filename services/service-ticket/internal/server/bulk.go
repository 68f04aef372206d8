package server

import (
	"context"
	"errors"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// bulkAction is a call for one ticket that a bulk makes for each.
type bulkAction struct {
	permission string
	call       func(ctx context.Context, s *Server, id, etag, requestID string) (*ticketv1.Ticket, error)
}

// of makes a bulk action of a request without id and the method that takes it. The request of
// each ticket is checked as if it had come by itself.
func of[R proto.Message](permission string, request R, method func(s *Server, ctx context.Context, req R) (*ticketv1.Ticket, error)) *bulkAction {
	return &bulkAction{permission, func(ctx context.Context, s *Server, id, etag, requestID string) (*ticketv1.Ticket, error) {
		one := proto.CloneOf(request)
		set := func(field, value string) {
			m := one.ProtoReflect()
			m.Set(m.Descriptor().Fields().ByTextName(field), protoreflect.ValueOfString(value))
		}
		set("id", id)
		set("etag", etag)
		set("request_id", "")
		if err := rpc.Check(s.validator, one); err != nil {
			return nil, err
		}
		if requestID != "" {
			set("request_id", requestID+"/"+id)
		}
		return method(s, ctx, one)
	}}
}

// bulkActionOf gives what a bulk is to do, nil for nothing.
func bulkActionOf(req *ticketv1.BulkTicketsRequest) *bulkAction {
	switch a := req.GetAction().(type) {
	case *ticketv1.BulkTicketsRequest_Triage:
		return of("tickets.triage", a.Triage, (*Server).TriageTicket)
	case *ticketv1.BulkTicketsRequest_Prioritize:
		return of("tickets.triage", a.Prioritize, (*Server).PrioritizeTicket)
	case *ticketv1.BulkTicketsRequest_Assign:
		return of("tickets.assign", a.Assign, (*Server).AssignTicket)
	case *ticketv1.BulkTicketsRequest_AutoAssign:
		return of("tickets.assign", a.AutoAssign, (*Server).AutoAssignTicket)
	case *ticketv1.BulkTicketsRequest_Transfer:
		return of("tickets.assign", a.Transfer, (*Server).TransferTicket)
	case *ticketv1.BulkTicketsRequest_Start:
		return of("tickets.work", a.Start, (*Server).StartTicket)
	case *ticketv1.BulkTicketsRequest_Wait:
		return of("tickets.work", a.Wait, (*Server).WaitTicket)
	case *ticketv1.BulkTicketsRequest_Resume:
		return of("tickets.work", a.Resume, (*Server).ResumeTicket)
	case *ticketv1.BulkTicketsRequest_Resolve:
		return of("tickets.work", a.Resolve, (*Server).ResolveTicket)
	case *ticketv1.BulkTicketsRequest_Confirm:
		return of("tickets.confirm", a.Confirm, (*Server).ConfirmTicket)
	case *ticketv1.BulkTicketsRequest_Reopen:
		return of("tickets.reopen", a.Reopen, (*Server).ReopenTicket)
	case *ticketv1.BulkTicketsRequest_Cancel:
		return of("tickets.cancel", a.Cancel, (*Server).CancelTicket)
	case *ticketv1.BulkTicketsRequest_Merge:
		return of("tickets.assign", a.Merge, (*Server).MergeTicket)
	}
	return nil
}

// BulkTickets does the same to many tickets.
func (s *Server) BulkTickets(ctx context.Context, req *ticketv1.BulkTicketsRequest) (*ticketv1.BulkTicketsResponse, error) {
	action := bulkActionOf(req)
	if action == nil {
		return nil, rpcerr.Invalid("action", rpcerr.T(
			"it says nothing to do; give one of the actions, e.g. cancel", "未指定操作；请填写其中一个操作，例如 cancel"))
	}
	for id := range req.GetEtags() {
		if !slices.Contains(req.GetIds(), id) {
			return nil, rpcerr.Invalid("etags", rpcerr.T(
				"there is a version of %[1]q, which is none of the ids; name tickets as ids writes them", "etags 中的 %[1]q 不在 ids 中；请按 ids 中的写法填写工单", id))
		}
	}
	ctx, held := authz.Under(ctx, action.permission)
	if !held {
		return nil, rpcerr.Denied(authz.ReasonDenied, rpcerr.T(
			"This action needs the permission %[1]s.", "此操作需要权限 %[1]s。", action.permission))
	}
	out := &ticketv1.BulkTicketsResponse{}
	for _, id := range req.GetIds() {
		result := &ticketv1.BulkResult{Id: id}
		out.Results = append(out.Results, result)
		t, err := action.call(ctx, s, id, req.GetEtags()[id], req.GetRequestId())
		var public *rpcerr.Error
		switch {
		case errors.As(err, &public):
			result.Refusals = publicRefusals(ctx, public)
		case err != nil:
			return nil, err
		default:
			result.State, result.Etag = t.GetState(), t.GetEtag()
			out.Done++
		}
	}
	return out, nil
}
