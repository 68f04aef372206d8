package server

import (
	"context"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/mask"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/disclosure"
)

// mostReads are as many as one commit may keep waiting; there are a few dozen on a busy day.
const mostReads = 1000

// fileRead is one read of a file: its audit record, and the line for the quarterly review.
type fileRead struct {
	id    uuid.UUID
	at    time.Time
	basis disclosure.Basis
	act   audit.Act
	// reviewed is whose file was read; zero where the customer read their own.
	reviewed uuid.UUID
}

// recordRead leaves the audit record of one read of a file, with the right used, and counts
// it for the quarterly review. It begins as soon as the read is decided, beside the reading;
// the answer must not leave before recorded has returned, whose failure is the call's. Reads at
// the same time share a commit.
func (s *Server) recordRead(ctx context.Context, v disclosure.Verdict, objectType string, object, customer uuid.UUID) (recorded func(context.Context) error) {
	r, err := s.readOf(ctx, v, objectType, object, customer)
	if err != nil {
		return func(context.Context) error { return err }
	}
	return s.leaveRead(r)
}

// readOf is a read of a file by the caller, now.
func (s *Server) readOf(ctx context.Context, v disclosure.Verdict, objectType string, object, customer uuid.UUID) (fileRead, error) {
	method, _ := grpc.Method(ctx)
	id, err := newID()
	if err != nil {
		return fileRead{}, err
	}
	now, reviewed := s.now(), customer
	if authn.FromContext(ctx).Kind == authn.Customer {
		reviewed = uuid.Nil
	}
	return fileRead{id: id, at: now, basis: v.Basis, reviewed: reviewed, act: audit.Act{
		Entry:  audit.Entry{Action: method, ObjectType: objectType, ObjectID: object, CustomerID: customer, Right: v.Right(authz.FromContext(ctx).Right)},
		Origin: audit.Called(ctx, now),
	}}, nil
}

// storeReads commits what reads leave. One alone does without the lists, which cost Postgres
// more than the record.
func (s *Server) storeReads(ctx context.Context, reads []fileRead) error {
	if len(reads) == 1 {
		return s.storeRead(ctx, &reads[0])
	}
	var lines db.InsertFileReadsParams
	acts := make([]audit.Act, 0, len(reads))
	for i := range reads {
		r := &reads[i]
		acts = append(acts, r.act)
		if r.reviewed == uuid.Nil {
			continue
		}
		lines.Ids, lines.ReadTimes = append(lines.Ids, r.id), append(lines.ReadTimes, r.at)
		lines.Readers, lines.CustomerIds = append(lines.Readers, r.act.Origin.Actor), append(lines.CustomerIds, r.reviewed)
		lines.Bases, lines.AccessRights = append(lines.Bases, int16(r.basis)), append(lines.AccessRights, r.act.Entry.Right)
	}
	return pg.InBatch(ctx, s.pool, func(b *pg.Batch) error {
		if len(lines.Ids) > 0 {
			if err := s.q.InsertFileReads(ctx, b, lines); err != nil {
				return err
			}
		}
		return audit.InsertMany(ctx, b, s.auditKey, acts)
	})
}

func (s *Server) storeRead(ctx context.Context, r *fileRead) error {
	return pg.InBatch(ctx, s.pool, func(b *pg.Batch) error {
		if r.reviewed != uuid.Nil {
			if err := s.q.InsertFileRead(ctx, b, db.InsertFileReadParams{
				ID: r.id, ReadTime: r.at, Reader: r.act.Origin.Actor, CustomerID: r.reviewed, Basis: int16(r.basis),
				AccessRight: r.act.Entry.Right,
			}); err != nil {
				return err
			}
		}
		return audit.Insert(ctx, b, s.auditKey, r.act.Entry, r.act.Origin)
	})
}

// forVisit leaves of a file what leads to the customer, where the read rests on a visit.
func forVisit(v disclosure.Verdict, c *customerv1.Customer) *customerv1.Customer {
	if v.Basis == disclosure.ByVisit {
		c.Email = mask.Text(accessv1.Mask_MASK_EMAIL, c.GetEmail())
		c.ClassificationCode, c.SourceChannel, c.Tags, c.TierReason, c.Consents = "", "", nil, "", nil
		c.Attributes, c.Needs, c.Credit, c.Relationship, c.RetireReason = nil, nil, nil, "", ""
	}
	return c
}

// contactsForVisit does so with the people there.
func contactsForVisit(v disclosure.Verdict, contacts []*customerv1.Contact) []*customerv1.Contact {
	if v.Basis == disclosure.ByVisit {
		for _, c := range contacts {
			c.Email, c.DecisionRole, c.Birthday = mask.Text(accessv1.Mask_MASK_EMAIL, c.GetEmail()), 0, nil
			c.FieldStates = nil
		}
	}
	return contacts
}
