package customer

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
)

// apart are the fields whose parts are values of their own, each with its own source.
var apart = []protoreflect.Name{"needs", "credit"}

// ExtensionMark stands between a phone and its extension, as in RFC 3966.
const ExtensionMark = ";ext="

// Dialled is a phone with its extension, as in RFC 3966.
func Dialled(phone, extension string) string {
	if extension == "" {
		return phone
	}
	return phone + ExtensionMark + extension
}

// Values gives what callers set of a file or contact, as text by the path of the field. What
// is empty is left out.
func Values(m proto.Message) map[string]string {
	out := map[string]string{}
	visit(m, func(path string, value func() string) { out[path] = value() })
	if c, ok := m.(interface{ GetPhoneExtension() string }); ok && out["phone"] != "" {
		out["phone"] = Dialled(out["phone"], c.GetPhoneExtension())
	}
	return out
}

// paths are those of Values, in their order.
func paths(m proto.Message) []string {
	var out []string
	visit(m, func(path string, _ func() string) { out = append(out, path) })
	slices.Sort(out)
	return out
}

// visit goes through what callers set.
func visit(m proto.Message, one func(path string, value func() string)) {
	m.ProtoReflect().Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		name := string(fd.Name())
		switch {
		case name == "id" || name == "etag" || outputOnly(fd):
		case slices.Contains(apart, fd.Name()):
			v.Message().Range(func(part protoreflect.FieldDescriptor, v protoreflect.Value) bool {
				one(name+"."+string(part.Name()), func() string { return text(part, v) })
				return true
			})
		case name == "attributes":
			for i := range v.List().Len() {
				if a, ok := v.List().Get(i).Message().Interface().(*customerv1.AttributeValue); ok {
					one(AttributePath+a.GetKey(), func() string { return attributeText(a) })
				}
			}
		default:
			one(name, func() string { return text(fd, v) })
		}
		return true
	})
}

// outputs keeps outputOnly by field: asking the options anew was a tenth of a list of contacts.
var outputs sync.Map

func outputOnly(fd protoreflect.FieldDescriptor) bool {
	if known, ok := outputs.Load(fd); ok {
		return known == true
	}
	behaviors, _ := proto.GetExtension(fd.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	output := slices.Contains(behaviors, annotations.FieldBehavior_OUTPUT_ONLY)
	outputs.Store(fd, output)
	return output
}

// text is one value for people: a text as it is, an enum by its name, the rest as JSON.
func text(fd protoreflect.FieldDescriptor, v protoreflect.Value) string {
	switch {
	case fd.IsList():
		list := make([]any, 0, v.List().Len())
		for i := range v.List().Len() {
			if fd.Message() != nil {
				list = append(list, json.RawMessage(compact(v.List().Get(i).Message().Interface())))
			} else {
				list = append(list, v.List().Get(i).String())
			}
		}
		out, err := json.Marshal(list)
		if err != nil {
			return ""
		}
		return string(out)
	case fd.Message() != nil:
		return compact(v.Message().Interface())
	case fd.Enum() != nil:
		if known := fd.Enum().Values().ByNumber(v.Enum()); known != nil {
			return string(known.Name())
		}
	}
	return v.String()
}

// compact is JSON without the spaces that protojson varies.
func compact(m proto.Message) string {
	plain, err := protojson.Marshal(m)
	if err != nil {
		return ""
	}
	var out bytes.Buffer
	if err := json.Compact(&out, plain); err != nil {
		return ""
	}
	return out.String()
}

func attributeText(a *customerv1.AttributeValue) string {
	switch v := a.GetValue().(type) {
	case *customerv1.AttributeValue_Text:
		return v.Text
	case *customerv1.AttributeValue_Number:
		return strconv.FormatFloat(v.Number, 'g', -1, 64)
	case *customerv1.AttributeValue_Flag:
		return strconv.FormatBool(v.Flag)
	}
	return ""
}

// Change is one value that is another than before.
type Change struct{ Field, Before, After string }

// Diff gives what changed of a file or contact, in order of the fields' paths.
func Diff(before, after proto.Message) []Change {
	was, is := Values(before), Values(after)
	paths := slices.Collect(maps.Keys(was))
	for path := range is {
		if _, ok := was[path]; !ok {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	var out []Change
	for _, path := range paths {
		if was[path] != is[path] {
			out = append(out, Change{path, was[path], is[path]})
		}
	}
	return out
}

// Below names changes as those of something that hangs on a file, e.g. one of its orders.
func Below(what string, changes []Change) []Change {
	for i := range changes {
		changes[i].Field = what + "." + changes[i].Field
	}
	return changes
}

// TimeText is a time as it stands in the history; of none it is empty.
func TimeText(t *time.Time) string {
	if t == nil {
		return ""
	}
	return compact(timestamppb.New(*t))
}

// Decided is a decision on consent after another, nil for the first of its purpose.
func Decided(before, after *customerv1.Consent) Change {
	out := Change{Field: "consents." + strings.ToLower(strings.TrimPrefix(after.GetPurpose().String(), "CONSENT_PURPOSE_")), After: compact(after)}
	if before != nil {
		out.Before = compact(before)
	}
	return out
}
