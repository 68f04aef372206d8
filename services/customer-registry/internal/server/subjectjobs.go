package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	subjectv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/subject/v1"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/rights"
	"github.com/kefu-suite/kefu/services/internal/subject"
)

const (
	// subjectsEvery is how often a process looks for requests.
	subjectsEvery = 500 * time.Millisecond
	// subjectLease is after how long another process takes over a part, unless the one that
	// is at it says every subjectHold that it still is; subjectLimit bounds a part.
	subjectLease = 15 * time.Second
	subjectHold  = 5 * time.Second
	subjectLimit = 85 * time.Second
	// subjectPause is the time after which a part that failed is tried again.
	subjectPause = 5 * time.Second
	// documentLife is how long the document of an export is kept.
	documentLife = 7 * 24 * time.Hour
	// documentPart is about how large a part of a document is.
	documentPart = 128 << 10
)

// SubjectJobs does what was asked for about persons, one part at a time: it takes a request,
// asks one service and keeps how far it has come. Several processes may do it at once, and a
// part whose process is gone is done again by another.
type SubjectJobs struct {
	*Server
	// Own is the registry's own part, Peers are the other services by name.
	Own   *subject.Server
	Peers map[string]subjectv1.SubjectServiceClient
}

// Run works until ctx ends. What fails is told and tried again.
func (j *SubjectJobs) Run(ctx context.Context) error {
	tick := time.NewTicker(subjectsEvery)
	defer tick.Stop()
	for {
		for more := true; more && ctx.Err() == nil; {
			var err error
			if more, err = j.Step(ctx); err != nil && ctx.Err() == nil {
				j.log.WarnContext(ctx, "a subject request waits", "error", pg.Describe(err))
			}
		}
		if err := j.lapse(ctx); err != nil && ctx.Err() == nil {
			j.log.WarnContext(ctx, "old documents were not removed", "error", pg.Describe(err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// lapse removes documents whose time is over.
func (j *SubjectJobs) lapse(ctx context.Context) error {
	now := j.now()
	return j.q.LapseSubjectDocuments(ctx, j.pool, &now)
}

// Step takes one part of one request; more is false when none waits.
func (j *SubjectJobs) Step(ctx context.Context) (more bool, err error) {
	now := j.now()
	until := now.Add(subjectLease)
	row, err := j.q.TakeSubjectRequest(ctx, j.pool, &until, &now)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("take a subject request: %w", err)
	}
	done, err := j.held(ctx, &row)
	if err == nil {
		return true, j.move(ctx, &row, done)
	}
	err = fmt.Errorf("request %s at %s: %w", row.ID, rights.Service(int(row.Step)), err)
	return false, errors.Join(err, j.postpone(context.WithoutCancel(ctx), &row))
}

// held does a part and holds the request meanwhile.
func (j *SubjectJobs) held(ctx context.Context, row *db.SubjectRequest) (progress, error) {
	ctx, cancel := context.WithTimeout(ctx, subjectLimit)
	var holding sync.WaitGroup
	defer holding.Wait()
	defer cancel()
	holding.Go(func() {
		tick := time.NewTicker(subjectHold)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			until := j.now().Add(subjectLease)
			// One that fails costs at most that the part is done twice.
			_ = j.q.HoldSubjectRequest(ctx, j.pool, db.HoldSubjectRequestParams{Until: &until, ID: row.ID, Step: row.Step, Cursor: row.Cursor})
		}
	})
	return j.part(ctx, row)
}

// postpone gives a part that failed back.
func (j *SubjectJobs) postpone(ctx context.Context, row *db.SubjectRequest) error {
	next := j.now().Add(subjectPause)
	_, err := j.q.MoveSubjectRequest(ctx, j.pool, db.MoveSubjectRequestParams{
		ID: row.ID, State: row.State, Step: row.Step, Cursor: row.Cursor, Receipt: row.Receipt, NextTime: &next,
		DoneTime: row.DoneTime, DocumentExpireTime: row.DocumentExpireTime, OldStep: row.Step, OldCursor: row.Cursor,
	})
	return err
}

// progress is what one part came to.
type progress struct {
	cursor  string
	done    bool
	records int64
}

// part asks the service of the step for what the request is about.
func (j *SubjectJobs) part(ctx context.Context, row *db.SubjectRequest) (progress, error) {
	person, err := j.person(ctx, j.pool, row)
	if err != nil {
		return progress{}, err
	}
	switch rights.Kind(row.Kind) {
	case rights.Export:
		n, err := j.export(ctx, row, person)
		return progress{done: true, records: n}, err
	case rights.Erasure:
		return j.erase(ctx, row, person)
	}
	return j.correct(ctx, row, person)
}

func (j *SubjectJobs) erase(ctx context.Context, row *db.SubjectRequest, person *subjectv1.Subject) (progress, error) {
	erasure := row.ID
	if rights.Again(int(row.Step)) { // an erasure of its own in the lists: its parts are others
		erasure = uuid.NewSHA1(row.ID, []byte("again"))
	}
	req := &subjectv1.EraseSubjectRequest{ErasureId: erasure.String(), Subject: person, Cursor: row.Cursor}
	var resp *subjectv1.EraseSubjectResponse
	var err error
	if peer, ok := j.Peers[rights.Service(int(row.Step))]; ok {
		resp, err = peer.EraseSubject(ctx, req)
	} else {
		resp, err = j.Own.EraseOwn(ctx, req)
	}
	if err != nil {
		return progress{}, err
	}
	out := progress{cursor: resp.GetCursor(), done: resp.GetDone()}
	for _, n := range resp.GetErased() {
		out.records += n
	}
	return out, nil
}

// export keeps the records of one service as parts of the document, in the place of those
// that an attempt before has left.
func (j *SubjectJobs) export(ctx context.Context, row *db.SubjectRequest, person *subjectv1.Subject) (int64, error) {
	service := rights.Service(int(row.Step))
	if err := j.q.DeleteSubjectDocument(ctx, j.pool, row.ID, service); err != nil {
		return 0, fmt.Errorf("remove what an attempt before left: %w", err)
	}
	w := &documentWriter{server: j.Server, row: row, service: service}
	take := func(r *subjectv1.SubjectRecord) error { return w.add(ctx, r) }
	if peer, ok := j.Peers[service]; ok {
		stream, err := peer.ExportSubject(ctx, &subjectv1.ExportSubjectRequest{Subject: person})
		if err != nil {
			return 0, err
		}
		for {
			record, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return 0, err
			}
			if err := take(record); err != nil {
				return 0, err
			}
		}
	} else if err := j.Own.Export(ctx, person, take); err != nil {
		return 0, err
	}
	return w.records, w.flush(ctx)
}

func (j *SubjectJobs) correct(ctx context.Context, row *db.SubjectRequest, person *subjectv1.Subject) (progress, error) {
	plain, err := j.keys.Open(ctx, j.pool, subjectID(row), correctionPlace(row.ID), row.Correction)
	if err != nil {
		return progress{}, fmt.Errorf("open the correction: %w", err)
	}
	right := new(customerv1.SubjectCorrection)
	if err := proto.Unmarshal([]byte(plain), right); err != nil {
		return progress{}, fmt.Errorf("decode the correction: %w", err)
	}
	peer, ok := j.Peers[rights.Service(int(row.Step))]
	if !ok {
		return progress{done: true, records: 1}, j.correctOwn(ctx, row, right)
	}
	resp, err := peer.CorrectSubject(ctx, &subjectv1.CorrectSubjectRequest{
		Subject: person, Name: right.GetName(), Phone: right.GetPhone(), Email: right.GetEmail(), Cursor: row.Cursor,
	})
	return progress{cursor: resp.GetCursor(), done: resp.GetDone(), records: resp.GetCorrected()}, err
}

// correctOwn corrects the contact, or the file.
func (j *SubjectJobs) correctOwn(ctx context.Context, row *db.SubjectRequest, right *customerv1.SubjectCorrection) error {
	return write.Job(ctx, j.write, "correct-subject", func(ctx context.Context, tx *write.Tx) error {
		if row.ContactID != nil {
			return j.correctContact(ctx, tx, row.CustomerID, *row.ContactID, right)
		}
		file, err := j.q.LockCustomer(ctx, tx, row.CustomerID)
		if err != nil {
			return missingCustomer(err, row.CustomerID)
		}
		before, err := j.file(ctx, tx, &file)
		if err != nil {
			return err
		}
		after := proto.CloneOf(before)
		after.Name, after.Phone, after.Email = righted(after.GetName(), right.GetName()), righted(after.GetPhone(), right.GetPhone()),
			righted(after.GetEmail(), right.GetEmail())
		if err := invalid("", customer.PointsOf(after).Renormalize(customer.PointsOf(before), j.region, false)); err != nil {
			return err
		}
		_, err = j.changeCustomer(ctx, tx, &file, before, after, customerv1.ValueSource_VALUE_SOURCE_CUSTOMER)
		return err
	})
}

func (j *SubjectJobs) correctContact(ctx context.Context, tx *write.Tx, customerID, id uuid.UUID, right *customerv1.SubjectCorrection) error {
	row, err := j.lockContact(ctx, tx, customerID, id)
	if err != nil {
		return err
	}
	held, err := j.contacts(ctx, tx, []db.Contact{*row})
	if err != nil {
		return err
	}
	key, err := j.keys.Subject(ctx, tx, id)
	if err != nil {
		return err
	}
	c := proto.CloneOf(held[0])
	c.Name, c.Phone, c.Email = righted(c.GetName(), right.GetName()), righted(c.GetPhone(), right.GetPhone()), righted(c.GetEmail(), right.GetEmail())
	if err := invalid("", customer.PointsOfContact(c).Renormalize(customer.PointsOfContact(held[0]), j.region, false)); err != nil {
		return err
	}
	_, err = j.changeContact(ctx, tx, row, contactChange{key, held[0], c}, customerv1.ValueSource_VALUE_SOURCE_CUSTOMER)
	return err
}

func righted(have, right string) string {
	if right == "" {
		return have
	}
	return right
}

// move keeps how far the request has come, unless another process has moved it meanwhile.
func (j *SubjectJobs) move(ctx context.Context, row *db.SubjectRequest, p progress) error {
	return write.Job(ctx, j.write, "subject-request", func(ctx context.Context, tx *write.Tx) error {
		now := j.now()
		step, state := rights.Next(rights.Kind(row.Kind), row.ContactID != nil, int(row.Step), !p.done)
		next := *row
		receipt, err := j.receipt(row, p, now)
		if err != nil {
			return err
		}
		next.Step, next.Cursor, next.State, next.Receipt, next.NextTime = int32(step), p.cursor, int16(state), receipt, &now
		if p.done {
			next.Cursor = ""
		}
		if state == rights.Done {
			next.NextTime, next.DoneTime = nil, &now
			if rights.Kind(row.Kind) == rights.Export {
				expire := now.Add(documentLife)
				next.DocumentExpireTime = &expire
			}
		}
		n, err := j.q.MoveSubjectRequest(ctx, tx, db.MoveSubjectRequestParams{
			ID: row.ID, State: next.State, Step: next.Step, Cursor: next.Cursor, Receipt: next.Receipt, NextTime: next.NextTime,
			DoneTime: next.DoneTime, DocumentExpireTime: next.DocumentExpireTime, OldStep: row.Step, OldCursor: row.Cursor,
		})
		if err != nil {
			return fmt.Errorf("move the request: %w", err)
		}
		if n == 0 {
			tx.Unchanged()
			return nil
		}
		if state != rights.Done {
			tx.AuditOf(row.CustomerID, "subject_request", row.ID, map[string]any{"step": row.Step, "cursor": row.Cursor})
			return nil
		}
		// What was erased is not in the row that was taken any more.
		if next, err = j.q.GetSubjectRequest(ctx, tx, row.ID); err != nil {
			return fmt.Errorf("read the request: %w", err)
		}
		_, err = subjectRequestChanged(tx, "subjectrequest.done.v1", &next)
		return err
	})
}

// receipt adds a part to what each service did. What a second look erases again was counted.
func (j *SubjectJobs) receipt(row *db.SubjectRequest, p progress, now time.Time) ([]byte, error) {
	if rights.Again(int(row.Step)) {
		return row.Receipt, nil
	}
	kept := new(customerv1.SubjectRequest)
	if err := proto.Unmarshal(row.Receipt, kept); err != nil {
		return nil, fmt.Errorf("receipt: %w", err)
	}
	if len(kept.GetSteps()) <= int(row.Step) {
		kept.Steps = append(kept.Steps, &customerv1.SubjectStep{Service: rights.Service(int(row.Step))})
	}
	step := kept.GetSteps()[row.Step]
	step.Records += p.records
	if p.done {
		step.Done, step.DoneTime = true, timestamppb.New(now)
	}
	return proto.Marshal(kept)
}
