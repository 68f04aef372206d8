package sheet

import (
	"fmt"
	"slices"
	"strings"
	"time"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/internal/cell"
)

// maxValue bounds how much of a cell an error repeats.
const maxValue = 200

// Fault is what is wrong with one cell, or with a row where Column is -1.
type Fault struct {
	Column               int
	Heading, Field, Cell string
	Reason               string
	Text                 rpcerr.Text
}

// Mapping says which column is which field.
type Mapping struct {
	columns []column
	values  []value
	zone    *time.Location
}

type column struct {
	at      int
	heading string
	field   field
}

type value struct {
	field field
	text  string
}

// Check judges what a caller says of columns before there is a file: that each field
// exists and stands once, from one place, with a value it can take.
func (f *Fields) Check(columns []*customerv1.ImportColumn, zone *time.Location) []customer.Fault {
	var faults []customer.Fault
	known := map[string]int{}
	for i, c := range columns {
		at := fmt.Sprintf("columns[%d]", i)
		of := f.find(c.GetField())
		switch first, twice := known[c.GetField()]; {
		case of == nil:
			faults = append(faults, customer.Fault{Field: at + ".field", Text: rpcerr.T(
				"there is no field %[1]q; give one of %[2]s", "没有字段 %[1]q；请填写以下之一：%[2]s", c.GetField(), f.names())})
		case twice:
			faults = append(faults, customer.Fault{Field: at + ".field", Text: rpcerr.T(
				"it is %[1]q, as that of columns[%[2]d]; give each field one column", "字段为 %[1]q，与 columns[%[2]d] 相同；每个字段只能对应一列", c.GetField(), first)})
		case (c.GetHeading() == "") == (c.GetValue() == ""):
			faults = append(faults, customer.Fault{Field: at + ".heading", Text: rpcerr.T(
				"give either heading or value, one of them", "请在 heading 与 value 中填写且只填写一个")})
		case c.GetValue() != "":
			if fault := of.set(&customerv1.CustomerRecord{Customer: &customerv1.Customer{}}, c.GetValue(), zone); fault != nil {
				faults = append(faults, customer.Fault{Field: at + ".value", Text: *fault})
			}
		}
		known[c.GetField()] = i
	}
	return faults
}

// Map finds the columns in the heading of a file. It fails with *Broken when a column that was
// named is not there, two are the same field, one may be several, or one that every customer
// needs is missing.
func (f *Fields) Map(heading []string, given []*customerv1.ImportColumn, zone *time.Location) (*Mapping, error) {
	m := &Mapping{zone: zone}
	heads := make([]string, len(heading))
	for i, h := range heading {
		heads[i] = strings.TrimSpace(cell.Bare(h))
	}
	mapped := map[string]bool{}
	for _, c := range given {
		of := f.find(c.GetField())
		if of == nil {
			return nil, broken("there is no field %[1]q", "没有字段 %[1]q", c.GetField())
		}
		mapped[of.name] = true
		if c.GetHeading() == "" {
			m.values = append(m.values, value{*of, c.GetValue()})
			continue
		}
		at := slices.Index(heads, c.GetHeading())
		if at < 0 {
			return nil, broken("the file has no column %[1]q; it has %[2]s", "文件没有名为 %[1]q 的列；现有：%[2]s", c.GetHeading(), strings.Join(heads, ", "))
		}
		m.columns = append(m.columns, column{at, heads[at], *of})
	}
	if err := f.recognise(m, heads, mapped); err != nil {
		return nil, err
	}
	for _, need := range []string{"external_id", "name", "kind", "party"} {
		if !m.has(need) {
			return nil, broken("no column is the field %[1]s, which every customer needs; the file has %[2]s. Name its column or its value in columns",
				"没有对应必填字段 %[1]s 的列；文件的列为 %[2]s。请在 columns 中指定列或固定值", need, strings.Join(heads, ", "))
		}
	}
	slices.SortFunc(m.columns, func(a, b column) int { return a.at - b.at })
	return m, nil
}

