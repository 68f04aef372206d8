// Package customerref keeps, in each service's own database, what the service
// needs to know of customers: number, kind, tier, region, status, owner and
// consent, and no personal data. Rows come from the customer registry's events
// ([Handle]) and, for a customer whose event has not come yet, from the
// registry itself ([Ensure]). Tables of the service refer to customer_refs by
// foreign key.
package customerref

import (
	"context"
	"embed"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/pg"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes the table customer_refs; apply it before the service's own.
func Migrations() pg.MigrationSet {
	return pg.MigrationSet{Name: "customerref", FS: migrations}
}

// Source is the name of the service whose events Handle takes.
const Source = "customer-registry"

// The types of events that carry a customer.
const (
	TypeCreated = "customer.created.v1"
	TypeChanged = "customer.changed.v1"
)

// Ref is a customer as this service knows it. Zero ids mean none.
type Ref struct {
	ID                    uuid.UUID
	Number                string
	Kind                  customerv1.CustomerKind
	Tier                  typev1.Tier
	Region                string
	Status                customerv1.CustomerStatus
	OwnerStaffID          uuid.UUID
	MergedInto            uuid.UUID
	ServiceQualityConsent bool
	Language              string
	Version               int64
}

// FromProto checks the ids of a reference received from the registry.
func FromProto(ref *customerv1.CustomerRef) (Ref, error) {
	out := Ref{
		Number: ref.GetNumber(), Kind: ref.GetKind(), Tier: ref.GetTier(), Region: ref.GetRegion(),
		Status: ref.GetStatus(), ServiceQualityConsent: ref.GetServiceQualityConsent(),
		Language: ref.GetLanguage(), Version: ref.GetVersion(),
	}
	var err error
	if out.ID, err = uuid.Parse(ref.GetId()); err != nil {
		return Ref{}, fmt.Errorf("customer reference: id: %w", err)
	}
	if out.OwnerStaffID, err = optional(ref.GetOwnerStaffId()); err != nil {
		return Ref{}, fmt.Errorf("customer reference %s: owner_staff_id: %w", out.ID, err)
	}
	if out.MergedInto, err = optional(ref.GetMergedInto()); err != nil {
		return Ref{}, fmt.Errorf("customer reference %s: merged_into: %w", out.ID, err)
	}
	return out, nil
}

func optional(id string) (uuid.UUID, error) {
	if id == "" {
		return uuid.Nil, nil
	}
	return uuid.Parse(id)
}

const apply = `
INSERT INTO customer_refs (id, number, kind, tier, region, status, owner_staff_id, merged_into,
  service_quality_consent, language, version)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (id) DO UPDATE SET
  number = excluded.number, kind = excluded.kind, tier = excluded.tier, region = excluded.region,
  status = excluded.status, owner_staff_id = excluded.owner_staff_id, merged_into = excluded.merged_into,
  service_quality_consent = excluded.service_quality_consent, language = excluded.language,
  version = excluded.version
WHERE customer_refs.version < excluded.version`

// Apply stores the reference unless the stored one is as new or newer, and
// tells whether it stored it. Events and answers of the registry may therefore
// be applied in any order and more than once.
func Apply(ctx context.Context, db pg.DBTX, ref *customerv1.CustomerRef) (bool, error) {
	r, err := FromProto(ref)
	if err != nil {
		return false, err
	}
	tag, err := db.Exec(ctx, apply, r.ID, r.Number, int16(r.Kind), int16(r.Tier), r.Region, int16(r.Status),
		null(r.OwnerStaffID), null(r.MergedInto), r.ServiceQualityConsent, r.Language, r.Version)
	if err != nil {
		return false, fmt.Errorf("store customer reference %s: %w", r.ID, err)
	}
	return tag.RowsAffected() == 1, nil
}

// Retire closes customers for new business here before the registry's event does, which
// says the same with a newer version.
func Retire(ctx context.Context, db pg.DBTX, ids []uuid.UUID) error {
	_, err := db.Exec(ctx, `UPDATE customer_refs SET status = $2 WHERE id = ANY($1)`, ids, int16(customerv1.CustomerStatus_CUSTOMER_STATUS_RETIRED))
	if err != nil {
		return fmt.Errorf("close customer references: %w", err)
	}
	return nil
}

func null(id uuid.UUID) *uuid.UUID {
	if id == uuid.Nil {
		return nil
	}
	return &id
}

// Handle applies one event of the customer registry and takes no notice of
// types that carry no customer. It is the Handle of an event.Consumer.
func Handle(ctx context.Context, tx pgx.Tx, env *eventv1.Envelope) error {
	switch env.GetType() {
	case TypeCreated, TypeChanged:
	default:
		return nil
	}
	var payload customerv1.CustomerChanged
	if err := env.GetPayload().UnmarshalTo(&payload); err != nil {
		return fmt.Errorf("payload of event %s: %w", env.GetId(), err)
	}
	_, err := Apply(ctx, tx, payload.GetCustomer())
	return err
}

// ErrUnknown says that no reference of that id is stored.
var ErrUnknown = errors.New("customer is not known here")

// Merges move a customer at most a few times; the bound keeps a cycle, which
// the registry refuses to make, from holding a connection.
const find = `
WITH RECURSIVE way AS (
  SELECT c.*, 1 AS step FROM customer_refs c WHERE c.id = $1
  UNION ALL
  SELECT c.*, way.step + 1 FROM way JOIN customer_refs c ON c.id = way.merged_into WHERE way.step < 32
)
SELECT id, number, kind, tier, region, status, owner_staff_id, merged_into,
  service_quality_consent, language, version
FROM way ORDER BY step DESC LIMIT 1`

// Get returns the stored reference of a customer, or of the customer it was
// merged into. It fails with ErrUnknown when the id, or the survivor of its
// merge, is not stored. Within a transaction that read the id from a row of its
// own, the foreign key makes that impossible for customers never merged.
func Get(ctx context.Context, db pg.DBTX, id uuid.UUID) (Ref, error) {
	var r Ref
	var owner, merged *uuid.UUID
	err := db.QueryRow(ctx, find, id).Scan(&r.ID, &r.Number, &r.Kind, &r.Tier, &r.Region, &r.Status,
		&owner, &merged, &r.ServiceQualityConsent, &r.Language, &r.Version)
	if errors.Is(err, pgx.ErrNoRows) {
		return Ref{}, ErrUnknown
	}
	if err != nil {
		return Ref{}, fmt.Errorf("read customer reference: %w", err)
	}
	if merged != nil {
		return Ref{}, ErrUnknown
	}
	if owner != nil {
		r.OwnerStaffID = *owner
	}
	return r, nil
}
