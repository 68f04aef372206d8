package main

import (
	"strings"
	"testing"
)

// answering is a document of one operation that answers a file.
func answering(id string) object {
	return object{"/v1/x": object{"get": object{"operationId": id, "responses": object{"200": object{
		"description": "x", "content": object{"application/json": object{"schema": object{"$ref": fileSchema}}},
	}}}}}
}

func TestFilesAreDescribedByTheirTypes(t *testing.T) {
	for id, types := range fileAnswers() {
		paths := answering(id)
		if err := describeFiles(paths); err != nil {
			t.Fatal(err)
		}
		good := paths["/v1/x"].(object)["get"].(object)["responses"].(object)["200"].(object)
		if content := good["content"].(object); len(content) != len(types) || content["application/json"] != nil && types["application/json"] == nil {
			t.Errorf("%s answers %v", id, content)
		}
	}
	if err := describeFiles(answering("ThingService_Download")); err == nil || !strings.Contains(err.Error(), "ThingService_Download") {
		t.Errorf("a file of no known type: %v", err)
	}
}
