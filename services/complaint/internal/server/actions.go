package server

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/complaint/internal/db"
)

// channelUnknown refuses the channel that only imported records have.
func channelUnknown(field string, c typev1.Channel) error {
	if c != typev1.Channel_CHANNEL_UNKNOWN {
		return nil
	}
	return rpcerr.Invalid(field, rpcerr.T(
		"unknown is for imported complaints only; give the channel that was used",
		"unknown 仅用于导入的投诉；请填写实际渠道"))
}

// when reads a time that defaults to now and must lie between earliest and now.
func (a *action) when(field string, given *timestamppb.Timestamp, earliest time.Time, since rpcerr.Text) (time.Time, error) {
	if given == nil {
		return a.now, nil
	}
	if err := given.CheckValid(); err != nil {
		return time.Time{}, rpcerr.Invalid(field, rpcerr.T(
			"it is not a valid time; give one like 2026-11-02T09:00:00Z", "时间无效；请填写如 2026-11-02T09:00:00Z 的时间"))
	}
	at := given.AsTime().Truncate(time.Microsecond)
	if at.After(a.now) || at.Before(earliest) {
		return time.Time{}, rpcerr.Invalid(field, rpcerr.T(
			"%[1]s is outside the possible time; give one from %[2]s, "+since.EN+", to now, %[3]s",
			"%[1]s 不在允许范围内；请填写自 %[2]s（"+since.ZH+"）至当前 %[3]s 之间的时间",
			at.Format(time.RFC3339), earliest.Format(time.RFC3339), a.now.Format(time.RFC3339)))
	}
	return at, nil
}

// SubmitComplaint hands the documented complaint to the complaint desk.
func (s *Server) SubmitComplaint(ctx context.Context, req *complaintv1.SubmitComplaintRequest) (*complaintv1.Complaint, error) {
	return s.move(ctx, req, complaint.Submit, func(_ context.Context, a *action) error {
		a.reason, a.round.SubmitTime = req.GetReason(), &a.now
		return nil
	})
}

// ReviewComplaint settles what the complaint is and who answers for it.
func (s *Server) ReviewComplaint(ctx context.Context, req *complaintv1.ReviewComplaintRequest) (*complaintv1.Complaint, error) {
	purchase, err := s.checkAgain(ctx, id(req.GetId()))
	if err != nil {
		return nil, err
	}
	return s.move(ctx, req, complaint.Review, func(ctx context.Context, a *action) error {
		if purchase != nil {
			a.also = append(a.also, func(ctx context.Context, p *pipeline) error { return purchase.keep(ctx, s.q, p, a.c.ID) })
		}
		answers, err := s.answering(ctx, a, req)
		if err != nil {
			return err
		}
		grounds, err := s.reassess(ctx, a)
		if err != nil {
			return err
		}
		severity, err := complaint.Severity(req.GetSeverity(), grounds)
		if err != nil {
			return err
		}
		a.c.Category, a.c.Quality, a.c.Severity = int16(req.GetCategory()), int16(req.GetQuality()), int16(severity)
		a.c.DepartmentID = &answers
		valid := req.GetValidAtFirstSight()
		a.reason, a.round.ReviewTime, a.round.ValidAtFirstSight = req.GetReason(), &a.now, &valid
		return nil
	})
}

