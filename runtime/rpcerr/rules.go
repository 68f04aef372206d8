package rpcerr

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	formv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/form/v1"
)

// sizedText covers texts and bytes. The first group needs the rule's own value.
func sizedText(rule string, v *protovalidate.Violation) Text {
	limit := v.RuleValue
	switch rule {
	case "min_len", "min_bytes":
		if limit.IsValid() && limit.Uint() == 1 {
			return T("it must not be empty", "不能为空")
		}
		return lengthText("it must have at least ", "至少 ", rule, limit)
	case "max_len", "max_bytes":
		return lengthText("it must have at most ", "最多 ", rule, limit)
	case "len", "len_bytes":
		return lengthText("it must have exactly ", "必须正好 ", rule, limit)
	case "pattern":
		return patternText(v.FieldDescriptor, limit)
	case "prefix":
		return T("it must begin with %q", "必须以 %q 开头", ruleValue(limit))
	case "suffix":
		return T("it must end with %q", "必须以 %q 结尾", ruleValue(limit))
	case "contains":
		return T("it must contain %q", "必须包含 %q", ruleValue(limit))
	case "not_contains":
		return T("it must not contain %q", "不能包含 %q", ruleValue(limit))
	case "const":
		return T("it must be %q", "必须是 %q", ruleValue(limit))
	case "in":
		return T("it must be one of %s", "必须是以下之一：%s", ruleValue(limit))
	case "not_in":
		return T("it must not be one of %s", "不能是以下任一项：%s", ruleValue(limit))
	}
	return formText(strings.TrimSuffix(rule, "_empty"), v)
}

// patternText says what a text that matches looks like, as the field's form has it; where a
// contract has none the pattern itself is all there is to say.
func patternText(fd protoreflect.FieldDescriptor, pattern protoreflect.Value) Text {
	var form *formv1.Form
	if fd != nil {
		form, _ = proto.GetExtension(fd.Options(), formv1.E_Form).(*formv1.Form)
	}
	if form.GetExample() == "" {
		return T("it must match the pattern %v", "必须符合格式 %v", ruleValue(pattern))
	}
	return Text{
		EN: "it must be " + form.GetEn() + ", such as " + form.GetExample(),
		ZH: "必须是" + form.GetZh() + "，例如 " + form.GetExample(),
	}
}

// formText covers the well-known forms of a text, each with an example.
func formText(form string, v *protovalidate.Violation) Text {
	switch form {
	case "email":
		return T("it must be an e-mail address such as name@example.com", "必须是电子邮箱地址，例如 name@example.com")
	case "uuid":
		return T("it must be a UUID such as 01890a5d-ac96-774b-bcce-b302099a8057",
			"必须是 UUID，例如 01890a5d-ac96-774b-bcce-b302099a8057")
	case "tuuid":
		return T("it must be a UUID without hyphens", "必须是不带连字符的 UUID")
	case "uri":
		return T("it must be a URI such as https://example.com/path", "必须是 URI，例如 https://example.com/path")
	case "uri_ref":
		return T("it must be a URI or a relative reference", "必须是 URI 或相对引用")
	case "hostname":
		return T("it must be a host name such as www.example.com", "必须是主机名，例如 www.example.com")
	case "host_and_port":
		return T("it must be a host and a port such as example.com:443", "必须是主机和端口，例如 example.com:443")
	case "address":
		return T("it must be a host name or an IP address", "必须是主机名或 IP 地址")
	case "ip", "ipv4", "ipv6":
		return T("it must be an address of the kind %s", "必须是 %s 地址", strings.Replace(form, "ip", "IP", 1))
	case "ip_prefix", "ipv4_prefix", "ipv6_prefix", "ip_with_prefixlen", "ipv4_with_prefixlen", "ipv6_with_prefixlen":
		return T("it must be an IP network such as 192.0.2.0/24", "必须是 IP 网段，例如 192.0.2.0/24")
	}
	return otherText(v)
}

// enumText names the values that would be right.
func enumText(v *protovalidate.Violation) Text {
	names := enumNames(v.FieldDescriptor)
	if names == "" {
		return T("it must be a value that the API defines", "必须是接口定义的值")
	}
	return T("it must be one of %s", "必须是以下之一：%s", names)
}

// countText covers lists and maps.
func countText(rule string, v *protovalidate.Violation) Text {
	switch rule {
	case "min_items", "min_pairs":
		return T("give at least %v", "至少需要 %v 项", ruleValue(v.RuleValue))
	case "max_items", "max_pairs":
		return T("give at most %v", "最多 %v 项", ruleValue(v.RuleValue))
	case "unique":
		return T("no value may stand in it twice", "不能有重复的值")
	}
	return otherText(v)
}

