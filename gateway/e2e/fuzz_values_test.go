package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
)

// maker makes one request.
type maker struct {
	*fuzzer
	*rand.Rand
	// careful is a request as it should be, as far as the document tells.
	careful bool
}

// slip tells, once in so many times, to do what is not as it should be.
func (m maker) slip(oneIn int) bool { return !m.careful && m.IntN(oneIn) == 0 }

// request makes path, query and body of an operation.
func (m maker) request(op fuzzOperation) (path, body string) {
	path = op.path
	query := url.Values{}
	for _, p := range op.params {
		schema, _ := p["schema"].(map[string]any)
		switch p.text("in") {
		case "path":
			hole := "{" + p.text("name") + "}"
			before, _, _ := strings.Cut(path, hole)
			value := m.pick(collection(before))
			if m.slip(6) {
				value = m.odd()
			}
			path = strings.ReplaceAll(path, hole, url.PathEscape(value))
		case "query":
			if p["required"] == true || m.IntN(4) == 0 {
				query.Set(p.text("name"), asText(m.value(p.text("name"), schema, 0)))
			}
		}
	}
	if m.slip(20) {
		query.Add(m.odd(), m.odd())
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	if op.body == nil {
		return path, ""
	}
	raw, err := json.Marshal(m.value("", op.body, 0))
	if err != nil {
		return path, "{}"
	}
	if m.slip(8) && len(raw) > 0 { // one byte is another
		raw[m.IntN(len(raw))] = byte(m.IntN(256))
	}
	return path, string(raw)
}

// collection is the last name in a path, whose things stand under it.
func collection(path string) string {
	path = strings.TrimRight(path, "/")
	last, _, _ := strings.Cut(path[strings.LastIndex(path, "/")+1:], ":")
	return last
}

// pick gives an id of what is there under a name, or of anything.
func (m maker) pick(of string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.ids[of]
	if len(known) == 0 || m.slip(4) {
		known = m.ids[""]
	}
	return known[m.IntN(len(known))]
}

// named gives the collection that a field such as `ownerStaffId` tells of, "" for none.
func (m maker) named(field string) string {
	thing := strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(field, "s"), "Id"))
	if thing == strings.ToLower(field) {
		return ""
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	found := ""
	for name := range m.ids {
		one := strings.TrimSuffix(strings.ToLower(name), "s")
		if name != "" && strings.HasSuffix(thing, one) && len(name) > len(found) {
			found = name
		}
	}
	return found
}

// oddities are texts that something somewhere stumbles over.
var oddities = []string{
	"", " ", "x", "张三", "\u0000", "\u202e", "😀", "' OR 1=1 --", "%s%n", "../..", "<script>", "null", "NaN", "1e309", "-1", "0",
	"9223372036854775808", "2026-02-30T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "P1D", "a@b", "+8613800138000",
	strings.Repeat("x", 5000), "\ufeff", "ﬁ", "en", "zh-CN", "title", "id", "*", "a.b.c",
}

func (m maker) odd() string { return oddities[m.IntN(len(oddities))] }

// usual are values that a field of a name takes.
var usual = map[string][]string{
	"phone": {"+8613800138000", "021 6888 1234"}, "email": {"a@b.example"}, "timeZone": {"Asia/Shanghai"}, "currencyCode": {"CNY"},
	"language": {"zh-CN", "en"}, "countryCode": {"CN"}, "open": {"09:00"}, "close": {"18:00"}, "source": {"service-ticket", "past"},
	"number": {"+862168881234"}, "wordingVersion": {"2026-1"}, "quarter": {"2026-q4"},
}

// value makes a value of a schema, and now and then of none.
func (m maker) value(name string, schema object, depth int) any {
	if m.slip(30) {
		return []any{nil, true, 7, -1.5, m.odd(), []any{}, object{}}[m.IntN(7)]
	}
	if ref := schema.text("$ref"); ref != "" {
		return m.value(name, m.resolve(ref), depth)
	}
	for _, key := range []string{"allOf", "oneOf", "anyOf"} {
		if parts := schema.list(key); len(parts) > 0 {
			return m.value(name, parts[m.IntN(len(parts))], depth)
		}
	}
	if enum, ok := schema["enum"].([]any); ok && len(enum) > 0 {
		if m.careful && len(enum) > 1 {
			enum = enum[1:] // the first is "unspecified"
		}
		return enum[m.IntN(len(enum))]
	}
	switch m.typeOf(schema) {
	case "object":
		return m.fields(schema, depth)
	case "array":
		out := []any{}
		items, _ := schema["items"].(map[string]any)
		for range m.IntN(3) {
			out = append(out, m.value(name, items, depth+1))
		}
		return out
	case "integer", "number":
		if m.careful {
			return 1 + m.IntN(3)
		}
		return []any{0, 1, 2, 50, -1, 501, 1 << 40, 0.5}[m.IntN(8)]
	case "boolean":
		return m.IntN(2) == 0
	}
	return m.text(name, schema)
}

func (m maker) fields(schema object, depth int) any {
	out := object{}
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		property, _ := properties[name].(map[string]any)
		says, _ := property["description"].(string)
		if needed := slices.Contains(required, any(name)) || strings.Contains(says, "Required"); depth > 6 || !needed && m.IntN(3) > 0 {
			continue
		}
		if property["readOnly"] == true && !m.slip(10) || name == "etag" && m.IntN(8) > 0 || name == "requestId" {
			continue
		}
		out[name] = m.value(name, property, depth+1)
	}
	if m.slip(20) {
		out[m.odd()] = m.odd()
	}
	return out
}

// text makes a text in the form that the schema and the name ask for, as a rule.
func (m maker) text(name string, schema object) string {
	if m.slip(4) {
		return m.odd()
	}
	if values := usual[name]; values != nil {
		return values[m.IntN(len(values))]
	}
	if of := m.named(name); of != "" {
		return m.pick(of)
	}
	switch schema.text("format") {
	case "date-time":
		return []string{"2026-11-01T10:00:00Z", "2026-11-25T10:00:00+08:00", "2030-01-01T00:00:00Z"}[m.IntN(3)]
	case "int64", "uint64":
		return []string{"1", "2", "3", "1000000"}[m.IntN(4)]
	case "field-mask":
		return []string{"title", "name", "state", "id", "content", "nothing"}[m.IntN(6)]
	}
	if strings.HasSuffix(name, "Id") && m.IntN(4) > 0 {
		return m.pick("")
	}
	return []string{"text", "水泵漏水", "some words of a sentence", fmt.Sprintf("a-%d", m.IntN(1000))}[m.IntN(4)]
}

func (f *fuzzer) resolve(ref string) object {
	found, _ := f.document.at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...).(map[string]any)
	return found
}

// typeOf gives the type of a schema, one of several where it has them.
func (m maker) typeOf(schema object) string {
	switch kind := schema["type"].(type) {
	case string:
		return kind
	case []any:
		if s, ok := kind[m.IntN(len(kind))].(string); ok {
			return s
		}
	}
	if schema["properties"] != nil {
		return "object"
	}
	return "string"
}

func asText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(raw)
}
