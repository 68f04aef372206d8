package subject

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc"

	subjectv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/subject/v1"
	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/pii"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/customerref"
)

// PartSize is how many cases a part has at most.
const PartSize = 500

// Declaration is what a service holds on persons.
type Declaration struct {
	Tables []Table
	// Find gives the sets of the next part of what is held on a person. The first has the
	// empty cursor.
	Find func(ctx context.Context, db pg.DBTX, person *subjectv1.Subject, cursor string) (Part, error)
	// Shreds are the sets whose ids have keys.
	Shreds []string
	// Correct corrects the rows of a part in its transaction and counts them; nil where
	// nothing is copied.
	Correct func(ctx context.Context, tx *write.Tx, req *subjectv1.CorrectSubjectRequest, part Part) (int64, error)
	// Refs says that the service keeps customer_refs: a customer takes no new business there
	// from the first part of their erasure on.
	Refs bool
	// Erased tells the others, in the transaction that erased; nil where nobody is told.
	Erased func(ctx context.Context, tx *write.Tx, sets Sets) error
}

// Part is what one step of an erasure is about.
type Part struct {
	Sets Sets
	// Cursor is that of the next part, unless this is the last one.
	Cursor string
	Done   bool
}

// After is the part of the cases that a query found after the cursor: as many as there are,
// PartSize at most.
func After(set string, ids []uuid.UUID) Part {
	p := Part{Sets: Sets{}, Done: len(ids) < PartSize}
	if len(ids) > 0 {
		p.Sets[set], p.Cursor = ids, ids[len(ids)-1].String()
	}
	return p
}

// Position is the id at which a cursor stands.
func Position(cursor string) (uuid.UUID, error) {
	if cursor == "" {
		return uuid.Nil, nil
	}
	id, err := uuid.Parse(cursor)
	if err != nil {
		return uuid.Nil, fmt.Errorf("cursor %q: %w", cursor, err)
	}
	return id, nil
}

// IDs reads ids that the contract has checked.
func IDs(texts []string) ([]uuid.UUID, error) {
	out := make([]uuid.UUID, 0, len(texts))
	for _, t := range texts {
		id, err := uuid.Parse(t)
		if err != nil {
			return nil, fmt.Errorf("id %q: %w", t, err)
		}
		out = append(out, id)
	}
	return out, nil
}

// Server is the SubjectService of a service. All of it is required.
type Server struct {
	subjectv1.UnimplementedSubjectServiceServer
	Declaration
	Pool  *pgxpool.Pool
	Keys  *pii.Keyring
	Write *write.Path
	List  *List
	Log   *slog.Logger
	Now   func() time.Time
}

// Register puts it on a gRPC server.
func (s *Server) Register(on grpc.ServiceRegistrar) { subjectv1.RegisterSubjectServiceServer(on, s) }

// who is the person's id, and the customer who they are or belong to: zero where none is named
// beside a contact.
func who(person *subjectv1.Subject) (id, customer uuid.UUID, err error) {
	if all := person.GetCustomerIds(); len(all) > 0 {
		if customer, err = uuid.Parse(all[0]); err != nil {
			return uuid.Nil, uuid.Nil, err
		}
	}
	if contact := person.GetContactId(); contact != "" {
		id, err = uuid.Parse(contact)
		return id, customer, err
	}
	if customer == uuid.Nil {
		return uuid.Nil, uuid.Nil, errors.New("a subject without customer")
	}
	return customer, customer, nil
}

// ExportSubject streams what is held on the person and leaves a record of it.
func (s *Server) ExportSubject(req *subjectv1.ExportSubjectRequest, stream grpc.ServerStreamingServer[subjectv1.SubjectRecord]) error {
	ctx := stream.Context()
	id, customer, err := who(req.GetSubject())
	if err != nil {
		return err
	}
	// The record comes first: nothing may leave without one.
	if err := RecordRead(ctx, s.Pool, s.Keys, customer, "subject", id, s.Now()); err != nil {
		return err
	}
	return s.Export(ctx, req.GetSubject(), stream.Send)
}

// RecordRead leaves the audit record of a read of what is a customer's.
func RecordRead(ctx context.Context, pool *pgxpool.Pool, keys *pii.Keyring, customer uuid.UUID, object string, id uuid.UUID, now time.Time) error {
	method, _ := grpc.Method(ctx)
	return pg.InBatch(ctx, pool, func(b *pg.Batch) error {
		return audit.Insert(ctx, b, keys.Derive(audit.KeyLabel),
			audit.Entry{Action: method, ObjectType: object, ObjectID: id, CustomerID: customer, Right: authz.FromContext(ctx).Right},
			audit.Called(ctx, now))
	})
}

// EraseSubject erases one part.
func (s *Server) EraseSubject(ctx context.Context, req *subjectv1.EraseSubjectRequest) (*subjectv1.EraseSubjectResponse, error) {
	e, part, err := s.announce(ctx, req)
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.Write, req, func(ctx context.Context, tx *write.Tx) (*subjectv1.EraseSubjectResponse, error) {
		if err := s.close(ctx, tx, req); err != nil {
			return nil, err
		}
		counts, err := s.erasePart(ctx, tx, e)
		if err != nil {
			return nil, err
		}
		return &subjectv1.EraseSubjectResponse{Cursor: part.Cursor, Done: part.Done, Erased: counts}, nil
	})
}

