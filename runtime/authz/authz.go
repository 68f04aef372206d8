// Package authz decides whether a caller may call a method.
//
// The rule stands on the method's descriptor (kefu.access.v1.access), the roles' grants
// in one table that the program hands in. The default is no: a method without a rule
// keeps the process from starting, an unknown role has no rights, nothing is remembered
// from one call to the next. What a grant covers, own, team or company, is checked by the
// handler on the row it has loaded; Decision tells it how far the caller's grant reaches.
//
// The same interceptor keeps the data rules (kefu.access.v1.data): what an answer holds is
// shown, masked or absent by the clearance of the caller's roles, and who may not set a
// field is refused before the handler runs.
package authz

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"google.golang.org/grpc"
)

// Reasons of the public errors this package makes.
const (
	ReasonDenied  = "PERMISSION_DENIED"
	ReasonMissing = "TOKEN_MISSING"
)

// Grant is a permission and how far it reaches.
type Grant struct {
	Permission string
	Scope      accessv1.Scope
}

// Clearance is how sensitive the data is that somebody sees of what is kept for a purpose.
type Clearance struct {
	// Purpose is that of the data rules it holds for, "" for every purpose.
	Purpose string
	// Shown is the highest level of which they see the plain value, Masked the highest of
	// which they see what the mask leaves. What is above both is absent.
	Shown, Masked accessv1.Sensitivity
}

// Role is what the holders of a role may do, and what of the data they see.
type Role struct {
	Grants []Grant
	Sees   []Clearance
}

// Policy is who may do what, and who sees what.
type Policy struct {
	// Roles by name, in kebab case; authn.CustomerRole is the one of customers.
	Roles map[string]Role
	// Accounts is what service accounts see. What they may do stands in their tokens.
	Accounts []Clearance
}

// Decision is why a call was allowed.
type Decision struct {
	// Permission is the one that was used, "" for a public method or a calling service.
	Permission string
	// Scope is the widest with which the caller holds it; company for services and
	// service accounts, unspecified on public methods.
	Scope accessv1.Scope
	// Right names it for the audit record: "role:service-agent/tickets.write",
	// "service-account/tickets.write", "caller:survey" or "public".
	Right string
}

// Guard enforces the access rules. It refuses every call until Check has passed. It is
// safe for concurrent use.
type Guard struct {
	policy Policy
	rules  atomic.Pointer[map[string]*accessv1.AccessRule]
}

// New returns a guard with the policy, which must not be changed afterwards. Faults in
// the policy are reported by Check.
func New(policy Policy) *Guard { return &Guard{policy: policy} }

var (
	roleName       = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	permissionName = regexp.MustCompile(`^[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_-]*)+$`)
)

func (p Policy) check() error {
	var problems []error
	for role, may := range p.Roles {
		if !roleName.MatchString(role) {
			problems = append(problems, fmt.Errorf("policy: %q is not the name of a role", role))
		}
		for _, g := range may.Grants {
			if !permissionName.MatchString(g.Permission) {
				problems = append(problems, fmt.Errorf("policy: role %s: %q is not a permission", role, g.Permission))
			}
			if g.Scope < accessv1.Scope_SCOPE_OWN || g.Scope > accessv1.Scope_SCOPE_COMPANY {
				problems = append(problems, fmt.Errorf("policy: role %s: %s has no scope", role, g.Permission))
			}
		}
	}
	return errors.Join(problems...)
}

// Unary enforces the rules on unary calls; authn must stand before it. What the caller may not
// see is taken out of the handler's answer itself, so an answer must not share messages with
// anything that stays, like what a handler remembers from one call to the next.
func (g *Guard) Unary() grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		d, err := g.admit(ctx, info.FullMethod)
		if err != nil {
			return nil, err
		}
		ctx, call := g.newContext(ctx, d, g.Rule(info.FullMethod))
		if err := call.request(ctx, req); err != nil {
			return nil, err
		}
		resp, err := next(ctx, req)
		if err != nil {
			return nil, err
		}
		call.hide(ctx, resp)
		return resp, nil
	}
}

// Recheck decides anew on a call that goes on.
func (g *Guard) Recheck(ctx context.Context, fullMethod string) error {
	_, err := g.admit(ctx, fullMethod)
	return err
}

// Stream enforces the rules on streams when they begin; authn must stand before it. What is sent
// is changed as an answer of Unary is.
func (g *Guard) Stream() grpc.StreamServerInterceptor {
	return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		d, err := g.admit(ss.Context(), info.FullMethod)
		if err != nil {
			return err
		}
		ctx, call := g.newContext(ss.Context(), d, g.Rule(info.FullMethod))
		return next(srv, &guardedStream{ServerStream: ss, ctx: ctx, call: call})
	}
}

