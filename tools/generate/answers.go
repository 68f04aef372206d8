package main

import "strings"

const (
	headerPrefix  = "#/components/headers/"
	errorResponse = "Error"
)

// answerHeaders are those that the gateway gives answers, by name.
func answerHeaders() map[string]string {
	return map[string]string{
		"X-Request-Id": "Finds the request in logs and audit.",
		"ETag":         "Version of the resource, for If-Match and If-None-Match.",
		"Retry-After":  "Seconds to wait, with 429 and 503 where a time is known.",
	}
}

// describeAnswers makes one component of the error that every operation may answer,
// and adds the headers of answers and the 304 of reads whose answer has an etag.
func describeAnswers(paths, components object) {
	headers := object{}
	for name, description := range answerHeaders() {
		headers[name] = object{"description": description, "schema": object{"type": "string"}}
	}
	components["headers"] = headers
	components["responses"] = object{errorResponse: object{
		"description": "The call was refused or failed; the reason stands in the ErrorInfo.",
		"headers":     namedHeaders("X-Request-Id", "Retry-After"),
		"content":     object{"application/json": object{"schema": object{"$ref": schemaPrefix + statusSchema}}},
	}}
	schemas, _ := components["schemas"].(object)
	for _, item := range paths {
		verbs, _ := item.(object)
		for verb, value := range verbs {
			if operation, ok := value.(object); ok {
				describeResponses(verb, operation, schemas)
			}
		}
	}
}

func describeResponses(verb string, operation, schemas object) {
	responses, _ := operation["responses"].(object)
	responses["default"] = object{"$ref": "#/components/responses/" + errorResponse}
	good, ok := responses["200"].(object)
	if !ok {
		return
	}
	good["headers"] = namedHeaders("X-Request-Id")
	if !hasEtag(good, schemas) {
		return
	}
	good["headers"] = namedHeaders("X-Request-Id", "ETag")
	if verb == "get" {
		addHeader(operation, "If-None-Match", "The ETag that is at hand; 304 if it is still current.")
		responses["304"] = object{"description": "What the caller has is current.", "headers": namedHeaders("X-Request-Id")}
	}
}

func namedHeaders(names ...string) object {
	headers := object{}
	for _, name := range names {
		headers[name] = object{"$ref": headerPrefix + name}
	}
	return headers
}

func hasEtag(response, schemas object) bool {
	found := false
	content, _ := response["content"].(object)
	media, _ := content["application/json"].(object)
	schema, _ := media["schema"].(object)
	ref, _ := schema["$ref"].(string)
	if resource, ok := schemas[strings.TrimPrefix(ref, schemaPrefix)].(object); ok {
		properties, _ := resource["properties"].(object)
		_, found = properties["etag"]
	}
	return found
}

// allowAtMostOne says of the members of a proto oneof that at most one may be there.
// The plugin says it as a choice of schemas with one for none of them, which client
// generators turn into a type that nothing fits.
func allowAtMostOne(schemas object) {
	for _, value := range schemas {
		schema, ok := value.(object)
		if !ok {
			continue
		}
		branches, _ := schema["oneOf"].([]any)
		var members []any
		optional := false
		for _, b := range branches {
			branch, _ := b.(object)
			if _, none := branch["not"]; none {
				optional = true
			} else if required, _ := branch["required"].([]any); len(required) == 1 {
				members = append(members, required[0])
			}
		}
		if !optional || len(members) != len(branches)-1 {
			continue
		}
		var pairs []any
		for i, a := range members {
			for _, b := range members[i+1:] {
				pairs = append(pairs, object{"required": []any{a, b}})
			}
		}
		delete(schema, "oneOf")
		if len(pairs) > 0 {
			schema["not"] = object{"anyOf": pairs}
		}
	}
}
