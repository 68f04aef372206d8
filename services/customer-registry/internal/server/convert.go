package server

import (
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/pii"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
)

const (
	tableCustomers = "customers"
	tableContacts  = "contacts"
)

// customerProto is the file of a row.
func customerProto(row *db.Customer, consents []db.Consent, keys pii.Subjects) (*customerv1.Customer, error) {
	out := &customerv1.Customer{
		Id: row.ID.String(), Number: row.Number, Name: row.Name,
		Kind: customerv1.CustomerKind(row.Kind), Party: customerv1.Party(row.Party),
		ClassificationCode: row.ClassificationCode, Industry: row.Industry, Region: row.Region,
		SourceChannel: row.SourceChannel, OwnerStaffId: idString(row.OwnerStaffID), Tags: row.Tags,
		Lifecycle: customerv1.Lifecycle(row.Lifecycle), Tier: typev1.Tier(row.Tier), TierReason: row.TierReason,
		TierEndTime: stampPtr(row.TierEndTime), Status: customerv1.CustomerStatus(row.Status),
		Language: row.Language, CreateTime: timestamppb.New(row.CreateTime),
		UpdateTime: timestamppb.New(row.UpdateTime), Etag: etag(row.Version), Relationship: row.Relationship,
		ResponsibleStaffId: idString(row.ResponsibleStaffID), UpdateIntervalDays: row.UpdateIntervalDays,
		ReviewDueTime: timestamppb.New(row.ReviewDueTime), RetireReason: row.RetireReason, RetireTime: stampPtr(row.RetireTime),
	}
	for i := range consents {
		out.Consents = append(out.Consents, consentProto(&consents[i]))
	}
	var err error
	if out.Attributes, err = customer.DecodeAttributes(row.Attributes); err != nil {
		return nil, err
	}
	if row.Needs != nil {
		out.Needs = new(customerv1.Needs)
		if err := proto.Unmarshal(row.Needs, out.Needs); err != nil {
			return nil, fmt.Errorf("decode needs of customer %s: %w", row.ID, err)
		}
	}
	sealed := points{phone: row.Phone, email: row.Email, phoneQuality: row.PhoneQuality, emailQuality: row.EmailQuality}
	if err := openPoints(keys, tableCustomers, row.ID, sealed, customer.PointsOf(out)); err != nil {
		return nil, err
	}
	if out.Address, err = openPart(keys, customerPlace("address", row.ID), row.Address, new(customerv1.Address)); err != nil {
		return nil, err
	}
	out.Credit, err = openPart(keys, customerPlace("credit", row.ID), row.Credit, new(customerv1.Credit))
	return out, err
}

// fillCustomer writes to a row what a caller may set of its file.
func fillCustomer(row *db.Customer, c *customerv1.Customer) error {
	owner, err := idPtr(c.GetOwnerStaffId())
	if err != nil {
		return err
	}
	row.Name, row.Kind, row.Party = c.GetName(), int16(c.GetKind()), int16(c.GetParty())
	row.ClassificationCode, row.Industry, row.Region = c.GetClassificationCode(), c.GetIndustry(), c.GetRegion()
	row.SourceChannel, row.OwnerStaffID, row.Tags = c.GetSourceChannel(), owner, some(c.GetTags())
	row.Lifecycle, row.Language = int16(c.GetLifecycle()), c.GetLanguage()
	row.Relationship, row.UpdateIntervalDays, row.Needs = c.GetRelationship(), c.GetUpdateIntervalDays(), nil
	if row.ResponsibleStaffID, err = optionalID("responsible_staff_id", c.GetResponsibleStaffId()); err != nil {
		return err
	}
	if c.GetNeeds() != nil {
		if row.Needs, err = proto.Marshal(c.GetNeeds()); err != nil {
			return fmt.Errorf("encode needs: %w", err)
		}
	}
	row.Attributes, err = customer.EncodeAttributes(c.GetAttributes())
	return err
}

// sealCustomer writes to a row the encrypted part of its file.
func (s *Server) sealCustomer(row *db.Customer, c *customerv1.Customer, subject *pii.Subject) error {
	p, err := s.sealPoints(subject, tableCustomers, row.ID, customer.PointsOf(c))
	if err != nil {
		return err
	}
	row.Phone, row.PhoneIndex, row.PhoneLast4Index = p.phone, p.phoneIndex, p.last4Index
	row.Email, row.EmailIndex = p.email, p.emailIndex
	row.PhoneQuality, row.EmailQuality = p.phoneQuality, p.emailQuality
	if row.Address, err = sealPart(subject, customerPlace("address", row.ID), c.GetAddress()); err != nil {
		return err
	}
	row.Credit, err = sealPart(subject, customerPlace("credit", row.ID), c.GetCredit())
	return err
}

