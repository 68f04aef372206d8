package main

import (
	"strings"
	"testing"
)

func operation(parameters ...string) object {
	var list []any
	for _, name := range parameters {
		list = append(list, object{"name": name, "in": "path"})
	}
	return object{"parameters": list}
}

func TestRenamePathsJoinsTemplatesOfOneURL(t *testing.T) {
	named, err := renamePaths(object{
		"/v1/customers/{id}":                                        object{"get": operation("id")},
		"/v1/customers/{customer.id}":                               object{"patch": operation("customer.id")},
		"/v1/customers/{contact.customer_id}/contacts/{contact.id}": object{"patch": operation("contact.customer_id", "contact.id")},
		"/v1/tickets/{id}:resolve":                                  object{"post": operation("id")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(named) != 3 {
		t.Fatalf("got %d paths, want 3: %v", len(named), named)
	}
	customer, ok := named["/v1/customers/{id}"].(object)
	if !ok || customer["get"] == nil || customer["patch"] == nil {
		t.Fatalf("GET and PATCH of a customer are not one path: %v", named)
	}
	if got := parameterName(customer["patch"], 0); got != "id" {
		t.Errorf("PATCH parameter is %q, want id", got)
	}
	contact, ok := named["/v1/customers/{customerId}/contacts/{id}"].(object)
	if !ok {
		t.Fatalf("no path of a contact: %v", named)
	}
	if got := parameterName(contact["patch"], 0); got != "customerId" {
		t.Errorf("contact's first parameter is %q, want customerId", got)
	}
	if named["/v1/tickets/{id}:resolve"] == nil {
		t.Errorf("custom verb is lost: %v", named)
	}
}

func parameterName(operation any, i int) any {
	return operation.(object)["parameters"].([]any)[i].(object)["name"]
}

func TestRenamePathsRefuses(t *testing.T) {
	tests := map[string]object{
		"bound twice": {
			"/v1/customers/{id}":          object{"get": operation("id")},
			"/v1/customers/{customer.id}": object{"get": operation("customer.id")},
		},
		"named alike": {
			"/v1/a/{a.id}/b/{b.id}": object{"get": operation("a.id", "b.id")},
		},
	}
	for want, paths := range tests {
		if _, err := renamePaths(paths); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}
