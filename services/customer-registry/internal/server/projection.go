package server

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
)

// The kinds of cases that a summary counts.
const (
	caseTicket    = 1
	caseComplaint = 2
)

// fact is what an event tells of a customer.
type fact struct {
	// kind is that of the case whose state the event tells; 0 when it tells none.
	kind int16
	open bool
	// visitor is who goes to the customer for the case; the nil one: nobody.
	visitor uuid.UUID
	number  string
	state   string
	score   int16
	// contact: the customer and the company spoke.
	contact bool
	// hidden: it belongs on no timeline.
	hidden bool
	// What the envelope says.
	env                   *eventv1.Envelope
	id, subject, customer uuid.UUID
}

// facts reads what events tell, in their order.
func facts(events []*eventv1.Envelope, of func(*eventv1.Envelope) (*fact, error)) ([]*fact, error) {
	var out []*fact
	for _, env := range events {
		f, err := of(env)
		if err != nil {
			return nil, err
		}
		if f == nil {
			continue
		}
		f.env = env
		if f.subject, err = uuid.Parse(env.GetSubjectId()); err != nil {
			return nil, fmt.Errorf("subject of event %s: %w", env.GetId(), err)
		}
		if f.id, err = uuid.Parse(env.GetId()); err != nil {
			return nil, fmt.Errorf("id of event at %d: %w", env.GetPosition(), err)
		}
		if id := env.GetCustomerId(); id != "" {
			if f.customer, err = uuid.Parse(id); err != nil {
				return nil, fmt.Errorf("customer of event %s: %w", f.id, err)
			}
		}
		out = append(out, f)
	}
	return out, nil
}

// project applies what events tell to cases, timelines and summaries, all of it in three
// round trips. Everything a summary counts is counted anew under the lock of its row, so
// that events taken again, late or with another customer leave it right.
func (s *Server) project(ctx context.Context, tx pgx.Tx, events []*eventv1.Envelope, of func(*eventv1.Envelope) (*fact, error)) error {
	told, err := facts(events, of)
	if err != nil || len(told) == 0 {
		return err
	}
	subjects := set{}
	for _, f := range told {
		subjects.add(f.subject)
	}
	known, err := s.q.LockCases(ctx, tx, subjects.sorted())
	if err != nil {
		return fmt.Errorf("read cases: %w", err)
	}
	p := newProjection(known)
	for _, f := range told {
		p.apply(f)
	}
	if err := s.lockSummaries(ctx, tx, p.customers.sorted()); err != nil {
		return err
	}
	batch := new(pg.Batch)
	if err := s.store(ctx, batch, p); err != nil {
		return err
	}
	return pg.Flush(ctx, tx, batch)
}

// standing is how a case stands.
type standing struct {
	kind     int16
	customer uuid.UUID // the nil one: nobody's
	open     bool
	visitor  uuid.UUID // the nil one: nobody
	version  int64
}

// projection is what events come to: how cases stand, what timelines gain and what of which
// customers is to be counted anew.
type projection struct {
	cases                     map[uuid.UUID]standing
	changed, moved            set
	entries                   db.InsertTimelineEntriesParams
	customers                 set
	opened, contacted, scored set
}

func newProjection(known []db.Case) *projection {
	p := &projection{
		cases: map[uuid.UUID]standing{}, changed: set{}, moved: set{}, customers: set{},
		opened: set{}, contacted: set{}, scored: set{},
	}
	for _, c := range known {
		at := standing{kind: c.Kind, open: c.Open, version: c.Version}
		if c.CustomerID != nil {
			at.customer = *c.CustomerID
		}
		p.cases[c.SubjectID] = at
	}
	return p
}

