package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/pg"
)

// anchorLimit bounds one attempt to anchor.
const anchorLimit = 10 * time.Second

// anchoring keeps heads of the audit chain outside the database.
type anchoring struct {
	log      *slog.Logger
	pool     *pgxpool.Pool
	file     string
	every    time.Duration
	anchored prometheus.Gauge
}

// newAnchoring wants the file to be writable before anything is served.
func newAnchoring(log *slog.Logger, metrics prometheus.Registerer, pool *pgxpool.Pool, file string, every time.Duration) (*anchoring, error) {
	a := &anchoring{log: log, pool: pool, file: file, every: every, anchored: prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "kefu_audit_anchored_timestamp_seconds", Help: "When the head of the audit chain was last found or put in the anchors.",
	})}
	if err := metrics.Register(a.anchored); err != nil {
		return nil, fmt.Errorf("metric of the anchors: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), anchorLimit)
	defer cancel()
	behind := new(audit.BehindError)
	if err := a.once(ctx); err != nil && !errors.As(err, &behind) {
		return nil, fmt.Errorf("KEFU_AUDIT_ANCHORS: %w", err)
	}
	return a, nil
}

// run anchors at intervals. A failure never stops the service: it is told and shows by
// the age of the last anchor.
func (a *anchoring) run(ctx context.Context) error {
	tick := time.NewTicker(a.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		try, cancel := context.WithTimeout(ctx, anchorLimit)
		_ = a.once(try) // told
		cancel()
	}
}

func (a *anchoring) once(ctx context.Context) error {
	position, err := audit.Anchor(ctx, a.pool, a.file, time.Now())
	behind := new(audit.BehindError)
	switch {
	case errors.As(err, &behind):
		a.log.ErrorContext(ctx, "the audit trail is not what was anchored; run `kefuctl audit verify`", "problem", behind.Error(), "anchors", a.file)
	case err != nil && ctx.Err() == nil:
		a.log.ErrorContext(ctx, "the audit trail could not be anchored", "error", pg.Describe(err), "anchors", a.file)
	case err == nil:
		a.anchored.SetToCurrentTime()
		a.log.DebugContext(ctx, "the audit trail is anchored", "position", position)
	}
	return err
}
