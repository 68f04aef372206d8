package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// object is a JSON object of the document.
type object = map[string]any

// openapi merges the plugin's fragments, one a proto file, into the one
// document that the gateway serves.
func openapi(ctx context.Context, scratch string, apply applyFunc) error {
	known, err := readContracts(ctx)
	if err != nil {
		return err
	}
	fragments := filepath.Join(scratch, "fragments")
	if err := command(ctx, "buf", "generate", "--template", documentTemplate, "-o", fragments); err != nil {
		return err
	}
	files, err := find(fragments, ".openapi.json")
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("openapi: no method under proto has a google.api.http binding")
	}
	var merged bytes.Buffer
	merge := exec.CommandContext(ctx, "openapiv3-merge", files...)
	merge.Stdout, merge.Stderr = &merged, os.Stderr
	if err := merge.Run(); err != nil {
		return fmt.Errorf("openapiv3-merge: %w", err)
	}
	document, err := finish(merged.Bytes(), known)
	if err != nil {
		return fmt.Errorf("openapi: %w", err)
	}
	if err := validate(document); err != nil {
		return fmt.Errorf("openapi: %w", err)
	}
	fresh := filepath.Join(scratch, filepath.Base(documentFile))
	if err := os.WriteFile(fresh, document, 0o644); err != nil {
		return fmt.Errorf("write document: %w", err)
	}
	return apply(fresh, documentFile)
}

func find(root, suffix string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, suffix) {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("find OpenAPI fragments: %w", err)
	}
	return files, nil
}

// finish turns the merged fragments into our document: title, sign-in, headers, paths
// named alike, schemas that tell requests from answers. Keys come out sorted, so that
// equal contracts give equal bytes.
func finish(merged []byte, known *contracts) ([]byte, error) {
	var document object
	decoder := json.NewDecoder(bytes.NewReader(merged))
	decoder.UseNumber() // a float64 would round large limits
	if err := decoder.Decode(&document); err != nil {
		return nil, fmt.Errorf("read merged document: %w", err)
	}
	document["info"] = object{
		"title":       "Kefu",
		"version":     "v1",
		"description": "Customer registry, service tickets, complaints and surveys. Errors are google.rpc.Status with a stable reason in ErrorInfo.",
	}
	document["servers"] = []any{object{"url": "/"}}
	document["security"] = []any{object{"bearer": []any{}}}
	components, _ := document["components"].(object)
	if components == nil {
		return nil, fmt.Errorf("merged document has no components")
	}
	components["securitySchemes"] = object{
		"bearer": object{"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
	}
	paths, _ := document["paths"].(object)
	if err := decorate(paths, known.public); err != nil {
		return nil, err
	}
	schemas, _ := components["schemas"].(object)
	if err := describeErrors(schemas); err != nil {
		return nil, err
	}
	allowAtMostOne(schemas)
	addUploads(paths, schemas)
	if err := splitSchemas(document, known.emitted); err != nil {
		return nil, err
	}
	describeAnswers(paths, components)
	if err := describeFiles(paths); err != nil {
		return nil, err
	}
	named, err := renamePaths(paths)
	if err != nil {
		return nil, err
	}
	document["paths"] = named
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(document); err != nil {
		return nil, fmt.Errorf("write document: %w", err)
	}
	return out.Bytes(), nil
}

// decorate adds what the gateway does beside the contracts: the idempotency and
// precondition headers, and no sign-in where the access rule says public.
func decorate(paths object, public map[string]bool) error {
	for path, item := range paths {
		verbs, ok := item.(object)
		if !ok {
			return fmt.Errorf("path %s is not an object", path)
		}
		for verb, value := range verbs {
			operation, ok := value.(object)
			if !ok {
				continue // a summary or a shared parameter list
			}
			id, _ := operation["operationId"].(string)
			if public[id] {
				operation["security"] = []any{}
			}
			describe(operation)
			if verb == "get" {
				continue
			}
			addHeader(operation, "Idempotency-Key", "Same key and body: the first outcome again. At most 64 characters; kept 7 days.")
			if verb == "patch" || hasPrecondition(operation) {
				addHeader(operation, "If-Match", "The ETag that was read; 412 if the resource has changed since.")
			}
		}
	}
	return nil
}

// describe leaves the first sentence of an RPC's comment as the summary, which lists
// show, and makes the whole of it the description.
func describe(operation object) {
	comment, _ := operation["summary"].(string)
	if comment == "" {
		return
	}
	if own, ok := operation["description"].(string); ok && own != "" {
		comment += "\n\n" + own
	}
	operation["description"] = comment
	summary := strings.Join(strings.Fields(comment), " ")
	if end := strings.Index(summary, ". "); end >= 0 {
		summary = summary[:end]
	}
	operation["summary"] = strings.TrimSuffix(summary, ".")
}

// hasPrecondition tells whether the request itself, not a resource in it, has an etag.
func hasPrecondition(operation object) bool {
	parameters, _ := operation["parameters"].([]any)
	for _, p := range parameters {
		if p, ok := p.(object); ok && p["name"] == "etag" {
			return true
		}
	}
	value := any(operation)
	for _, key := range []string{"requestBody", "content", "application/json", "schema", "properties", "etag"} {
		level, ok := value.(object)
		if !ok {
			return false
		}
		if value, ok = level[key]; !ok {
			return false
		}
	}
	return true
}

func addHeader(operation object, name, description string) {
	parameters, _ := operation["parameters"].([]any)
	operation["parameters"] = append(parameters, object{
		"name": name, "in": "header", "description": description, "schema": object{"type": "string"},
	})
}