// apply takes in one event after those before it.
func (p *projection) apply(f *fact) {
	known, found := p.cases[f.subject]
	from, to := known.customer, f.customer
	// A comment tells nothing of whose ticket it is that the ticket did not tell,
	// and neither does an event older than what is known.
	tells := f.kind != 0 && (!found || known.version < f.env.GetSubjectVersion())
	if found && !tells {
		to = from
	}
	moved := tells && found && from != to
	for _, customer := range []uuid.UUID{from, to} {
		p.customers.add(customer)
		p.opened.when(f.kind != 0, customer)
		p.contacted.when(f.contact || moved, customer)
		p.scored.when(f.score > 0 || moved, customer)
	}
	if tells {
		p.cases[f.subject] = standing{f.kind, to, f.open, f.visitor, f.env.GetSubjectVersion()}
		p.changed.add(f.subject)
		p.moved.when(moved, f.subject)
	}
	if f.hidden {
		return
	}
	e := &p.entries
	e.Ids, e.CustomerIds, e.SubjectIds = append(e.Ids, f.id), append(e.CustomerIds, to), append(e.SubjectIds, f.subject)
	e.OccurTimes, e.Types = append(e.OccurTimes, f.env.GetOccurTime().AsTime()), append(e.Types, f.env.GetType())
	e.Numbers, e.States = append(e.Numbers, f.number), append(e.States, f.state)
	e.Scores, e.Contacts = append(e.Scores, f.score), append(e.Contacts, f.contact)
	e.Historics = append(e.Historics, f.env.GetHistoric())
}

// store queues what events come to.
func (s *Server) store(ctx context.Context, on *pg.Batch, p *projection) error {
	var now db.UpsertCasesParams
	for _, id := range p.changed.sorted() {
		c := p.cases[id]
		now.SubjectIds, now.Kinds = append(now.SubjectIds, id), append(now.Kinds, c.kind)
		now.CustomerIds, now.Opens = append(now.CustomerIds, c.customer), append(now.Opens, c.open)
		now.VisitorStaffIds, now.Versions = append(now.VisitorStaffIds, c.visitor), append(now.Versions, c.version)
	}
	if len(now.SubjectIds) > 0 {
		if err := s.q.UpsertCases(ctx, on, now); err != nil {
			return fmt.Errorf("store cases: %w", err)
		}
	}
	if len(p.entries.Ids) > 0 {
		if err := s.q.InsertTimelineEntries(ctx, on, p.entries); err != nil {
			return fmt.Errorf("insert timeline entries: %w", err)
		}
	}
	// A case that moved to another customer takes its history along.
	for _, id := range p.moved.sorted() {
		var to *uuid.UUID
		if customer := p.cases[id].customer; customer != uuid.Nil {
			to = &customer
		}
		if err := s.q.MoveTimeline(ctx, on, to, id); err != nil {
			return fmt.Errorf("move timeline: %w", err)
		}
	}
	for _, count := range []struct {
		of      set
		refresh func(context.Context, db.DBTX, []uuid.UUID) error
	}{{p.opened, s.q.RefreshOpenCases}, {p.contacted, s.q.RefreshLastContact}, {p.scored, s.q.RefreshScores}} {
		if len(count.of) == 0 {
			continue
		}
		if err := count.refresh(ctx, on, count.of.sorted()); err != nil {
			return fmt.Errorf("count for summaries: %w", err)
		}
	}
	return nil
}

// lockSummaries locks the rows of customers, always in one order.
func (s *Server) lockSummaries(ctx context.Context, tx pgx.Tx, customers []uuid.UUID) error {
	if len(customers) == 0 {
		return nil
	}
	locked, err := s.q.LockSummaries(ctx, tx, customers)
	if err != nil {
		return fmt.Errorf("lock summaries: %w", err)
	}
	if len(locked) < len(customers) {
		s.log.WarnContext(ctx, "events name customers that the registry does not have", "customers", slices.DeleteFunc(customers,
			func(id uuid.UUID) bool { return slices.Contains(locked, id) }))
	}
	return nil
}

// set is a set of ids, without the nil one.
type set map[uuid.UUID]struct{}

func (s set) add(id uuid.UUID) { s.when(true, id) }

func (s set) when(wanted bool, id uuid.UUID) {
	if wanted && id != uuid.Nil {
		s[id] = struct{}{}
	}
}

func (s set) sorted() []uuid.UUID {
	return slices.SortedFunc(maps.Keys(s), func(a, b uuid.UUID) int { return cmp.Compare(string(a[:]), string(b[:])) })
}
