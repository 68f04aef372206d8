package edge

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
)

// filler fills messages with any values, nested to a depth.
type filler struct{ *rand.Rand }

func (f filler) fill(m protoreflect.Message, depth int) {
	switch to := m.Interface().(type) {
	case *timestamppb.Timestamp:
		to.Seconds, to.Nanos = f.Int64N(4e9), []int32{0, 5e6, 7e3, 9}[f.IntN(4)]
		return
	case *anypb.Any:
		if err := to.MarshalFrom(wrapperspb.String("x")); err != nil {
			panic(err)
		}
		return
	case *structpb.Struct, *structpb.Value, *structpb.ListValue:
		return
	}
	if m.Descriptor().ParentFile().Package() == "google.protobuf" {
		return // some have values that are refused
	}
	for i := range m.Descriptor().Fields().Len() {
		fd := m.Descriptor().Fields().Get(i)
		message := fd.Message() != nil && !fd.IsMap()
		if f.IntN(3) == 0 || message && depth == 0 {
			continue
		}
		switch {
		case fd.IsMap():
			if fd.MapValue().Message() == nil {
				m.Mutable(fd).Map().Set(f.value(fd.MapKey()).MapKey(), f.value(fd.MapValue()))
			}
		case fd.IsList():
			list := m.Mutable(fd).List()
			for range f.IntN(3) {
				if message {
					f.fill(list.AppendMutable().Message(), depth-1)
				} else {
					list.Append(f.value(fd))
				}
			}
		case message:
			f.fill(m.Mutable(fd).Message(), depth-1)
		default:
			m.Set(fd, f.value(fd))
		}
	}
}

func (f filler) value(fd protoreflect.FieldDescriptor) protoreflect.Value {
	n := f.IntN(1000) - 500
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(n > 0)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(n / 50)) // unknown ones too
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(n))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(n))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(int64(n) << 50)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(uint64(n))
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32([]float32{0, 1.5, -1e-9, 3e30, float32(math.Inf(1))}[f.IntN(5)])
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64([]float64{1.0 / 3, 1e21, 1e-7, math.NaN(), math.Inf(-1)}[f.IntN(5)])
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte{0xff, byte(n), 0})
	}
	return protoreflect.ValueOfString([]string{"", "客服", "a\"b\\c", "tab\tline\n\x01\x7f", "<&>\u2028", fmt.Sprint(n)}[f.IntN(6)])
}

// Every message of the contracts is written as protojson writes it.
func TestAnswersAreThoseOfProtojson(t *testing.T) {
	w, f, seen := newWriter(), filler{rand.New(rand.NewPCG(1, 2))}, 0
	protoregistry.GlobalTypes.RangeMessages(func(kind protoreflect.MessageType) bool {
		if !strings.HasPrefix(string(kind.Descriptor().FullName()), "kefu.") {
			return true
		}
		seen++
		for range 20 {
			m := kind.New()
			f.fill(m, 3)
			agreed(t, w, m.Interface())
		}
		return true
	})
	if seen < 150 {
		t.Errorf("only %d messages are linked", seen)
	}
	for _, m := range []proto.Message{
		wrapperspb.Double(2), structpb.NewStringValue("x"), structpb.NewNullValue(), timestamppb.New(timestamppb.Now().AsTime()),
	} {
		agreed(t, w, m)
	}
}

func agreed(t *testing.T, w *writer, m proto.Message) {
	t.Helper()
	got, err := w.Marshal(m)
	if err != nil {
		t.Fatalf("%T: %v", m, err)
	}
	want, err := w.JSONPb.Marshal(m)
	if err != nil {
		t.Fatalf("%T: %v", m, err)
	}
	var a, b any
	if err := json.Unmarshal(got, &a); err != nil {
		t.Fatalf("%T: %v in %s", m, err, got)
	}
	if err := json.Unmarshal(want, &b); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(a, b) {
		t.Errorf("%T is written as %s\nby protojson %s", m, got, want)
	}
}

func TestWhatCannotBeWrittenIsAnError(t *testing.T) {
	for _, m := range []proto.Message{
		&ticketv1.Ticket{Title: "\xff"},
		&ticketv1.Ticket{CreateTime: &timestamppb.Timestamp{Seconds: -1 << 62}},
	} {
		if out, err := newWriter().Marshal(m); err == nil {
			t.Errorf("%v was written as %s", m, out)
		}
	}
	if out, err := newWriter().Marshal((*ticketv1.Ticket)(nil)); err != nil || string(out) == "" {
		t.Errorf("no message: %q, %v", out, err)
	}
	if out, err := newWriter().Marshal(map[string]any{"result": &ticketv1.Ticket{Id: "x"}}); err != nil || !strings.Contains(string(out), `"id":`) {
		t.Errorf("an item of a stream: %s, %v", out, err)
	}
}

// page is fifty tickets as a list has them.
func page() *ticketv1.ListTicketsResponse {
	out := new(ticketv1.ListTicketsResponse)
	for range 50 {
		out.Tickets = append(out.Tickets, &ticketv1.Ticket{
			Id: "01890000-0002-7000-8000-000000000001", Number: "T-202611-000001", CustomerId: "01890000-0001-7000-8000-000000000001",
			Title: "机器不启动", Description: "客户报修：开机后无反应，指示灯不亮。", State: 1, Priority: 3, Round: 1, Etag: "1",
			CreateTime: timestamppb.Now(), UpdateTime: timestamppb.Now(),
		})
	}
	return out
}

func BenchmarkAnswer(b *testing.B) {
	w, list := newWriter(), page()
	for name, marshal := range map[string]func(any) ([]byte, error){"writer": w.Marshal, "protojson": w.JSONPb.Marshal} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := marshal(list); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