// recognise maps the columns whose headings tell what they are, to fields that were not named.
func (f *Fields) recognise(m *Mapping, heads []string, named map[string]bool) error {
	explicit := slices.Clone(m.columns)
	for i, h := range heads {
		if of := f.unclear[fold(h)]; of != nil && !slices.ContainsFunc(explicit, func(c column) bool { return c.at == i }) {
			return broken("the column %[1]s (%[2]s) may be any of %[3]s; name it in columns",
				"第 %[1]s 列（%[2]s）可能对应 %[3]s；请在 columns 中指定", Letter(i), h, strings.Join(of, ", "))
		}
		of := f.headings[fold(h)]
		if of == nil || named[of.name] {
			continue
		}
		if m.has(of.name) {
			return broken("two columns are the field %[1]s, the second is %[2]s; name one of them in columns",
				"有两列对应字段 %[1]s，第二列为 %[2]s；请在 columns 中指定其中一列", of.name, Letter(i))
		}
		m.columns = append(m.columns, column{i, h, *of})
	}
	return nil
}

func (m *Mapping) has(name string) bool {
	return slices.ContainsFunc(m.columns, func(c column) bool { return c.field.name == name }) ||
		slices.ContainsFunc(m.values, func(v value) bool { return v.field.name == name })
}

// Record reads a row, and what is wrong with single cells. Empty cells leave their fields as
// they are. The second result names the fields that the row gives.
func (m *Mapping) Record(cells []string) (*customerv1.CustomerRecord, []string, []Fault) {
	out := &customerv1.CustomerRecord{Customer: &customerv1.Customer{}}
	var given []string
	var faults []Fault
	for _, v := range m.values {
		given = append(given, v.field.name)
		// It was checked when the import was made, but definitions of attributes change.
		if wrong := v.field.set(out, v.text, m.zone); wrong != nil {
			faults = append(faults, v.fault(rpcerr.ReasonValidation, *wrong))
		}
	}
	for _, c := range m.columns {
		if c.at >= len(cells) {
			break
		}
		text := strings.TrimSpace(cell.Bare(cells[c.at]))
		if text == "" {
			continue
		}
		given = append(given, c.field.name)
		if wrong := c.field.set(out, text, m.zone); wrong != nil {
			faults = append(faults, m.fault(c, text, rpcerr.ReasonValidation, *wrong))
		}
	}
	return out, given, faults
}

func (m *Mapping) fault(c column, text, reason string, why rpcerr.Text) Fault {
	if runes := []rune(text); len(runes) > maxValue {
		text = string(runes[:maxValue])
	}
	return Fault{Column: c.at, Heading: c.heading, Field: c.field.name, Cell: text, Reason: reason, Text: why}
}

func (v value) fault(reason string, why rpcerr.Text) Fault {
	return Fault{Column: -1, Field: v.field.name, Cell: v.text, Reason: reason, Text: why}
}

// Blame finds the cell of a fault that a rule found in the field at path of a row's record,
// e.g. customer.phone, or the value that stands for it in every row.
func (m *Mapping) Blame(cells []string, record *customerv1.CustomerRecord, path, reason string, why rpcerr.Text) Fault {
	name := byKey(strings.TrimPrefix(path, "customer."), record.GetCustomer().GetAttributes())
	for _, c := range m.columns {
		if within(name, c.field.name) {
			text := ""
			if c.at < len(cells) {
				text = cells[c.at]
			}
			return m.fault(c, text, reason, why)
		}
	}
	for _, v := range m.values {
		if within(name, v.field.name) {
			return v.fault(reason, why)
		}
	}
	return Fault{Column: -1, Field: name, Reason: reason, Text: why}
}

func within(path, field string) bool {
	rest, ok := strings.CutPrefix(path, field)
	return ok && (rest == "" || rest[0] == '[' || rest[0] == '.')
}

// byKey is the path of an attribute's value by its key, where it was given by its place.
func byKey(path string, attributes []*customerv1.AttributeValue) string {
	var at int
	if _, err := fmt.Sscanf(path, "attributes[%d]", &at); err != nil || at < 0 || at >= len(attributes) {
		return path
	}
	return customer.AttributePath + attributes[at].GetKey()
}

// Heading is the first row of an export.
func (f *Fields) Heading() []string {
	out := []string{"id", "number"}
	for _, one := range f.all {
		if one.get != nil {
			out = append(out, one.name)
		}
	}
	return append(out, "tier", "status")
}

// Cells is the row of a file, as the reader may see it, each cell safe to open.
func (f *Fields) Cells(c *customerv1.Customer, zone *time.Location) []string {
	out := []string{c.GetId(), c.GetNumber()}
	for _, one := range f.all {
		if one.get != nil {
			out = append(out, cell.Guard(one.get(c, zone)))
		}
	}
	return append(out, short(c.GetTier().String()), short(c.GetStatus().String()))
}

func short(enum string) string {
	return strings.ToLower(enum[strings.LastIndexByte(enum, '_')+1:])
}
