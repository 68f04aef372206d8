package server

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
	"github.com/kefu-suite/kefu/services/internal/fieldmask"
)

// attributeTTL is how long a replica goes by definitions it has read.
const attributeTTL = time.Second

// attributeCache keeps the definitions, which every write of a file is judged by.
type attributeCache struct {
	mu   sync.Mutex
	read time.Time
	list []*customerv1.AttributeDefinition
}

// definitions are all definitions, at most a second old. Callers must not change them.
func (s *Server) definitions(ctx context.Context) ([]*customerv1.AttributeDefinition, error) {
	s.attributes.mu.Lock()
	defer s.attributes.mu.Unlock()
	if now := time.Now(); s.attributes.read.IsZero() || now.Sub(s.attributes.read) >= attributeTTL {
		list, err := s.readDefinitions(ctx, s.pool)
		if err != nil {
			return nil, err
		}
		s.attributes.list, s.attributes.read = list, now
	}
	return s.attributes.list, nil
}

func (s *Server) readDefinitions(ctx context.Context, on pg.DBTX) ([]*customerv1.AttributeDefinition, error) {
	var out []*customerv1.AttributeDefinition
	for after := ""; ; {
		rows, err := s.q.ListAttributeDefinitions(ctx, on, after, page.Size(500))
		if err != nil {
			return nil, fmt.Errorf("read attribute definitions: %w", err)
		}
		for i := range rows {
			d, err := definitionProto(&rows[i])
			if err != nil {
				return nil, err
			}
			out, after = append(out, d), rows[i].Key
		}
		if len(rows) < 500 {
			return out, nil
		}
	}
}

// forget has the next write read the definitions anew.
func (c *attributeCache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read = time.Time{}
}

// CreateAttributeDefinition defines a custom attribute.
func (s *Server) CreateAttributeDefinition(ctx context.Context, req *customerv1.CreateAttributeDefinitionRequest) (*customerv1.AttributeDefinition, error) {
	given := req.GetAttributeDefinition()
	if err := invalid("attribute_definition.", customer.CheckDefinition(given)); err != nil {
		return nil, err
	}
	defer s.attributes.forget()
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.AttributeDefinition, error) {
		if err := s.room(ctx, tx, given, uuid.Nil); err != nil {
			return nil, err
		}
		id, err := newID()
		if err != nil {
			return nil, err
		}
		now := s.now()
		row := &db.AttributeDefinition{ID: id, Key: given.GetKey(), CreateTime: now, UpdateTime: now, Version: 1}
		if row.Definition, err = encodeDefinition(given); err != nil {
			return nil, err
		}
		err = s.q.InsertAttributeDefinition(ctx, tx, db.InsertAttributeDefinitionParams{
			ID: id, Key: row.Key, Definition: row.Definition, CreateTime: now, UpdateTime: now,
		})
		if pg.Violates(err, "attribute_definitions_key_key") {
			return nil, rpcerr.Exists("attribute_definition", "key", row.Key)
		}
		if err != nil {
			return nil, fmt.Errorf("insert attribute definition: %w", err)
		}
		out, err := definitionProto(row)
		if err != nil {
			return nil, err
		}
		tx.Audit("attribute_definition", id, out)
		return out, nil
	})
}

// room refuses one more attribute in use than there may be. Writers of definitions follow
// each other.
func (s *Server) room(ctx context.Context, tx *write.Tx, given *customerv1.AttributeDefinition, id uuid.UUID) error {
	if err := s.q.LockAttributeDefinitions(ctx, tx); err != nil {
		return fmt.Errorf("wait for other definitions: %w", err)
	}
	if given.GetRetired() {
		return nil
	}
	list, err := s.readDefinitions(ctx, tx)
	if err != nil {
		return err
	}
	used := 0
	for _, d := range list {
		if !d.GetRetired() && d.GetId() != id.String() {
			used++
		}
	}
	if used >= customer.MaxAttributes {
		return rpcerr.WrongState("TOO_MANY_ATTRIBUTES", rpcerr.T(
			"There are %[1]d attributes in use, which is as many as there may be; retire one first.",
			"正在使用的属性已有 %[1]d 个，达到上限；请先停用其中一个。", used))
	}
	return nil
}

// GetAttributeDefinition returns one definition.
func (s *Server) GetAttributeDefinition(ctx context.Context, req *customerv1.GetAttributeDefinitionRequest) (*customerv1.AttributeDefinition, error) {
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	row, err := s.q.GetAttributeDefinition(ctx, s.pool, id)
	if err != nil {
		return nil, missingDefinition(err, id)
	}
	return definitionProto(&row)
}

