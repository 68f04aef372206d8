package main

import "fmt"

const fileSchema = schemaPrefix + "google.api.HttpBody"

// fileAnswers are the types of what operations answer that are no message: the contracts say
// only that it has a type and bytes.
func fileAnswers() map[string]object {
	file, text := object{"type": "string", "format": "binary"}, object{"type": "string"}
	sheets := object{"text/csv": object{"schema": text}, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": object{"schema": file}}
	return map[string]object{
		"CustomerExportService_ExportCustomers": sheets,
		"AnalysisService_ExportAnalysis":        sheets,
		"DeskService_WatchTickets":              {"text/event-stream": object{"schema": text}},
		"SubjectRequestService_ReadSubjectDocument": {
			"text/html": object{"schema": text},
			"application/json": object{"schema": object{
				"type": "object", "description": "Everything held on the person.", "required": []any{"id", "customerId", "records"},
				"properties": object{
					"id":         object{"type": "string", "description": "UUID of the request."},
					"customerId": object{"type": "string"},
					"contactId":  object{"type": "string", "description": "Of a contact only."},
					"createTime": object{"type": "string", "format": "date-time"},
					"doneTime":   object{"type": "string", "format": "date-time"},
					"services":   object{"type": "array", "items": object{"type": "string"}},
					"records": object{"type": "array", "items": object{
						"type": "object", "required": []any{"service", "kind", "id", "content"},
						"properties": object{
							"service": object{"type": "string"}, "kind": object{"type": "string", "description": "The table it is kept in."},
							"id":      object{"type": "string"},
							"content": object{"type": "object", "description": "Its columns, decrypted.", "additionalProperties": true},
						},
					}},
				},
			}},
		},
	}
}

// describeFiles says of which types the answers are that are no message. One that is not known
// is an error, so that none is described as the message it travels in.
func describeFiles(paths object) error {
	known := fileAnswers()
	for path, item := range paths {
		verbs, _ := item.(object)
		for _, value := range verbs {
			operation, _ := value.(object)
			responses, _ := operation["responses"].(object)
			good, _ := responses["200"].(object)
			content, _ := good["content"].(object)
			media, _ := content["application/json"].(object)
			schema, _ := media["schema"].(object)
			if schema["$ref"] != fileSchema {
				continue
			}
			id, _ := operation["operationId"].(string)
			types, ok := known[id]
			if !ok {
				return fmt.Errorf("%s (%s) answers a file; say in fileAnswers of which type", path, id)
			}
			good["content"] = types
			good["description"] = "The content itself."
		}
	}
	return nil
}
