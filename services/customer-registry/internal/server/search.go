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

// search finds customers, newest first, one more than a page. What the end of a phone or
// digits that are none find comes with what has the text for a part; the whole of a phone that
// somebody has, of an e-mail or a number is looked for no further.
func (s *Server) search(ctx context.Context, q customer.Query, filter db.ListSummariesParams, before int64) ([]db.ListSummariesRow, error) {
	text := func(ctx context.Context) ([]db.ListSummariesRow, error) { return s.searchText(ctx, q, filter, before) }
	switch {
	case q.Folded == "" || q.Phone != "":
		rows, found, err := s.searchWhole(ctx, q, filter, before)
		if err != nil || found || q.Folded == "" {
			return rows, err
		}
		return text(ctx)
	case q.Digits != "":
		return newestOf(ctx, int(filter.Count), text, func(ctx context.Context) ([]db.ListSummariesRow, error) {
			rows, _, err := s.searchWhole(ctx, q, filter, before)
			return rows, err
		})
	// Who sees 138****5678 could otherwise look for whom the digits belong to, and who
	// sees nothing learn them by trying.
	case q.Last4 != "" && seesPhones(ctx):
		return newestOf(ctx, int(filter.Count), text, func(ctx context.Context) ([]db.ListSummariesRow, error) {
			return s.phoneEnds(ctx, q, filter, before)
		})
	}
	return text(ctx)
}

// newestOf searches in several ways at the same time for as many, and gives the newest of what
// all of them find.
func newestOf(ctx context.Context, count int, ways ...func(context.Context) ([]db.ListSummariesRow, error)) ([]db.ListSummariesRow, error) {
	found := make([][]db.ListSummariesRow, len(ways))
	all, ctx := errgroup.WithContext(ctx)
	for i, way := range ways {
		all.Go(func() (err error) {
			found[i], err = way(ctx)
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return nil, err
	}
	rows := slices.Concat(found...)
	slices.SortFunc(rows, func(a, b db.ListSummariesRow) int { return cmp.Compare(b.Position, a.Position) })
	rows = slices.CompactFunc(rows, func(a, b db.ListSummariesRow) bool { return a.Position == b.Position })
	return rows[:min(len(rows), count)], nil
}

// searchWhole finds customers by the whole of a number, phone or e-mail, a page of them; found
// tells whether there are any at all.
func (s *Server) searchWhole(ctx context.Context, q customer.Query, filter db.ListSummariesParams, before int64) (rows []db.ListSummariesRow, found bool, err error) {
	ids, err := s.lookup(ctx, q)
	if err != nil || len(ids) == 0 {
		return nil, false, err
	}
	rows, err = listed(s.q.ListFound(ctx, s.searched(filter), db.ListFoundParams{
		Found: ids, Before: before, Tier: filter.Tier, Status: filter.Status, Region: filter.Region,
		OwnerStaffID: filter.OwnerStaffID, Count: filter.Count,
	}))
	return rows, true, err
}

// phoneEnds finds customers by the last four digits of their phone or that of a contact.
func (s *Server) phoneEnds(ctx context.Context, q customer.Query, filter db.ListSummariesParams, before int64) ([]db.ListSummariesRow, error) {
	on, index := s.searched(filter), s.keys.Index(fieldLast4, q.Last4)
	if filter.Tier == nil && filter.Status == nil && filter.Region == nil && filter.OwnerStaffID == nil {
		return listed(s.q.ListPhoneEnds(ctx, on, index, before, filter.Count))
	}
	return listed(s.q.FilterPhoneEnds(ctx, on, db.FilterPhoneEndsParams{
		Index: index, Before: before, Tier: filter.Tier, Status: filter.Status, Region: filter.Region,
		OwnerStaffID: filter.OwnerStaffID, Count: filter.Count,
	}))
}

// searched is what a search runs on: a plan goes by the index for any text, and for each owner
// by what they have.
func (s *Server) searched(filter db.ListSummariesParams) db.DBTX {
	if filter.OwnerStaffID != nil {
		return planned{s.pool}
	}
	return pg.OnePlan{Sender: s.pool}
}

// lookup finds the customers of a whole number, phone or e-mail; phones and e-mails also among
// contacts.
func (s *Server) lookup(ctx context.Context, q customer.Query) (found []uuid.UUID, err error) {
	switch {
	case q.Number != "":
		found, err = s.q.FindByNumber(ctx, s.pool, q.Number)
	case q.Email != "":
		found, err = s.q.FindByEmail(ctx, s.pool, s.keys.Index(fieldEmail, q.Email))
	case q.Digits != "":
		found, err = s.q.FindByPhone(ctx, s.pool, s.phoneIndexes(q.Phone, q.Digits))
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
func (s *Server) searchText(ctx context.Context, q customer.Query, filter db.ListSummariesParams, before int64) ([]db.ListSummariesRow, error) {
	return listed(s.q.SearchText(ctx, s.searched(filter), db.SearchTextParams{
		Folded: q.Folded, Terms: q.Terms, Before: before, Tier: filter.Tier, Status: filter.Status, Region: filter.Region,
		OwnerStaffID: filter.OwnerStaffID, Count: filter.Count,
	}))
}

// listed makes rows of one statement those of a list.
func listed[R db.ListFoundRow | db.ListPhoneEndsRow | db.FilterPhoneEndsRow | db.SearchTextRow](hits []R, err error) ([]db.ListSummariesRow, error) {
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
	position, err := s.q.LockSearchText(ctx, tx, id)
	if err != nil {
		return fmt.Errorf("lock the summary: %w", err)
	}
	words, err := s.q.ListSearchWords(ctx, tx, id)
	if err != nil {
		return fmt.Errorf("read what the customer is found by: %w", err)
	}
	text := customer.SearchText(words...)
	if err := s.q.SetSearchText(ctx, tx, text, customer.Terms(text, position), id); err != nil {
		return fmt.Errorf("store what the customer is found by: %w", err)
	}
	return nil
}
