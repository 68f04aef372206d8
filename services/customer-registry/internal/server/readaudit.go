package server

import (
	"context"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/rpc"
)

// auditRead leaves the record of one read of personal data. The answer must not
// leave without it, so its failure is the call's.
func (s *Server) auditRead(ctx context.Context, objectType string, id uuid.UUID) error {
	method, _ := grpc.Method(ctx)
	caller := authn.FromContext(ctx)
	return audit.Insert(ctx, s.pool, s.keys.Derive(audit.KeyLabel),
		audit.Entry{Action: method, ObjectType: objectType, ObjectID: id, Right: authz.FromContext(ctx).Right},
		audit.Origin{Time: s.now(), Actor: caller.Actor(), ActorKind: caller.ActorKind(), RequestID: rpc.RequestID(ctx)})
}
