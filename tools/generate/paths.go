package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// renamePaths names path parameters alike. The plugin writes the field's path,
// so that one resource has /v1/customers/{customer.id} for PATCH beside
// /v1/customers/{id} for GET: two templates of one URL, which OpenAPI forbids.
// A parameter becomes the last part of its field path in lowerCamelCase, and
// templates that still differ in names alone take those of the first in order.
func renamePaths(paths object) (object, error) {
	variable := regexp.MustCompile(`\{[^}]+\}`)
	named := object{}
	templates := map[string]string{} // shape → template already in named
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		shape := variable.ReplaceAllString(path, "{}")
		template, ok := templates[shape]
		if !ok {
			template = variable.ReplaceAllStringFunc(path, func(v string) string {
				return "{" + shortName(strings.Trim(v, "{}")) + "}"
			})
			templates[shape] = template
			named[template] = object{}
		}
		old, fresh := variable.FindAllString(path, -1), variable.FindAllString(template, -1)
		names := map[string]string{}
		for i := range old {
			names[strings.Trim(old[i], "{}")] = strings.Trim(fresh[i], "{}")
		}
		if len(names) != len(slices.Compact(slices.Sorted(maps.Values(names)))) {
			return nil, fmt.Errorf("path %s: two parameters would be named alike", path)
		}
		if err := moveVerbs(paths[path].(object), named[template].(object), names); err != nil {
			return nil, fmt.Errorf("path %s: %w", path, err)
		}
	}
	return named, nil
}

// moveVerbs puts a path's operations under its new template and renames their
// path parameters with it.
func moveVerbs(from, to object, names map[string]string) error {
	for verb, value := range from {
		if _, taken := to[verb]; taken {
			return fmt.Errorf("%s is bound twice", strings.ToUpper(verb))
		}
		to[verb] = value
		operation, ok := value.(object)
		if !ok {
			continue
		}
		parameters, _ := operation["parameters"].([]any)
		for _, p := range parameters {
			parameter, ok := p.(object)
			if !ok || parameter["in"] != "path" {
				continue
			}
			name, _ := parameter["name"].(string)
			if short, ok := names[name]; ok {
				parameter["name"] = short
			}
		}
	}
	return nil
}

// shortName is the last part of a field path in lowerCamelCase.
func shortName(field string) string {
	words := strings.Split(field[strings.LastIndex(field, ".")+1:], "_")
	for i, word := range words[1:] {
		if word != "" {
			words[i+1] = strings.ToUpper(word[:1]) + word[1:]
		}
	}
	return strings.Join(words, "")
}