func missingDefinition(err error, id uuid.UUID) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return rpcerr.NotFound("attribute_definition", id.String())
	}
	return fmt.Errorf("read attribute definition: %w", err)
}

// ListAttributeDefinitions lists the definitions in the order of their keys.
func (s *Server) ListAttributeDefinitions(ctx context.Context, req *customerv1.ListAttributeDefinitionsRequest) (*customerv1.ListAttributeDefinitionsResponse, error) {
	after, err := s.pages.Open(ctx, req, req.GetPageToken())
	if err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	rows, err := s.q.ListAttributeDefinitions(ctx, s.pool, after, size+1)
	if err != nil {
		return nil, fmt.Errorf("list attribute definitions: %w", err)
	}
	rows, next, err := cut(ctx, s, req, rows, size, func(r *db.AttributeDefinition) string { return r.Key })
	if err != nil {
		return nil, err
	}
	out := &customerv1.ListAttributeDefinitionsResponse{NextPageToken: next}
	for i := range rows {
		d, err := definitionProto(&rows[i])
		if err != nil {
			return nil, err
		}
		out.AttributeDefinitions = append(out.AttributeDefinitions, d)
	}
	return out, nil
}

// UpdateAttributeDefinition changes the fields that the mask names.
func (s *Server) UpdateAttributeDefinition(ctx context.Context, req *customerv1.UpdateAttributeDefinitionRequest) (*customerv1.AttributeDefinition, error) {
	given := req.GetAttributeDefinition()
	id, err := parseID("attribute_definition.id", given.GetId())
	if err != nil {
		return nil, err
	}
	defer s.attributes.forget()
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*customerv1.AttributeDefinition, error) {
		row, err := s.q.LockAttributeDefinition(ctx, tx, id)
		if err != nil {
			return nil, missingDefinition(err, id)
		}
		if err := current(given.GetEtag(), row.Version, "attribute_definition", id); err != nil {
			return nil, err
		}
		before, err := definitionProto(&row)
		if err != nil {
			return nil, err
		}
		after, err := s.mergeDefinition(before, req)
		if err != nil {
			return nil, err
		}
		if proto.Equal(before, after) {
			tx.Unchanged()
			return before, nil
		}
		if err := s.room(ctx, tx, after, id); err != nil {
			return nil, err
		}
		if row.Definition, err = encodeDefinition(after); err != nil {
			return nil, err
		}
		row.UpdateTime, row.Version = s.now(), row.Version+1
		if err := s.q.UpdateAttributeDefinition(ctx, tx, row.Definition, row.UpdateTime, id); err != nil {
			return nil, fmt.Errorf("update attribute definition: %w", err)
		}
		out, err := definitionProto(&row)
		if err != nil {
			return nil, err
		}
		tx.Audit("attribute_definition", id, out)
		return out, nil
	})
}

func (s *Server) mergeDefinition(before *customerv1.AttributeDefinition, req *customerv1.UpdateAttributeDefinitionRequest) (*customerv1.AttributeDefinition, error) {
	after := proto.CloneOf(before)
	if err := fieldmask.Apply(after, req.GetAttributeDefinition(), req.GetUpdateMask(), "id", "key", "type"); err != nil {
		return nil, err
	}
	if err := rpc.Check(s.validator, &customerv1.CreateAttributeDefinitionRequest{AttributeDefinition: after}); err != nil {
		return nil, err
	}
	return after, invalid("attribute_definition.", customer.CheckDefinition(after))
}

// encodeDefinition gives what is stored of a definition: what a caller may set.
func encodeDefinition(d *customerv1.AttributeDefinition) ([]byte, error) {
	kept := proto.CloneOf(d)
	kept.Id, kept.CreateTime, kept.UpdateTime, kept.Etag = "", nil, nil, ""
	out, err := proto.Marshal(kept)
	if err != nil {
		return nil, fmt.Errorf("encode attribute definition: %w", err)
	}
	return out, nil
}

func definitionProto(row *db.AttributeDefinition) (*customerv1.AttributeDefinition, error) {
	out := new(customerv1.AttributeDefinition)
	if err := proto.Unmarshal(row.Definition, out); err != nil {
		return nil, fmt.Errorf("decode attribute definition %s: %w", row.ID, err)
	}
	out.Id, out.Key, out.Etag = row.ID.String(), row.Key, etag(row.Version)
	out.CreateTime, out.UpdateTime = timestamppb.New(row.CreateTime), timestamppb.New(row.UpdateTime)
	return out, nil
}
