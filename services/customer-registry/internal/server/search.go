package server

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
)

const (
	// newest is how many customers are read one by one before the index is asked. What one
	// in twenty has fills a page from them. What none of the first few of them has is rarer than
	// that, and the rest of them is not read.
	newest, newestFew = 1024, 256
	// spanBits make a span: the index begins with it.
	spanBits = 14
)

// steps are how many spans, going back, the index is asked for at a time. What is had by many
// is found in the first, and what they have little of may be rare enough to be read as a whole.
var steps = []int64{2, 8, 32}

// rareGrams are more than a word of everyday has.
const rareGrams = 4

// fewRows are read as a whole in less time than another step takes.
const fewRows = 200

// search finds customers, newest first, one more than a page. What the end of a phone or
// digits that are none find comes with what has the text for a part; the whole of a phone that
// somebody has, of an e-mail or a number is looked for no further.
func (s *Server) search(ctx context.Context, q customer.Query, filter db.ListSummariesParams, before int64) ([]db.ListSummariesRow, error) {
	switch {
	case q.Folded == "" || q.Phone != "":
		rows, found, err := s.searchWhole(ctx, q, filter, before)
		if err != nil || len(found) > 0 || q.Folded == "" {
			return rows, err
		}
		return s.searchText(ctx, q, filter, before)
	case q.Digits == "" && q.Last4 == "":
		return s.searchText(ctx, q, filter, before)
	}
	var rows, parts []db.ListSummariesRow
	var found []uuid.UUID
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() (err error) {
		rows, found, err = s.searchWhole(ctx, q, filter, before)
		return err
	})
	both.Go(func() (err error) {
		parts, err = s.searchText(ctx, q, filter, before)
		return err
	})
	if err := both.Wait(); err != nil {
		return nil, err
	}
	for _, hit := range parts {
		if !slices.Contains(found, hit.CustomerID) {
			rows = append(rows, hit)
		}
	}
	slices.SortFunc(rows, func(a, b db.ListSummariesRow) int { return cmp.Compare(b.Position, a.Position) })
	return rows[:min(len(rows), int(filter.Count))], nil
}

