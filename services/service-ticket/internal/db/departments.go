package db

import (
	"context"

	"github.com/google/uuid"
)

// OpenDepartment gives the department that does by now what one did: itself while it is open, else
// its successor's; nil for none.
func (q *Queries) OpenDepartment(ctx context.Context, db DBTX, id uuid.UUID) (open *uuid.UUID, err error) {
	err = db.QueryRow(ctx, "SELECT open_department($1)", id).Scan(&open)
	return open, err
}
