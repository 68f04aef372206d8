package access_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/anypb"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/mask"
	"github.com/kefu-suite/kefu/services/internal/access"
)

// plain is the walker without any plan: it looks at every field of its own copy, by reflection
// on messages, and asks for each that has a rule.
func plain(m protoreflect.Message, see mask.Viewer) {
	if boxed, ok := m.Interface().(*anypb.Any); ok {
		unboxed(boxed, see)
		return
	}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		view, rule := mask.Shown, mask.Rule(fd)
		if rule != nil {
			view = see(rule)
		}
		switch {
		case !m.Has(fd):
		case view == mask.Masked && fd.Kind() == protoreflect.StringKind && fd.IsList():
			var left []string
			for list, j := m.Get(fd).List(), 0; j < list.Len(); j++ {
				left = append(left, mask.Text(rule.GetMask(), list.Get(j).String()))
			}
			m.Clear(fd)
			for _, text := range left {
				if text != "" {
					m.Mutable(fd).List().Append(protoreflect.ValueOfString(text))
				}
			}
		case view == mask.Masked && fd.Kind() == protoreflect.StringKind && !fd.IsMap():
			m.Set(fd, protoreflect.ValueOfString(mask.Text(rule.GetMask(), m.Get(fd).String())))
		case view != mask.Shown:
			m.Clear(fd)
		case fd.IsMap() && fd.MapValue().Message() != nil:
			m.Get(fd).Map().Range(func(_ protoreflect.MapKey, in protoreflect.Value) bool {
				plain(in.Message(), see)
				return true
			})
		case fd.IsList() && fd.Message() != nil:
			for list, j := m.Get(fd).List(), 0; j < list.Len(); j++ {
				plain(list.Get(j).Message(), see)
			}
		case !fd.IsMap() && fd.Message() != nil:
			in := m.Get(fd).Message()
			something := proto.Size(in.Interface()) > 0
			if plain(in, see); something && proto.Size(in.Interface()) == 0 {
				m.Clear(fd)
			}
		}
	}
}

func unboxed(boxed *anypb.Any, see mask.Viewer) {
	if boxed.GetTypeUrl() == "" {
		return
	}
	in, err := boxed.UnmarshalNew()
	if err != nil {
		proto.Reset(boxed)
		return
	}
	plain(in.ProtoReflect(), see)
	if err := boxed.MarshalFrom(in); err != nil {
		proto.Reset(boxed)
	}
}

// texts are such as fields hold, and such as they should not.
var texts = []string{"", "张伟", "z", "+8613812345678", "+12125550199", "138****5678", "+1", "12", "zhang@example.com", "@", "nobody"}

// fill sets about two of three fields, to a depth.
func fill(r *rand.Rand, m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		held := fd.Message()
		if fd.IsMap() {
			held = fd.MapValue().Message()
		}
		switch {
		case r.IntN(3) == 0, held != nil && depth == 0:
		case fd.IsMap():
			for to := m.Mutable(fd).Map(); to.Len() < 2; {
				to.Set(some(r, fd.MapKey(), nil, 0).MapKey(), some(r, fd.MapValue(), to.NewValue, depth))
			}
		case fd.IsList():
			for to := m.Mutable(fd).List(); to.Len() < 3; {
				to.Append(some(r, fd, to.NewElement, depth))
			}
		default:
			m.Set(fd, some(r, fd, func() protoreflect.Value { return m.NewField(fd) }, depth))
		}
	}
	if r.IntN(4) == 0 {
		m.SetUnknown(protoreflect.RawFields{0xfa, 0x7f, 1, 'x'}) // field 2047, of a later version
	}
}

func some(r *rand.Rand, fd protoreflect.FieldDescriptor, fresh func() protoreflect.Value, depth int) protoreflect.Value {
	switch fd.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		v := fresh()
		if boxed, ok := v.Message().Interface().(*anypb.Any); ok {
			box(r, boxed)
		} else {
			fill(r, v.Message(), depth-1)
		}
		return v
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(r.IntN(2) == 0)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(r.IntN(3)))
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(r.Int32N(5))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(r.Uint32N(5))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(r.Int64N(5))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(r.Uint64N(5))
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(r.Float32())
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(r.Float64())
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(texts[r.IntN(len(texts))]))
	}
	return protoreflect.ValueOfString(texts[r.IntN(len(texts))])
}

func box(r *rand.Rand, boxed *anypb.Any) {
	in := &customerv1.Contact{}
	fill(r, in.ProtoReflect(), 1)
	if err := boxed.MarshalFrom(in); err != nil {
		panic(err)
	}
	switch r.IntN(6) {
	case 0:
		boxed.TypeUrl = "type.googleapis.com/kefu.Nobody"
	case 1:
		boxed.Reset()
	}
}

