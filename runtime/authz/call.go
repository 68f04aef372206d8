package authz

import (
	"context"
	"slices"

	"google.golang.org/protobuf/proto"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

type contextKey struct{}

// call is what is known of the current call. It belongs to one call and its handler's
// goroutine.
type call struct {
	guard    *Guard
	decision Decision
	rule     *accessv1.AccessRule
	// revealed is what the handler adds to the clearance of the caller's roles.
	revealed []Clearance
	// first tells that the handler has said whose act needs a second person.
	first bool
}

func (g *Guard) newContext(ctx context.Context, d Decision, rule *accessv1.AccessRule) (context.Context, *call) {
	c := &call{guard: g, decision: d, rule: rule}
	return context.WithValue(ctx, contextKey{}, c), c
}

// NewContext returns a context that carries the decision, for jobs, consumers and tests
// that run without the interceptor.
func NewContext(ctx context.Context, d Decision) context.Context {
	return context.WithValue(ctx, contextKey{}, &call{decision: d})
}

func current(ctx context.Context) *call {
	if c, ok := ctx.Value(contextKey{}).(*call); ok {
		return c
	}
	return &call{}
}

// FromContext returns the decision about the current call; the zero value, with which
// nothing is covered, if there is none.
func FromContext(ctx context.Context) Decision { return current(ctx).decision }

// Held returns how far the caller of the current call holds another permission than the
// one of the method: unspecified if not at all.
func Held(ctx context.Context, permission string) accessv1.Scope {
	i := authn.FromContext(ctx)
	switch i.Kind {
	case authn.ServiceAccount:
		if slices.Contains(i.Permissions, permission) {
			return accessv1.Scope_SCOPE_COMPANY
		}
	case authn.Person, authn.Customer:
		g := current(ctx).guard
		if g == nil {
			return accessv1.Scope_SCOPE_UNSPECIFIED
		}
		d, _ := g.byRole(i, &accessv1.AccessRule{Permissions: []string{permission}})
		return d.Scope
	}
	return accessv1.Scope_SCOPE_UNSPECIFIED
}

// request checks what the rules say of a request: its purpose, and the fields that need a
// permission of their own.
func (c *call) request(ctx context.Context, req any) error {
	m, ok := req.(proto.Message)
	if !ok {
		return nil
	}
	if c.rule.GetNeedsPurpose() && purpose(m) == "" {
		return rpcerr.Invalid("purpose", rpcerr.T(
			"it is empty; say what the data is needed for", "不能为空；请说明使用该数据的目的"))
	}
	if c.trusted(ctx) {
		return nil
	}
	for _, w := range written(m) {
		if Held(ctx, w.permission) == accessv1.Scope_SCOPE_UNSPECIFIED {
			text := rpcerr.T("Setting %[1]s needs the permission %[2]s; leave it out.",
				"设置 %[1]s 需要权限 %[2]s；请不要填写。", w.path, w.permission)
			return rpcerr.Denied(ReasonDenied, text).Field(w.path, text)
		}
	}
	return nil
}

// trusted tells the calls that are the suite's own: what a service that the rule lists does
// with the data is its business.
func (c *call) trusted(ctx context.Context) bool {
	i := authn.FromContext(ctx)
	return i.Kind == authn.Service || c.decision.Permission == "" && c.decision.Scope == accessv1.Scope_SCOPE_COMPANY
}

// Under returns a context in which the caller acts by another permission than the one of the
// method, with all that they hold it for: of a call that does what others do. It is false,
// with the context as it was, where they do not hold it; a service that calls with its
// certificate holds none.
func Under(ctx context.Context, permission string) (context.Context, bool) {
	i, now := authn.FromContext(ctx), *current(ctx)
	switch i.Kind {
	case authn.ServiceAccount:
		if !slices.Contains(i.Permissions, permission) {
			return ctx, false
		}
		now.decision = Decision{Permission: permission, Scope: accessv1.Scope_SCOPE_COMPANY, Right: "service-account/" + permission}
	case authn.Person, authn.Customer:
		if now.guard == nil {
			return ctx, false
		}
		d, held := now.guard.byRole(i, &accessv1.AccessRule{Permissions: []string{permission}})
		if !held {
			return ctx, false
		}
		now.decision = d
	default:
		return ctx, false
	}
	return context.WithValue(ctx, contextKey{}, &now), true
}
