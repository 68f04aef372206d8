package event

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kefu-suite/kefu/runtime/pg"
)

// Parked is an event that a consumer of this database could not apply, or one that queues
// behind such an event of its subject; then Tries is 0.
type Parked struct {
	Consumer, Source string
	SubjectID        string
	Position         int64
	Type             string
	Tries            int
	// Problem is what Handle said last, without values of rows.
	Problem             string
	ParkTime, RetryTime time.Time
}

// ListParked gives parked events, of each consumer the longest parked first, at most
// limit of them.
func ListParked(ctx context.Context, db pg.DBTX, limit int) ([]Parked, error) {
	rows, err := db.Query(ctx, `
SELECT consumer, source, subject_id, position, type, tries, problem, park_time, retry_time
FROM event_parked ORDER BY consumer, source, position LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("list parked events: %w", err)
	}
	parked, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Parked])
	if err != nil {
		return nil, fmt.Errorf("list parked events: %w", err)
	}
	return parked, nil
}

// Redrive makes all parked events of a source due at once, whichever consumer of this
// database parked them, as after the fault was mended, and says how many. The running
// consumers take them up within seconds, each subject's in order; one that fails again
// waits again.
func Redrive(ctx context.Context, db pg.DBTX, source string) (int64, error) {
	tag, err := db.Exec(ctx, `UPDATE event_parked SET retry_time = now() WHERE source = $1`, source)
	if err != nil {
		return 0, fmt.Errorf("redrive parked events: %w", err)
	}
	return tag.RowsAffected(), nil
}
