package customer

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// MaxAttributes is how many attributes may be in use at a time.
const MaxAttributes = 100

const (
	typeText    = customerv1.AttributeType_ATTRIBUTE_TYPE_TEXT
	typeNumber  = customerv1.AttributeType_ATTRIBUTE_TYPE_NUMBER
	typeBoolean = customerv1.AttributeType_ATTRIBUTE_TYPE_BOOLEAN
	typeDate    = customerv1.AttributeType_ATTRIBUTE_TYPE_DATE
	typeChoice  = customerv1.AttributeType_ATTRIBUTE_TYPE_CHOICE
)

// CheckDefinition judges what single-field rules cannot: that limits belong to the type and
// leave values.
func CheckDefinition(d *customerv1.AttributeDefinition) []Fault {
	var faults []Fault
	of := func(field string, given bool, t customerv1.AttributeType) {
		if given && d.GetType() != t {
			faults = append(faults, Fault{field, rpcerr.T(
				"it belongs to %[1]s and the attribute is of %[2]s; leave it out",
				"该项仅适用于 %[1]s，而此属性类型为 %[2]s；请去掉", t, d.GetType())})
		}
	}
	of("max_length", d.GetMaxLength() != 0, typeText)
	of("min_number", d.MinNumber != nil, typeNumber)
	of("max_number", d.MaxNumber != nil, typeNumber)
	of("min_date", d.GetMinDate() != "", typeDate)
	of("max_date", d.GetMaxDate() != "", typeDate)
	of("choices", len(d.GetChoices()) > 0, typeChoice)
	if d.GetLabel().GetZh() == "" && d.GetLabel().GetEn() == "" {
		faults = append(faults, Fault{"label", rpcerr.T("it has no text; give zh or en", "没有文字；请填写 zh 或 en")})
	}
	if d.GetType() == typeChoice && len(d.GetChoices()) == 0 {
		faults = append(faults, Fault{"choices", rpcerr.T("there is none; give at least one", "没有选项；请至少填写一个")})
	}
	if d.MinNumber != nil && d.MaxNumber != nil && d.GetMinNumber() > d.GetMaxNumber() {
		faults = append(faults, Fault{"max_number", rpcerr.T("it is %[1]v, below min_number (%[2]v); give that or more",
			"为 %[1]v，小于 min_number（%[2]v）；请填写不小于该值的数", d.GetMaxNumber(), d.GetMinNumber())})
	}
	return append(faults, checkDates(d)...)
}

func checkDates(d *customerv1.AttributeDefinition) []Fault {
	var faults []Fault
	for _, limit := range []struct{ field, value string }{{"min_date", d.GetMinDate()}, {"max_date", d.GetMaxDate()}} {
		if limit.value != "" && !isDate(limit.value) {
			faults = append(faults, Fault{limit.field, noDate(limit.value)})
		}
	}
	if len(faults) == 0 && d.GetMinDate() != "" && d.GetMaxDate() != "" && d.GetMaxDate() < d.GetMinDate() {
		faults = append(faults, Fault{"max_date", rpcerr.T("it is %[1]s, before min_date (%[2]s); give that day or a later one",
			"为 %[1]s，早于 min_date（%[2]s）；请填写不早于该日的日期", d.GetMaxDate(), d.GetMinDate())})
	}
	return faults
}

func isDate(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}

func noDate(s string) rpcerr.Text {
	return rpcerr.T("it is %[1]q; give a day such as 2026-11-25", "为 %[1]q；请填写日期，例如 2026-11-25", s)
}

// CheckAttributes judges the attributes of a file by their definitions and puts them in the
// order of their keys: each value, and that none is missing.
func CheckAttributes(definitions []*customerv1.AttributeDefinition, file *customerv1.Customer, before []*customerv1.AttributeValue) []Fault {
	faults := CheckAttributeValues(definitions, file, before)
	for _, missing := range MissingAttributes(definitions, file) {
		faults = append(faults, Fault{"attributes", missing.Text})
	}
	return faults
}

