package main

import "fmt"

const (
	statusSchema = "google.rpc.Status"
	typePrefix   = "type.googleapis.com/"
)

// detail is one kind of error detail: its properties, and which always stand.
type detail struct {
	name, description string
	properties        object
	required          []any
}

func text(description string) object {
	return object{"type": "string", "description": description}
}

// details are all that the services put into an error, and no others.
func details() []detail {
	return []detail{
		{"google.rpc.ErrorInfo", "Says what went wrong, for programs.", object{
			"reason": text("Stable reason, as `TICKET_WRONG_STATE`; each operation lists its own."),
			"domain": object{"type": "string", "const": "kefu"},
			"metadata": object{"type": "object", "description": "What the reason is about, as the state and the verb.",
				"additionalProperties": object{"type": "string"}},
		}, []any{"domain", "reason"}},
		{"google.rpc.LocalizedMessage", "The message in the language asked for with Accept-Language.", object{
			"locale": object{"type": "string", "enum": []any{"en", "zh-CN"}}, "message": text("For people."),
		}, []any{"locale", "message"}},
		{"google.rpc.BadRequest", "Names each field at fault.", object{
			"fieldViolations": object{"type": "array", "items": object{"type": "object", "properties": object{
				"field": text("Path of the field, as `ticket.customerId`."), "description": text("What is wrong, for people."),
				"reason": text("The rule that is broken."),
			}}},
		}, []any{"fieldViolations"}},
		{"google.rpc.RetryInfo", "Says when to try again.", object{
			"retryDelay": text("Seconds, as `1.5s`."),
		}, []any{"retryDelay"}},
		{"google.rpc.RequestInfo", "Names the request, as the header X-Request-Id does.", object{
			"requestId": text("Finds the request in logs and audit."),
		}, []any{"requestId"}},
	}
}

// describeErrors replaces the plugin's open Status: the body of an error and all of
// its details are known, so that a client can tell them apart by their @type.
func describeErrors(schemas object) error {
	if _, ok := schemas[statusSchema]; !ok {
		return fmt.Errorf("no operation answers errors as %s", statusSchema)
	}
	var kinds []any
	for _, d := range details() {
		d.properties["@type"] = object{"type": "string", "const": typePrefix + d.name}
		schemas[d.name] = object{
			"type": "object", "description": d.description, "properties": d.properties, "required": append([]any{"@type"}, d.required...),
		}
		kinds = append(kinds, object{"$ref": schemaPrefix + d.name})
	}
	schemas[statusSchema] = object{
		"type":        "object",
		"description": "The body of every error.",
		"properties": object{
			"code":    object{"type": "integer", "format": "int32", "description": "Number of the google.rpc.Code."},
			"message": text("For developers, in English."),
			"details": object{"type": "array", "items": object{"oneOf": kinds},
				"description": "Always an ErrorInfo, a LocalizedMessage and a RequestInfo."},
		},
		"required": []any{"code", "details", "message"},
	}
	return nil
}
