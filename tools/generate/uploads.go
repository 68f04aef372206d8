package main

// uploadID is the operation of the one call whose body is a file. Its method streams in, which
// google.api.http cannot bind: the gateway's own route takes it, and stands here by hand.
const (
	uploadID   = "CustomerImportService_UploadCustomerImport"
	uploadPath = "/v1/customerImports/{id}:upload"
	uploaded   = "kefu.customer.v1.CustomerImport"
)

// addUploads adds the routes that take files, where the contracts have what they answer.
func addUploads(paths, schemas object) {
	if _, ok := schemas[uploaded]; !ok {
		return
	}
	file := object{"schema": object{"type": "string", "format": "binary"}}
	paths[uploadPath] = object{"post": object{
		"operationId": uploadID,
		"tags":        []any{"CustomerImportService"},
		"summary":     "Takes the file of an import, or the rest of it",
		"description": "Takes the file as it is, or its rest from `offset` on, at most 1 GiB. What has arrived is kept when the connection " +
			"breaks: read the import and send what begins at `receivedBytes`. When the body ends the import begins.\n" +
			"Errors: VALIDATION_FAILED, CUSTOMER_IMPORT_NOT_FOUND, IMPORT_WRONG_STATE, UPLOAD_GAP, FILE_TOO_LARGE, FILE_EMPTY, " +
			"CONTENT_TYPE_UNSUPPORTED, BODY_INVALID.",
		"parameters": []any{
			object{"name": "id", "in": "path", "required": true, "description": "UUID of the import.", "schema": object{"type": "string"}},
			object{"name": "offset", "in": "query", "description": "Where in the file the body begins; 0 unless given.",
				"schema": object{"type": "string", "format": "int64"}},
		},
		"requestBody": object{
			"required": true, "description": "The file; the import says whether it is CSV or XLSX.",
			"content": object{
				"text/csv":                 file,
				"application/octet-stream": file,
				"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": file,
			},
		},
		"responses": object{"200": object{
			"description": "The import with what has arrived.",
			"content":     object{"application/json": object{"schema": object{"$ref": schemaPrefix + uploaded}}},
		}},
	}}
}
