package server

import (
	"context"
	"errors"
	"fmt"
	"strings"

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

// points are a phone and an e-mail as they are stored. The qualities are 0 for valid ones.
type points struct {
	phone, phoneIndex, last4Index, email, emailIndex []byte
	phoneQuality, emailQuality                       int16
}

// sealPoints encrypts a normalised phone and e-mail for their row. What is empty
// stays null.
func (s *Server) sealPoints(subject *pii.Subject, table string, row uuid.UUID, p customer.Points) (points, error) {
	var out points
	var err error
	if phone := *p.Phone; phone != "" {
		out.phoneQuality = faulty(*p.PhoneQuality)
		out.phoneIndex = s.keys.Index(fieldPhone, customer.PhoneTerm(phone, *p.PhoneQuality))
		out.last4Index = s.keys.Index(fieldLast4, customer.Last4(phone))
		phone = customer.Dialled(phone, *p.Extension)
		if out.phone, err = subject.Seal(pii.Place{Table: table, Column: "phone", Row: row}, phone); err != nil {
			return points{}, err
		}
	}
	if email := *p.Email; email != "" {
		out.emailQuality = faulty(*p.EmailQuality)
		out.emailIndex = s.keys.Index(fieldEmail, email)
		if out.email, err = subject.Seal(pii.Place{Table: table, Column: "email", Row: row}, email); err != nil {
			return points{}, err
		}
	}
	return out, nil
}

// faulty is what is stored of a quality.
func faulty(q customerv1.PointQuality) int16 {
	if !customer.Faulty(q) {
		return 0
	}
	return int16(q)
}

// quality is what is told of a stored one.
func quality(value string, stored int16) customerv1.PointQuality {
	switch {
	case value == "":
		return customerv1.PointQuality_POINT_QUALITY_UNSPECIFIED
	case stored == 0:
		return customerv1.PointQuality_POINT_QUALITY_VALID
	}
	return customerv1.PointQuality(stored)
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

// openPoints decrypts a row's phone and e-mail.
func openPoints(keys pii.Subjects, table string, row uuid.UUID, sealed points, into customer.Points) (err error) {
	if *into.Phone, err = unseal(keys, row, pii.Place{Table: table, Column: "phone", Row: row}, sealed.phone); err != nil {
		return err
	}
	if sealed.phoneQuality == 0 {
		*into.Phone, *into.Extension, _ = strings.Cut(*into.Phone, customer.ExtensionMark)
	}
	*into.PhoneQuality = quality(*into.Phone, sealed.phoneQuality)
	if *into.Email, err = unseal(keys, row, pii.Place{Table: table, Column: "email", Row: row}, sealed.email); err != nil {
		return err
	}
	*into.EmailQuality = quality(*into.Email, sealed.emailQuality)
	return nil
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
