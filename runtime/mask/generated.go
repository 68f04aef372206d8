package mask

import (
	"reflect"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/runtime/protoimpl"
)

// form is how a generated type keeps the fields of its message: nearly all in a field of the
// struct each. Going by that takes a fifth of what reflection on messages takes, of which
// masking a list consisted. What it does not tell is left to reflection on messages.
type form struct {
	of reflect.Type // a pointer to the struct
	// run is a struct of the exported fields alone, which stand side by side from the index first on.
	run   reflect.Type
	first int
	// oneofs are the indexes of those that hold one of several in a box, numbers the others by number.
	oneofs  []int
	numbers map[protoreflect.FieldNumber]int
	unknown int
}

// formOf is nil for types that are not generated, or in another manner.
func formOf(d protoreflect.MessageDescriptor) *form {
	mt, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil || mt.Descriptor() != d {
		return nil
	}
	t := reflect.TypeOf(mt.Zero().Interface())
	if t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		return nil
	}
	out := &form{of: t, numbers: map[protoreflect.FieldNumber]int{}, unknown: -1}
	var exported []reflect.StructField
	open := false
	for i := range t.Elem().NumField() {
		switch f := t.Elem().Field(i); {
		case f.IsExported():
			exported = append(exported, f)
			if f.Type.Kind() == reflect.Interface {
				out.oneofs = append(out.oneofs, i)
			} else {
				out.numbers[number(f.Tag.Get("protobuf"))] = i
			}
		case f.Type == reflect.TypeFor[protoimpl.MessageState]():
			open = f.Tag.Get("protogen") == "open.v1"
		case f.Type == reflect.TypeFor[protoimpl.UnknownFields]():
			out.unknown = i
		case f.Type != reflect.TypeFor[protoimpl.SizeCache]():
			return nil
		}
	}
	if !open || out.unknown < 0 || len(exported) == 0 {
		return nil
	}
	out.run, out.first = reflect.StructOf(exported), exported[0].Index[0]
	for i, f := range exported {
		if f.Index[0] != out.first+i || f.Offset != exported[0].Offset+out.run.Field(i).Offset {
			return nil
		}
	}
	return out
}

// number is that in the tag of a generated field: bytes,4,opt,name=phone,proto3.
func number(tag string) protoreflect.FieldNumber {
	_, rest, _ := strings.Cut(tag, ",")
	digits, _, _ := strings.Cut(rest, ",")
	n, _ := strconv.ParseInt(digits, 10, 32) // 0 is no field's
	return protoreflect.FieldNumber(n)
}

// at is where the form has the field of a step, -1 where it does not.
func (g *form) at(f *step) int {
	if g == nil {
		return -1
	}
	i, ok := g.numbers[f.fd.Number()]
	if !ok {
		return -1
	}
	switch held := g.of.Elem().Field(i).Type; {
	case f.masks:
		ok = held == reflect.TypeFor[string]() || held == reflect.TypeFor[[]string]()
	case f.sub != nil:
		if held.Kind() == reflect.Slice {
			held = held.Elem()
		}
		ok = f.sub.form != nil && held == f.sub.form.of
	}
	if !ok {
		return -1
	}
	return i
}

// copy is shallow. What is not exported is the message's own, and others may be writing it.
func (g *form) copy(from reflect.Value) reflect.Value {
	out := reflect.New(g.of.Elem())
	given, to := from.Elem(), out.Elem()
	g.exported(to).Set(g.exported(given))
	for _, i := range g.oneofs {
		// Setting what is in the box would be seen in both.
		if box := given.Field(i).Elem(); box.IsValid() && !box.IsNil() {
			own := reflect.New(box.Type().Elem())
			own.Elem().Set(box.Elem())
			to.Field(i).Set(own)
		}
	}
	if given.Field(g.unknown).Len() > 0 {
		reflected(out).SetUnknown(reflected(from).GetUnknown())
	}
	return out
}

// exported are the exported fields of a struct, all at once: one by one they take longer than all
// else that is done with a message.
func (g *form) exported(of reflect.Value) reflect.Value {
	return reflect.NewAt(g.run, of.Field(g.first).Addr().UnsafePointer()).Elem()
}

// reflected is a generated message for reflection on messages.
func reflected(v reflect.Value) protoreflect.Message {
	return v.Interface().(proto.Message).ProtoReflect()
}

// generated is message for one of the plan's form. It tells whether something is hidden.
func (s *Sight) generated(given reflect.Value, p *plan) (reflect.Value, bool) {
	if given.IsNil() {
		return given, false
	}
	if p.any {
		seen := s.any(reflected(given))
		return reflect.ValueOf(seen.Interface()), seen != reflected(given)
	}
	in, out, copied := given.Elem(), given, false
	edit := func() reflect.Value {
		if !copied {
			out, copied = p.form.copy(given), true
		}
		return out.Elem()
	}
	for i := range p.steps {
		f := &p.steps[i]
		if f.at < 0 {
			s.take(f, reflected(given), func() protoreflect.Message {
				edit()
				return reflected(out)
			})
			continue
		}
		v := in.Field(f.at)
		switch {
		case v.IsZero():
		case f.masks:
			f.mask(edit().Field(f.at).Addr().Interface())
		case f.sub == nil:
			edit().Field(f.at).SetZero()
		default:
			if seen, changed := s.held(v, f.sub); changed {
				edit().Field(f.at).Set(seen)
			}
		}
	}
	return out, copied
}

// mask is hide for the field of a copy.
func (f *step) mask(field any) {
	switch to := field.(type) {
	case *string:
		*to = Text(f.how, *to)
	case *[]string:
		var list []string
		for _, plain := range *to {
			if left := Text(f.how, plain); left != "" {
				list = append(list, left)
			}
		}
		*to = list
	}
}

// held is value for a field of its own. A single message of which nothing is left is nil.
func (s *Sight) held(v reflect.Value, p *plan) (reflect.Value, bool) {
	if v.Kind() != reflect.Slice {
		seen, changed := s.generated(v, p)
		if changed && empty(reflected(seen)) {
			seen = reflect.Zero(v.Type())
		}
		return seen, changed
	}
	out, changed := v, false
	for i := range v.Len() {
		seen, other := s.generated(v.Index(i), p)
		if !other {
			continue
		}
		if !changed {
			out, changed = reflect.MakeSlice(v.Type(), v.Len(), v.Len()), true
			reflect.Copy(out, v)
		}
		out.Index(i).Set(seen)
	}
	return out, changed
}
