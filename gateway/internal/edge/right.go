package edge

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"github.com/agnivade/levenshtein"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// special tells the messages that JSON writes in a way of their own.
func special(d protoreflect.MessageDescriptor) bool {
	return d.ParentFile().Package() == "google.protobuf"
}

// right says what a field takes.
func right(fd protoreflect.FieldDescriptor) rpcerr.Text {
	switch fd.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return rightMessage(fd.Message())
	case protoreflect.EnumKind:
		names := rpcerr.EnumNames(fd)
		if len(names) == 0 {
			return rpcerr.T("it must be null", "必须是 null")
		}
		return rpcerr.Text{EN: "it must be one of " + strings.Join(names, ", "), ZH: "必须是以下之一：" + strings.Join(names, "、")}
	case protoreflect.BoolKind:
		return rpcerr.T("it must be true or false", "必须是 true 或 false")
	case protoreflect.StringKind:
		return rpcerr.T("it must be a text of Unicode in double quotes", "必须是双引号内的 Unicode 文本")
	case protoreflect.BytesKind:
		return rpcerr.T("it must be base64 in double quotes", "必须是双引号内的 base64 文本")
	}
	return rightNumber(fd)
}

func rightMessage(d protoreflect.MessageDescriptor) rpcerr.Text {
	switch d.FullName() {
	case timeName:
		return rpcerr.T("it must be a time as RFC 3339 writes it, with its offset, like 2026-11-02T09:00:00Z",
			"必须是 RFC 3339 格式的带时区时间，例如 2026-11-02T09:00:00Z")
	case "google.protobuf.Duration":
		return rpcerr.T("it must be a time span in seconds, like 3600s", "必须是以秒计的时长，例如 3600s")
	case "google.protobuf.FieldMask":
		return rpcerr.T("it must be names of fields with commas between them, like title,dueTime", "必须是以逗号分隔的字段名，例如 title,dueTime")
	}
	if value := d.Fields().ByName("value"); special(d) && value != nil && d.Fields().Len() == 1 && !value.IsList() { // a wrapper
		return right(value)
	}
	if special(d) {
		return rpcerr.T("it must be an object, {…}", "必须是对象 {…}")
	}
	return rpcerr.T("it must be an object with fields out of %s", "必须是对象，可用字段：%s", fieldNames(d, ""))
}

// rightNumber says the range of a number: that of its rules, or of what its type holds.
func rightNumber(fd protoreflect.FieldDescriptor) rpcerr.Text {
	whole := fd.Kind() != protoreflect.FloatKind && fd.Kind() != protoreflect.DoubleKind
	least, most := held(fd.Kind())
	rules := rulesOf(fd)
	for name, step := range map[protoreflect.Name]int64{"gte": 0, "gt": 1} {
		if limit, ok := rules[name]; ok {
			least = bound(limit, step)
		}
	}
	for name, step := range map[protoreflect.Name]int64{"lte": 0, "lt": -1} {
		if limit, ok := rules[name]; ok {
			most = bound(limit, step)
		}
	}
	switch {
	case whole:
		return rpcerr.T("it must be a whole number from %[1]s to %[2]s", "必须是 %[1]s 到 %[2]s 的整数", least, most)
	case least != "" && most != "":
		return rpcerr.T("it must be a number from %[1]s to %[2]s", "必须是 %[1]s 到 %[2]s 的数", least, most)
	case least != "":
		return rpcerr.T("it must be a number from %s on", "必须是不小于 %s 的数", least)
	case most != "":
		return rpcerr.T("it must be a number up to %s", "必须是不大于 %s 的数", most)
	}
	return rpcerr.T("it must be a number", "必须是数")
}

// bound writes a limit; a whole number that must not reach its limit ends one step before it.
func bound(limit protoreflect.Value, step int64) string {
	switch n := limit.Interface().(type) {
	case int32, int64:
		return strconv.FormatInt(limit.Int()+step, 10)
	case uint32, uint64:
		return strconv.FormatInt(int64(limit.Uint())+step, 10) //nolint:gosec // limits are small
	default:
		return fmt.Sprint(n)
	}
}

// held is what a type holds, "" for what is not whole.
func held(kind protoreflect.Kind) (least, most string) {
	switch kind {
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return strconv.Itoa(math.MinInt32), strconv.Itoa(math.MaxInt32)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return "0", strconv.Itoa(math.MaxUint32)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return "0", strconv.FormatUint(math.MaxUint64, 10)
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return strconv.FormatInt(math.MinInt64, 10), strconv.FormatInt(math.MaxInt64, 10)
	}
	return "", ""
}

