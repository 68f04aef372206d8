package db

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// NewCustomer is a customer to be copied in, with what the summary keeps of the name.
type NewCustomer struct {
	*Customer
	Folded string
	Grams  []string
	// Position is the sequence in the number.
	Position int64
}

// CopyCustomers is InsertCustomer for many, by COPY: for imports, where a statement a customer
// would cost more than the row.
func CopyCustomers(ctx context.Context, tx pgx.Tx, rows []NewCustomer) error {
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"customers"}, []string{
		"id", "number", "name", "kind", "party", "classification_code", "industry", "region", "source_channel",
		"owner_staff_id", "tags", "lifecycle", "tier", "tier_reason", "status", "language", "service_quality_consent",
		"address", "phone", "phone_index", "phone_last4_index", "email", "email_index", "source", "external_id",
		"attributes", "needs", "credit", "relationship", "responsible_staff_id", "update_interval_days", "review_due_time",
		"phone_quality", "email_quality", "creator", "create_source", "create_time", "update_time", "version",
	}, pgx.CopyFromSlice(len(rows), func(i int) ([]any, error) {
		r := rows[i]
		return []any{
			r.ID, r.Number, r.Name, r.Kind, r.Party, r.ClassificationCode, r.Industry, r.Region, r.SourceChannel,
			r.OwnerStaffID, r.Tags, r.Lifecycle, r.Tier, "", r.Status, r.Language, true,
			r.Address, r.Phone, r.PhoneIndex, r.PhoneLast4Index, r.Email, r.EmailIndex, r.Source, r.ExternalID,
			r.Attributes, r.Needs, r.Credit, r.Relationship, r.ResponsibleStaffID, r.UpdateIntervalDays, r.ReviewDueTime,
			r.PhoneQuality, r.EmailQuality, r.Creator, r.CreateSource, r.CreateTime, r.UpdateTime, int64(1),
		}, nil
	}))
	if err != nil {
		return fmt.Errorf("copy %d customers: %w", len(rows), err)
	}
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"customer_summaries"}, []string{
		"customer_id", "number", "name", "kind", "region", "tier", "owner_staff_id", "status", "folded", "grams", "position",
	}, pgx.CopyFromSlice(len(rows), func(i int) ([]any, error) {
		r := rows[i]
		return []any{r.ID, r.Number, r.Name, r.Kind, r.Region, r.Tier, r.OwnerStaffID, r.Status, r.Folded, r.Grams, r.Position}, nil
	}))
	if err != nil {
		return fmt.Errorf("copy %d summaries: %w", len(rows), err)
	}
	return nil
}
