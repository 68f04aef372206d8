package mask

import (
	"testing"

	"github.com/nyaruka/phonenumbers"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/anypb"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
)

// contract has persons with contact data, who know each other, in lists, maps and boxes.
const contract = `
name: "masktest/person.proto" package: "masktest" syntax: "proto3"
dependency: "google/protobuf/any.proto" dependency: "kefu/access/v1/access.proto"
message_type {
  name: "Place"
  field { name: "city" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "door" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL
    options { [kefu.access.v1.data] { level: SENSITIVITY_RESTRICTED } } }
}
message_type {
  name: "Person"
  field { name: "id" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "name" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL
    options { [kefu.access.v1.data] { level: SENSITIVITY_INTERNAL mask: MASK_NAME } } }
  field { name: "phones" number: 3 type: TYPE_STRING label: LABEL_REPEATED
    options { [kefu.access.v1.data] { level: SENSITIVITY_CONFIDENTIAL mask: MASK_PHONE write_permission: "phones.write" } } }
  field { name: "email" number: 4 type: TYPE_STRING label: LABEL_OPTIONAL
    options { [kefu.access.v1.data] { level: SENSITIVITY_CONFIDENTIAL mask: MASK_EMAIL } } }
  field { name: "place" number: 5 type: TYPE_MESSAGE type_name: ".masktest.Place" label: LABEL_OPTIONAL
    options { [kefu.access.v1.data] { level: SENSITIVITY_CONFIDENTIAL } } }
  field { name: "limit" number: 6 type: TYPE_INT64 label: LABEL_OPTIONAL
    options { [kefu.access.v1.data] { level: SENSITIVITY_CONFIDENTIAL } } }
  field { name: "knows" number: 7 type: TYPE_MESSAGE type_name: ".masktest.Person" label: LABEL_REPEATED }
  field { name: "homes" number: 8 type: TYPE_MESSAGE type_name: ".masktest.Person.HomesEntry" label: LABEL_REPEATED }
  field { name: "box" number: 9 type: TYPE_MESSAGE type_name: ".google.protobuf.Any" label: LABEL_OPTIONAL }
  field { name: "plain" number: 10 type: TYPE_MESSAGE type_name: ".masktest.Plain" label: LABEL_OPTIONAL }
  nested_type { name: "HomesEntry" options { map_entry: true }
    field { name: "key" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
    field { name: "value" number: 2 type: TYPE_MESSAGE type_name: ".masktest.Place" label: LABEL_OPTIONAL } }
}
message_type { name: "Plain" field { name: "x" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL } }
`

var person = func() protoreflect.MessageType {
	file := new(descriptorpb.FileDescriptorProto)
	if err := prototext.Unmarshal([]byte(contract), file); err != nil {
		panic(err)
	}
	fd, err := protodesc.NewFile(file, protoregistry.GlobalFiles)
	if err != nil {
		panic(err)
	}
	mt := dynamicpb.NewMessageType(fd.Messages().ByName("Person"))
	if err := protoregistry.GlobalTypes.RegisterMessage(mt); err != nil {
		panic(err)
	}
	return mt
}()

func parse(t *testing.T, json string) proto.Message {
	t.Helper()
	m := person.New().Interface()
	if err := protojson.Unmarshal([]byte(json), m); err != nil {
		t.Fatal(err)
	}
	return m
}

// upTo shows levels up to the first, masks up to the second.
func upTo(shown, masked accessv1.Sensitivity) Viewer {
	return func(r *accessv1.DataRule) View {
		switch {
		case r.GetLevel() <= shown:
			return Shown
		case r.GetLevel() <= masked:
			return Masked
		}
		return Absent
	}
}

const (
	public       = accessv1.Sensitivity_SENSITIVITY_PUBLIC
	internal     = accessv1.Sensitivity_SENSITIVITY_INTERNAL
	confidential = accessv1.Sensitivity_SENSITIVITY_CONFIDENTIAL
	restricted   = accessv1.Sensitivity_SENSITIVITY_RESTRICTED
)

