package server

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/complaint/internal/db"
	"github.com/kefu-suite/kefu/services/internal/customerref"
)

const (
	// sweepEvery is how often silent customers are looked for: their steps are days apart.
	sweepEvery = 10 * time.Second
	// sweepStep is how many are looked up at once; each is a transaction of its own.
	sweepStep = 200
)

// Notice is a message to a customer that is to leave. It may be sent twice, with the same ID,
// when the process ends between sending it and keeping that it was sent.
type Notice struct {
	ID, ComplaintID uuid.UUID
	// CustomerID is zero for none; the sender asks the registry where to write to.
	CustomerID uuid.UUID
	// Reference is the complaint's number.
	Reference string
	// Round and Number say which reminder it is.
	Round, Number int32
}

// Courier sends notices.
type Courier interface {
	Send(ctx context.Context, n Notice) error
}

// LogCourier writes what would leave to the log: ids and numbers alone.
type LogCourier struct{ Log *slog.Logger }

// Send logs the notice. It never fails.
func (c LogCourier) Send(ctx context.Context, n Notice) error {
	c.Log.InfoContext(ctx, "notice to customer", "notice", n.ID, "complaint", n.ComplaintID, "customer", n.CustomerID,
		"reference", n.Reference, "round", n.Round, "number", n.Number)
	return nil
}

// FollowSilence reminds told customers who do not answer, ends their complaints in the end and
// sends what is to leave, until ctx ends. Any number of replicas may run it.
func (s *Server) FollowSilence(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		for what, work := range map[string]func(context.Context) error{"silences": s.EndSilences, "notices": s.SendNotices} {
			if err := work(ctx); err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "sweep of "+what, "error", pg.Describe(err))
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// EndSilences takes every step that is due now.
func (s *Server) EndSilences(ctx context.Context) error {
	after := db.ListDueSilencesParams{Now: s.now(), Size: sweepStep}
	for {
		due, err := s.q.ListDueSilences(ctx, s.pool, after)
		if err != nil {
			return fmt.Errorf("look for silent customers: %w", err)
		}
		for _, row := range due {
			err := write.Job(ctx, s.write, "complaint-silence", func(ctx context.Context, tx *write.Tx) error {
				acted, err := s.silent(ctx, tx, row.ComplaintID)
				if err == nil && !acted {
					tx.Unchanged()
				}
				return err
			})
			if err != nil {
				// The others wait no longer for it.
				s.log.WarnContext(ctx, "a silent customer", "complaint", row.ComplaintID, "error", pg.Describe(err))
			}
			after.AfterTime, after.After = row.DueTime, row.ComplaintID
		}
		if len(due) < sweepStep {
			return nil
		}
	}
}

// silent takes the step that is due of one complaint, and tells whether there was one. A
// complaint that is held by another transaction is left for the next sweep: the customer may be
// answering.
func (s *Server) silent(ctx context.Context, tx *write.Tx, complaintID uuid.UUID) (acted bool, err error) {
	c, err := s.q.TryLockComplaint(ctx, tx, complaintID)
	if missing(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("lock complaint: %w", err)
	}
	row, err := s.q.GetSilence(ctx, tx, complaintID)
	if missing(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read a silence: %w", err)
	}
	due, err := s.silenceDue(ctx, tx, row.TellTime, row.Step)
	if err != nil {
		return false, err
	}
	if due.After(s.now()) {
		// The calendar changed since it was computed.
		return false, s.silence(ctx, tx, row.ComplaintID, row.TellTime, row.Step, due)
	}
	return true, s.step(ctx, tx, c, row)
}

// step reminds or ends.
func (s *Server) step(ctx context.Context, tx *write.Tx, c db.Complaint, row db.ComplaintSilence) error {
	a, err := s.lock(ctx, tx, c.ID)
	if err != nil {
		return err
	}
	a.who.Actor = authn.FromContext(ctx).Actor()
	if _, end := s.limits.Silence(row.Step); end {
		if err := a.to(complaint.Lapse); err != nil {
			return err
		}
		a.c.Outcome, a.c.CloseTime = int16(complaintv1.Outcome_OUTCOME_NO_ANSWER), &a.now
	} else {
		if err := a.to(complaint.Remind); err != nil {
			return err
		}
		if err := s.remind(ctx, a, row); err != nil {
			return err
		}
	}
	_, err = s.finish(ctx, a)
	return err
}

// remind has the move keep a notice that is to leave and when the next step is due. Nothing
// leaves to a customer whose file is no longer in use.
func (s *Server) remind(ctx context.Context, a *action, row db.ComplaintSilence) error {
	due, err := s.silenceDue(ctx, a.tx, row.TellTime, row.Step+1)
	if err != nil {
		return err
	}
	if err := s.silence(ctx, a.tx, row.ComplaintID, row.TellTime, row.Step+1, due); err != nil {
		return err
	}
	if a.c.CustomerID != nil {
		ref, err := customerref.Get(ctx, a.tx, *a.c.CustomerID)
		if err != nil {
			return fmt.Errorf("read the customer of a complaint: %w", err)
		}
		if ref.Status == customerv1.CustomerStatus_CUSTOMER_STATUS_RETIRED {
			return nil
		}
	}
	noticeID, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("id of a notice: %w", err)
	}
	a.also = append(a.also, func(ctx context.Context, p *pipeline) error {
		return s.q.InsertNotice(ctx, p, db.InsertNoticeParams{
			ID: noticeID, ComplaintID: a.c.ID, Round: a.c.Round, Number: row.Step, CreateTime: a.now,
		})
	})
	return nil
}

