package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	schemaPrefix = "#/components/schemas/"
	inputSuffix  = "Input"
	patchSuffix  = "Patch"

	// partialResource is shown in part to customers with a link, without its times.
	partialResource = "kefu.survey.v1.Questionnaire"
)

// splitSchemas gives requests and answers schemas of their own. One schema cannot
// serve both: an answer carries every field that has no presence, a new resource
// carries only what its author may set, and a PATCH any part of that. So that X
// stays the name of what answers carry, requests use XInput and XPatch.
func splitSchemas(document object, emitted map[string][]string) error {
	components, _ := document["components"].(object)
	schemas, _ := components["schemas"].(object)
	s := &splitter{schemas: schemas, emitted: emitted, fresh: object{}}
	var requests, answers []any
	paths, _ := document["paths"].(object)
	for _, item := range paths {
		verbs, _ := item.(object)
		for _, value := range verbs {
			if operation, ok := value.(object); ok {
				requests = append(requests, operation["requestBody"])
				answers = append(answers, operation["responses"])
			}
		}
	}
	s.in, s.out = s.reach(requests), s.reach(answers)
	for _, name := range slices.Sorted(maps.Keys(s.in)) {
		schema, ok := schemas[name].(object)
		if !ok || schema["type"] != "object" {
			continue // an enum is one in both directions
		}
		s.fresh[s.inputName(name)] = s.input(schema)
	}
	for _, request := range requests {
		s.point(request)
	}
	if err := s.patches(paths); err != nil {
		return err
	}
	for name := range s.out {
		s.output(name)
	}
	for name, schema := range s.fresh {
		if s.out[name] {
			return fmt.Errorf("schema %s is taken", name)
		}
		schemas[name] = schema
	}
	return nil
}

type splitter struct {
	schemas, fresh object
	emitted        map[string][]string
	in, out        map[string]bool
}

// reach collects the names of the schemas that a value refers to, through others too.
func (s *splitter) reach(from any) map[string]bool {
	seen := map[string]bool{}
	var walk func(any)
	walk = func(value any) {
		eachReference(value, func(holder object, name string) {
			if !seen[name] {
				seen[name] = true
				walk(s.schemas[name])
			}
		})
	}
	walk(from)
	return seen
}

// eachReference calls found for every object that refers to a schema.
func eachReference(value any, found func(holder object, name string)) {
	switch v := value.(type) {
	case object:
		if ref, ok := v["$ref"].(string); ok {
			if name, ok := strings.CutPrefix(ref, schemaPrefix); ok {
				found(v, name)
			}
		}
		for _, child := range v {
			eachReference(child, found)
		}
	case []object:
		for _, child := range v {
			eachReference(child, found)
		}
	case []any:
		for _, child := range v {
			eachReference(child, found)
		}
	}
}

// inputName is the name that requests use; what no answer carries keeps its own.
func (s *splitter) inputName(name string) string {
	schema, _ := s.schemas[name].(object)
	if !s.out[name] || schema["type"] != "object" {
		return name
	}
	return name + inputSuffix
}

// point makes every reference in a request one to what requests use.
func (s *splitter) point(value any) {
	eachReference(value, func(holder object, name string) {
		holder["$ref"] = schemaPrefix + s.inputName(name)
	})
}

// input copies a schema without what only the server sets.
func (s *splitter) input(schema object) object {
	clone, _ := copied(schema).(object)
	properties, _ := clone["properties"].(object)
	maps.DeleteFunc(properties, func(_ string, value any) bool {
		property, ok := value.(object)
		return ok && property["readOnly"] == true
	})
	if required, ok := clone["required"].([]any); ok {
		clone["required"] = slices.DeleteFunc(required, func(field any) bool {
			name, _ := field.(string)
			return properties[name] == nil
		})
	}
	s.point(clone)
	return clone
}

// patches gives each PATCH a body of which nothing is required: the mask is made of
// the fields that are there.
func (s *splitter) patches(paths object) error {
	for path, item := range paths {
		verbs, _ := item.(object)
		operation, ok := verbs["patch"].(object)
		if !ok {
			continue
		}
		done := false
		eachReference(operation["requestBody"], func(holder object, name string) {
			partial, ok := copied(s.fresh[name]).(object)
			if !ok {
				return
			}
			delete(partial, "required")
			patch := strings.TrimSuffix(name, inputSuffix) + patchSuffix
			s.fresh[patch] = partial
			holder["$ref"] = schemaPrefix + patch
			done = true
		})
		if !done {
			return fmt.Errorf("PATCH %s takes no resource", path)
		}
	}
	return nil
}

// output requires what answers always carry.
func (s *splitter) output(name string) {
	schema, ok := s.schemas[name].(object)
	if !ok || schema["type"] != "object" {
		return
	}
	properties, _ := schema["properties"].(object)
	required := map[string]bool{}
	given, _ := schema["required"].([]any)
	for _, field := range given {
		if field, ok := field.(string); ok {
			required[field] = true
		}
	}
	for _, field := range s.emitted[name] {
		if _, ok := properties[field]; ok {
			required[field] = true
		}
	}
	// What was made has a time of making, though a timestamp can be absent as such.
	if made, ok := properties["createTime"].(object); ok && made["readOnly"] == true && name != partialResource {
		required["createTime"] = true
	}
	if len(required) == 0 {
		return
	}
	var sorted []any
	for _, field := range slices.Sorted(maps.Keys(required)) {
		sorted = append(sorted, field)
	}
	schema["required"] = sorted
}

// copied is a deep copy of a JSON value.
func copied(value any) any {
	switch v := value.(type) {
	case object:
		out := make(object, len(v))
		for key, child := range v {
			out[key] = copied(child)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, child := range v {
			out[i] = copied(child)
		}
		return out
	}
	return value
}
