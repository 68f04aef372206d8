package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const merged = `{"openapi":"3.1.0","info":{"title":"x","version":"1"},"paths":{
 "/v1/answers/{token}":{"get":{"operationId":"AnswerService_GetAnswer","parameters":[{"name":"token","in":"path","required":true,"schema":{"type":"string","maxLength":12345678901234567890}}],"responses":{"200":{"description":"ok"}}}},
 "/v1/tickets":{"post":{"operationId":"TicketService_CreateTicket","responses":{"200":{"description":"<ok>"}}}}},
 "components":{"schemas":{"google.rpc.Status":{"type":"object"}}}}`

func TestFinish(t *testing.T) {
	document, err := finish([]byte(merged), &contracts{public: map[string]bool{"AnswerService_GetAnswer": true}})
	if err != nil {
		t.Fatal(err)
	}
	if err := validate(document); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Security []map[string][]string
		Paths    map[string]map[string]struct {
			Security   *[]any
			Parameters []struct{ Name, In string }
		}
	}
	if err := json.Unmarshal(document, &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Security) != 1 || got.Security[0]["bearer"] == nil {
		t.Errorf("default sign-in is %v, want bearer", got.Security)
	}
	if s := got.Paths["/v1/answers/{token}"]["get"].Security; s == nil || len(*s) != 0 {
		t.Errorf("public method asks for sign-in: %v", s)
	}
	post := got.Paths["/v1/tickets"]["post"]
	if post.Security != nil {
		t.Errorf("method that is not public has its own security: %v", *post.Security)
	}
	if len(post.Parameters) != 1 || post.Parameters[0].Name != "Idempotency-Key" {
		t.Errorf("POST parameters are %v, want Idempotency-Key", post.Parameters)
	}
	for _, kept := range []string{"12345678901234567890", "<ok>"} {
		if !bytes.Contains(document, []byte(kept)) {
			t.Errorf("%s did not survive", kept)
		}
	}
}

func TestValidateRefuses(t *testing.T) {
	broken := strings.Replace(merged, `"title":"x",`, "", 1)
	if err := validate([]byte(broken)); err == nil {
		t.Error("a document without a title passed")
	}
}

func TestWriteAndCompare(t *testing.T) {
	fresh, committed := t.TempDir(), t.TempDir()
	put(t, filepath.Join(fresh, "kefu", "a.go"), "new")
	put(t, filepath.Join(committed, "kefu", "a.go"), "old")
	put(t, filepath.Join(committed, "stale.go"), "gone")
	err := compare(fresh, committed)
	if err == nil || !strings.Contains(err.Error(), "a.go") || !strings.Contains(err.Error(), "stale.go") {
		t.Fatalf("got %v, want both files named", err)
	}
	if err := write(fresh, committed); err != nil {
		t.Fatal(err)
	}
	if err := compare(fresh, committed); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The route that takes a file is nowhere in the fragments.
func TestFinishAddsTheUpload(t *testing.T) {
	with := strings.Replace(merged, `"schemas":{`, `"schemas":{"kefu.customer.v1.CustomerImport":{"type":"object","properties":{"etag":{"type":"string"}}},`, 1)
	document, err := finish([]byte(with), &contracts{})
	if err != nil {
		t.Fatal(err)
	}
	if err := validate(document); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Paths map[string]map[string]struct {
			RequestBody struct{ Content map[string]any }
			Responses   map[string]any
		}
	}
	if err := json.Unmarshal(document, &got); err != nil {
		t.Fatal(err)
	}
	upload := got.Paths["/v1/customerImports/{id}:upload"]["post"]
	if upload.RequestBody.Content["text/csv"] == nil || upload.Responses["default"] == nil {
		t.Errorf("the upload is %v", upload)
	}
}