// silenceDue is when a step is due, by the default calendar as it is now.
func (s *Server) silenceDue(ctx context.Context, on db.DBTX, told time.Time, step int32) (time.Time, error) {
	cal, _, err := s.calendars.Load(ctx, on, "")
	if err != nil {
		return time.Time{}, err
	}
	days, _ := s.limits.Silence(step)
	due, err := cal.AddWorkingDays(told, days)
	if err != nil {
		return time.Time{}, fmt.Errorf("when a silence ends: %w", err)
	}
	return due, nil
}

func (s *Server) silence(ctx context.Context, on db.DBTX, complaintID uuid.UUID, told time.Time, step int32, due time.Time) error {
	err := s.q.SetSilence(ctx, on, db.SetSilenceParams{ComplaintID: complaintID, TellTime: told, Step: step, DueTime: due})
	if err != nil {
		return fmt.Errorf("store a silence: %w", err)
	}
	return nil
}

// SendNotices sends what is to leave, oldest first.
func (s *Server) SendNotices(ctx context.Context) error {
	last := uuid.Nil
	for sent := true; sent; {
		err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
			row, err := s.q.HoldNotice(ctx, tx, last)
			if sent = !missing(err); !sent {
				return nil
			}
			if err != nil {
				return fmt.Errorf("read a notice: %w", err)
			}
			last = row.ID
			if err := s.courier.Send(ctx, Notice{
				ID: row.ID, ComplaintID: row.ComplaintID, CustomerID: value(row.CustomerID), Reference: row.Reference,
				Round: row.Round, Number: row.Number,
			}); err != nil {
				return fmt.Errorf("send notice %s: %w", row.ID, err)
			}
			now := s.now()
			return s.q.SentNotice(ctx, tx, &now, row.ID)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// ReopenComplaint takes up again what ended without an answer.
func (s *Server) ReopenComplaint(ctx context.Context, req *complaintv1.ReopenComplaintRequest) (*complaintv1.Complaint, error) {
	verb := complaint.TakeUp
	if req.GetCategoryDisputed() {
		verb = complaint.TakeUpDisputed
	}
	return s.move(ctx, req, verb, func(_ context.Context, a *action) error {
		if err := complaint.Reopening(complaintv1.Outcome(a.c.Outcome), timeOf(a.c.CloseTime), a.now, s.limits); err != nil {
			return err
		}
		if err := channelUnknown("channel", req.GetChannel()); err != nil {
			return err
		}
		if err := saidBy(a.who, req.GetSaidBy()); err != nil {
			return err
		}
		a.answer(complaintv1.Satisfaction_SATISFACTION_UNSATISFIED, req.GetChannel(), a.now)
		a.round.AnswerSaidBy, a.round.AnswerNote = req.GetSaidBy(), req.GetNote()
		a.c.Outcome, a.c.CloseTime = 0, nil
		a.again(a.now, verb == complaint.TakeUp)
		return nil
	})
}