// AssignComplaint gives the complaint to a handler. An imported complaint that names no
// department gets that of the handler.
func (s *Server) AssignComplaint(ctx context.Context, req *complaintv1.AssignComplaintRequest) (*complaintv1.Complaint, error) {
	return s.move(ctx, req, complaint.Assign, func(ctx context.Context, a *action) error {
		head := uuid.Nil
		if a.c.DepartmentID != nil {
			unit, err := department(ctx, a.tx, *a.c.DepartmentID, "department_id")
			if err != nil {
				return err
			}
			head = unit.HeadStaffID
		}
		if err := complaint.Assigner(a.who.Caller, head); err != nil {
			return err
		}
		handler, err := staff(ctx, a.tx, id(req.GetHandlerStaffId()), "handler_staff_id")
		if err != nil {
			return err
		}
		earlier, err := s.q.SelectHandlers(ctx, a.tx, a.c.ID, a.c.Round)
		if err != nil {
			return fmt.Errorf("read handlers of earlier rounds: %w", err)
		}
		if err := complaint.Handler(complaint.HandlerFacts{
			Handler: handler.ID, HandlerDepartment: handler.DepartmentID, Department: value(a.c.DepartmentID),
			Accused: value(a.c.AccusedStaffID), Round: a.c.Round, EarlierHandlers: earlier,
		}, s.limits); err != nil {
			return err
		}
		if a.c.DepartmentID == nil {
			if _, err := department(ctx, a.tx, handler.DepartmentID, "handler_staff_id"); err != nil {
				return err
			}
			a.c.DepartmentID = &handler.DepartmentID
		}
		a.reason, a.c.HandlerStaffID, a.round.HandlerStaffID = req.GetReason(), &handler.ID, &handler.ID
		a.round.AssignTime, a.round.AssignVersion, a.round.ContactTime = &a.now, a.c.Version+1, nil
		return nil
	})
}

// RecordContact logs a contact with the customer.
func (s *Server) RecordContact(ctx context.Context, req *complaintv1.RecordContactRequest) (*complaintv1.Complaint, error) {
	return s.move(ctx, req, complaint.Attempt, func(ctx context.Context, a *action) error {
		if err := complaint.Handling(a.who.Caller, value(a.c.HandlerStaffID)); err != nil {
			return err
		}
		if err := channelUnknown("channel", req.GetChannel()); err != nil {
			return err
		}
		at, err := a.when("contact_time", req.GetContactTime(), a.round.StartTime, rpcerr.T("the round's beginning", "本轮开始"))
		if err != nil {
			return err
		}
		if err := s.reach(ctx, a, complaint.Try{Channel: req.GetChannel(), TwoWay: req.GetTwoWay(), At: at}); err != nil {
			return err
		}
		contactID, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("id of a contact: %w", err)
		}
		a.occur, a.channel, a.twoWay = at, req.GetChannel(), req.GetTwoWay()
		a.also = append(a.also, func(ctx context.Context, p *pipeline) error {
			return s.q.InsertContact(ctx, p, db.InsertContactParams{
				ID: contactID, ComplaintID: a.c.ID, Round: a.c.Round, Version: a.c.Version,
				Channel: int16(req.GetChannel()), TwoWay: req.GetTwoWay(), Note: req.GetNote(),
				ContactTime: at, StaffID: pointer(a.who.Staff),
			})
		})
		return nil
	})
}

// reach turns an attempt into a contact when it counts as one.
func (s *Server) reach(ctx context.Context, a *action, latest complaint.Try) error {
	if a.step.From != complaint.Assigned {
		return nil
	}
	before, err := s.q.SelectTries(ctx, a.tx, a.c.ID, a.round.AssignVersion)
	if err != nil {
		return fmt.Errorf("read contacts: %w", err)
	}
	tries := []complaint.Try{latest}
	for _, t := range before {
		tries = append(tries, complaint.Try{Channel: typev1.Channel(t.Channel), TwoWay: t.TwoWay, At: t.ContactTime})
	}
	at, ok := complaint.Reached(tries, s.limits)
	if !ok {
		return nil
	}
	a.round.ContactTime = &at
	return a.to(complaint.Contact)
}

