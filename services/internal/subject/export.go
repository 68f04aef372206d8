package subject

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/structpb"

	subjectv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/subject/v1"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/pii"
)

// Export sends a record for every row held on the person, in the order of the declaration
// within each part.
func (s *Server) Export(ctx context.Context, person *subjectv1.Subject, send func(*subjectv1.SubjectRecord) error) error {
	for cursor := ""; ; {
		part, err := s.Find(ctx, s.Pool, person, cursor)
		if err != nil {
			return err
		}
		seen := map[string]bool{}
		for i := range s.Tables {
			t := &s.Tables[i]
			if len(part.Sets[t.Set]) == 0 || t.Set == "" {
				continue
			}
			if err := s.exportTable(ctx, t, part.Sets[t.Set], seen, send); err != nil {
				return fmt.Errorf("export %s: %w", t.Name, err)
			}
		}
		if part.Done {
			return nil
		}
		cursor = part.Cursor
	}
}

// exportTable sends the rows of one table; those that stood in a part before are left out.
func (s *Server) exportTable(ctx context.Context, t *Table, ids []uuid.UUID, seen map[string]bool, send func(*subjectv1.SubjectRecord) error) error {
	rows, err := s.Pool.Query(ctx, fmt.Sprintf("SELECT to_jsonb(t) FROM %s t WHERE %s ORDER BY t.%s",
		t.Name, t.rows(), strings.Join(t.key(), ", t.")), ids)
	if err != nil {
		return err
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[json.RawMessage])
	if err != nil {
		return err
	}
	for _, raw := range list {
		var row map[string]any
		if err := json.Unmarshal(raw, &row); err != nil {
			return err
		}
		var key []string
		for _, c := range t.key() {
			key = append(key, fmt.Sprint(row[c]))
		}
		id := strings.Join(key, "/")
		if seen[t.Name+" "+id] {
			continue
		}
		seen[t.Name+" "+id] = true
		if err := s.reveal(ctx, s.Pool, t, row); err != nil {
			return err
		}
		content, err := structpb.NewStruct(row)
		if err != nil {
			return err
		}
		if err := send(&subjectv1.SubjectRecord{Kind: t.Name, Id: id, Content: content}); err != nil {
			return err
		}
	}
	return nil
}

// reveal decrypts what is sealed in a row and takes out what says nothing to people.
func (s *Server) reveal(ctx context.Context, db pg.DBTX, t *Table, row map[string]any) error {
	for _, sealed := range t.Sealed {
		text, ok := row[sealed.Column].(string)
		if !ok {
			delete(row, sealed.Column)
			continue
		}
		ciphertext, err := hex.DecodeString(strings.TrimPrefix(text, `\x`))
		if err != nil {
			return err
		}
		id, err := uuid.Parse(fmt.Sprint(row["id"]))
		if err != nil {
			return err
		}
		owner, err := uuid.Parse(fmt.Sprint(row[sealed.Subject]))
		if err != nil {
			return err
		}
		plain, err := s.Keys.Open(ctx, db, owner, pii.Place{Table: t.Name, Column: sealed.Column, Row: id}, ciphertext)
		switch {
		case errors.Is(err, pii.ErrShredded):
			delete(row, sealed.Column)
		case err != nil:
			return err
		case sealed.Open == nil:
			row[sealed.Column] = plain
		default:
			if row[sealed.Column], err = sealed.Open(plain); err != nil {
				return err
			}
		}
	}
	for _, c := range strings.Fields(t.Hidden) {
		delete(row, c)
	}
	return nil
}
