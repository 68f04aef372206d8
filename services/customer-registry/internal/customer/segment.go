package customer

import (
	"fmt"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

const (
	maxConditions = 100
	maxDepth      = 8
)

// CheckCondition judges what single-field rules cannot: how large a condition is, that ranges
// have ends in order, and that attributes are tested as what they are.
func CheckCondition(field string, c *customerv1.SegmentCondition, definitions []*customerv1.AttributeDefinition) []Fault {
	w := &conditionWalk{types: map[string]customerv1.AttributeType{}}
	for _, d := range definitions {
		w.types[d.GetKey()] = d.GetType()
	}
	w.walk(field, c, 1)
	if w.count > maxConditions {
		w.faults = append(w.faults, Fault{field, rpcerr.T("it has %[1]d conditions; give at most %[2]d",
			"共有 %[1]d 个条件；最多 %[2]d 个", w.count, maxConditions)})
	}
	return w.faults
}

type conditionWalk struct {
	types  map[string]customerv1.AttributeType
	count  int
	faults []Fault
}

func (w *conditionWalk) fault(field, en, zh string, args ...any) {
	w.faults = append(w.faults, Fault{field, rpcerr.T(en, zh, args...)})
}

func (w *conditionWalk) walk(field string, c *customerv1.SegmentCondition, depth int) {
	w.count++
	if depth > maxDepth {
		w.fault(field, "it is %[1]d deep; nest conditions at most %[2]d deep", "嵌套 %[1]d 层；最多 %[2]d 层", depth, maxDepth)
		return
	}
	switch t := c.GetTest().(type) {
	case *customerv1.SegmentCondition_All:
		w.walkAll(field+".all", t.All, depth)
	case *customerv1.SegmentCondition_Any:
		w.walkAll(field+".any", t.Any, depth)
	case *customerv1.SegmentCondition_Not:
		w.walk(field+".not", t.Not, depth+1)
	case *customerv1.SegmentCondition_Number:
		w.numbers(field+".number.range", t.Number.GetRange())
	case *customerv1.SegmentCondition_Time:
		w.time(field+".time", t.Time)
	case *customerv1.SegmentCondition_Attribute:
		w.attribute(field+".attribute", t.Attribute)
	}
}

func (w *conditionWalk) walkAll(field string, of *customerv1.SegmentConditions, depth int) {
	for i, c := range of.GetConditions() {
		w.walk(fmt.Sprintf("%s.conditions[%d]", field, i), c, depth+1)
	}
}

func (w *conditionWalk) numbers(field string, r *customerv1.NumberRange) {
	switch {
	case r.GetMin() > r.GetMax() && r.Min != nil && r.Max != nil:
		w.fault(field+".max", "it is %[1]v, below min (%[2]v); give that or more", "为 %[1]v，小于 min（%[2]v）；请填写不小于该值的数", r.GetMax(), r.GetMin())
	case r.Min == nil && r.Max == nil:
		w.fault(field, "it has no end; give min, max or both", "没有端点；请填写 min、max 或两者")
	}
}

func (w *conditionWalk) time(field string, t *customerv1.TimeIs) {
	switch {
	case t.MinDays == nil && t.MaxDays == nil:
		w.fault(field, "it has no end; give min_days, max_days or both", "没有端点；请填写 min_days、max_days 或两者")
	case t.MaxDays != nil && t.GetMaxDays() < t.GetMinDays():
		w.fault(field+".max_days", "it is %[1]d, below min_days (%[2]d); give that or more",
			"为 %[1]d，小于 min_days（%[2]d）；请填写不小于该值的数", t.GetMaxDays(), t.GetMinDays())
	}
}

func (w *conditionWalk) attribute(field string, a *customerv1.AttributeIs) {
	var wants []customerv1.AttributeType
	test := ""
	switch t := a.GetTest().(type) {
	case *customerv1.AttributeIs_Texts:
		wants, test = []customerv1.AttributeType{typeText, typeChoice}, "texts"
	case *customerv1.AttributeIs_Flag:
		wants, test = []customerv1.AttributeType{typeBoolean}, "flag"
	case *customerv1.AttributeIs_Numbers:
		wants, test = []customerv1.AttributeType{typeNumber}, "numbers"
		w.numbers(field+".numbers", t.Numbers)
	case *customerv1.AttributeIs_Dates:
		wants, test = []customerv1.AttributeType{typeDate}, "dates"
		w.dates(field+".dates", t.Dates)
	}
	has, known := w.types[a.GetKey()]
	if !known {
		w.fault(field+".key", "there is no attribute %[1]q; use one of /v1/attributeDefinitions", "没有属性 %[1]q；请使用 /v1/attributeDefinitions 中的属性", a.GetKey())
		return
	}
	for _, want := range wants {
		if has == want {
			return
		}
	}
	w.fault(field+"."+test, "the attribute %[1]q is of %[2]s; test it as that", "属性 %[1]q 的类型为 %[2]s；请使用相应的条件", a.GetKey(), has)
}

func (w *conditionWalk) dates(field string, r *customerv1.DateRange) {
	for _, end := range []struct{ name, value string }{{".first", r.GetFirst()}, {".last", r.GetLast()}} {
		if end.value != "" && !isDate(end.value) {
			w.faults = append(w.faults, Fault{field + end.name, noDate(end.value)})
		}
	}
	switch {
	case r.GetFirst() == "" && r.GetLast() == "":
		w.fault(field, "it has no end; give first, last or both", "没有端点；请填写 first、last 或两者")
	case r.GetLast() != "" && r.GetLast() < r.GetFirst():
		w.fault(field+".last", "it is %[1]s, before first (%[2]s); give that day or a later one", "为 %[1]s，早于 first（%[2]s）；请填写不早于该日的日期", r.GetLast(), r.GetFirst())
	}
}