// ProposeSolution records what was found and what is proposed.
func (s *Server) ProposeSolution(ctx context.Context, req *complaintv1.ProposeSolutionRequest) (*complaintv1.Complaint, error) {
	return s.move(ctx, req, complaint.Propose, func(ctx context.Context, a *action) error {
		if err := complaint.Handling(a.who.Caller, value(a.c.HandlerStaffID)); err != nil {
			return err
		}
		if err := s.inspected(ctx, a); err != nil {
			return err
		}
		in := req.GetProposal()
		if err := complaint.Solution(in); err != nil {
			return err
		}
		p := db.InsertProposalParams{
			ComplaintID: a.c.ID, Round: a.c.Round, Findings: in.GetFindings(), Cause: in.GetCause(),
			Validity: int16(in.GetValidity()), Remedy: int16(in.GetRemedy()), Solution: in.GetSolution(),
			ProposerActor: a.who.Actor, ProposerStaffID: pointer(a.who.Staff), ProposeTime: a.now,
		}
		p.Currency, p.AmountUnits, p.AmountNanos = sum(in.GetAmount())
		a.proposed = &complaint.Amount{Units: p.AmountUnits, Nanos: p.AmountNanos}
		a.also = append(a.also, func(ctx context.Context, tx *pipeline) error { return s.q.InsertProposal(ctx, tx, p) })
		return nil
	})
}

// ApproveSolution decides on the proposal.
func (s *Server) ApproveSolution(ctx context.Context, req *complaintv1.ApproveSolutionRequest) (*complaintv1.Complaint, error) {
	verb := complaint.Approve
	if req.GetDecision() == complaintv1.Decision_DECISION_RETURNED {
		verb = complaint.Return
		if req.GetReason() == "" {
			return nil, rpcerr.Invalid("reason", rpcerr.T(
				"it is empty; say why the proposal is returned", "不能为空；请说明退回方案的理由"))
		}
	}
	return s.move(ctx, req, verb, func(ctx context.Context, a *action) error {
		proposal, err := s.q.GetProposal(ctx, a.tx, a.c.ID, a.c.Round)
		if err != nil {
			return fmt.Errorf("read the proposal: %w", err)
		}
		function := ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_UNSPECIFIED
		if a.c.DepartmentID != nil {
			unit, err := department(ctx, a.tx, *a.c.DepartmentID, "department_id")
			if err != nil {
				return err
			}
			function = unit.Function
		}
		if err := complaint.Approval(a.who.Caller, complaint.ApprovalFacts{
			ProposerActor: proposal.ProposerActor, Proposer: value(proposal.ProposerStaffID), Function: function,
			Amount:   complaint.Amount{Units: proposal.AmountUnits, Nanos: proposal.AmountNanos},
			Decision: req.GetDecision(),
		}, s.limits); err != nil {
			return err
		}
		if err := authz.SecondPerson(ctx, proposal.ProposerActor); err != nil {
			return err
		}
		a.reason = req.GetReason()
		a.also = append(a.also, func(ctx context.Context, p *pipeline) error {
			return s.q.DecideProposal(ctx, p, db.DecideProposalParams{
				ComplaintID: proposal.ComplaintID, Round: proposal.Round, Number: proposal.Number,
				Decision: int16(req.GetDecision()), DecisionReason: req.GetReason(), DecideTime: &a.now,
				ApproverActor: a.who.Actor, ApproverStaffID: pointer(a.who.Staff),
			})
		})
		return nil
	})
}

// TellResult records that the customer was told the result.
func (s *Server) TellResult(ctx context.Context, req *complaintv1.TellResultRequest) (*complaintv1.Complaint, error) {
	return s.move(ctx, req, complaint.Tell, func(ctx context.Context, a *action) error {
		if err := complaint.Handling(a.who.Caller, value(a.c.HandlerStaffID)); err != nil {
			return err
		}
		if err := channelUnknown("channel", req.GetChannel()); err != nil {
			return err
		}
		a.channel, a.twoWay = req.GetChannel(), true
		a.round.TellTime, a.round.TellChannel, a.round.Told = &a.now, int16(req.GetChannel()), req.GetTold()
		due, err := s.silenceDue(ctx, a.tx, a.now, 1)
		if err != nil {
			return err
		}
		return s.silence(ctx, a.tx, a.c.ID, a.now, 1, due)
	})
}

