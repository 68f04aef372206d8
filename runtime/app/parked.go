package app

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/kefu-suite/kefu/runtime/config"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/pg"
)

// mostParked bounds the list; an operator mends the first before reading on.
const mostParked = 500

// parked is the operator's view of events that could not be applied. With the name of a
// source it also makes that source's due at once.
func parked(ctx context.Context, source string, out io.Writer) error {
	var cfg struct{ Database pg.Config }
	if err := config.Load(&cfg); err != nil {
		return err
	}
	pool, err := pg.Open(ctx, cfg.Database)
	if err != nil {
		return err
	}
	defer pool.Close()
	if source != "" {
		n, err := event.Redrive(ctx, pool, source)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "%d events of %s are due now\n", n, source); err != nil {
			return err
		}
	}
	list, err := event.ListParked(ctx, pool, mostParked)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(out, "no event is parked")
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "SOURCE\tPOSITION\tTYPE\tSUBJECT\tTRIES\tPARKED\tNEXT TRY\tPROBLEM") // Flush tells
	for _, p := range list {
		_, _ = fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%d\t%s\t%s\t%s\n", p.Source, p.Position, p.Type, p.SubjectID, p.Tries,
			p.ParkTime.UTC().Format(time.RFC3339), p.RetryTime.UTC().Format(time.RFC3339), p.Problem)
	}
	return table.Flush()
}
