package sheet

import (
	"slices"
	"strings"
	"time"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
)

// truths are the words for a boolean, the first of each the one that is written. A workbook
// keeps its own as 1 and 0.
var truths = map[bool][]string{
	true:  {"true", "是", "yes", "1"},
	false: {"false", "否", "no", "0"},
}

// attribute is the column of a custom attribute. Whether a value is within the limits of the
// definition is judged with the rest of the file.
func attribute(d *customerv1.AttributeDefinition) field {
	return field{customer.AttributePath + d.GetKey(), "",
		func(r *customerv1.CustomerRecord, text string, zone *time.Location) *rpcerr.Text {
			value, fault := readAttribute(d, text, zone)
			if fault == nil {
				customer.SetAttribute(r.Customer, value)
			}
			return fault
		},
		func(c *customerv1.Customer, _ *time.Location) string {
			return writeAttribute(customer.Attribute(c, d.GetKey()))
		},
	}
}

// readAttribute reads a cell as the type of an attribute says.
func readAttribute(d *customerv1.AttributeDefinition, text string, zone *time.Location) (*customerv1.AttributeValue, *rpcerr.Text) {
	out := &customerv1.AttributeValue{Key: d.GetKey(), Value: &customerv1.AttributeValue_Text{Text: text}}
	switch d.GetType() {
	case customerv1.AttributeType_ATTRIBUTE_TYPE_NUMBER:
		value, ok := readNumber(text)
		if !ok {
			t := rpcerr.T("%[1]q is a number and this is none; give one such as 12.5", "%[1]q 的类型为数字；请填写数字，例如 12.5", d.GetKey())
			return nil, &t
		}
		out.Value = &customerv1.AttributeValue_Number{Number: value}
	case customerv1.AttributeType_ATTRIBUTE_TYPE_BOOLEAN:
		flag := slices.Contains(truths[true], strings.ToLower(text))
		if !flag && !slices.Contains(truths[false], strings.ToLower(text)) {
			t := rpcerr.T("%[1]q is true or false; give %[2]s or %[3]s", "%[1]q 的类型为是非；请填写 %[2]s 或 %[3]s",
				d.GetKey(), strings.Join(truths[true], ", "), strings.Join(truths[false], ", "))
			return nil, &t
		}
		out.Value = &customerv1.AttributeValue_Flag{Flag: flag}
	case customerv1.AttributeType_ATTRIBUTE_TYPE_DATE:
		at, ok := readTime(text, zone)
		if !ok {
			t := rpcerr.T("%[1]q is a day and this is none; give one such as 2026-11-25", "%[1]q 的类型为日期；请填写日期，例如 2026-11-25", d.GetKey())
			return nil, &t
		}
		out.Value = &customerv1.AttributeValue_Text{Text: at.In(zone).Format(time.DateOnly)}
	}
	return out, nil
}

func writeAttribute(a *customerv1.AttributeValue) string {
	switch v := a.GetValue().(type) {
	case *customerv1.AttributeValue_Text:
		return v.Text
	case *customerv1.AttributeValue_Number:
		return writeNumber(v.Number)
	case *customerv1.AttributeValue_Flag:
		return truths[v.Flag][0]
	}
	return ""
}

// labels are the fields of attributes by their labels, folded.
func labels(of []*customerv1.AttributeDefinition) map[string][]string {
	out := map[string][]string{}
	for _, d := range of {
		name := customer.AttributePath + d.GetKey()
		for _, label := range []string{fold(d.GetLabel().GetZh()), fold(d.GetLabel().GetEn())} {
			if label != "" && !slices.Contains(out[label], name) {
				out[label] = append(out[label], name)
			}
		}
	}
	return out
}