// rulesOf gives the rules of a number, or of the items of a list of such, by their names.
func rulesOf(fd protoreflect.FieldDescriptor) map[protoreflect.Name]protoreflect.Value {
	rules, ok := proto.GetExtension(fd.Options(), validate.E_Field).(*validate.FieldRules)
	if !ok || rules == nil {
		return nil
	}
	if fd.IsList() {
		rules = rules.GetRepeated().GetItems()
	}
	m := rules.ProtoReflect()
	of := m.WhichOneof(m.Descriptor().Oneofs().ByName("type"))
	if of == nil {
		return nil
	}
	found := map[protoreflect.Name]protoreflect.Value{}
	m.Get(of).Message().Range(func(rule protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		found[rule.Name()] = v
		return true
	})
	return found
}

// given says what a JSON value is. Of what has to be a text only the kind is told: it may be
// personal data in the wrong form.
func given(raw []byte, private bool) rpcerr.Text {
	var value any
	if json.Unmarshal(raw, &value) != nil {
		value = json.Number(clip(string(raw))) // a number that no float holds
	}
	switch v := value.(type) {
	case nil:
		return rpcerr.T("it is null", "现为 null")
	case map[string]any:
		return rpcerr.T("it is an object", "现为对象")
	case []any:
		return rpcerr.T("it is a list", "现为列表")
	case string:
		if private {
			return rpcerr.T("it is another text", "现为其他文本")
		}
		return quoted(v)
	case bool:
		return rpcerr.T("it is %t", "现为 %t", v)
	}
	if private {
		return rpcerr.T("it is a number", "现为数字")
	}
	return rpcerr.T("it is %s", "现为 %s", clip(string(raw)))
}

func quoted(value string) rpcerr.Text { return rpcerr.T("it is %q", "现为 %q", clip(value)) }

// mostNames bounds how many fields are named where none is near.
const mostNames = 20

func fieldNames(d protoreflect.MessageDescriptor, prefix string) string {
	var names []string
	for i := range d.Fields().Len() {
		if i == mostNames {
			names = append(names, "…")
			break
		}
		names = append(names, prefix+d.Fields().Get(i).JSONName())
	}
	return strings.Join(names, ", ")
}

// nearest gives the field whose name is most like another, "" where none is.
func nearest(d protoreflect.MessageDescriptor, name string) string {
	plain := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", "")) }
	name = plain(name)
	best, least := "", max(2, len(name)/3)+1
	if len(name) > 100 { // no field's name is near that
		return ""
	}
	for i := range d.Fields().Len() {
		field := d.Fields().Get(i).JSONName()
		if n := levenshtein.ComputeDistance(name, plain(field)); n < least {
			best, least = field, n
		}
	}
	return best
}

func noSuchField(d protoreflect.MessageDescriptor, name string) rpcerr.Text {
	if like := nearest(d, name); like != "" {
		return rpcerr.T("there is no field %[1]q here; did you mean %[2]s?", "此处没有字段 %[1]q；是否想写 %[2]s？", clip(name), like)
	}
	if d.Fields().Len() == 0 {
		return rpcerr.T("there is no field %q here; this object takes none.", "此处没有字段 %q；该对象不接受任何字段。", clip(name))
	}
	return rpcerr.T("there is no field %[1]q here; the fields are %[2]s.", "此处没有字段 %[1]q；可用字段：%[2]s。", clip(name), fieldNames(d, ""))
}

// noSuchParameter follows a dotted name as far as it leads and says what goes on from there.
func noSuchParameter(request protoreflect.MessageDescriptor, key string) rpcerr.Text {
	parts := strings.Split(key, ".")
	d, prefix := request, ""
	for i := range parts {
		fd := find(request, parts[:i+1])
		if fd == nil || fd.Message() == nil || special(fd.Message()) {
			parts = parts[i:]
			break
		}
		d, prefix = fd.Message(), prefix+parts[i]+"."
	}
	if like := nearest(d, parts[0]); like != "" && like != parts[0] {
		return rpcerr.T("there is no query parameter %[1]q here; did you mean %[2]s?", "此处没有查询参数 %[1]q；是否想写 %[2]s？", clip(key), prefix+like)
	}
	return rpcerr.T("there is no query parameter %[1]q here; there are %[2]s.", "此处没有查询参数 %[1]q；可用参数：%[2]s。", clip(key), fieldNames(d, prefix))
}
