package server

import (
	"context"
	"errors"

	"google.golang.org/genproto/googleapis/rpc/errdetails"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// refuse adds faults to a record's result.
func (in *incoming) refuse(faults ...*typev1.Refusal) {
	if len(faults) == 0 {
		return
	}
	in.result.Outcome = typev1.ImportOutcome_IMPORT_OUTCOME_REFUSED
	in.result.Refusals = append(in.result.Refusals, faults...)
}

// invalidRecord gives the field rules that a record breaks.
func (s *Server) invalidRecord(ctx context.Context, record *ticketv1.TicketRecord) ([]*typev1.Refusal, error) {
	err := rpc.Check(s.validator, record)
	if err == nil {
		return nil, nil
	}
	var public *rpcerr.Error
	if !errors.As(err, &public) {
		return nil, err
	}
	return publicRefusals(ctx, public), nil
}

// publicRefusals gives a refusal for each bad field of an error, in the caller's language.
func publicRefusals(ctx context.Context, err error) []*typev1.Refusal {
	var public *rpcerr.Error
	if !errors.As(err, &public) {
		return nil
	}
	var out []*typev1.Refusal
	for _, detail := range public.Status(rpc.Language(ctx)).Details() {
		bad, ok := detail.(*errdetails.BadRequest)
		if !ok {
			continue
		}
		for _, v := range bad.GetFieldViolations() {
			out = append(out, &typev1.Refusal{Reason: public.Reason(), Field: v.GetField(), Message: v.GetDescription()})
		}
	}
	if len(out) == 0 {
		out = append(out, &typev1.Refusal{Reason: public.Reason(), Message: public.Text().In(rpc.Language(ctx))})
	}
	return out
}

// refusals gives faults of a ticket that stands at prefix.
func refusals(ctx context.Context, prefix string, faults []fault) []*typev1.Refusal {
	var out []*typev1.Refusal
	for _, f := range faults {
		out = append(out, &typev1.Refusal{
			Reason: rpcerr.ReasonValidation, Field: prefix + f.field, Message: f.text.In(rpc.Language(ctx)),
		})
	}
	return out
}

// ruleRefusal gives a rule of imports that a record breaks.
func ruleRefusal(ctx context.Context, broken *rpcerr.Error) *typev1.Refusal {
	return &typev1.Refusal{
		Reason: broken.Reason(), Field: rpcerr.Info(broken).GetMetadata()["field"],
		Message: broken.Text().In(rpc.Language(ctx)),
	}
}