// CheckAttributeValues is CheckAttributes of the values that are there. A value that the file
// had before is not judged again: its definition may have changed or been retired since.
func CheckAttributeValues(definitions []*customerv1.AttributeDefinition, file *customerv1.Customer, before []*customerv1.AttributeValue) []Fault {
	known := map[string]*customerv1.AttributeDefinition{}
	for _, d := range definitions {
		known[d.GetKey()] = d
	}
	had := map[string]string{}
	for _, a := range before {
		had[a.GetKey()] = attributeText(a)
	}
	sortAttributes(file)
	var faults []Fault
	has := map[string]bool{}
	for i, a := range file.GetAttributes() {
		if old, ok := had[a.GetKey()]; !ok || old != attributeText(a) || has[a.GetKey()] {
			if text, ok := checkAttribute(known[a.GetKey()], a, has[a.GetKey()]); !ok {
				faults = append(faults, Fault{fmt.Sprintf("attributes[%d]", i), text})
			}
		}
		has[a.GetKey()] = true
	}
	return faults
}

// MissingAttributes names each attribute that a file must have and has not, by the path of its
// value.
func MissingAttributes(definitions []*customerv1.AttributeDefinition, file *customerv1.Customer) []Fault {
	var faults []Fault
	for _, d := range definitions {
		if !d.GetRequired() || d.GetRetired() || Attribute(file, d.GetKey()) != nil {
			continue
		}
		faults = append(faults, Fault{AttributePath + d.GetKey(), rpcerr.T("%[1]q is required and missing; give it a value",
			"缺少必填属性 %[1]q；请填写", d.GetKey())})
	}
	slices.SortFunc(faults, func(a, b Fault) int { return strings.Compare(a.Field, b.Field) })
	return faults
}

// AttributePath is what the path of an attribute's value begins with; its key follows.
const AttributePath = "attributes."

// Attribute is a file's value of an attribute, nil where there is none.
func Attribute(file *customerv1.Customer, key string) *customerv1.AttributeValue {
	for _, a := range file.GetAttributes() {
		if a.GetKey() == key {
			return a
		}
	}
	return nil
}

// SetAttribute gives a file one value and leaves those of other attributes as they are.
func SetAttribute(file *customerv1.Customer, value *customerv1.AttributeValue) {
	file.Attributes = append(slices.DeleteFunc(file.GetAttributes(), func(a *customerv1.AttributeValue) bool {
		return a.GetKey() == value.GetKey()
	}), value)
	sortAttributes(file)
}

func sortAttributes(file *customerv1.Customer) {
	slices.SortStableFunc(file.GetAttributes(), func(a, b *customerv1.AttributeValue) int { return strings.Compare(a.GetKey(), b.GetKey()) })
}

func checkAttribute(d *customerv1.AttributeDefinition, a *customerv1.AttributeValue, twice bool) (rpcerr.Text, bool) {
	switch {
	case twice:
		return rpcerr.T("%[1]q is given twice; give one value", "%[1]q 重复；只能填写一个值", a.GetKey()), false
	case d == nil:
		return rpcerr.T("there is no attribute %[1]q; define it with POST /v1/attributeDefinitions or use one of the list there",
			"没有属性 %[1]q；请先通过 POST /v1/attributeDefinitions 定义，或使用已有属性", a.GetKey()), false
	case d.GetRetired():
		return rpcerr.T("the attribute %[1]q is retired; leave it out", "属性 %[1]q 已停用；请去掉", a.GetKey()), false
	}
	switch v := a.GetValue().(type) {
	case *customerv1.AttributeValue_Number:
		return checkNumber(d, v.Number)
	case *customerv1.AttributeValue_Flag:
		if d.GetType() == typeBoolean {
			return rpcerr.Text{}, true
		}
	case *customerv1.AttributeValue_Text:
		return checkText(d, v.Text)
	}
	return wrongType(d), false
}

func wrongType(d *customerv1.AttributeDefinition) rpcerr.Text {
	field := map[customerv1.AttributeType]string{typeNumber: "number", typeBoolean: "flag"}[d.GetType()]
	if field == "" {
		field = "text"
	}
	return rpcerr.T("%[1]q is of %[2]s; give its value as %[3]s", "%[1]q 的类型为 %[2]s；请用 %[3]s 填写",
		d.GetKey(), d.GetType(), field)
}

