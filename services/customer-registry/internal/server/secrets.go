package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/pii"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
)

// The fields of blind indexes; each has its own key.
const (
	fieldPhone = "phone"
	fieldLast4 = "phone_last4"
	fieldEmail = "email"
)

// points are a phone and an e-mail as they are stored.
type points struct {
	phone, phoneIndex, last4Index, email, emailIndex []byte
}

// sealPoints encrypts a normalised phone and e-mail for their row. What is empty
// stays null.
func (s *Server) sealPoints(subject *pii.Subject, table string, row uuid.UUID, phone, email string) (points, error) {
	var out points
	var err error
	if phone != "" {
		if out.phone, err = subject.Seal(pii.Place{Table: table, Column: "phone", Row: row}, phone); err != nil {
			return points{}, err
		}
		out.phoneIndex = s.keys.Index(fieldPhone, phone)
		out.last4Index = s.keys.Index(fieldLast4, customer.Last4(phone))
	}
	if email != "" {
		if out.email, err = subject.Seal(pii.Place{Table: table, Column: "email", Row: row}, email); err != nil {
			return points{}, err
		}
		out.emailIndex = s.keys.Index(fieldEmail, email)
	}
	return out, nil
}

// unseal decrypts a column; what is null or was erased is empty.
func unseal(keys pii.Subjects, subject uuid.UUID, at pii.Place, sealed []byte) (string, error) {
	if sealed == nil {
		return "", nil
	}
	plain, err := keys.Open(subject, at, sealed)
	if errors.Is(err, pii.ErrShredded) {
		return "", nil
	}
	return plain, err
}

func openPoints(keys pii.Subjects, table string, row uuid.UUID, sealedPhone, sealedEmail []byte) (phone, email string, err error) {
	if phone, err = unseal(keys, row, pii.Place{Table: table, Column: "phone", Row: row}, sealedPhone); err != nil {
		return "", "", err
	}
	email, err = unseal(keys, row, pii.Place{Table: table, Column: "email", Row: row}, sealedEmail)
	return phone, email, err
}

func customerPlace(column string, row uuid.UUID) pii.Place {
	return pii.Place{Table: tableCustomers, Column: column, Row: row}
}

// sealPart encrypts a part of a file for its place. Nothing stays null.
func sealPart(subject *pii.Subject, at pii.Place, part proto.Message) ([]byte, error) {
	if proto.Size(part) == 0 {
		return nil, nil
	}
	plain, err := proto.Marshal(part)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", at.Column, err)
	}
	return subject.Seal(at, string(plain))
}

// openPart decrypts what sealPart made into an empty message; what is null or was erased is
// nil.
func openPart[M proto.Message](keys pii.Subjects, at pii.Place, sealed []byte, into M) (M, error) {
	var none M
	plain, err := unseal(keys, at.Row, at, sealed)
	if err != nil || plain == "" {
		return none, err
	}
	if err := proto.Unmarshal([]byte(plain), into); err != nil {
		return none, fmt.Errorf("decode %s of %s: %w", at.Column, at.Row, err)
	}
	return into, nil
}

// view hides from customers how the company judges them. What is hidden from staff stands
// on the fields, and the walker of package authz hides it.
func view(ctx context.Context, c *customerv1.Customer) *customerv1.Customer {
	if authn.FromContext(ctx).Kind == authn.Customer {
		c.ClassificationCode, c.Tags, c.TierReason, c.RetireReason = "", nil, "", ""
		c.Attributes, c.Needs, c.Credit, c.Relationship = nil, nil, nil, ""
		hideRecorders(ctx, c.GetConsents())
	}
	return c
}
