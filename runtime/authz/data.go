package authz

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/mask"
)

// hide takes out of an answer what the caller may not see.
func (c *call) hide(ctx context.Context, resp any) {
	if m, ok := resp.(proto.Message); ok && !c.trusted(ctx) {
		sightOf(c.clearances(ctx)).Hide(m)
	}
}

// clearances are those of the caller's roles with what the handler has revealed.
func (c *call) clearances(ctx context.Context) []Clearance {
	with := slices.Clone(c.revealed)
	if c.guard != nil {
		with = append(with, c.guard.policy.clearances(authn.FromContext(ctx))...)
	}
	return with
}

func (p Policy) clearances(i authn.Identity) []Clearance {
	switch i.Kind {
	case authn.Person:
		var out []Clearance
		for _, role := range i.Roles {
			if role != authn.CustomerRole {
				out = append(out, p.Roles[role].Sees...)
			}
		}
		return out
	case authn.Customer:
		return p.Roles[authn.CustomerRole].Sees
	case authn.ServiceAccount:
		return p.Accounts
	}
	return nil
}

// See tells how data under the rule is seen with these clearances.
func See(with []Clearance, rule *accessv1.DataRule) mask.View {
	level := rule.GetLevel()
	switch level {
	case accessv1.Sensitivity_SENSITIVITY_PUBLIC:
		return mask.Shown
	case accessv1.Sensitivity_SENSITIVITY_UNSPECIFIED: // Check refuses it
		return mask.Absent
	}
	view := mask.Absent
	for _, c := range with {
		switch {
		case c.Purpose != "" && c.Purpose != rule.GetPurpose():
		case level <= c.Shown:
			return mask.Shown
		case level <= c.Masked:
			view = mask.Masked
		}
	}
	return view
}

// Sees tells how the caller of the current call sees the field of a message, e.g. before
// letting them filter or sort by it. A field without a rule is shown. It panics on a field
// that the message does not have.
func Sees(ctx context.Context, m proto.Message, field protoreflect.Name) mask.View {
	fd := m.ProtoReflect().Descriptor().Fields().ByName(field)
	if fd == nil {
		panic(fmt.Sprintf("authz: %s has no field %s", m.ProtoReflect().Descriptor().FullName(), field))
	}
	c, rule := current(ctx), mask.Rule(fd)
	if rule == nil || c.trusted(ctx) {
		return mask.Shown
	}
	return See(c.clearances(ctx), rule)
}

// Hide takes out of m what the caller of the current call may not see, as out of an answer of
// their own: for what leaves in another form than a message, e.g. the rows of an export. m must
// not be seen by anybody else.
func Hide(ctx context.Context, m proto.Message) { current(ctx).hide(ctx, m) }

// Reveal adds a clearance to the current call, for a right that no role gives: a grant for
// this one object, or unmasking with a purpose. The handler calls it before it answers and
// leaves the record of it.
func Reveal(ctx context.Context, c Clearance) {
	held := current(ctx)
	held.revealed = append(held.revealed, c)
}

// purpose is the text of the request's field of that name.
func purpose(m proto.Message) string {
	r := m.ProtoReflect()
	fd := r.Descriptor().Fields().ByName("purpose")
	if fd == nil || fd.Kind() != protoreflect.StringKind || fd.IsList() {
		return ""
	}
	return r.Get(fd).String()
}

// writing is a field that a request sets and that needs a permission of its own.
type writing struct{ path, permission string }

// written lists the fields with a write_permission that the request sets, or clears by
// naming them in its field mask.
func written(m proto.Message) []writing {
	var out []writing
	r := m.ProtoReflect()
	if !mask.Guarded(r.Descriptor()) {
		return nil
	}
	mask.Ruled(r, func(path string, rule *accessv1.DataRule) {
		if rule.GetWritePermission() != "" {
			out = append(out, writing{path, rule.GetWritePermission()})
		}
	})
	r.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if fd.Message() == nil || fd.IsList() || fd.IsMap() {
			return true
		}
		if fd.Message().FullName() == "google.protobuf.FieldMask" {
			paths := v.Message().Get(fd.Message().Fields().ByName("paths")).List()
			for j := range paths.Len() {
				out = append(out, cleared(r.Descriptor(), paths.Get(j).String())...)
			}
		}
		return true
	})
	return out
}

// cleared tells the fields with a write_permission that a path of a field mask names. It is
// relative to the one resource in the request, so each message of the request is tried.
func cleared(request protoreflect.MessageDescriptor, path string) []writing {
	var out []writing
	for i := range request.Fields().Len() {
		resource := request.Fields().Get(i)
		if resource.Message() == nil || resource.IsMap() {
			continue
		}
		if fd := mask.Find(resource.Message(), path); fd != nil && mask.Rule(fd).GetWritePermission() != "" {
			out = append(out, writing{string(resource.Name()) + "." + path, mask.Rule(fd).GetWritePermission()})
		}
	}
	return out
}