// RecordAnswer records what the customer said of the round's result.
func (s *Server) RecordAnswer(ctx context.Context, req *complaintv1.RecordAnswerRequest) (*complaintv1.Complaint, error) {
	return s.move(ctx, req, complaint.Answer, func(_ context.Context, a *action) error {
		if err := complaint.Handling(a.who.Caller, value(a.c.HandlerStaffID)); err != nil {
			return err
		}
		if err := complaint.Answered(complaintv1.Satisfaction(a.round.Satisfaction)); err != nil {
			return err
		}
		if err := channelUnknown("channel", req.GetChannel()); err != nil {
			return err
		}
		at, err := a.when("answer_time", req.GetAnswerTime(), a.told(), rpcerr.T("the telling of the result", "告知结果"))
		if err != nil {
			return err
		}
		a.answer(req.GetSatisfaction(), req.GetChannel(), at)
		a.round.AnswerSaidBy, a.round.AnswerNote = req.GetSaidBy(), req.GetNote()
		return nil
	})
}

// told is when the customer was told; of an imported complaint only the round is known.
func (a *action) told() time.Time {
	if a.round.TellTime != nil {
		return *a.round.TellTime
	}
	return a.round.StartTime
}

// answer sets the round's answer.
func (a *action) answer(satisfaction complaintv1.Satisfaction, channel typev1.Channel, at time.Time) {
	a.occur, a.channel, a.twoWay = at, channel, true
	a.round.Satisfaction, a.round.AnswerChannel, a.round.AnswerTime = int16(satisfaction), int16(channel), &at
}

// CloseComplaint ends the complaint.
func (s *Server) CloseComplaint(ctx context.Context, req *complaintv1.CloseComplaintRequest) (*complaintv1.Complaint, error) {
	return s.move(ctx, req, complaint.Close, func(_ context.Context, a *action) error {
		outcome, err := complaint.Closing(a.who.Caller, complaintv1.Satisfaction(a.round.Satisfaction),
			a.c.Round, req.GetReason(), s.limits)
		if err != nil {
			return err
		}
		a.reason, a.c.Outcome, a.c.CloseTime = req.GetReason(), int16(outcome), &a.now
		if outcome == complaintv1.Outcome_OUTCOME_ENDED_UNSATISFIED {
			a.c.CloseReason = req.GetReason()
		}
		return nil
	})
}

// NextRound opens the next round at the moment of the unsatisfied answer. Unless the
// category is disputed, that answer also stands for submission and review.
func (s *Server) NextRound(ctx context.Context, req *complaintv1.NextRoundRequest) (*complaintv1.Complaint, error) {
	verb := complaint.Reopen
	if req.GetCategoryDisputed() {
		verb = complaint.Dispute
	}
	return s.move(ctx, req, verb, func(_ context.Context, a *action) error {
		if err := complaint.NextRound(complaintv1.Satisfaction(a.round.Satisfaction)); err != nil {
			return err
		}
		a.reason = req.GetReason()
		a.again(*a.round.AnswerTime, verb == complaint.Reopen)
		return nil
	})
}

// again opens the next round at the moment of an unsatisfied answer, which stands for its
// submission and, where it is reviewed by that, for its review.
func (a *action) again(at time.Time, reviewed bool) {
	a.occur, a.c.HandlerStaffID = at, nil
	a.opened = &db.InsertRoundParams{ComplaintID: a.c.ID, Number: a.step.Round, StartTime: at, SubmitTime: &at}
	if reviewed {
		a.opened.ReviewTime, a.opened.ValidAtFirstSight = &at, a.round.ValidAtFirstSight
	}
}

// saidBy demands who said something, except of customers, who say it themselves.
func saidBy(who caller, given string) error {
	if given != "" || who.customer != uuid.Nil {
		return nil
	}
	return rpcerr.Invalid("said_by", rpcerr.T("it is empty; give who said it", "不能为空；请填写由谁答复"))
}
