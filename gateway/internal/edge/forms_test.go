package edge

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	formv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/form/v1"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// patternOf gives the pattern of a field's text or of its items, "" for none.
func patternOf(fd protoreflect.FieldDescriptor) string {
	rules, _ := proto.GetExtension(fd.Options(), validate.E_Field).(*validate.FieldRules)
	for _, r := range []*validate.FieldRules{rules, rules.GetRepeated().GetItems(), rules.GetMap().GetKeys(), rules.GetMap().GetValues()} {
		if p := r.GetString().GetPattern(); p != "" {
			return p
		}
	}
	return ""
}

// Every field with a pattern says what matches it, in both languages and with an example, and
// that is what a caller reads who gave something else.
func TestEveryPatternHasAForm(t *testing.T) {
	validator, err := rpc.NewValidator()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	protoregistry.GlobalTypes.RangeMessages(func(kind protoreflect.MessageType) bool {
		if !strings.HasPrefix(string(kind.Descriptor().FullName()), "kefu.") {
			return true
		}
		for i := range kind.Descriptor().Fields().Len() {
			fd := kind.Descriptor().Fields().Get(i)
			pattern := patternOf(fd)
			form, _ := proto.GetExtension(fd.Options(), formv1.E_Form).(*formv1.Form)
			if pattern == "" {
				if form.GetExample() != "" {
					t.Errorf("%s has a form and no pattern", fd.FullName())
				}
				continue
			}
			seen++
			if fd.IsMap() || fd.IsList() {
				t.Errorf("%s: this test looks at patterns of single texts only", fd.FullName())
				continue
			}
			checkForm(t, fd, form, pattern)
			m := dynamicpb.NewMessage(kind.Descriptor())
			m.Set(fd, protoreflect.ValueOfString("!! no such form !!"))
			bad := wrongIn(rpc.Check(validator, m), string(fd.Name()))
			if !strings.Contains(bad.EN, form.GetExample()) || !strings.Contains(bad.ZH, form.GetExample()) || strings.Contains(bad.EN+bad.ZH, pattern) {
				t.Errorf("%s: a caller reads %+v", fd.FullName(), bad)
			}
		}
		return true
	})
	if seen < 50 {
		t.Errorf("only %d patterns were found", seen)
	}
}

func checkForm(t *testing.T, fd protoreflect.FieldDescriptor, form *formv1.Form, pattern string) {
	t.Helper()
	han := func(r rune) bool { return unicode.Is(unicode.Han, r) }
	switch {
	case form.GetEn() == "" || strings.ContainsFunc(form.GetEn(), han):
		t.Errorf("%s: it is %q in English", fd.FullName(), form.GetEn())
	case !strings.ContainsFunc(form.GetZh(), han):
		t.Errorf("%s: it is %q in Chinese", fd.FullName(), form.GetZh())
	case form.GetExample() == "" || !regexp.MustCompile(pattern).MatchString(form.GetExample()):
		t.Errorf("%s: the example %q does not match %s", fd.FullName(), form.GetExample(), pattern)
	}
}

// wrongIn gives what an error says of a field in both languages.
func wrongIn(err error, field string) rpcerr.Text {
	var text rpcerr.Text
	var public *rpcerr.Error
	if !errors.As(err, &public) {
		return text
	}
	for language, to := range map[string]*string{rpcerr.English: &text.EN, rpcerr.Chinese: &text.ZH} {
		for _, d := range public.Status(language).Details() {
			bad, _ := d.(*errdetails.BadRequest)
			for _, v := range bad.GetFieldViolations() {
				if v.GetField() == field {
					*to = v.GetDescription()
				}
			}
		}
	}
	return text
}