// close keeps new cases from a person before the registry has told that the file is closed.
func (s *Server) close(ctx context.Context, tx *write.Tx, req *subjectv1.EraseSubjectRequest) error {
	if !s.Refs || req.GetCursor() != "" || req.GetSubject().GetContactId() != "" {
		return nil
	}
	customers, err := IDs(req.GetSubject().GetCustomerIds())
	if err != nil {
		return err
	}
	return customerref.Retire(ctx, tx, customers)
}

// EraseOwn is EraseSubject for a job of the service itself.
func (s *Server) EraseOwn(ctx context.Context, req *subjectv1.EraseSubjectRequest) (*subjectv1.EraseSubjectResponse, error) {
	e, part, err := s.announce(ctx, req)
	if err != nil {
		return nil, err
	}
	out := &subjectv1.EraseSubjectResponse{Cursor: part.Cursor, Done: part.Done}
	return out, write.Job(ctx, s.Write, "erase-subject", func(ctx context.Context, tx *write.Tx) error {
		var err error
		out.Erased, err = s.erasePart(ctx, tx, e)
		return err
	})
}

// announce finds a part and puts it on the erasure list.
func (s *Server) announce(ctx context.Context, req *subjectv1.EraseSubjectRequest) (Entry, Part, error) {
	id, customer, err := who(req.GetSubject())
	if err != nil {
		return Entry{}, Part{}, err
	}
	erasure, err := uuid.Parse(req.GetErasureId())
	if err != nil {
		return Entry{}, Part{}, err
	}
	part, err := s.Find(ctx, s.Pool, req.GetSubject(), req.GetCursor())
	if err != nil {
		return Entry{}, Part{}, fmt.Errorf("find what is held: %w", err)
	}
	e := Entry{Time: s.Now().UTC(), Erasure: erasure, Cursor: req.GetCursor(), Subject: id, Customer: customer, Sets: part.Sets}
	if len(part.Sets) == 0 {
		return e, part, nil
	}
	return e, part, s.List.Append(e)
}

// erasePart erases what an entry of the list names, and keeps that it was done.
func (s *Server) erasePart(ctx context.Context, tx *write.Tx, e Entry) (map[string]int64, error) {
	counts, err := erase(ctx, tx, s.Keys, &s.Declaration, e.Sets, s.Now().UTC())
	if err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO subject_erasures (erasure_id, cursor, erase_time) VALUES ($1, $2, $3)
		ON CONFLICT ON CONSTRAINT subject_erasures_pkey DO NOTHING`, e.Erasure, e.Cursor, s.Now().UTC()); err != nil {
		return nil, fmt.Errorf("keep the erasure: %w", err)
	}
	if s.Erased != nil {
		if err := s.Erased(ctx, tx, e.Sets); err != nil {
			return nil, err
		}
	}
	tx.AuditOf(e.Customer, "subject", e.Subject, map[string]any{"erasure": e.Erasure, "cursor": e.Cursor, "tables": slices.Sorted(maps.Keys(counts))})
	return counts, nil
}

// Replay erases again what stands in the erasure list and not in the database, which was
// restored from before. It is called before the service serves.
func (s *Server) Replay(ctx context.Context) error {
	entries, err := s.List.Read()
	if err != nil {
		return err
	}
	for _, e := range entries {
		var done bool
		err := s.Pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM subject_erasures WHERE erasure_id = $1 AND cursor = $2)`,
			e.Erasure, e.Cursor).Scan(&done)
		if err != nil {
			return fmt.Errorf("replay the erasure list: %w", err)
		}
		if done {
			continue
		}
		s.Log.WarnContext(ctx, "erasing again what a restored database has brought back", "erasure", e.Erasure)
		err = write.Job(ctx, s.Write, "replay-erasure", func(ctx context.Context, tx *write.Tx) error {
			_, err := s.erasePart(ctx, tx, e)
			return err
		})
		if err != nil {
			return fmt.Errorf("replay erasure %s: %w", e.Erasure, err)
		}
	}
	return nil
}

// CorrectSubject corrects one part of the copies.
func (s *Server) CorrectSubject(ctx context.Context, req *subjectv1.CorrectSubjectRequest) (*subjectv1.CorrectSubjectResponse, error) {
	if s.Correct == nil {
		return &subjectv1.CorrectSubjectResponse{Done: true}, nil
	}
	id, customer, err := who(req.GetSubject())
	if err != nil {
		return nil, err
	}
	part, err := s.Find(ctx, s.Pool, req.GetSubject(), req.GetCursor())
	if err != nil {
		return nil, fmt.Errorf("find what is held: %w", err)
	}
	return write.Do(ctx, s.Write, req, func(ctx context.Context, tx *write.Tx) (*subjectv1.CorrectSubjectResponse, error) {
		n, err := s.Correct(ctx, tx, req, part)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			tx.Unchanged()
		} else {
			tx.AuditOf(customer, "subject", id, map[string]any{"corrected": n})
		}
		return &subjectv1.CorrectSubjectResponse{Cursor: part.Cursor, Done: part.Done, Corrected: n}, nil
	})
}
