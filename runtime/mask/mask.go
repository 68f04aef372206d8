// Package mask gives messages as somebody may see them. What is sensitive about a field
// stands on its descriptor (kefu.access.v1.data); one walker reads it, so that no handler
// has to remember what to hide from whom.
package mask

import (
	"reflect"
	"strings"
	"sync"
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

// Viewer tells how somebody sees the fields under a rule. Of a rule it always says the same.
type Viewer func(rule *accessv1.DataRule) View

// Sight shows messages as a viewer sees them. It works out once for each type of message what
// is to be done with it, and must be kept for that. It is safe for concurrent use.
type Sight struct {
	see   Viewer
	plans sync.Map // of *plan by protoreflect.MessageDescriptor
}

// NewSight is that of a viewer.
func NewSight(see Viewer) *Sight { return &Sight{see: see} }

// Message gives m as the viewer sees it. Fields without a rule are shown, those within a
// shown message by their own rules; a masked field whose rule has no mask, or that is not
// text, is absent, and so is a message of which nothing is left. What an Any holds is walked
// too, and is absent if its type is not known here. m is not changed: where something is hidden
// the answer is a copy that shares the rest with it.
func (s *Sight) Message(m proto.Message) proto.Message {
	r := m.ProtoReflect()
	p := s.plan(r.Descriptor())
	if !p.hides || !r.IsValid() {
		return m
	}
	if seen := s.message(r, p); seen != r {
		return seen.Interface()
	}
	return m
}

// message gives m itself when all of it is shown.
func (s *Sight) message(m protoreflect.Message, p *plan) protoreflect.Message {
	if p.any {
		return s.any(m)
	}
	if p.form != nil {
		if given := reflect.ValueOf(m.Interface()); given.Type() == p.form.of {
			if seen, changed := s.generated(given, p); changed {
				return reflected(seen)
			}
			return m
		}
	}
	out := m
	edit := func() protoreflect.Message {
		if out == m {
			out = shallow(m)
		}
		return out
	}
	for i := range p.steps {
		s.take(&p.steps[i], m, edit)
	}
	return out
}

// take does a step, on what edit gives if there is something to hide.
func (s *Sight) take(f *step, m protoreflect.Message, edit func() protoreflect.Message) {
	if !m.Has(f.fd) {
		return
	}
	if f.sub == nil {
		f.hide(edit())
		return
	}
	switch seen, changed := s.value(m, f); {
	case !changed:
	case f.fd.Cardinality() != protoreflect.Repeated && empty(seen.Message()):
		edit().Clear(f.fd) // that something is there would be told too
	default:
		edit().Set(f.fd, seen)
	}
}

// value walks what a field holds: a message, or a list or map of them.
func (s *Sight) value(m protoreflect.Message, f *step) (protoreflect.Value, bool) {
	v, changed := m.Get(f.fd), false
	one := func(in protoreflect.Value) protoreflect.Value {
		was := in.Message()
		seen := s.message(was, f.sub)
		if seen == was {
			return in
		}
		changed = true
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
func (s *Sight) any(m protoreflect.Message) protoreflect.Message {
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
	seen := s.Message(inner)
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
// A short number shows two digits. What is kept as a phone without being one is cut between
// its characters.
func phone(plain string) string {
	if strings.Contains(plain, "****") {
		return plain
	}
	digits := national(plain)
	if strings.ContainsFunc(digits, beyondASCII) {
		runes := []rune(digits)
		first, last := ends(len(runes))
		return string(runes[:first]) + "****" + string(runes[len(runes)-last:])
	}
	first, last := ends(len(digits))
	return digits[:first] + "****" + digits[len(digits)-last:]
}

// ends is how much of a number of a length is shown at its beginning and at its end.
func ends(length int) (first, last int) {
	if length < 8 {
		return 0, min(2, length)
	}
	return min(3, length-8), 4
}

func beyondASCII(r rune) bool { return r >= utf8.RuneSelf }

// national gives the digits of a number without those of its country. Numbers are kept as
// E.164, of which a look at the countries' codes is enough: parsing what people may write
// takes forty times as long, and was most of what it cost to mask a list.
func national(plain string) string {
	if digits, ok := strings.CutPrefix(plain, "+"); ok && !strings.ContainsFunc(digits, notDigit) {
		code := 0
		for i := 0; i < 3 && i < len(digits)-1; i++ {
			if code = 10*code + int(digits[i]-'0'); countries[code] {
				return digits[i+1:]
			}
		}
	}
	if number, err := phonenumbers.Parse(plain, ""); err == nil {
		return phonenumbers.GetNationalSignificantNumber(number)
	}
	return plain
}

// countries are those codes that are a country's.
var countries = func() (out [1000]bool) {
	for code := range phonenumbers.GetSupportedCallingCodes() {
		out[code] = true
	}
	return out
}()

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
