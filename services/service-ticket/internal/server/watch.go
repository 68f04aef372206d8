package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/organisation"
)

const (
	watchEvery = 5 * time.Minute
	watchBatch = 100
)

// WatchOrganisation tells, until ctx ends, of gaps in duty rosters and of overdue
// publications of hotlines. Every replica runs it; what one has told no other tells again.
func (s *Server) WatchOrganisation(ctx context.Context) error {
	return s.every(ctx, watchEvery, "watch on duty and hotlines", s.SweepOrganisation)
}

// SweepOrganisation tells once of each gap of the next seven days, again when it is filled and
// empty again, of each reason for which a publication is overdue, and of each hotline that needs
// a new owner.
func (s *Server) SweepOrganisation(ctx context.Context) error {
	var failed []error
	for after, more := uuid.Nil, true; more; {
		rosters, err := s.q.ListDutyRosters(ctx, s.pool, after, watchBatch)
		if err != nil {
			return fmt.Errorf("list duty rosters: %w", err)
		}
		for i := range rosters {
			// One roster that cannot be counted keeps no other from being told of.
			failed = append(failed, s.tellGaps(ctx, rosters[i].ID))
			after = rosters[i].ID
		}
		more = len(rosters) == watchBatch
	}
	return errors.Join(append(failed, s.tellOverdue(ctx))...)
}

func (s *Server) tellGaps(ctx context.Context, id uuid.UUID) error {
	return write.Job(ctx, s.write, "duty/gaps", func(ctx context.Context, tx *write.Tx) error {
		roster, err := s.q.LockDutyRoster(ctx, tx, id)
		if err != nil {
			return fmt.Errorf("lock duty roster: %w", err)
		}
		now := s.now()
		look := organisation.Span{Start: now, End: now.Add(s.policy.FlagAhead)}
		gaps, err := s.gaps(ctx, tx, &roster, look.Start, look.End)
		if err != nil {
			return err
		}
		told, seen, err := s.toldGaps(ctx, tx, id, now)
		if err != nil {
			return err
		}
		if err := s.keepGaps(ctx, tx, id, told, organisation.Known(gaps, told, look), seen, now); err != nil {
			return err
		}
		fresh := organisation.Untold(gaps, told, seen)
		if len(fresh) == 0 {
			tx.Unchanged()
		}
		for _, g := range fresh {
			if err := s.tellGap(ctx, tx, &roster, g, now); err != nil {
				return err
			}
		}
		return nil
	})
}

// toldGaps reads which gaps that are not over were told, and how far ahead the look went that
// found them last.
func (s *Server) toldGaps(ctx context.Context, tx *write.Tx, roster uuid.UUID, now time.Time) (told []organisation.Span, seen time.Time, err error) {
	rows, err := s.q.ListToldGaps(ctx, tx, roster, now)
	if err != nil {
		return nil, seen, fmt.Errorf("read what was told: %w", err)
	}
	for _, r := range rows {
		told = append(told, organisation.Span{Start: r.StartTime, End: r.EndTime})
		if ahead := r.FindTime.Add(s.policy.FlagAhead); ahead.After(seen) {
			seen = ahead
		}
	}
	return told, seen, nil
}

// keepGaps keeps what counts as told from now on in place of what did before. Where that is the
// same nothing is written, unless a gap went on to where the last look ended: there the next
// one must know that this one went further.
func (s *Server) keepGaps(ctx context.Context, tx *write.Tx, roster uuid.UUID, before, after []organisation.Span, seen, now time.Time) error {
	same := slices.EqualFunc(before, after, func(a, b organisation.Span) bool { return a.Start.Equal(b.Start) && a.End.Equal(b.End) })
	if same && (len(before) == 0 || before[len(before)-1].End.Before(seen)) {
		return nil
	}
	if err := s.q.DeleteToldGaps(ctx, tx, roster, now); err != nil {
		return fmt.Errorf("forget gaps: %w", err)
	}
	for _, g := range after {
		err := s.q.InsertDutyGap(ctx, tx, db.InsertDutyGapParams{RosterID: roster, StartTime: g.Start, EndTime: g.End, FindTime: now})
		if err != nil {
			return fmt.Errorf("keep a gap: %w", err)
		}
	}
	return nil
}

func (s *Server) tellGap(ctx context.Context, tx *write.Tx, roster *db.DutyRoster, g organisation.Span, now time.Time) error {
	id, err := newID()
	if err != nil {
		return err
	}
	found := &ticketv1.DutyGapFound{
		RosterId: roster.ID.String(), RosterCode: roster.Code, StartTime: timestamppb.New(g.Start), EndTime: timestamppb.New(g.End),
	}
	tx.Emit(event.Event{Type: "duty.gap.v1", SubjectID: id, SubjectVersion: 1, OccurTime: now, Payload: found})
	tx.Audit("duty-gap", id, found)
	s.log.WarnContext(ctx, "nobody is on duty", "roster", roster.Code, "from", g.Start, "to", g.End)
	return nil
}

func (s *Server) tellOverdue(ctx context.Context) error {
	return write.Job(ctx, s.write, "hotlines/overdue", func(ctx context.Context, tx *write.Tx) error {
		if err := s.q.LockHotlinePublications(ctx, tx); err != nil {
			return fmt.Errorf("lock the publications: %w", err)
		}
		last, err := s.lastPublication(ctx, tx)
		if err != nil {
			return err
		}
		now := s.now()
		rows, err := s.q.ListHotlinesToPublish(ctx, tx)
		if err != nil {
			return fmt.Errorf("read hotlines: %w", err)
		}
		reasons, err := s.overdue(ctx, tx, rows, &last, now)
		if err != nil {
			return err
		}
		told, err := s.tellOwnerless(ctx, tx, rows, now)
		if err != nil {
			return err
		}
		for _, reason := range reasons {
			n, err := s.q.InsertHotlineReminder(ctx, tx, last.Version, int16(reason), now)
			if err != nil {
				return fmt.Errorf("keep a reminder: %w", err)
			}
			if n == 0 {
				continue
			}
			id, err := newID()
			if err != nil {
				return err
			}
			told++
			overdue := &ticketv1.HotlinesOverdue{Version: last.Version, Reason: reason}
			tx.Emit(event.Event{Type: "hotlines.overdue.v1", SubjectID: id, SubjectVersion: 1, OccurTime: now, Payload: overdue})
			tx.Audit("hotline-reminder", id, overdue)
			s.log.WarnContext(ctx, "a publication of the hotlines is overdue", "version", last.Version, "reason", reason.String())
		}
		if told == 0 {
			tx.Unchanged()
		}
		return nil
	})
}
