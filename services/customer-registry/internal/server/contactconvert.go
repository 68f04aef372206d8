package server

import (
	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/type/date"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/pii"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
)

// fillContact writes to a row what a caller may set of a contact.
func (s *Server) fillContact(row *db.Contact, c *customerv1.Contact, subject *pii.Subject) error {
	p, err := s.sealPoints(subject, tableContacts, row.ID, customer.PointsOfContact(c))
	if err != nil {
		return err
	}
	row.Name, row.DecisionRole, row.Language = c.GetName(), int16(c.GetDecisionRole()), c.GetLanguage()
	row.Phone, row.PhoneIndex, row.PhoneLast4Index = p.phone, p.phoneIndex, p.last4Index
	row.PhoneQuality, row.EmailQuality = p.phoneQuality, p.emailQuality
	row.Email, row.EmailIndex, row.PreferredChannel = p.email, p.emailIndex, int16(c.GetPreferredChannel())
	row.Birthday, err = sealPart(subject, birthdayPlace(row.ID), c.GetBirthday())
	return err
}

func birthdayPlace(row uuid.UUID) pii.Place {
	return pii.Place{Table: tableContacts, Column: "birthday", Row: row}
}

func contactProto(row *db.Contact, keys pii.Subjects) (*customerv1.Contact, error) {
	out := &customerv1.Contact{}
	if err := openPoints(keys, tableContacts, row.ID, contactPoints(row), customer.PointsOfContact(out)); err != nil {
		return nil, err
	}
	birthday, err := openPart(keys, birthdayPlace(row.ID), row.Birthday, new(date.Date))
	if err != nil {
		return nil, err
	}
	out.Id, out.CustomerId, out.Name = row.ID.String(), row.CustomerID.String(), row.Name
	out.DecisionRole, out.Language = customerv1.DecisionRole(row.DecisionRole), row.Language
	out.PreferredChannel, out.Birthday = typev1.Channel(row.PreferredChannel), birthday
	out.CreateTime, out.UpdateTime, out.Etag = timestamppb.New(row.CreateTime), timestamppb.New(row.UpdateTime), etag(row.Version)
	kept, err := fieldStates(row.ID, row.FieldStates)
	if err != nil {
		return nil, err
	}
	out.FieldStates = customer.States(out, added(row), kept).GetStates()
	return out, nil
}

// added is the origin of what a contact was added with.
func added(row *db.Contact) customer.Origin {
	return customer.Origin{Source: customerv1.ValueSource(row.CreateSource), Actor: row.Creator, Time: row.CreateTime}
}

func contactPoints(row *db.Contact) points {
	return points{phone: row.Phone, email: row.Email, phoneQuality: row.PhoneQuality, emailQuality: row.EmailQuality}
}

func insertContact(row *db.Contact) db.InsertContactParams {
	return db.InsertContactParams{
		ID: row.ID, CustomerID: row.CustomerID, Name: row.Name, DecisionRole: row.DecisionRole, Language: row.Language,
		Phone: row.Phone, PhoneIndex: row.PhoneIndex, PhoneLast4Index: row.PhoneLast4Index, Email: row.Email,
		EmailIndex: row.EmailIndex, PreferredChannel: row.PreferredChannel, Birthday: row.Birthday,
		PhoneQuality: row.PhoneQuality, EmailQuality: row.EmailQuality, Creator: row.Creator, CreateSource: row.CreateSource,
		CreateTime: row.CreateTime, UpdateTime: row.UpdateTime,
	}
}

func updateContact(row *db.Contact) db.UpdateContactParams {
	return db.UpdateContactParams{
		ID: row.ID, Name: row.Name, DecisionRole: row.DecisionRole, Language: row.Language, Phone: row.Phone,
		PhoneIndex: row.PhoneIndex, PhoneLast4Index: row.PhoneLast4Index, Email: row.Email, EmailIndex: row.EmailIndex,
		PreferredChannel: row.PreferredChannel, Birthday: row.Birthday,
		PhoneQuality: row.PhoneQuality, EmailQuality: row.EmailQuality, FieldStates: row.FieldStates,
		VerifiedPoints: row.VerifiedPoints, UpdateTime: row.UpdateTime,
	}
}