const whole = `{"id":"1","name":"张伟","phones":["+8613812345678","+862168881234"],"email":"zhang@example.com",
  "place":{"city":"武汉","door":"7"},"limit":"5",
  "knows":[{"id":"2","name":"李雷","email":"li@example.com"},{"id":"3"}],
  "homes":{"now":{"city":"上海","door":"9"}},
  "box":{"@type":"type.googleapis.com/masktest.Person","id":"4","name":"王芳","phones":["+8613900001111"]},
  "plain":{"x":"y"}}`

func TestHideShowsMasksAndLeavesOut(t *testing.T) {
	for name, tc := range map[string]struct {
		see  Viewer
		want string
	}{
		"everything": {upTo(restricted, restricted), whole},
		"all but the restricted": {upTo(confidential, confidential), `{"id":"1","name":"张伟",
  "phones":["+8613812345678","+862168881234"],"email":"zhang@example.com","place":{"city":"武汉"},"limit":"5",
  "knows":[{"id":"2","name":"李雷","email":"li@example.com"},{"id":"3"}],"homes":{"now":{"city":"上海"}},
  "box":{"@type":"type.googleapis.com/masktest.Person","id":"4","name":"王芳","phones":["+8613900001111"]},"plain":{"x":"y"}}`},
		"masked": {upTo(internal, confidential), `{"id":"1","name":"张伟","phones":["138****5678","21****1234"],
  "email":"z***@example.com","knows":[{"id":"2","name":"李雷","email":"l***@example.com"},{"id":"3"}],
  "homes":{"now":{"city":"上海"}},
  "box":{"@type":"type.googleapis.com/masktest.Person","id":"4","name":"王芳","phones":["139****1111"]},"plain":{"x":"y"}}`},
		"absent": {upTo(public, internal), `{"id":"1","name":"张**","knows":[{"id":"2","name":"李**"},{"id":"3"}],
  "homes":{"now":{"city":"上海"}},
  "box":{"@type":"type.googleapis.com/masktest.Person","id":"4","name":"王**"},"plain":{"x":"y"}}`},
	} {
		got := parse(t, whole)
		NewSight(tc.see).Hide(got)
		if want := parse(t, tc.want); !equal(t, got, want) {
			t.Errorf("%s:\n%s\nwant\n%s", name, protojson.Format(got), protojson.Format(want))
		}
	}
}

// equal compares as JSON, since what is in an Any may be encoded in several ways.
func equal(t *testing.T, a, b proto.Message) bool {
	t.Helper()
	return protojson.MarshalOptions{}.Format(a) != "" && canonical(a) == canonical(b)
}

func canonical(m proto.Message) string {
	out, err := protojson.Marshal(m)
	if err != nil {
		return err.Error()
	}
	again := person.New().Interface()
	if err := protojson.Unmarshal(out, again); err != nil {
		return err.Error()
	}
	raw, _ := proto.MarshalOptions{Deterministic: true}.Marshal(again)
	return string(raw)
}

// What cannot be read cannot be judged, so nobody gets it.
func TestAnUnknownTypeInABoxIsAbsent(t *testing.T) {
	box := &anypb.Any{TypeUrl: "type.googleapis.com/masktest.Nobody", Value: []byte{1}}
	NewSight(upTo(restricted, restricted)).Hide(box)
	if box.GetTypeUrl() != "" || box.GetValue() != nil {
		t.Errorf("passed on: %v", box)
	}
}