// admit decides on a call. A service that a rule lists may also call on behalf of
// someone whose token it passes on: the right is the service's, the name in the audit
// trail the caller's. The gateway may not, since it passes on whatever comes.
func (g *Guard) admit(ctx context.Context, fullMethod string) (Decision, error) {
	if peer := authn.PeerService(ctx); peer != "" && peer != authn.GatewayService {
		if slices.Contains(g.Rule(fullMethod).GetCallers(), peer) {
			return Decision{Scope: accessv1.Scope_SCOPE_COMPANY, Right: "caller:" + peer}, nil
		}
	}
	return g.Decide(authn.FromContext(ctx), fullMethod)
}

// guardedStream keeps the data rules on both ways of a stream.
type guardedStream struct {
	grpc.ServerStream
	ctx  context.Context
	call *call
}

func (s *guardedStream) Context() context.Context { return s.ctx }

func (s *guardedStream) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	return s.call.request(s.ctx, m)
}

func (s *guardedStream) SendMsg(m any) error {
	s.call.hide(s.ctx, m)
	return s.ServerStream.SendMsg(m)
}

// Rule returns the access rule of a method ("/package.Service/Method"), nil if there is
// none or Check has not passed. It must not be changed.
func (g *Guard) Rule(fullMethod string) *accessv1.AccessRule {
	if rules := g.rules.Load(); rules != nil {
		return (*rules)[fullMethod]
	}
	return nil
}

// Decide says whether the caller may call the method, and by which right. The error is
// public: UNAUTHENTICATED for a caller without credentials, else PERMISSION_DENIED with
// the permissions that would do and the caller's roles.
func (g *Guard) Decide(i authn.Identity, fullMethod string) (Decision, error) {
	rule := g.Rule(fullMethod)
	if rule == nil {
		return Decision{}, rpcerr.Denied(ReasonDenied, rpcerr.T(
			"Nobody may call %[1]s: it has no access rule.", "任何人都不能调用 %[1]s：该方法没有访问规则。", fullMethod))
	}
	if rule.GetPublic() {
		return Decision{Right: "public"}, nil
	}
	switch i.Kind {
	case authn.Public:
		return Decision{}, rpcerr.Unauthenticated(ReasonMissing, rpcerr.T(
			"Sign in first: this call needs an access token.", "请先登录：此调用需要访问令牌。"))
	case authn.Service:
		if slices.Contains(rule.GetCallers(), i.Service) {
			return Decision{Scope: accessv1.Scope_SCOPE_COMPANY, Right: "caller:" + i.Service}, nil
		}
	case authn.ServiceAccount:
		for _, p := range rule.GetPermissions() {
			if slices.Contains(i.Permissions, p) {
				return Decision{Permission: p, Scope: accessv1.Scope_SCOPE_COMPANY, Right: "service-account/" + p}, nil
			}
		}
	case authn.Person, authn.Customer:
		if d, ok := g.byRole(i, rule); ok {
			return d, nil
		}
	}
	return Decision{}, denied(i, rule)
}

// byRole finds the widest grant; of equals the first in the order of the rule, then of
// the roles.
func (g *Guard) byRole(i authn.Identity, rule *accessv1.AccessRule) (Decision, bool) {
	best := Decision{}
	for _, p := range rule.GetPermissions() {
		for _, role := range i.Roles {
			for _, grant := range g.policy.Roles[role].Grants {
				if grant.Permission == p && grant.Scope >= rule.GetScope() && grant.Scope > best.Scope {
					best = Decision{Permission: p, Scope: grant.Scope, Right: "role:" + role + "/" + p}
				}
			}
		}
	}
	return best, best.Permission != ""
}

func denied(i authn.Identity, rule *accessv1.AccessRule) error {
	if i.Kind == authn.Service {
		return rpcerr.Denied(ReasonDenied, rpcerr.T(
			"The service %[1]s may not call this method.", "服务 %[1]s 不能调用此方法。", i.Service))
	}
	needed := strings.Join(rule.GetPermissions(), ", ")
	if needed == "" {
		return rpcerr.Denied(ReasonDenied, rpcerr.T(
			"Only services of the suite may call this method.", "只有系统内部的服务可以调用此方法。"))
	}
	if i.Kind == authn.ServiceAccount {
		return rpcerr.Denied(ReasonDenied, rpcerr.T(
			"This needs one of the permissions %[1]s; the account has %[2]s.", "此操作需要以下权限之一：%[1]s；该账号的权限：%[2]s。",
			needed, listed(i.Permissions)))
	}
	return rpcerr.Denied(ReasonDenied, rpcerr.T(
		"This needs one of the permissions %[1]s; your roles are %[2]s.", "此操作需要以下权限之一：%[1]s；您的角色：%[2]s。",
		needed, listed(i.Roles)))
}

// listed bounds what a token can make an error say.
func listed(names []string) string {
	const most = 20
	if len(names) == 0 {
		return "-"
	}
	if len(names) > most {
		return strings.Join(names[:most], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}
