package server

import (
	"context"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/mask"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/disclosure"
)

// reading is a read of a file that leaves an audit record, with the right used, from which the
// database counts it for the quarterly review. It begins as soon as the read is decided, and what is
// read through it takes the record along; the answer must not leave before Done, whose failure is the
// call's.
func (s *Server) reading(ctx context.Context, v disclosure.Verdict, objectType string, object, customer uuid.UUID) *audit.Reading {
	return s.begin(ctx, s.act(ctx, v, objectType, object, customer))
}

// act is a read of a file by the caller, now.
func (s *Server) act(ctx context.Context, v disclosure.Verdict, objectType string, object, customer uuid.UUID) audit.Act {
	method, _ := grpc.Method(ctx)
	return audit.Act{
		Entry:  audit.Entry{Action: method, ObjectType: objectType, ObjectID: object, CustomerID: customer, Right: v.Right(authz.FromContext(ctx).Right)},
		Origin: audit.Called(ctx, s.now()),
	}
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