// searchWhole finds customers by the whole of a number, phone or e-mail, or the end of a phone:
// found are all, rows a page of them.
func (s *Server) searchWhole(ctx context.Context, q customer.Query, filter db.ListSummariesParams, before int64) (rows []db.ListSummariesRow, found []uuid.UUID, err error) {
	if found, err = s.lookup(ctx, q); err != nil || len(found) == 0 {
		return nil, nil, err
	}
	shown := found
	if len(found) > int(filter.Count) && filter.Tier == nil && filter.Status == nil && filter.Region == nil && filter.OwnerStaffID == nil {
		if shown, err = s.q.ListNewestFound(ctx, s.searched(filter), found, before, filter.Count); err != nil {
			return nil, nil, fmt.Errorf("order customers found: %w", err)
		}
	}
	hits, err := s.q.ListFound(ctx, s.searched(filter), db.ListFoundParams{
		Found: shown, Before: before, Tier: filter.Tier, Status: filter.Status, Region: filter.Region,
		OwnerStaffID: filter.OwnerStaffID, Count: filter.Count,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("list customers found: %w", err)
	}
	for _, hit := range hits {
		rows = append(rows, db.ListSummariesRow(hit))
	}
	return rows, found, nil
}

// searched is what a search runs on: a plan goes by the index for any text, and for each owner
// by what they have.
func (s *Server) searched(filter db.ListSummariesParams) db.DBTX {
	if filter.OwnerStaffID != nil {
		return planned{s.pool}
	}
	return pg.OnePlan{Sender: s.pool}
}

// lookup finds the customers of a whole number, phone or e-mail, or of the end of a phone;
// phones and e-mails also among contacts.
func (s *Server) lookup(ctx context.Context, q customer.Query) (found []uuid.UUID, err error) {
	switch {
	case q.Number != "":
		found, err = s.q.FindByNumber(ctx, s.pool, q.Number)
	case q.Email != "":
		found, err = s.q.FindByEmail(ctx, s.pool, s.keys.Index(fieldEmail, q.Email))
	case q.Digits != "":
		found, err = s.q.FindByPhone(ctx, s.pool, s.phoneIndexes(q.Phone, q.Digits))
	// Who sees 138****5678 could otherwise look for whom the digits belong to, and who
	// sees nothing learn them by trying.
	case q.Last4 != "" && seesPhones(ctx):
		found, err = s.q.FindByPhoneLast4(ctx, s.pool, s.keys.Index(fieldLast4, q.Last4))
	}
	if err != nil {
		return nil, fmt.Errorf("look up by number, phone or e-mail: %w", err)
	}
	return found, nil
}

// phoneIndexes are those of a phone in E.164, if it is one, and of the digits of one that is
// none.
func (s *Server) phoneIndexes(phone, digits string) [][]byte {
	out := [][]byte{s.keys.Index(fieldPhone, digits)}
	if phone != "" {
		out = append(out, s.keys.Index(fieldPhone, phone))
	}
	return out
}

// searchText finds customers that have the text in a part of what they are found by. Common
// texts are found among the newest, rare ones by the index; between the two the index is
// asked for spans of customers, so that nobody reads all who have a text to show a page.
func (s *Server) searchText(ctx context.Context, q customer.Query, filter db.ListSummariesParams, before int64) ([]db.ListSummariesRow, error) {
	last, err := s.q.LastPosition(ctx, s.pool)
	if err != nil {
		return nil, fmt.Errorf("read the last position: %w", err)
	}
	w := &textSearch{Server: s, q: q, filter: filter, before: min(before, last+1)}
	if err := w.walk(ctx, newestFew); err != nil {
		return nil, err
	}
	if len(w.rows) > 0 && !w.done() {
		if err := w.walk(ctx, newest-newestFew); err != nil {
			return nil, err
		}
	}
	// A long text that none of the newest has is rare.
	rare := len(w.rows) == 0 && len(q.Grams) >= rareGrams
	for _, n := range steps {
		if w.done() {
			return w.rows, nil
		}
		if rare || w.few() {
			break
		}
		if err := w.spans(ctx, n); err != nil {
			return nil, err
		}
	}
	if w.done() {
		return w.rows, nil
	}
	return w.rows, w.rest(ctx)
}

// textSearch is a search on its way back from before.
type textSearch struct {
	*Server
	q      customer.Query
	filter db.ListSummariesParams
	before int64
	rows   []db.ListSummariesRow
	// asked are how many spans the index was asked for, hits what they had.
	asked, hits int64
}

func (w *textSearch) done() bool { return w.missing() <= 0 || w.before <= 1 }

func (w *textSearch) missing() int32 { return w.filter.Count - int32(len(w.rows)) }

// walk looks at the next n customers one by one.
func (w *textSearch) walk(ctx context.Context, n int64) error {
	since := max(0, w.before-n)
	hits, err := w.Server.q.SearchNewest(ctx, w.searched(w.filter), db.SearchNewestParams{
		Before: w.before, Since: since, Folded: w.q.Folded, Tier: w.filter.Tier, Status: w.filter.Status,
		Region: w.filter.Region, OwnerStaffID: w.filter.OwnerStaffID, Count: w.missing(),
	})
	if err != nil {
		return fmt.Errorf("search the newest: %w", err)
	}
	for _, hit := range hits {
		w.rows = append(w.rows, db.ListSummariesRow(hit))
	}
	w.before = since
	return nil
}

// few tells whether what is left may be read as a whole, going by what the spans before had.
func (w *textSearch) few() bool {
	return w.asked > 0 && (w.hits+1)*(w.before>>spanBits) <= fewRows*w.asked
}

// spans asks the index for n spans going back.
func (w *textSearch) spans(ctx context.Context, n int64) error {
	top := (w.before - 1) >> spanBits
	floor := max(0, top-n+1)
	list := make([]int64, 0, n)
	for span := top; span >= floor; span-- {
		list = append(list, span)
	}
	hits, err := w.Server.q.SearchSpans(ctx, w.searched(w.filter), db.SearchSpansParams{
		Spans: list, Before: w.before, Grams: w.q.Grams, Folded: w.q.Folded, Tier: w.filter.Tier, Status: w.filter.Status,
		Region: w.filter.Region, OwnerStaffID: w.filter.OwnerStaffID, Count: w.missing(),
	})
	if err != nil {
		return fmt.Errorf("search spans: %w", err)
	}
	for _, hit := range hits {
		w.rows = append(w.rows, db.ListSummariesRow(hit))
	}
	w.asked, w.hits = w.asked+int64(len(list)), w.hits+int64(len(hits))
	w.before = floor << spanBits
	return nil
}

// rest reads all that is left.
func (w *textSearch) rest(ctx context.Context) error {
	hits, err := w.Server.q.SearchRest(ctx, w.searched(w.filter), db.SearchRestParams{
		Before: w.before, Grams: w.q.Grams, Folded: w.q.Folded, Tier: w.filter.Tier, Status: w.filter.Status,
		Region: w.filter.Region, OwnerStaffID: w.filter.OwnerStaffID, Count: w.missing(),
	})
	if err != nil {
		return fmt.Errorf("search the rest: %w", err)
	}
	for _, hit := range hits {
		w.rows = append(w.rows, db.ListSummariesRow(hit))
	}
	return nil
}

// refreshSearch writes anew what a customer is found by. The summary's lock puts those who
// change a name after each other, so that the last one sees all of them.
func (s *Server) refreshSearch(ctx context.Context, tx *write.Tx, id uuid.UUID) error {
	if _, err := s.q.LockSummaries(ctx, tx, []uuid.UUID{id}); err != nil {
		return fmt.Errorf("lock the summary: %w", err)
	}
	words, err := s.q.ListSearchWords(ctx, tx, id)
	if err != nil {
		return fmt.Errorf("read what the customer is found by: %w", err)
	}
	text := customer.SearchText(words...)
	if err := s.q.SetSearchText(ctx, tx, text, customer.Grams(text), id); err != nil {
		return fmt.Errorf("store what the customer is found by: %w", err)
	}
	return nil
}