// customerRef is what other services keep of a row.
func customerRef(row *db.Customer) *customerv1.CustomerRef {
	return &customerv1.CustomerRef{
		Id: row.ID.String(), Number: row.Number, Kind: customerv1.CustomerKind(row.Kind),
		Tier: typev1.Tier(row.Tier), Region: row.Region, Status: customerv1.CustomerStatus(row.Status),
		OwnerStaffId: idString(row.OwnerStaffID), MergedInto: idString(row.MergedInto),
		ServiceQualityConsent: row.ServiceQualityConsent, Language: row.Language, Version: row.Version,
	}
}

func summaryProto(row *db.ListSummariesRow) *customerv1.CustomerSummary {
	return &customerv1.CustomerSummary{
		CustomerId: row.CustomerID.String(), Number: row.Number, Name: row.Name,
		Kind: customerv1.CustomerKind(row.Kind), Region: row.Region, Tier: typev1.Tier(row.Tier),
		OwnerStaffId: idString(row.OwnerStaffID), Status: customerv1.CustomerStatus(row.Status),
		LastContactTime: stampPtr(row.LastContactTime), OpenTickets: row.OpenTickets, OpenComplaints: row.OpenComplaints,
	}
}

func insertCustomer(row *db.Customer, position int64) db.InsertCustomerParams {
	folded := customer.SearchText(append([]string{row.Name, row.Number, row.Region}, row.Tags...)...)
	return db.InsertCustomerParams{
		ID: row.ID, Number: row.Number, Name: row.Name, Kind: row.Kind, Party: row.Party,
		ClassificationCode: row.ClassificationCode, Industry: row.Industry, Region: row.Region,
		SourceChannel: row.SourceChannel, OwnerStaffID: row.OwnerStaffID, Tags: row.Tags,
		Lifecycle: row.Lifecycle, Tier: row.Tier, Status: row.Status, Language: row.Language,
		Address: row.Address, Phone: row.Phone, PhoneIndex: row.PhoneIndex, PhoneLast4Index: row.PhoneLast4Index,
		Email: row.Email, EmailIndex: row.EmailIndex, Source: row.Source, ExternalID: row.ExternalID,
		Attributes: row.Attributes, Needs: row.Needs, Credit: row.Credit, Relationship: row.Relationship,
		ResponsibleStaffID: row.ResponsibleStaffID, UpdateIntervalDays: row.UpdateIntervalDays,
		ReviewDueTime: row.ReviewDueTime, PhoneQuality: row.PhoneQuality, EmailQuality: row.EmailQuality, Creator: row.Creator, CreateSource: row.CreateSource,
		CreateTime: row.CreateTime, UpdateTime: row.UpdateTime, Folded: folded, Grams: customer.Terms(folded, position),
		Position: position,
	}
}

func updateCustomer(row *db.Customer) db.UpdateCustomerParams {
	return db.UpdateCustomerParams{
		ID: row.ID, Name: row.Name, Kind: row.Kind, Party: row.Party, ClassificationCode: row.ClassificationCode,
		Industry: row.Industry, Region: row.Region, SourceChannel: row.SourceChannel, OwnerStaffID: row.OwnerStaffID,
		Tags: row.Tags, Lifecycle: row.Lifecycle, Language: row.Language, Address: row.Address, Phone: row.Phone,
		PhoneIndex: row.PhoneIndex, PhoneLast4Index: row.PhoneLast4Index, Email: row.Email, EmailIndex: row.EmailIndex,
		Attributes: row.Attributes, Needs: row.Needs, Credit: row.Credit, Relationship: row.Relationship,
		ResponsibleStaffID: row.ResponsibleStaffID, UpdateIntervalDays: row.UpdateIntervalDays,
		ReviewDueTime: row.ReviewDueTime, PhoneQuality: row.PhoneQuality, EmailQuality: row.EmailQuality, Status: row.Status, RetireReason: row.RetireReason,
		RetireTime: row.RetireTime, FieldStates: row.FieldStates, UpdateTime: row.UpdateTime,
	}
}

func updateSummary(row *db.Customer) db.UpdateSummaryFileParams {
	return db.UpdateSummaryFileParams{
		CustomerID: row.ID, Name: row.Name, Kind: row.Kind, Region: row.Region, Tier: row.Tier,
		OwnerStaffID: row.OwnerStaffID, Status: row.Status,
	}
}

func idString(id *uuid.UUID) string {
	if id == nil {
		return ""
	}
	return id.String()
}

func idPtr(id string) (*uuid.UUID, error) { return optionalID("owner_staff_id", id) }

// optionalID reads an id of the request where the empty one means none.
func optionalID(field, id string) (*uuid.UUID, error) {
	if id == "" {
		return nil, nil
	}
	parsed, err := parseID(field, id)
	if err != nil {
		return nil, err
	}
	return &parsed, nil
}

func stampPtr(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(*t)
}

// timePtr is a time in the resolution the database keeps.
func timePtr(t *timestamppb.Timestamp) *time.Time {
	if t == nil {
		return nil
	}
	at := micro(t.AsTime())
	return &at
}

// some turns no list into an empty one, for columns that are never null.
func some(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
