package e2e

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
)

// request makes path, query and body of an operation.
func (f *fuzzer) request(r *rand.Rand, op fuzzOperation) (path, body string) {
	path = op.path
	query := url.Values{}
	for _, p := range op.params {
		schema, _ := p["schema"].(map[string]any)
		switch p.text("in") {
		case "path":
			value := f.pick(r)
			if r.IntN(8) == 0 {
				value = odd(r)
			}
			path = strings.ReplaceAll(path, "{"+p.text("name")+"}", url.PathEscape(value))
		case "query":
			if r.IntN(3) == 0 {
				query.Set(p.text("name"), asText(f.value(r, schema, 0)))
			}
		}
	}
	if r.IntN(30) == 0 {
		query.Add(odd(r), odd(r))
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	if op.body == nil {
		return path, ""
	}
	raw, err := json.Marshal(f.value(r, op.body, 0))
	if err != nil {
		return path, "{}"
	}
	if r.IntN(12) == 0 && len(raw) > 0 { // one byte is another
		raw[r.IntN(len(raw))] = byte(r.IntN(256))
	}
	return path, string(raw)
}

// pick gives an id, of something that is there as a rule.
func (f *fuzzer) pick(r *rand.Rand) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ids[r.IntN(len(f.ids))]
}

// oddities are texts that something somewhere stumbles over.
var oddities = []string{
	"", " ", "x", "张三", "\u0000", "\u202e", "😀", "' OR 1=1 --", "%s%n", "../..", "<script>", "null", "NaN", "1e309", "-1", "0",
	"9223372036854775808", "2026-02-30T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "P1D", "a@b", "+8613800138000",
	strings.Repeat("x", 5000), "\ufeff", "ﬁ", "en", "zh-CN", "title", "id", "*", "a.b.c",
}

func odd(r *rand.Rand) string { return oddities[r.IntN(len(oddities))] }

// value makes a value of a schema, and now and then of none.
func (f *fuzzer) value(r *rand.Rand, schema object, depth int) any {
	if r.IntN(40) == 0 {
		return []any{nil, true, 7, -1.5, odd(r), []any{}, object{}}[r.IntN(7)]
	}
	if ref := schema.text("$ref"); ref != "" {
		return f.value(r, f.resolve(ref), depth)
	}
	for _, key := range []string{"allOf", "oneOf", "anyOf"} {
		if parts := schema.list(key); len(parts) > 0 {
			return f.value(r, parts[r.IntN(len(parts))], depth)
		}
	}
	if enum, ok := schema["enum"].([]any); ok && len(enum) > 0 {
		return enum[r.IntN(len(enum))]
	}
	switch typeOf(r, schema) {
	case "object":
		return f.fields(r, schema, depth)
	case "array":
		out := []any{}
		items, _ := schema["items"].(map[string]any)
		for range r.IntN(3) {
			out = append(out, f.value(r, items, depth+1))
		}
		return out
	case "integer", "number":
		return []any{0, 1, 2, 50, -1, 501, 1 << 40, 0.5}[r.IntN(8)]
	case "boolean":
		return r.IntN(2) == 0
	}
	return f.text(r, schema)
}

func (f *fuzzer) fields(r *rand.Rand, schema object, depth int) any {
	out := object{}
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if depth > 6 || (!slices.Contains(required, any(name)) && r.IntN(3) > 0) {
			continue
		}
		property, _ := properties[name].(map[string]any)
		if property["readOnly"] == true && r.IntN(10) > 0 {
			continue
		}
		out[name] = f.value(r, property, depth+1)
	}
	if r.IntN(30) == 0 {
		out[odd(r)] = odd(r)
	}
	return out
}

// text makes a text in the form that the schema asks for, as a rule.
func (f *fuzzer) text(r *rand.Rand, schema object) string {
	if r.IntN(4) == 0 {
		return odd(r)
	}
	switch schema.text("format") {
	case "date-time":
		return []string{"2026-11-01T10:00:00Z", "2026-11-25T10:00:00+08:00", "2030-01-01T00:00:00Z"}[r.IntN(3)]
	case "int64", "uint64":
		return []string{"0", "1", "2", "-1", "1000000"}[r.IntN(5)]
	case "uuid":
		return f.pick(r)
	case "field-mask":
		return []string{"title", "name", "state", "id", "content", "nothing"}[r.IntN(6)]
	}
	return []string{f.pick(r), "text", "some words of a sentence", "a-1"}[r.IntN(4)]
}

func (f *fuzzer) resolve(ref string) object {
	found, _ := f.document.at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...).(map[string]any)
	return found
}

// typeOf gives the type of a schema, one of several where it has them.
func typeOf(r *rand.Rand, schema object) string {
	switch kind := schema["type"].(type) {
	case string:
		return kind
	case []any:
		if s, ok := kind[r.IntN(len(kind))].(string); ok {
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
