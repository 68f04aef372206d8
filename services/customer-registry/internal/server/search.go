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
	"github.com/kefu-suite/kefu/services/internal/textsearch"
)

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
	rows, err = listed(s.q.ListFound(ctx, s.searched(filter), db.ListFoundParams{
		Found: shown, Before: before, Tier: filter.Tier, Status: filter.Status, Region: filter.Region,
		OwnerStaffID: filter.OwnerStaffID, Count: filter.Count,
	}))
	return rows, found, err
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

// searchText finds customers that have the text in a part of what they are found by.
func (s *Server) searchText(ctx context.Context, q customer.Query, filter db.ListSummariesParams, before int64) (rows []db.ListSummariesRow, err error) {
	last, err := s.q.LastPosition(ctx, s.pool)
	if err != nil {
		return nil, fmt.Errorf("read the last position: %w", err)
	}
	err = textsearch.Walk(min(before, last+1), len(q.Grams), int(filter.Count), func(p textsearch.Part) (int, error) {
		hits, err := s.searchPart(ctx, q, filter, p)
		rows = append(rows, hits...)
		return len(hits), err
	})
	return rows, err
}

func (s *Server) searchPart(ctx context.Context, q customer.Query, filter db.ListSummariesParams, p textsearch.Part) (rows []db.ListSummariesRow, err error) {
	on, count := s.searched(filter), int32(p.Count)
	switch {
	case !p.Indexed:
		return listed(s.q.SearchNewest(ctx, on, db.SearchNewestParams{
			Before: p.Before, Since: p.Since, Folded: q.Folded, Tier: filter.Tier, Status: filter.Status,
			Region: filter.Region, OwnerStaffID: filter.OwnerStaffID, Count: count,
		}))
	case p.Spans != nil:
		return listed(s.q.SearchSpans(ctx, on, db.SearchSpansParams{
			Spans: p.Spans, Before: p.Before, Grams: q.Grams, Folded: q.Folded, Tier: filter.Tier, Status: filter.Status,
			Region: filter.Region, OwnerStaffID: filter.OwnerStaffID, Count: count,
		}))
	}
	return listed(s.q.SearchRest(ctx, on, db.SearchRestParams{
		Before: p.Before, Grams: q.Grams, Folded: q.Folded, Tier: filter.Tier, Status: filter.Status,
		Region: filter.Region, OwnerStaffID: filter.OwnerStaffID, Count: count,
	}))
}

// listed makes rows of one statement those of a list.
func listed[R db.ListFoundRow | db.SearchNewestRow | db.SearchSpansRow | db.SearchRestRow](hits []R, err error) ([]db.ListSummariesRow, error) {
	if err != nil {
		return nil, fmt.Errorf("search customers: %w", err)
	}
	rows := make([]db.ListSummariesRow, len(hits))
	for i, hit := range hits {
		rows[i] = db.ListSummariesRow(hit)
	}
	return rows, nil
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
