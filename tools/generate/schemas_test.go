package main

import (
	"encoding/json"
	"slices"
	"testing"
)

const contract = `{"openapi":"3.1.0","info":{"title":"x","version":"1"},"paths":{
 "/v1/things":{"post":{"operationId":"ThingService_CreateThing",
   "requestBody":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/kefu.Thing"}}}},
   "responses":{"200":{"description":"ok","content":{"application/json":{"schema":{"$ref":"#/components/schemas/kefu.Thing"}}}},"default":{"description":"bad"}}}},
 "/v1/things/{id}":{"patch":{"operationId":"ThingService_UpdateThing",
   "parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string"}}],
   "requestBody":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/kefu.Thing"}}}},
   "responses":{"200":{"description":"ok","content":{"application/json":{"schema":{"$ref":"#/components/schemas/kefu.Thing"}}}}}},
  "get":{"operationId":"ThingService_GetThing",
   "parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string"}}],
   "responses":{"200":{"description":"ok","content":{"application/json":{"schema":{"$ref":"#/components/schemas/kefu.Thing"}}}}}}}},
 "components":{"schemas":{"google.rpc.Status":{"type":"object"},
  "kefu.Color":{"type":"string","enum":["RED"]},
  "kefu.Part":{"type":"object","properties":{"weight":{"type":"integer"}},
   "oneOf":[{"type":"object","not":{"anyOf":[{"required":["a"]},{"required":["b"]}]}},{"type":"object","required":["a"]},{"type":"object","required":["b"]}]},
  "kefu.Thing":{"type":"object","required":["name"],"properties":{
   "id":{"type":"string","readOnly":true},"createTime":{"type":"string","readOnly":true},"closeTime":{"type":"string","readOnly":true},
   "etag":{"type":"string"},"name":{"type":"string"},"color":{"$ref":"#/components/schemas/kefu.Color"},
   "parts":{"type":"array","items":{"$ref":"#/components/schemas/kefu.Part"}}}}}}}`

type shape struct {
	Required   []string
	Properties map[string]map[string]any
	OneOf      []any
	Not        map[string]any
}

func (s shape) names() []string {
	var names []string
	for name := range s.Properties {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// written is a document as readers see it.
type written struct {
	Paths map[string]map[string]struct {
		Parameters  []struct{ Name string }
		RequestBody struct {
			Content map[string]struct{ Schema map[string]string }
		}
		Responses map[string]struct {
			Headers map[string]any
			Content map[string]struct{ Schema map[string]string }
		}
	}
	Components struct{ Schemas map[string]shape }
}

func TestRequestsAndAnswersHaveSchemasOfTheirOwn(t *testing.T) {
	raw, err := finish([]byte(contract), &contracts{emitted: map[string][]string{
		"kefu.Thing": {"id", "etag", "name", "color", "parts", "secret"}, "kefu.Part": {"weight"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := validate(raw); err != nil {
		t.Fatal(err)
	}
	var document written
	if err := json.Unmarshal(raw, &document); err != nil {
		t.Fatal(err)
	}
	post, patch, get := document.Paths["/v1/things"]["post"], document.Paths["/v1/things/{id}"]["patch"], document.Paths["/v1/things/{id}"]["get"]
	for got, want := range map[string]string{
		post.RequestBody.Content["application/json"].Schema["$ref"]:      schemaPrefix + "kefu.ThingInput",
		patch.RequestBody.Content["application/json"].Schema["$ref"]:     schemaPrefix + "kefu.ThingPatch",
		post.Responses["200"].Content["application/json"].Schema["$ref"]: schemaPrefix + "kefu.Thing",
	} {
		if got != want {
			t.Errorf("a body refers to %q, want %q", got, want)
		}
	}
	schemas := document.Components.Schemas
	for name, want := range map[string]struct{ required, properties []string }{
		"kefu.Thing":      {[]string{"color", "createTime", "etag", "id", "name", "parts"}, []string{"closeTime", "color", "createTime", "etag", "id", "name", "parts"}},
		"kefu.ThingInput": {[]string{"name"}, []string{"color", "etag", "name", "parts"}},
		"kefu.ThingPatch": {nil, []string{"color", "etag", "name", "parts"}},
		"kefu.Part":       {[]string{"weight"}, []string{"weight"}},
		"kefu.PartInput":  {nil, []string{"weight"}},
	} {
		if got := schemas[name]; !slices.Equal(got.Required, want.required) || !slices.Equal(got.names(), want.properties) {
			t.Errorf("%s has %v and requires %v, want %v", name, got.names(), got.Required, want)
		}
	}
	if _, ok := schemas["kefu.ColorInput"]; ok {
		t.Error("an enum was split")
	}
	if items, _ := schemas["kefu.ThingInput"].Properties["parts"]["items"].(map[string]any); items["$ref"] != schemaPrefix+"kefu.PartInput" {
		t.Errorf("the parts of a new thing are %v", items)
	}
	if part := schemas["kefu.Part"]; part.OneOf != nil || part.Not == nil {
		t.Errorf("the members of a oneof are %v, not %v", part.OneOf, part.Not)
	}
	if get.Responses["200"].Headers["ETag"] == nil || len(get.Parameters) != 2 || get.Parameters[1].Name != "If-None-Match" {
		t.Errorf("a read with an etag has headers %v and parameters %v", get.Responses["200"].Headers, get.Parameters)
	}
	if _, ok := get.Responses["304"]; !ok {
		t.Error("a read with an etag has no 304")
	}
}

// TestValidateRefusesEachKindOfFault breaks a valid document in one place at a time:
// what the validator lets pass it does not check.
func TestValidateRefusesEachKindOfFault(t *testing.T) {
	good, err := finish([]byte(contract), &contracts{})
	if err != nil {
		t.Fatal(err)
	}
	for name, mutate := range map[string]func(object){
		"a version that is none":         func(d object) { d["openapi"] = "3.1" },
		"a key that OpenAPI lacks":       func(d object) { d["pathes"] = object{} },
		"paths without a slash":          func(d object) { d["paths"].(object)["things"] = object{} },
		"a response without description": func(d object) { delete(at(d, "paths", "/v1/things", "post", "responses", "200"), "description") },
		"a parameter in no place":        func(d object) { parameter(d)["in"] = "nowhere" },
		"a path parameter not required":  func(d object) { delete(parameter(d), "required") },
		"a schema of no type":            func(d object) { at(d, "components", "schemas", "kefu.Thing")["type"] = "thing" },
		"a security scheme of no type":   func(d object) { at(d, "components", "securitySchemes", "bearer")["type"] = "magic" },
		"a verb that is no operation":    func(d object) { at(d, "paths", "/v1/things")["post"] = "x" },
		"a reference to nothing":         func(d object) { media(d)["schema"] = object{"$ref": schemaPrefix + "kefu.Nothing"} },
	} {
		var document object
		if err := json.Unmarshal(good, &document); err != nil {
			t.Fatal(err)
		}
		mutate(document)
		broken, err := json.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(broken); err == nil {
			t.Errorf("%s passed", name)
		}
	}
}

func at(value object, path ...string) object {
	for _, key := range path {
		value = value[key].(object)
	}
	return value
}

func parameter(d object) object {
	return at(d, "paths", "/v1/things/{id}", "get")["parameters"].([]any)[0].(object)
}

func media(d object) object {
	return at(d, "paths", "/v1/things", "post", "requestBody", "content", "application/json")
}
