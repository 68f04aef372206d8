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

// Hide takes out of m what the viewer does not see. Fields without a rule are shown, those within a
// shown message by their own rules; a masked field whose rule has no mask, or that is not
// text, is absent, and so is a message of which nothing is left. What an Any holds is walked
// too, and is absent if its type is not known here. m must not be seen by anybody else.
func (s *Sight) Hide(m proto.Message) {
	r := m.ProtoReflect()
	if p := s.plan(r.Descriptor()); p.hides && r.IsValid() {
		s.message(r, p)
	}
}

// message tells whether something was hidden.
func (s *Sight) message(m protoreflect.Message, p *plan) bool {
	if p.any {
		return s.any(m)
	}
	if p.form != nil {
		if given := reflect.ValueOf(m.Interface()); given.Type() == reflect.PointerTo(p.form.of) {
			w := walk{sight: s}
			return w.message(given.UnsafePointer(), p)
		}
	}
	hidden := false
	for i := range p.steps {
		hidden = s.take(&p.steps[i], m) || hidden
	}
	return hidden
}

// take does a step.
func (s *Sight) take(f *step, m protoreflect.Message) (hidden bool) {
	if !m.Has(f.fd) {
		return false
	}
	if f.sub == nil {
		f.hide(m)
		return true
	}
	switch v := m.Get(f.fd); {
	case f.fd.IsList():
		for i := range v.List().Len() {
			hidden = s.message(v.List().Get(i).Message(), f.sub) || hidden
		}
	case f.fd.IsMap():
		v.Map().Range(func(_ protoreflect.MapKey, in protoreflect.Value) bool {
			hidden = s.message(in.Message(), f.sub) || hidden
			return true
		})
	default:
		if hidden = s.message(v.Message(), f.sub); hidden && empty(v.Message()) {
			m.Clear(f.fd) // that something is there would be told too
		}
	}
	return hidden
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
func (s *Sight) any(m protoreflect.Message) (hidden bool) {
	fields := m.Descriptor().Fields()
	url, value := fields.ByName("type_url"), fields.ByName("value")
	name := m.Get(url).String()
	if name == "" {
		return false
	}
	nothing := func() bool {
		m.Clear(url)
		m.Clear(value)
		return true
	}
	mt, err := protoregistry.GlobalTypes.FindMessageByURL(name)
	if err != nil {
		return nothing()
	}
	inner := mt.New()
	if err := proto.Unmarshal(m.Get(value).Bytes(), inner.Interface()); err != nil {
		return nothing()
	}
	if p := s.plan(inner.Descriptor()); !p.hides || !s.message(inner, p) {
		return false
	}
	packed, err := proto.Marshal(inner.Interface())
	if err != nil {
		return nothing()
	}
	m.Set(value, protoreflect.ValueOfBytes(packed))
	return true
}

// Text gives what the mask leaves of a text, "" for no mask. A masked text masked again
// stays as it is.
func Text(how accessv1.Mask, plain string) string {
	head, stars, tail := left(how, plain)
	return head + stars + tail
}

// left is what the mask leaves of a text, before and behind the stars.
func left(how accessv1.Mask, plain string) (head, stars, tail string) {
	if plain == "" {
		return "", "", ""
	}
	switch how {
	case accessv1.Mask_MASK_PHONE:
		return phone(plain)
	case accessv1.Mask_MASK_EMAIL:
		return email(plain)
	case accessv1.Mask_MASK_NAME:
		first, size := utf8.DecodeRuneInString(plain)
		if first == utf8.RuneError {
			return string(first), "**", ""
		}
		return plain[:size], "**", ""
	}
	return "", "", ""
}

// phone leaves the first three and the last four digits of the national number: 138****5678.
// A short number shows two digits. What is kept as a phone without being one is cut between
// its characters.
func phone(plain string) (head, stars, tail string) {
	if strings.Contains(plain, "****") {
		return plain, "", ""
	}
	digits := national(plain)
	if strings.ContainsFunc(digits, beyondASCII) {
		runes := []rune(digits)
		first, last := ends(len(runes))
		return string(runes[:first]), "****", string(runes[len(runes)-last:])
	}
	first, last := ends(len(digits))
	return digits[:first], "****", digits[len(digits)-last:]
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
func email(plain string) (head, stars, tail string) {
	at := strings.LastIndexByte(plain, '@')
	if at <= 0 {
		return "", "", ""
	}
	_, size := utf8.DecodeRuneInString(plain)
	return plain[:size], "***", plain[at:]
}

// ink is where masked texts are written one behind the other: a page has hundreds, and an
// allocation each cost more than their masks.
type ink struct{ strings.Builder }

// text is Text.
func (w *ink) text(how accessv1.Mask, plain string) string {
	head, stars, tail := left(how, plain)
	needed := len(head) + len(stars) + len(tail)
	if w.Cap()-w.Len() < needed {
		w.Builder = strings.Builder{} // what was written stays with its texts
		w.Grow(max(needed, 512))
	}
	from := w.Len()
	w.WriteString(head)
	w.WriteString(stars)
	w.WriteString(tail)
	return w.String()[from:]
}
