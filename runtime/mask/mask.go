// Package mask gives messages as somebody may see them. What is sensitive about a field
// stands on its descriptor (kefu.access.v1.data); one walker reads it, so that no handler
// has to remember what to hide from whom.
package mask

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
)

// View is how a value is seen. The zero value is the one that shows least.
type View int

const (
	// Absent is a field that is empty, as if there were no value.
	Absent View = iota
	// Masked is a value of which the rule's mask leaves a part.
	Masked
	// Shown is the plain value.
	Shown
)

// Viewer tells how somebody sees the fields under a rule.
type Viewer func(rule *accessv1.DataRule) View

// Message gives m as the viewer sees it. Fields without a rule are shown, those within a
// shown message by their own rules; a masked field whose rule has no mask, or that is not
// text, is absent, and so is a message of which nothing is left. What an Any holds is walked too, and is absent if its type is not known
// here. m is not changed: where something is hidden the answer is a copy that shares the
// rest with it.
func Message(m proto.Message, see Viewer) proto.Message {
	r := m.ProtoReflect()
	n := nodeOf(r.Descriptor())
	if !n.sensitive || !r.IsValid() {
		return m
	}
	if seen := see.message(r, n); seen != r {
		return seen.Interface()
	}
	return m
}

// message gives m itself when all of it is shown.
func (see Viewer) message(m protoreflect.Message, n *node) protoreflect.Message {
	if n.any {
		return see.any(m)
	}
	out := m
	edit := func() protoreflect.Message {
		if out == m {
			out = shallow(m)
		}
		return out
	}
	for _, f := range n.fields {
		if !m.Has(f.fd) {
			continue
		}
		v := m.Get(f.fd)
		if f.rule != nil {
			switch see(f.rule) {
			case Absent:
				edit().Clear(f.fd)
				continue
			case Masked:
				hide(edit(), f.fd, f.rule.GetMask(), v)
				continue
			}
		}
		if f.sub == nil {
			continue
		}
		seen, changed := see.value(m, f, v)
		switch {
		case !changed:
		case f.fd.Cardinality() != protoreflect.Repeated && empty(seen.Message()):
			edit().Clear(f.fd) // that something is there would be told too
		default:
			edit().Set(f.fd, seen)
		}
	}
	return out
}

// value walks what a field holds: a message, or a list or map of them.
func (see Viewer) value(m protoreflect.Message, f field, v protoreflect.Value) (protoreflect.Value, bool) {
	changed := false
	one := func(in protoreflect.Value) protoreflect.Value {
		seen := see.message(in.Message(), f.sub)
		changed = changed || seen != in.Message()
		return protoreflect.ValueOfMessage(seen)
	}
	switch {
	case f.fd.IsList():
		given, list := v.List(), protoreflect.List(nil)
		for i := range given.Len() {
			seen := one(given.Get(i))
			if changed && list == nil {
				list = m.NewField(f.fd).List()
				for j := range i {
					list.Append(given.Get(j))
				}
			}
			if changed {
				list.Append(seen)
			}
		}
		if !changed {
			return v, false
		}
		return protoreflect.ValueOfList(list), true
	case f.fd.IsMap():
		fresh := m.NewField(f.fd).Map()
		v.Map().Range(func(k protoreflect.MapKey, in protoreflect.Value) bool {
			fresh.Set(k, one(in))
			return true
		})
		return protoreflect.ValueOfMap(fresh), changed
	}
	return one(v), changed
}

func empty(m protoreflect.Message) bool {
	none := len(m.GetUnknown()) == 0
	m.Range(func(protoreflect.FieldDescriptor, protoreflect.Value) bool {
		none = false
		return false
	})
	return none
}

// any walks the message inside an Any.
func (see Viewer) any(m protoreflect.Message) protoreflect.Message {
	fields := m.Descriptor().Fields()
	url, value := fields.ByName("type_url"), fields.ByName("value")
	name := m.Get(url).String()
	if name == "" {
		return m
	}
	mt, err := protoregistry.GlobalTypes.FindMessageByURL(name)
	if err != nil {
		return m.New()
	}
	inner := mt.New().Interface()
	if err := proto.Unmarshal(m.Get(value).Bytes(), inner); err != nil {
		return m.New()
	}
	seen := Message(inner, see)
	if seen == inner {
		return m
	}
	packed, err := proto.Marshal(seen)
	if err != nil {
		return m.New()
	}
	out := m.New()
	out.Set(url, protoreflect.ValueOfString(name))
	out.Set(value, protoreflect.ValueOfBytes(packed))
	return out
}

// shallow copies a message; lists, maps and messages in it are shared.
func shallow(m protoreflect.Message) protoreflect.Message {
	out := m.New()
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		out.Set(fd, v)
		return true
	})
	out.SetUnknown(m.GetUnknown())
	return out
}

// hide leaves of a text what its mask leaves.
func hide(m protoreflect.Message, fd protoreflect.FieldDescriptor, how accessv1.Mask, v protoreflect.Value) {
	if fd.Kind() != protoreflect.StringKind || fd.IsMap() {
		m.Clear(fd)
		return
	}
	if !fd.IsList() {
		m.Set(fd, protoreflect.ValueOfString(Text(how, v.String())))
		return
	}
	list := m.NewField(fd).List()
	for i := range v.List().Len() {
		if left := Text(how, v.List().Get(i).String()); left != "" {
			list.Append(protoreflect.ValueOfString(left))
		}
	}
	m.Set(fd, protoreflect.ValueOfList(list))
}

// Text gives what the mask leaves of a text, "" for no mask. A masked text masked again
// stays as it is.
func Text(how accessv1.Mask, plain string) string {
	if plain == "" {
		return ""
	}
	switch how {
	case accessv1.Mask_MASK_PHONE:
		return phone(plain)
	case accessv1.Mask_MASK_EMAIL:
		return email(plain)
	case accessv1.Mask_MASK_NAME:
		first, _ := utf8.DecodeRuneInString(plain)
		return string(first) + "**"
	}
	return ""
}

// phone leaves the first three and the last four digits of the national number: 138****5678.
// A short number shows two digits.
func phone(plain string) string {
	if strings.Contains(plain, "****") {
		return plain
	}
	digits := national(plain)
	if len(digits) < 8 {
		return "****" + digits[max(0, len(digits)-2):]
	}
	return digits[:min(3, len(digits)-8)] + "****" + digits[len(digits)-4:]
}

// national gives the digits of a number without those of its country. Numbers are kept as
// E.164, of which a look at the countries' codes is enough: parsing what people may write
// takes forty times as long, and was most of what it cost to mask a list.
func national(plain string) string {
	if digits, ok := strings.CutPrefix(plain, "+"); ok && !strings.ContainsFunc(digits, notDigit) {
		codes := phonenumbers.GetSupportedCallingCodes()
		for n := 1; n <= 3 && n < len(digits); n++ {
			if code, err := strconv.Atoi(digits[:n]); err == nil && codes[code] {
				return digits[n:]
			}
		}
	}
	if number, err := phonenumbers.Parse(plain, ""); err == nil {
		return phonenumbers.GetNationalSignificantNumber(number)
	}
	return plain
}

func notDigit(r rune) bool { return r < '0' || r > '9' }

// email leaves the first letter and the domain: z***@example.com.
func email(plain string) string {
	at := strings.LastIndex(plain, "@")
	if at <= 0 {
		return ""
	}
	_, size := utf8.DecodeRuneInString(plain)
	return plain[:size] + "***" + plain[at:]
}
