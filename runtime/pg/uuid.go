package pg

import (
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
)

// asUUIDs has a connection read and write uuid.UUID as the 16 bytes they are. pgx knows the
// type only as a driver.Valuer and a sql.Scanner, through text and an error on the way: that
// was a sixth of what a list of fifty rows costs a service.
func asUUIDs(m *pgtype.Map) {
	m.TryWrapEncodePlanFuncs = append([]pgtype.TryWrapEncodePlanFunc{wrapEncode}, m.TryWrapEncodePlanFuncs...)
	m.TryWrapScanPlanFuncs = append([]pgtype.TryWrapScanPlanFunc{wrapScan}, m.TryWrapScanPlanFuncs...)
}

// googleUUID is a uuid.UUID in pgx's terms.
type googleUUID uuid.UUID

// UUIDValue implements pgtype.UUIDValuer.
func (u googleUUID) UUIDValue() (pgtype.UUID, error) { return pgtype.UUID{Bytes: u, Valid: true}, nil }

// ScanUUID implements pgtype.UUIDScanner; null is the nil one, as uuid.UUID.Scan has it.
func (u *googleUUID) ScanUUID(v pgtype.UUID) error {
	*u = googleUUID{}
	if v.Valid {
		*u = v.Bytes
	}
	return nil
}

func wrapEncode(value any) (pgtype.WrappedEncodePlanNextSetter, any, bool) {
	switch v := value.(type) {
	case uuid.UUID:
		return &encodeUUID{}, googleUUID(v), true
	case *uuid.UUID:
		if v != nil {
			return &encodeUUID{}, googleUUID(*v), true
		}
	}
	return nil, nil, false
}

type encodeUUID struct{ next pgtype.EncodePlan }

func (p *encodeUUID) SetNext(next pgtype.EncodePlan) { p.next = next }

func (p *encodeUUID) Encode(value any, buf []byte) ([]byte, error) {
	if v, ok := value.(*uuid.UUID); ok {
		if v == nil {
			return nil, nil
		}
		return p.next.Encode(googleUUID(*v), buf)
	}
	return p.next.Encode(googleUUID(value.(uuid.UUID)), buf)
}

func wrapScan(target any) (pgtype.WrappedScanPlanNextSetter, any, bool) {
	if v, ok := target.(*uuid.UUID); ok {
		return &scanUUID{}, (*googleUUID)(v), true
	}
	return nil, nil, false
}

type scanUUID struct{ next pgtype.ScanPlan }

func (p *scanUUID) SetNext(next pgtype.ScanPlan) { p.next = next }

func (p *scanUUID) Scan(src []byte, dst any) error {
	return p.next.Scan(src, (*googleUUID)(dst.(*uuid.UUID)))
}
