package rpcerr_test

import (
	"errors"
	"strings"
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// field describes one field of a test message and its rules in text form.
type field struct {
	name     string
	kind     descriptorpb.FieldDescriptorProto_Type
	typeName string
	repeated bool
	rules    *validate.FieldRules
}

// message builds a message type `Sample` with the fields, and an enum `Color`.
func message(t *testing.T, fields ...field) protoreflect.MessageDescriptor {
	t.Helper()
	msg := &descriptorpb.DescriptorProto{Name: proto.String("Sample")}
	for i, f := range fields {
		label := descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL
		if f.repeated {
			label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED
		}
		opts := &descriptorpb.FieldOptions{}
		proto.SetExtension(opts, validate.E_Field, f.rules)
		fd := &descriptorpb.FieldDescriptorProto{
			Name: proto.String(f.name), Number: proto.Int32(int32(i + 1)),
			Type: f.kind.Enum(), Label: label.Enum(), Options: opts,
		}
		if f.typeName != "" {
			fd.TypeName = proto.String(f.typeName)
		}
		msg.Field = append(msg.Field, fd)
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("sample.proto"), Syntax: proto.String("proto3"), Package: proto.String("sample"),
		Dependency:  []string{"buf/validate/validate.proto"},
		MessageType: []*descriptorpb.DescriptorProto{msg},
		EnumType: []*descriptorpb.EnumDescriptorProto{{
			Name: proto.String("Color"),
			Value: []*descriptorpb.EnumValueDescriptorProto{
				{Name: proto.String("COLOR_UNSPECIFIED"), Number: proto.Int32(0)},
				{Name: proto.String("COLOR_RED"), Number: proto.Int32(1)},
				{Name: proto.String("COLOR_BLUE"), Number: proto.Int32(2)},
			},
		}},
	}, fileResolver{})
	if err != nil {
		t.Fatal(err)
	}
	return file.Messages().ByName("Sample")
}

type fileResolver struct{}

func (fileResolver) FindFileByPath(string) (protoreflect.FileDescriptor, error) {
	return validate.File_buf_validate_validate_proto, nil
}

func (fileResolver) FindDescriptorByName(n protoreflect.FullName) (protoreflect.Descriptor, error) {
	return nil, errors.New("unknown " + string(n))
}

const (
	str   = descriptorpb.FieldDescriptorProto_TYPE_STRING
	i32   = descriptorpb.FieldDescriptorProto_TYPE_INT32
	i64   = descriptorpb.FieldDescriptorProto_TYPE_INT64
	dbl   = descriptorpb.FieldDescriptorProto_TYPE_DOUBLE
	enumT = descriptorpb.FieldDescriptorProto_TYPE_ENUM
)