// TestNationalIsTheLibrarys holds the digits after the country's code against the library
// for numbers of every country and kind.
func TestNationalIsTheLibrarys(t *testing.T) {
	held := 0
	for region := range phonenumbers.GetSupportedRegions() {
		for kind := phonenumbers.FIXED_LINE; kind <= phonenumbers.VOICEMAIL; kind++ {
			number := phonenumbers.GetExampleNumberForType(region, kind)
			if number == nil {
				continue
			}
			held++
			want := phonenumbers.GetNationalSignificantNumber(number)
			if got := national(phonenumbers.Format(number, phonenumbers.E164)); got != want {
				t.Errorf("%s: %q, want %q", region, got, want)
			}
		}
	}
	if held < 1000 {
		t.Errorf("only %d numbers", held)
	}
	for plain, want := range map[string]string{"+86 138 0013 8000": "13800138000", "+999123": "+999123", "+": "+", "x": "x"} {
		if got := national(plain); got != want {
			t.Errorf("%q: %q, want %q", plain, got, want)
		}
	}
}

func TestTextMasksTwiceAsOnce(t *testing.T) {
	for how, texts := range map[accessv1.Mask]map[string]string{
		accessv1.Mask_MASK_PHONE: {"": "", "+8613800138000": "138****8000", "+861062345678": "10****5678",
			"+12125550199": "21****0199", "+6833456": "****56", "12": "****12"},
		accessv1.Mask_MASK_EMAIL:       {"": "", "zhang@example.com": "z***@example.com", "李@a.cn": "李***@a.cn", "nobody": ""},
		accessv1.Mask_MASK_NAME:        {"": "", "张伟": "张**", "Smith": "S**"},
		accessv1.Mask_MASK_UNSPECIFIED: {"anything": ""},
	} {
		for plain, want := range texts {
			got := Text(how, plain)
			if got != want || Text(how, got) != want {
				t.Errorf("%v of %q: %q, again %q, want %q", how, plain, got, Text(how, got), want)
			}
		}
	}
}

func TestCheckNamesRulesThatCannotBeKept(t *testing.T) {
	if err := Check(person.Descriptor()); err != nil {
		t.Errorf("good rules: %v", err)
	}
	for name, options := range map[string]string{
		"no level":          `type: TYPE_STRING options { [kefu.access.v1.data] { purpose: "x" } }`,
		"a mask on numbers": `type: TYPE_INT64 options { [kefu.access.v1.data] { level: SENSITIVITY_INTERNAL mask: MASK_PHONE } }`,
	} {
		file := new(descriptorpb.FileDescriptorProto)
		text := `name: "bad.proto" package: "masktest.bad" syntax: "proto3" message_type { name: "Bad"
			field { name: "x" number: 1 label: LABEL_OPTIONAL ` + options + ` } }`
		if err := prototext.Unmarshal([]byte(text), file); err != nil {
			t.Fatal(err)
		}
		fd, err := protodesc.NewFile(file, protoregistry.GlobalFiles)
		if err != nil {
			t.Fatal(err)
		}
		if err := Check(fd.Messages().Get(0)); err == nil {
			t.Errorf("%s passed", name)
		}
	}
}

func TestRuledAndFind(t *testing.T) {
	got := map[string]bool{}
	Ruled(parse(t, whole).ProtoReflect(), func(path string, rule *accessv1.DataRule) {
		got[path] = rule.GetWritePermission() != ""
	})
	for path, needs := range map[string]bool{"name": false, "phones": true, "place.door": false,
		"knows[0].name": false, "knows[0].email": false, "homes[now].door": false, "limit": false} {
		if found, ok := got[path]; !ok || found != needs {
			t.Errorf("%s: %v, %v in %v", path, found, ok, got)
		}
	}
	if !Guarded(person.Descriptor()) || Guarded((&accessv1.DataRule{}).ProtoReflect().Descriptor()) {
		t.Error("only a person has a field that asks for a permission")
	}
	for path, want := range map[string]protoreflect.Name{"phones": "phones", "place.door": "door", "place.x": "", "id.x": ""} {
		fd := Find(person.Descriptor(), path)
		if fd == nil && want != "" || fd != nil && fd.Name() != want {
			t.Errorf("%s: %v, want %q", path, fd, want)
		}
	}
}
