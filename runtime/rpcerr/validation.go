package rpcerr

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// MostFields bounds an answer: details travel as a header, and some clients
// take no more than 8 KiB of those.
const MostFields = 20

// BadField is one bad field of a request.
type BadField struct {
	// Path is the field's, as the caller is to read it.
	Path string
	Text Text
}

// Fields says which fields of a request are wrong, at least one; at most MostFields of them
// are told. The sentence is that of the first.
func Fields(reason string, fields ...BadField) *Error {
	found := make([]violation, 0, MostFields)
	for _, f := range fields[:min(len(fields), MostFields)] {
		found = append(found, violation{path: f.Path, text: f.Text})
	}
	return several(reason, len(fields), found)
}

// several is an error of n bad fields, the first of which are told.
func several(reason string, n int, found []violation) *Error {
	first := found[0]
	out := New(codes.InvalidArgument, reason, Text{
		EN: lead("The request is not valid: ", ": ", first.path, first.text.EN),
		ZH: lead("请求无效：", "：", first.path, first.text.ZH),
	})
	if n > 1 {
		out.text.EN += fmt.Sprintf(" (and %d more)", n-1)
		out.text.ZH += fmt.Sprintf("（另有 %d 处）", n-1)
	}
	out.violations = found
	return out
}

// FromValidation turns what protovalidate found into one public error with a
// violation for each bad field. It reports false for any other error, also for
// rules that could not be compiled or run: those are faults of ours.
//
// Texts tell the size or class of a bad text value, never the value itself,
// since it may be personal data; numbers and enum values are told.
func FromValidation(err error) (*Error, bool) {
	var found *protovalidate.ValidationError
	if !errors.As(err, &found) || len(found.Violations) == 0 {
		return nil, false
	}
	n := len(found.Violations)
	told := make([]violation, 0, MostFields)
	for _, v := range found.Violations[:min(n, MostFields)] {
		told = append(told, describe(v))
	}
	return several(ReasonValidation, n, told), true
}

func lead(head, colon, path, text string) string {
	if path == "" {
		return head + text
	}
	return head + path + colon + text
}

// describe renders one violation.
func describe(v *protovalidate.Violation) violation {
	id := v.Proto.GetRuleId()
	return violation{
		path:   protovalidate.FieldPathString(v.Proto.GetField()),
		reason: upper(strings.ReplaceAll(id, ".", "_")),
		text:   ruleText(id, v),
	}
}

// ruleText says what would be right and what was given.
func ruleText(id string, v *protovalidate.Violation) Text {
	class, rule, _ := strings.Cut(id, ".")
	var t Text
	switch {
	case id == "required":
		return T("this must be given; it is missing or empty.", "必须填写，但未提供或为空。")
	case id == "message.oneof":
		t = T("give exactly one of the alternatives (%s).", "必须且只能填写其中一项（%s）。", v.Proto.GetMessage())
		return t
	case class == "string" || class == "bytes":
		t = sizedText(rule, v)
	case class == "enum":
		t = enumText(v)
	case class == "repeated" || class == "map":
		t = countText(rule, v)
	default:
		t = boundText(class, rule, v)
	}
	return t.and(got(v))
}

// and joins what would be right with what was given.
func (t Text) and(given Text) Text {
	if given.EN == "" {
		return Text{EN: t.EN + ".", ZH: t.ZH + "。"}
	}
	return Text{EN: t.EN + "; " + given.EN + ".", ZH: t.ZH + "，" + given.ZH + "。"}
}

// got tells the value's class: the value of numbers and enums, the length of
// texts, the count of lists, presence of the rest.
func got(v *protovalidate.Violation) Text {
	if !v.FieldValue.IsValid() {
		return T("it is missing", "但未提供")
	}
	switch x := v.FieldValue.Interface().(type) {
	case string:
		if x == "" {
			return T("it is empty", "但为空")
		}
		return T("it has %d characters", "现为 %d 个字符", utf8.RuneCountInString(x))
	case []byte:
		return T("it has %d bytes", "现为 %d 个字节", len(x))
	case protoreflect.EnumNumber:
		return T("it is %s", "现为 %s", enumName(v.FieldDescriptor, x))
	case protoreflect.List:
		return T("it has %d", "现有 %d 项", x.Len())
	case protoreflect.Map:
		return T("it has %d", "现有 %d 项", x.Len())
	case protoreflect.Message:
		if s, ok := wellKnown(x); ok {
			return T("it is %s", "现为 %s", s)
		}
		return Text{}
	default:
		return T("it is %v", "现为 %v", x)
	}
}
