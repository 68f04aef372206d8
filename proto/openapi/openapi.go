// Package openapi carries the OpenAPI 3.1 document that is generated from the
// contracts, so that the gateway serves exactly what it was built with.
package openapi

import _ "embed"

//go:embed openapi.json
var document string

// Document returns the OpenAPI document as JSON. It cannot fail: a build without
// the document does not compile.
func Document() string { return document }
