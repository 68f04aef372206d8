package demo

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"

	"github.com/kefu-suite/kefu/deploy/kefuctl/internal/progress"
)

// How many calls of each kind run at once.
const (
	importCalls = 2
	singleCalls = 8
	batchSize   = 500
)

// rejected is a record that the API refused, and why.
type rejected struct {
	origin
	Reasons []string
}

// tally is what became of the records of one kind.
type tally struct {
	Name                     string
	Read                     int
	Created, Exists, Refused int

	mu       sync.Mutex
	ids      map[string]string // external id → id
	rejected []rejected
}

func newTally(name string, read int) *tally {
	return &tally{Name: name, Read: read, ids: map[string]string{}}
}

func (t *tally) take(results []*typev1.ImportResult, where func(id string) origin) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range results {
		switch r.GetOutcome() {
		case typev1.ImportOutcome_IMPORT_OUTCOME_CREATED:
			t.Created++
		case typev1.ImportOutcome_IMPORT_OUTCOME_EXISTS:
			t.Exists++
		default:
			x := rejected{origin: where(r.GetExternalId())}
			for _, f := range r.GetRefusals() {
				x.Reasons = append(x.Reasons, f.GetReason()+": "+f.GetMessage())
			}
			t.rejected = append(t.rejected, x)
			t.Refused++
			continue
		}
		t.ids[r.GetExternalId()] = r.GetId()
	}
}

// id is ours of a record, empty if it was refused.
func (t *tally) id(external string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ids[external]
}

// one counts a record that was sent singly.
func (t *tally) one(created bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if created {
		t.Created++
	} else {
		t.Exists++
	}
}

// reject counts a record that was sent singly and refused.
func (t *tally) reject(at origin, why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.Refused++
	t.rejected = append(t.rejected, rejected{at, []string{why}})
}

// importer sends records of one kind to their `:import` method.
type importer[R any] struct {
	name, path, role string
	request          func([]R) proto.Message
	response         func() (proto.Message, func() []*typev1.ImportResult)
	where            func(id string) origin
}

func (i importer[R]) run(ctx context.Context, c *Client, p *progress.Progress, records []R) (*tally, error) {
	t := newTally(i.name, len(records))
	part := p.Begin(i.name, len(records))
	defer part.End()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(importCalls)
	for from := 0; from < len(records); from += batchSize {
		batch := records[from:min(from+batchSize, len(records))]
		group.Go(func() error {
			out, results := i.response()
			if err := c.do(ctx, i.role, http.MethodPost, i.path, i.request(batch), out); err != nil {
				return err
			}
			if got := len(results()); got != len(batch) {
				return fmt.Errorf("%s: %d results for %d records", i.path, got, len(batch))
			}
			t.take(results(), i.where)
			part.Add(len(batch))
			return nil
		})
	}
	return t, group.Wait()
}

// each sends records singly, several at once, and stops at the first error.
func each[R any](ctx context.Context, p *progress.Progress, name string, records []R, send func(context.Context, R) error) error {
	part := p.Begin(name, len(records))
	defer part.End()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(singleCalls)
	for _, r := range records {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			if err := send(ctx, r); err != nil {
				return err
			}
			part.Add(1)
			return nil
		})
	}
	return group.Wait()
}