func TestFromValidation(t *testing.T) {
	text := func(r *validate.StringRules) *validate.FieldRules {
		return validate.FieldRules_builder{String: r}.Build()
	}
	cases := []struct {
		field  field
		value  any
		en, zh string
	}{
		{field{name: "a", kind: str, rules: text(validate.StringRules_builder{MinLen: proto.Uint64(1)}.Build())}, "",
			"it must not be empty; it is empty.", "不能为空，但为空。"},
		{field{name: "a", kind: str, rules: text(validate.StringRules_builder{MinLen: proto.Uint64(3)}.Build())}, "两个",
			"it must have at least 3 characters; it has 2 characters.", "至少 3 个字符，现为 2 个字符。"},
		{field{name: "a", kind: str, rules: text(validate.StringRules_builder{MaxLen: proto.Uint64(2)}.Build())}, "secret",
			"it must have at most 2 characters; it has 6 characters.", "最多 2 个字符，现为 6 个字符。"},
		{field{name: "a", kind: str, rules: text(validate.StringRules_builder{Email: proto.Bool(true)}.Build())}, "secret",
			"it must be an e-mail address such as name@example.com; it has 6 characters.", "必须是电子邮箱地址，例如 name@example.com，现为 6 个字符。"},
		{field{name: "a", kind: str, rules: text(validate.StringRules_builder{Uuid: proto.Bool(true)}.Build())}, "",
			"it must be a UUID such as 01890a5d-ac96-774b-bcce-b302099a8057; it is empty.", "必须是 UUID，例如 01890a5d-ac96-774b-bcce-b302099a8057，但为空。"},
		{field{name: "a", kind: str, rules: text(validate.StringRules_builder{Pattern: proto.String("^[A-Z]+$")}.Build())}, "secret",
			"it must match the pattern ^[A-Z]+$; it has 6 characters.", "必须符合格式 ^[A-Z]+$，现为 6 个字符。"},
		{field{name: "a", kind: str, rules: text(validate.StringRules_builder{In: []string{"x", "y"}}.Build())}, "secret",
			"it must be one of x, y; it has 6 characters.", "必须是以下之一：x, y，现为 6 个字符。"},
		{field{name: "a", kind: str, rules: validate.FieldRules_builder{Required: proto.Bool(true)}.Build()}, nil,
			"this must be given; it is missing or empty.", "必须填写，但未提供或为空。"},
		{field{name: "a", kind: enumT, typeName: ".sample.Color", rules: validate.FieldRules_builder{
			Enum: validate.EnumRules_builder{DefinedOnly: proto.Bool(true)}.Build()}.Build()}, protoreflect.EnumNumber(9),
			"it must be one of COLOR_RED, COLOR_BLUE; it is 9.", "必须是以下之一：COLOR_RED, COLOR_BLUE，现为 9。"},
		{field{name: "a", kind: enumT, typeName: ".sample.Color", rules: validate.FieldRules_builder{
			Enum: validate.EnumRules_builder{NotIn: []int32{0}}.Build()}.Build()}, nil,
			"it must be one of COLOR_RED, COLOR_BLUE; it is COLOR_UNSPECIFIED.", "必须是以下之一：COLOR_RED, COLOR_BLUE，现为 COLOR_UNSPECIFIED。"},
		{field{name: "a", kind: i32, rules: validate.FieldRules_builder{
			Int32: validate.Int32Rules_builder{Gte: proto.Int32(0), Lte: proto.Int32(500)}.Build()}.Build()}, int32(501),
			"it must be greater than or equal to 0 and less than or equal to 500; it is 501.", "必须大于或等于 0 且小于或等于 500，现为 501。"},
		{field{name: "a", kind: i64, rules: validate.FieldRules_builder{
			Int64: validate.Int64Rules_builder{Gt: proto.Int64(0)}.Build()}.Build()}, int64(-1),
			"it must be greater than 0; it is -1.", "必须大于 0，现为 -1。"},
		{field{name: "a", kind: dbl, rules: validate.FieldRules_builder{
			Double: validate.DoubleRules_builder{Lt: proto.Float64(1)}.Build()}.Build()}, 1.5,
			"it must be less than 1; it is 1.5.", "必须小于 1，现为 1.5。"},
		{field{name: "a", kind: str, repeated: true, rules: validate.FieldRules_builder{
			Repeated: validate.RepeatedRules_builder{MinItems: proto.Uint64(1)}.Build()}.Build()}, nil,
			"give at least 1; it has 0.", "至少需要 1 项，现有 0 项。"},
		{field{name: "a", kind: str, rules: validate.FieldRules_builder{Cel: []*validate.Rule{validate.Rule_builder{
			Id: proto.String("a.even"), Expression: proto.String("size(this) % 2 == 0"),
			Message: proto.String("its length must be even | 长度必须是偶数")}.Build()}}.Build()}, "abc",
			"its length must be even; it has 3 characters.", "长度必须是偶数，现为 3 个字符。"},
	}
	for _, c := range cases {
		desc := message(t, c.field)
		m := dynamicpb.NewMessage(desc)
		if c.value != nil {
			m.Set(desc.Fields().Get(0), protoreflect.ValueOf(c.value))
		}
		got, ok := rpcerr.FromValidation(protovalidate.Validate(m))
		if !ok {
			t.Errorf("%q: no violation found", c.en)
			continue
		}
		for lang, want := range map[string]string{"en": c.en, "zh-CN": c.zh} {
			_, _, bad, _ := details(t, got.Status(lang))
			v := bad.GetFieldViolations()
			if len(v) != 1 || v[0].GetField() != "a" || v[0].GetDescription() != want {
				t.Errorf("%s: got %v, want %q", lang, v, want)
			}
			if strings.Contains(got.Status(lang).String(), "secret") {
				t.Errorf("%s: the value stands in the answer: %v", lang, got.Status(lang))
			}
		}
	}
}

func TestFromValidationNamesTheItemAndCountsTheRest(t *testing.T) {
	desc := message(t, field{name: "phone_numbers", kind: str, repeated: true, rules: validate.FieldRules_builder{
		Repeated: validate.RepeatedRules_builder{Items: validate.FieldRules_builder{
			String: validate.StringRules_builder{MinLen: proto.Uint64(1)}.Build()}.Build()}.Build()}.Build()})
	m := dynamicpb.NewMessage(desc)
	list := m.Mutable(desc.Fields().Get(0)).List()
	list.Append(protoreflect.ValueOfString("1"))
	list.Append(protoreflect.ValueOfString(""))
	list.Append(protoreflect.ValueOfString(""))
	got, ok := rpcerr.FromValidation(protovalidate.Validate(m))
	if !ok {
		t.Fatal("no violation found")
	}
	_, text, bad, _ := details(t, got.Status("en"))
	if v := bad.GetFieldViolations(); len(v) != 2 || v[0].GetField() != "phone_numbers[1]" || v[0].GetReason() != "STRING_MIN_LEN" {
		t.Fatalf("violations %v", v)
	}
	if !strings.HasSuffix(text.GetMessage(), "(and 1 more)") {
		t.Fatalf("text %q", text.GetMessage())
	}
}

func TestFromValidationLeavesOtherErrors(t *testing.T) {
	if _, ok := rpcerr.FromValidation(errors.New("x")); ok {
		t.Fatal("an ordinary error was taken for a violation")
	}
	if _, ok := rpcerr.FromValidation(nil); ok {
		t.Fatal("nil was taken for a violation")
	}
}