func checkNumber(d *customerv1.AttributeDefinition, n float64) (rpcerr.Text, bool) {
	switch {
	case d.GetType() != typeNumber:
		return wrongType(d), false
	case d.MinNumber != nil && n < d.GetMinNumber():
		return rpcerr.T("%[1]q is %[2]v, below %[3]v; give that or more", "%[1]q 为 %[2]v，小于 %[3]v；请填写不小于该值的数",
			d.GetKey(), n, d.GetMinNumber()), false
	case d.MaxNumber != nil && n > d.GetMaxNumber():
		return rpcerr.T("%[1]q is %[2]v, above %[3]v; give that or less", "%[1]q 为 %[2]v，大于 %[3]v；请填写不大于该值的数",
			d.GetKey(), n, d.GetMaxNumber()), false
	}
	return rpcerr.Text{}, true
}

func checkText(d *customerv1.AttributeDefinition, s string) (rpcerr.Text, bool) {
	switch d.GetType() {
	case typeText:
		if most := int(d.GetMaxLength()); most > 0 && utf8.RuneCountInString(s) > most {
			return rpcerr.T("%[1]q has %[2]d characters; give at most %[3]d", "%[1]q 有 %[2]d 个字符；最多 %[3]d 个",
				d.GetKey(), utf8.RuneCountInString(s), most), false
		}
	case typeChoice:
		if !slices.Contains(d.GetChoices(), s) {
			return rpcerr.T("%[1]q is %[2]q; give one of %[3]s", "%[1]q 为 %[2]q；请选择 %[3]s 之一",
				d.GetKey(), s, strings.Join(d.GetChoices(), ", ")), false
		}
	case typeDate:
		switch {
		case !isDate(s):
			return noDate(s), false
		case d.GetMinDate() != "" && s < d.GetMinDate() || d.GetMaxDate() != "" && s > d.GetMaxDate():
			return rpcerr.T("%[1]q is %[2]s; give a day from %[3]s to %[4]s", "%[1]q 为 %[2]s；请填写 %[3]s 至 %[4]s 之间的日期",
				d.GetKey(), s, open(d.GetMinDate()), open(d.GetMaxDate())), false
		}
	default:
		return wrongType(d), false
	}
	return rpcerr.Text{}, true
}

func open(limit string) string {
	if limit == "" {
		return "…"
	}
	return limit
}

// EncodeAttributes gives the JSON object that is stored: texts, numbers and booleans by key.
func EncodeAttributes(values []*customerv1.AttributeValue) ([]byte, error) {
	object := map[string]any{}
	for _, a := range values {
		switch v := a.GetValue().(type) {
		case *customerv1.AttributeValue_Text:
			object[a.GetKey()] = v.Text
		case *customerv1.AttributeValue_Number:
			object[a.GetKey()] = v.Number
		case *customerv1.AttributeValue_Flag:
			object[a.GetKey()] = v.Flag
		}
	}
	out, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("encode attributes: %w", err)
	}
	return out, nil
}

// DecodeAttributes reads what EncodeAttributes gave, in the order of the keys.
func DecodeAttributes(stored []byte) ([]*customerv1.AttributeValue, error) {
	if len(stored) == 0 {
		return nil, nil
	}
	var object map[string]any
	if err := json.Unmarshal(stored, &object); err != nil {
		return nil, fmt.Errorf("decode attributes: %w", err)
	}
	var out []*customerv1.AttributeValue
	for _, key := range slices.Sorted(maps.Keys(object)) {
		a := &customerv1.AttributeValue{Key: key}
		switch v := object[key].(type) {
		case string:
			a.Value = &customerv1.AttributeValue_Text{Text: v}
		case float64:
			a.Value = &customerv1.AttributeValue_Number{Number: v}
		case bool:
			a.Value = &customerv1.AttributeValue_Flag{Flag: v}
		default:
			return nil, fmt.Errorf("attribute %q is a %T", key, v)
		}
		out = append(out, a)
	}
	return out, nil
}
