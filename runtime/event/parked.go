package event

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	"github.com/kefu-suite/kefu/runtime/pg"
)

const (
	parkedEvery = 5 * time.Second
	parkedFirst = 30 * time.Second
	parkedLast  = 10 * time.Minute
)

// passing reports whether a failure is that of the surroundings, which pass, and not of
// the event: it is tried again without being counted.
func passing(err error) bool {
	return crossed(err) || pg.Unavailable(err) || status.Code(err) == codes.Unavailable
}

// crossed reports whether a transaction gave way to another one.
func crossed(err error) bool {
	switch pg.Code(err) {
	case "40001", "40P01", "55P03": // serialization, deadlock, lock timeout
		return true
	}
	return false
}

// park keeps an event for later. Without a problem of its own it waits behind an earlier
// one of its subject.
func (c *Consumer) park(ctx context.Context, tx pgx.Tx, e *eventv1.Envelope, problem string) error {
	encoded, err := proto.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode event to park: %w", err)
	}
	tries, wait := maxTries, c.pace.parkedFirst
	if problem == "" {
		problem, tries, wait = "waits behind an earlier event", 0, 0
	} else {
		c.Log.ErrorContext(ctx, "event parked", "consumer", c.Name, "source", c.Source, "event", e.GetId(),
			"type", e.GetType(), "position", e.GetPosition(), "problem", problem)
	}
	_, err = tx.Exec(ctx, `
INSERT INTO event_parked (consumer, source, subject_id, position, type, envelope, tries, problem, park_time, retry_time)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now(), now() + make_interval(secs => $9))`,
		c.Name, c.Source, e.GetSubjectId(), e.GetPosition(), e.GetType(), encoded, tries, problem, wait.Seconds())
	if err != nil {
		return fmt.Errorf("park event: %w", err)
	}
	return nil
}

// retryParked tries the first parked event of each subject when its time has come.
func (c *Consumer) retryParked(ctx context.Context, healthy func()) error {
	tick := time.NewTicker(c.pace.parkedEvery)
	defer tick.Stop()
	for {
		for {
			found, err := c.retryNext(ctx)
			if err != nil {
				return err
			}
			if !found {
				break
			}
		}
		healthy()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

const nextParked = `
SELECT position, tries, envelope FROM event_parked AS p
WHERE consumer = $1 AND source = $2 AND retry_time <= now() AND NOT EXISTS (
  SELECT FROM event_parked AS earlier
  WHERE earlier.consumer = p.consumer AND earlier.source = p.source
    AND earlier.subject_id = p.subject_id AND earlier.position < p.position)
ORDER BY retry_time LIMIT 1`

// retryNext tries one parked event. The cursor's lock keeps the stream from overtaking:
// an event of the same subject finds its predecessor either parked or applied.
func (c *Consumer) retryNext(ctx context.Context) (found bool, err error) {
	var all, due int64
	err = c.Pool.QueryRow(ctx, `
SELECT count(*), count(*) FILTER (WHERE retry_time <= now()) FROM event_parked WHERE consumer = $1 AND source = $2`,
		c.Name, c.Source).Scan(&all, &due)
	if err != nil {
		return false, fmt.Errorf("look for parked events: %w", err)
	}
	c.parked.Store(all)
	if due == 0 {
		return false, nil
	}
	e := new(eventv1.Envelope)
	var tries int
	err = pg.InTx(ctx, c.Pool, func(tx pgx.Tx) error {
		found = false
		if _, _, err := c.lockCursor(ctx, tx, false); err != nil {
			return err
		}
		var position int64
		var encoded []byte
		err := tx.QueryRow(ctx, nextParked, c.Name, c.Source).Scan(&position, &tries, &encoded)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read parked event: %w", err)
		}
		found = true
		if err := proto.Unmarshal(encoded, e); err != nil {
			return fmt.Errorf("decode parked event: %w", err)
		}
		if err := c.handle(ctx, tx, e); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM event_parked WHERE consumer = $1 AND source = $2 AND subject_id = $3 AND position = $4`,
			c.Name, c.Source, e.GetSubjectId(), position)
		return err
	})
	if failed := new(handleError); errors.As(err, &failed) {
		return true, c.postpone(ctx, e, tries+1, failed.err)
	}
	if err == nil && found {
		c.committed()
	}
	return found, err
}

func (c *Consumer) postpone(ctx context.Context, e *eventv1.Envelope, tries int, cause error) error {
	wait := c.pace.parkedFirst
	for n := maxTries; n < tries && wait < parkedLast; n++ {
		wait *= 2
	}
	problem := describe(cause)
	_, err := c.Pool.Exec(ctx, `
UPDATE event_parked SET tries = $5, problem = $6, retry_time = now() + make_interval(secs => $7)
WHERE consumer = $1 AND source = $2 AND subject_id = $3 AND position = $4`,
		c.Name, c.Source, e.GetSubjectId(), e.GetPosition(), tries, problem, min(wait, parkedLast).Seconds())
	if err != nil {
		return fmt.Errorf("postpone parked event: %w", err)
	}
	c.Log.WarnContext(ctx, "parked event failed again", "consumer", c.Name, "source", c.Source, "event", e.GetId(),
		"type", e.GetType(), "position", e.GetPosition(), "try", tries, "error", problem)
	return nil
}
