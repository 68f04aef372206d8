package sheet

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

func definitions() []*customerv1.AttributeDefinition {
	one := func(key string, of customerv1.AttributeType, zh, en string) *customerv1.AttributeDefinition {
		return &customerv1.AttributeDefinition{Key: key, Type: of, Label: &typev1.Text{Zh: zh, En: en}}
	}
	gone := one("gone", customerv1.AttributeType_ATTRIBUTE_TYPE_TEXT, "停用", "Gone")
	gone.Retired = true
	return []*customerv1.AttributeDefinition{
		one("fleet", customerv1.AttributeType_ATTRIBUTE_TYPE_NUMBER, "车队规模", "Fleet size"),
		gone,
		one("motto", customerv1.AttributeType_ATTRIBUTE_TYPE_TEXT, "口号", ""),
		one("since", customerv1.AttributeType_ATTRIBUTE_TYPE_DATE, "始于", ""),
		one("vip", customerv1.AttributeType_ATTRIBUTE_TYPE_BOOLEAN, "贵宾", ""),
	}
}

// found are the fields of a heading's columns, of the first row's needed ones alone the attributes.
func found(t *testing.T, f *Fields, given []*customerv1.ImportColumn, heading ...string) (string, error) {
	t.Helper()
	m, err := f.Map(append([]string{"external_id", "name", "kind", "party"}, heading...), given, zone)
	if err != nil {
		return "", err
	}
	var out []string
	for _, c := range m.columns[4:] {
		out = append(out, fmt.Sprint(c.field.name, "@", Letter(c.at)))
	}
	return strings.Join(out, " "), nil
}

func TestAttributesAreRecognised(t *testing.T) {
	f := FieldsOf(definitions())
	for heading, want := range map[string]string{
		"attributes.fleet|Motto|始于": "attributes.fleet@E attributes.motto@F attributes.since@G",
		"车队规模|贵宾":                   "attributes.fleet@E attributes.vip@F",
		"FLEET SIZE|停用|gone":        "attributes.fleet@E",
		"attributes.nothing":        "",
	} {
		if got, err := found(t, f, nil, strings.Split(heading, "|")...); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", heading, got, err, want)
		}
	}
	var bad *Broken
	if _, err := found(t, f, nil, "fleet", "车队规模"); !errors.As(err, &bad) || !strings.Contains(bad.Text.EN, "second is F") {
		t.Errorf("two columns of one: %v", err)
	}
	if got, err := found(t, f, []*customerv1.ImportColumn{{Field: "attributes.fleet", Heading: "车辆"}}, "fleet", "车辆"); err != nil || got != "attributes.fleet@F" {
		t.Errorf("named: %q, %v", got, err)
	}
	// Names of the fields that every file has are theirs.
	own := &customerv1.AttributeDefinition{Key: "region", Type: customerv1.AttributeType_ATTRIBUTE_TYPE_TEXT, Label: &typev1.Text{Zh: "行业"}}
	if got, err := found(t, FieldsOf([]*customerv1.AttributeDefinition{own}), nil, "region", "行业", "attributes.region"); err != nil || got != "region@E industry@F attributes.region@G" {
		t.Errorf("names of others: %q, %v", got, err)
	}
	twin := append(definitions(), &customerv1.AttributeDefinition{Key: "cars", Type: customerv1.AttributeType_ATTRIBUTE_TYPE_NUMBER, Label: &typev1.Text{Zh: "车队规模"}})
	if _, err := found(t, FieldsOf(twin), nil, "车队规模"); !errors.As(err, &bad) || !strings.Contains(bad.Text.EN, "attributes.fleet, attributes.cars") {
		t.Errorf("a label of two: %v", err)
	}
	if got, err := found(t, FieldsOf(twin), []*customerv1.ImportColumn{{Field: "attributes.cars", Heading: "车队规模"}}, "车队规模", "fleet size"); err != nil || got != "attributes.cars@E attributes.fleet@F" {
		t.Errorf("a label of two, named: %q, %v", got, err)
	}
}

func TestAttributesAreRead(t *testing.T) {
	f := FieldsOf(definitions())
	for _, c := range []struct{ key, text, want string }{
		{"fleet", "12.50", "12.5"}, {"fleet", "-1e3", "-1000"}, {"since", "2020/2/29", "2020-02-29"}, {"since", "43890", "2020-02-29"},
		{"since", "2020年2月29日", "2020-02-29"}, {"vip", "是", "true"}, {"vip", "No", "false"}, {"vip", "1", "true"}, {"vip", "FALSE", "false"}, {"motto", "勤", "勤"},
	} {
		record := &customerv1.CustomerRecord{Customer: &customerv1.Customer{}}
		of := f.find("attributes." + c.key)
		if fault := of.set(record, c.text, zone); fault != nil || of.get(record.GetCustomer(), zone) != c.want {
			t.Errorf("%s %q is read as %v, %v", c.key, c.text, record, fault)
		}
	}
	for _, c := range []struct{ key, text, say string }{
		{"fleet", "many", "请填写数字"}, {"fleet", "NaN", "请填写数字"}, {"since", "2020-02-30", "请填写日期"}, {"vip", "maybe", "true, 是"},
	} {
		record := &customerv1.CustomerRecord{Customer: &customerv1.Customer{}}
		if fault := f.find("attributes."+c.key).set(record, c.text, zone); fault == nil || !strings.Contains(fault.ZH, c.say) || len(record.GetCustomer().GetAttributes()) > 0 {
			t.Errorf("%s %q is read as %v, %v", c.key, c.text, record, fault)
		}
	}
	if f.find("attributes.gone") != nil || slices.Contains(f.Heading(), "attributes.gone") {
		t.Error("a retired attribute is a column")
	}
}

// A value of every row that is none any more is a fault of each.
func TestFixedValuesAreFaults(t *testing.T) {
	given := []*customerv1.ImportColumn{{Field: "attributes.vip", Value: "maybe"}}
	m, err := FieldsOf(definitions()).Map([]string{"external_id", "name", "kind", "party", "motto"}, given, zone)
	if err != nil {
		t.Fatal(err)
	}
	record, fields, faults := m.Record([]string{"1", "王伟", "agent", "person", "勤"})
	if len(faults) != 1 || faults[0].Column != -1 || faults[0].Field != "attributes.vip" || faults[0].Cell != "maybe" || !slices.Contains(fields, "attributes.motto") {
		t.Errorf("faults %+v", faults)
	}
	if f := m.Blame([]string{"1", "王伟", "agent", "person", "勤"}, record, "customer.attributes[0].text", "R", rpcerr.Text{}); f.Column != 4 || f.Field != "attributes.motto" || f.Cell != "勤" {
		t.Errorf("blamed %+v", f)
	}
}
