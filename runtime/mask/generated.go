package mask

import (
	"reflect"
	"strconv"
	"strings"
	"unsafe"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/runtime/protoimpl"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
)

// form is how a generated type keeps the fields of its message: nearly all in a field of the
// struct each. Messages of such types are masked by pointers to these, as package proto reads and
// writes them; reflection, on messages or on structs, takes ten times as long, and was most of what
// protection adds to a list. What the form does not tell is left to it.
type form struct {
	of      reflect.Type // the struct
	numbers map[protoreflect.FieldNumber]reflect.StructField
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
	out := &form{of: t.Elem(), numbers: map[protoreflect.FieldNumber]reflect.StructField{}}
	open := false
	for i := range out.of.NumField() {
		switch f := out.of.Field(i); {
		case f.IsExported() && f.Type.Kind() != reflect.Interface: // which is a oneof's
			out.numbers[number(f.Tag.Get("protobuf"))] = f
		case f.Type == reflect.TypeFor[protoimpl.MessageState]():
			open = f.Tag.Get("protogen") == "open.v1"
		}
	}
	if !open {
		return nil
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

// message is that at a pointer.
func (g *form) message(at unsafe.Pointer) protoreflect.Message {
	return reflect.NewAt(g.of, at).Interface().(proto.Message).ProtoReflect()
}

// holder is what a form has a field of a message as.
type holder uint8

const (
	byReflection holder = iota // what the form does not tell
	oneText
	manyTexts
	oneMessage
	manyMessages
)

// holder tells where and as what the form has the field of a step.
func (g *form) holder(f *step) (holder, uintptr) {
	if g == nil {
		return byReflection, 0
	}
	in, ok := g.numbers[f.fd.Number()]
	switch {
	case !ok:
	case in.Type == reflect.TypeFor[string]() && f.sub == nil:
		return oneText, in.Offset
	case in.Type == reflect.TypeFor[[]string]() && f.sub == nil:
		return manyTexts, in.Offset
	case in.Type.Kind() == reflect.Pointer && f.sub == nil && !f.masks && f.fd.Message() != nil:
		return oneMessage, in.Offset
	case f.sub == nil || f.sub.form == nil:
	case in.Type == reflect.PointerTo(f.sub.form.of):
		return oneMessage, in.Offset
	case in.Type == reflect.SliceOf(reflect.PointerTo(f.sub.form.of)):
		return manyMessages, in.Offset
	}
	return byReflection, 0
}

// walk walks a message of generated types.
type walk struct {
	sight *Sight
	ink   ink
}

// message is Sight.message for one of the plan's form.
func (w *walk) message(at unsafe.Pointer, p *plan) (hidden bool) {
	if at == nil {
		return false
	}
	if p.any {
		return w.sight.any(p.form.message(at))
	}
	for i := range p.steps {
		f := &p.steps[i]
		field := unsafe.Add(at, f.at)
		switch f.held {
		case byReflection:
			hidden = w.sight.take(f, p.form.message(at)) || hidden
		case oneText:
			if text := (*string)(field); *text != "" {
				*text, hidden = w.ink.text(f.how, *text), true
			}
		case manyTexts:
			if texts := (*[]string)(field); len(*texts) > 0 {
				*texts, hidden = w.texts(f.how, *texts), true
			}
		case oneMessage:
			held := (*unsafe.Pointer)(field)
			switch {
			case *held == nil:
			case f.sub == nil:
				*held, hidden = nil, true
			case w.message(*held, f.sub):
				hidden = true
				if empty(f.sub.form.message(*held)) {
					*held = nil // that something is there would be told too
				}
			}
		case manyMessages:
			for _, one := range *(*[]unsafe.Pointer)(field) {
				hidden = w.message(one, f.sub) || hidden
			}
		}
	}
	return hidden
}

// texts may not write where the given ones are: a slice of texts is often shared.
func (w *walk) texts(how accessv1.Mask, given []string) []string {
	var out []string
	for _, plain := range given {
		if left := w.ink.text(how, plain); left != "" {
			out = append(out, left)
		}
	}
	return out
}
