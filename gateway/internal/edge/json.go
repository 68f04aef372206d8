package edge

import (
	"encoding/base64"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// writer writes answers as protojson does with EmitDefaultValues, at a third of its cost:
// protojson finds, sorts and names the fields of every message anew, which for a page of
// fifty tickets is most of what the gateway does. What is special in the JSON of protobuf's
// own types, but for instants, is left to protojson.
type writer struct{ runtime.JSONPb }

func newWriter() *writer {
	return &writer{runtime.JSONPb{
		MarshalOptions:   protojson.MarshalOptions{EmitDefaultValues: true},
		UnmarshalOptions: protojson.UnmarshalOptions{DiscardUnknown: false},
	}}
}

// Marshal writes a message; other values as JSONPb does.
func (w *writer) Marshal(v any) ([]byte, error) {
	m, ok := v.(proto.Message)
	if !ok || !m.ProtoReflect().IsValid() {
		return w.JSONPb.Marshal(v)
	}
	return w.message(make([]byte, 0, 512), m.ProtoReflect())
}

// layout is what is known of a message's fields before there is a message.
type layout struct {
	special bool // left to protojson
	fields  []field
}

type field struct {
	protoreflect.FieldDescriptor
	name     []byte // with quotes and colon
	presence bool   // left out while unset
}

// layouts holds the layout of each message by its descriptor.
var layouts sync.Map

func layoutOf(d protoreflect.MessageDescriptor) *layout {
	if known, ok := layouts.Load(d); ok {
		if l, ok := known.(*layout); ok {
			return l
		}
	}
	l := &layout{special: d.ParentFile().Package() == "google.protobuf"}
	for i := range d.Fields().Len() {
		fd := d.Fields().Get(i)
		l.fields = append(l.fields, field{fd, []byte(strconv.Quote(fd.JSONName()) + ":"), fd.HasPresence()})
	}
	layouts.Store(d, l)
	return l
}

func (w *writer) message(b []byte, m protoreflect.Message) ([]byte, error) {
	if at, ok := m.Interface().(*timestamppb.Timestamp); ok && at.IsValid() {
		return appendInstant(b, at), nil
	}
	l := layoutOf(m.Descriptor())
	if l.special {
		return w.MarshalAppend(b, m.Interface())
	}
	b = append(b, '{')
	empty := len(b)
	for i := range l.fields {
		f := &l.fields[i]
		if f.presence && !m.Has(f.FieldDescriptor) {
			continue
		}
		if len(b) > empty {
			b = append(b, ',')
		}
		b = append(b, f.name...)
		var err error
		switch v := m.Get(f.FieldDescriptor); {
		case f.IsMap():
			b, err = w.entries(b, f, v.Map())
		case f.IsList():
			b, err = w.items(b, f, v.List())
		default:
			b, err = w.value(b, f, v)
		}
		if err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

func (w *writer) items(b []byte, fd protoreflect.FieldDescriptor, list protoreflect.List) ([]byte, error) {
	b = append(b, '[')
	for i := range list.Len() {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = w.value(b, fd, list.Get(i)); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

// entries writes a map in the order of its keys.
func (w *writer) entries(b []byte, fd protoreflect.FieldDescriptor, m protoreflect.Map) ([]byte, error) {
	values := map[string]protoreflect.Value{}
	m.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		values[k.String()] = v
		return true
	})
	b = append(b, '{')
	for i, key := range slices.Sorted(maps.Keys(values)) {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = appendText(b, key); err != nil {
			return nil, fmt.Errorf("%s: %w", fd.FullName(), err)
		}
		if b, err = w.value(append(b, ':'), fd.MapValue(), values[key]); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

// value writes one value, an item of a list or a map as well.
func (w *writer) value(b []byte, fd protoreflect.FieldDescriptor, v protoreflect.Value) ([]byte, error) {
	switch fd.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return w.message(b, v.Message())
	case protoreflect.StringKind:
		b, err := appendText(b, v.String())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", fd.FullName(), err)
		}
		return b, nil
	case protoreflect.EnumKind:
		return appendEnum(b, fd.Enum(), v.Enum()), nil
	case protoreflect.BoolKind:
		return strconv.AppendBool(b, v.Bool()), nil
	case protoreflect.BytesKind:
		return append(base64.StdEncoding.AppendEncode(append(b, '"'), v.Bytes()), '"'), nil
	case protoreflect.FloatKind:
		return appendFloat(b, v.Float(), 32), nil
	case protoreflect.DoubleKind:
		return appendFloat(b, v.Float(), 64), nil
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return strconv.AppendInt(b, v.Int(), 10), nil
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return strconv.AppendUint(b, v.Uint(), 10), nil
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return append(strconv.AppendUint(append(b, '"'), v.Uint(), 10), '"'), nil
	default: // the other 64-bit ones, which JavaScript's numbers do not hold
		return append(strconv.AppendInt(append(b, '"'), v.Int(), 10), '"'), nil
	}
}

func appendEnum(b []byte, d protoreflect.EnumDescriptor, n protoreflect.EnumNumber) []byte {
	if d.FullName() == "google.protobuf.NullValue" {
		return append(b, "null"...)
	}
	known := d.Values().ByNumber(n)
	if known == nil {
		return strconv.AppendInt(b, int64(n), 10)
	}
	return append(append(append(b, '"'), known.Name()...), '"')
}

func appendFloat(b []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(b, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(b, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(b, `"-Infinity"`...)
	}
	return strconv.AppendFloat(b, f, 'g', -1, bits)
}

// appendInstant writes an instant with as many groups of three digits as it needs.
func appendInstant(b []byte, at *timestamppb.Timestamp) []byte {
	const whole = "2006-01-02T15:04:05"
	layout := whole
	switch n := at.GetNanos(); {
	case n == 0:
	case n%int32(time.Millisecond) == 0:
		layout = whole + ".000"
	case n%int32(time.Microsecond) == 0:
		layout = whole + ".000000"
	default:
		layout = whole + ".000000000"
	}
	return append(at.AsTime().AppendFormat(append(b, '"'), layout), 'Z', '"')
}

// appendText writes a string. Almost none holds what has to be escaped.
func appendText(b []byte, s string) ([]byte, error) {
	if !utf8.ValidString(s) {
		return nil, fmt.Errorf("it is not UTF-8: %q", s)
	}
	b = append(b, '"')
	done := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[done:i]...)
		if done = i + 1; c < ' ' {
			b = fmt.Appendf(b, `\u%04x`, c)
		} else {
			b = append(b, '\\', c)
		}
	}
	return append(append(b, s[done:]...), '"'), nil
}