// boundText covers numbers, times and durations; what is left is a rule of our
// own in CEL.
func boundText(class, rule string, v *protovalidate.Violation) Text {
	switch class {
	case "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64",
		"sfixed32", "sfixed64", "float", "double", "timestamp", "duration", "bool":
	default:
		return otherText(v)
	}
	switch rule {
	case "const":
		return T("it must be %s", "必须是 %s", ruleValue(v.RuleValue))
	case "in":
		return T("it must be one of %s", "必须是以下之一：%s", ruleValue(v.RuleValue))
	case "not_in":
		return T("it must not be one of %s", "不能是以下任一项：%s", ruleValue(v.RuleValue))
	case "finite":
		return T("it must be a finite number", "必须是有限的数")
	case "within":
		return T("it must be within %s of the present time", "必须在当前时间前后 %s 以内", ruleValue(v.RuleValue))
	}
	msg := v.Proto.GetMessage()
	if !strings.HasPrefix(msg, "must be ") {
		return otherText(v)
	}
	// protovalidate already names both bounds; only its English is translated.
	return Text{EN: "it " + msg, ZH: boundsZH().Replace(msg)}
}

// boundsZH translates the closed set of phrases in protovalidate's range texts.
func boundsZH() *strings.Replacer {
	return strings.NewReplacer(
		"must be ", "必须",
		"greater than or equal to ", "大于或等于 ",
		"less than or equal to ", "小于或等于 ",
		"greater than ", "大于 ",
		"less than ", "小于 ",
		" and ", " 且",
		" or ", " 或",
		"now", "当前时间",
	)
}

// otherText is for rules written in CEL. Their message may hold both languages
// as "english | 中文"; an English one alone is given in both, with its rule's name.
func otherText(v *protovalidate.Violation) Text {
	en, zh, both := strings.Cut(v.Proto.GetMessage(), " | ")
	en = strings.TrimRight(strings.TrimSpace(en), ".。")
	zh = strings.TrimRight(strings.TrimSpace(zh), ".。")
	switch {
	case en == "":
		return T("the rule %s is not met", "不符合规则 %s", v.Proto.GetRuleId())
	case !both:
		return Text{EN: en, ZH: fmt.Sprintf("不符合规则 %s：%s", v.Proto.GetRuleId(), en)}
	}
	return Text{EN: en, ZH: zh}
}

// lengthText names a length in the unit that the rule counts.
func lengthText(en, zh, rule string, limit protoreflect.Value) Text {
	n := ruleValue(limit)
	if strings.HasSuffix(rule, "_bytes") {
		return Text{EN: en + n + " bytes", ZH: zh + n + " 个字节"}
	}
	return Text{EN: en + n + " characters", ZH: zh + n + " 个字符"}
}

// ruleValue writes the value a rule was given.
func ruleValue(v protoreflect.Value) string {
	if !v.IsValid() {
		return "?"
	}
	switch x := v.Interface().(type) {
	case protoreflect.List:
		parts := make([]string, 0, x.Len())
		for i := range x.Len() {
			parts = append(parts, ruleValue(x.Get(i)))
		}
		return strings.Join(parts, ", ")
	case protoreflect.Message:
		if s, ok := wellKnown(x); ok {
			return s
		}
		return string(x.Descriptor().Name())
	case []byte:
		return fmt.Sprintf("%x", x)
	default:
		return fmt.Sprint(x)
	}
}

// wellKnown writes instants and durations.
func wellKnown(m protoreflect.Message) (string, bool) {
	switch x := m.Interface().(type) {
	case *timestamppb.Timestamp:
		return x.AsTime().UTC().Format(time.RFC3339), true
	case *durationpb.Duration:
		return x.AsDuration().String(), true
	}
	return "", false
}

// maxEnumNames keeps the sentence readable for long enums.
const maxEnumNames = 20

// enumNames are as many names as a sentence holds.
func enumNames(fd protoreflect.FieldDescriptor) string {
	names := EnumNames(fd)
	if len(names) > maxEnumNames {
		names = append(names[:maxEnumNames], "…")
	}
	return strings.Join(names, ", ")
}

// EnumNames gives the values that a field of an enum takes, also by the rules `in` and
// `not_in`, but never the unspecified one; none for other fields.
func EnumNames(fd protoreflect.FieldDescriptor) []string {
	if fd == nil || fd.Enum() == nil {
		return nil
	}
	rules, _ := proto.GetExtension(fd.Options(), validate.E_Field).(*validate.FieldRules)
	if fd.IsList() {
		rules = rules.GetRepeated().GetItems()
	}
	only, never := rules.GetEnum().GetIn(), rules.GetEnum().GetNotIn()
	var names []string
	values := fd.Enum().Values()
	for i := range values.Len() {
		n := int32(values.Get(i).Number())
		if n != 0 && (len(only) == 0 || slices.Contains(only, n)) && !slices.Contains(never, n) {
			names = append(names, string(values.Get(i).Name()))
		}
	}
	return names
}

func enumName(fd protoreflect.FieldDescriptor, n protoreflect.EnumNumber) string {
	if fd != nil && fd.Enum() != nil {
		if v := fd.Enum().Values().ByNumber(n); v != nil {
			return string(v.Name())
		}
	}
	return fmt.Sprint(int32(n))
}