// outputs are the types that methods answer with.
func outputs(t *testing.T) []protoreflect.MessageType {
	t.Helper()
	found := map[protoreflect.FullName]protoreflect.MessageType{}
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				name := methods.Get(j).Output().FullName()
				if mt, err := protoregistry.GlobalTypes.FindMessageByName(name); err == nil {
					found[name] = mt
				}
			}
		}
		return true
	})
	if len(found) < 100 {
		t.Fatalf("only %d types of answers found", len(found))
	}
	names := make([]protoreflect.FullName, 0, len(found))
	for name := range found {
		names = append(names, name)
	}
	slices.Sort(names)
	out := make([]protoreflect.MessageType, 0, len(found))
	for _, name := range names {
		out = append(out, found[name])
	}
	return out
}

// held fails where what is left of an answer is not what the plain walker leaves.
func held(t *testing.T, who string, given proto.Message, see mask.Viewer, hide func(proto.Message)) {
	t.Helper()
	got, want := proto.Clone(given), proto.Clone(given)
	plain(want.ProtoReflect(), see)
	hide(got)
	if !proto.Equal(got, want) {
		t.Errorf("%s sees %v as\n%v\nwant\n%v", who, given, got, want)
	}
}

// TestSightIsThePlainWalkers holds what plans leave of random answers of every type against
// the plain walker: for viewers at random, who keep each other's types apart, with messages as
// they are generated and as they are described.
func TestSightIsThePlainWalkers(t *testing.T) {
	types := outputs(t)
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 0))
		see := func(rule *accessv1.DataRule) mask.View {
			mixed := rand.New(rand.NewPCG(seed, uint64(rule.GetLevel())<<16|uint64(rule.GetMask())<<8|uint64(len(rule.GetPurpose()))))
			return mask.View(mixed.IntN(3))
		}
		sight := mask.NewSight(see)
		for _, mt := range types {
			given := mt.New().Interface()
			fill(r, given.ProtoReflect(), 4)
			held(t, fmt.Sprint("viewer ", seed), given, see, sight.Hide)
			described := dynamicpb.NewMessage(mt.Descriptor())
			raw, err := proto.Marshal(given)
			if err == nil {
				err = proto.Unmarshal(raw, described)
			}
			if err != nil {
				t.Fatal(err)
			}
			sight.Hide(described)
			if sight.Hide(given); !proto.Equal(described, given) {
				t.Errorf("viewer %d sees the described %s as\n%v\nwant\n%v", seed, mt.Descriptor().FullName(), described, given)
			}
		}
	}
}

// TestRolesSeeWhatThePlainWalkerLeaves does so for callers with roles at random, one after the
// other, to some of whom the handler reveals what their roles do not show.
func TestRolesSeeWhatThePlainWalkerLeaves(t *testing.T) {
	policy := access.Policy()
	guard := authz.New(policy)
	infos := map[string]grpc.ServiceInfo{"kefu.survey.v1.AnswerService": {Methods: []grpc.MethodInfo{{Name: "GetAnswerForm"}}}}
	if err := guard.Check(infos); err != nil {
		t.Fatal(err)
	}
	var roles []string
	for role := range policy.Roles {
		if role != access.Customer {
			roles = append(roles, role)
		}
	}
	slices.Sort(roles)
	r, types := rand.New(rand.NewPCG(1, 2)), outputs(t)
	for range 60 {
		who := authn.Identity{Kind: authn.Person, Issuer: "https://i", Subject: "u"}
		var with []authz.Clearance
		for range r.IntN(3) {
			role := roles[r.IntN(len(roles))]
			who.Roles, with = append(who.Roles, role), append(with, policy.Roles[role].Sees...)
		}
		var more []authz.Clearance
		if r.IntN(3) == 0 {
			more = append(more, authz.Clearance{Purpose: access.ForService, Shown: accessv1.Sensitivity_SENSITIVITY_CONFIDENTIAL})
			with = append(with, more...)
		}
		for _, mt := range types {
			given := mt.New().Interface()
			fill(r, given.ProtoReflect(), 3)
			see := func(rule *accessv1.DataRule) mask.View { return authz.See(with, rule) }
			held(t, fmt.Sprint(who.Roles, more), given, see, func(m proto.Message) {
				got, err := guard.Unary()(authn.NewContext(t.Context(), who), nil, &grpc.UnaryServerInfo{FullMethod: "/kefu.survey.v1.AnswerService/GetAnswerForm"},
					func(ctx context.Context, _ any) (any, error) {
						for _, c := range more {
							authz.Reveal(ctx, c)
						}
						return m, nil
					})
				if err != nil || got != m {
					t.Fatalf("answered %v, %v", got, err)
				}
			})
		}
	}
}
