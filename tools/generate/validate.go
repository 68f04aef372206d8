package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/pb33f/jsonschema/v6"
	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
)

// validate holds the document against the OpenAPI 3.1 schema, and every schema in it
// against JSON Schema 2020-12, about which the former says nothing.
func validate(document []byte) error {
	parsed, err := libopenapi.NewDocument(document)
	if err != nil {
		return fmt.Errorf("parse document: %w", err)
	}
	v, failures := validator.NewValidator(parsed)
	if len(failures) > 0 {
		return fmt.Errorf("read document: %v", failures)
	}
	if ok, problems := v.ValidateDocument(); !ok {
		return fmt.Errorf("document is not valid OpenAPI 3.1: %v", problems)
	}
	return validateSchemas(document)
}

func validateSchemas(document []byte) error {
	const location = "file:///openapi.json"
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		return fmt.Errorf("read document: %w", err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	if err := compiler.AddResource(location, parsed); err != nil {
		return fmt.Errorf("read document: %w", err)
	}
	for _, pointer := range schemaPointers(parsed) {
		if _, err := compiler.Compile(location + "#" + pointer); err != nil {
			return fmt.Errorf("schema %s is not valid JSON Schema: %w", pointer, err)
		}
	}
	return nil
}

// schemaPointers finds every schema of the document: the components, and what stands
// under `schema` in parameters, headers and bodies.
func schemaPointers(document any) []string {
	root, _ := document.(object)
	components, _ := root["components"].(object)
	schemas, _ := components["schemas"].(object)
	var pointers []string
	for name := range schemas {
		pointers = append(pointers, "/components/schemas/"+escapePointer(name))
	}
	var walk func(value any, at string)
	walk = func(value any, at string) {
		switch v := value.(type) {
		case object:
			for key, child := range v {
				if key == "schema" {
					pointers = append(pointers, at+"/schema")
					continue
				}
				walk(child, at+"/"+escapePointer(key))
			}
		case []any:
			for i, child := range v {
				walk(child, fmt.Sprintf("%s/%d", at, i))
			}
		}
	}
	walk(root["paths"], "/paths")
	for part, value := range components {
		if part != "schemas" {
			walk(value, "/components/"+part)
		}
	}
	slices.Sort(pointers)
	return pointers
}

// escapePointer writes a key as JSON Pointer in a URL fragment.
func escapePointer(key string) string {
	return strings.NewReplacer("~", "~0", "/", "~1", "%", "%25", "{", "%7B", "}", "%7D").Replace(key)
}
