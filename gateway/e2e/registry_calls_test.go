package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// TestEveryRegistryCallIsInATour looks for each call of the registry in the tours, which other
// tests run as they are written. What is not served over REST must be named in a text.
func TestEveryRegistryCallIsInATour(t *testing.T) {
	shell, text := documents(t)
	calls := 0
	protoregistry.GlobalFiles.RangeFilesByPackage("kefu.customer.v1", func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				calls++
				method := service.Methods().Get(j)
				verb, path := restOf(method)
				if path == "" {
					if name := string(service.Name()) + "/" + string(method.Name()); !strings.Contains(text, name) {
						t.Errorf("%s is named in no document", name)
					}
					continue
				}
				if !called(shell, verb, path) {
					t.Errorf("%s (%s %s) is in no tour", method.FullName(), verb, path)
				}
			}
		}
		return true
	})
	if calls < 80 {
		t.Errorf("only %d calls were looked for", calls)
	}
}

// documents are the shell blocks of all documents, a command a line, and all their text.
func documents(t *testing.T) (shell []string, text string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, filepath.Join("..", "..", "README.md")) {
		read, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text += string(read)
		for _, block := range strings.Split(string(read), "```sh\n")[1:] {
			code, _, _ := strings.Cut(block, "```")
			shell = append(shell, strings.Split(code, "\n")...)
		}
	}
	return shell, text
}

// restOf is how a method is called over REST; empty where it is not.
func restOf(method protoreflect.MethodDescriptor) (verb, path string) {
	rule, _ := proto.GetExtension(method.Options(), annotations.E_Http).(*annotations.HttpRule)
	switch pattern := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		return "GET", pattern.Get
	case *annotations.HttpRule_Post:
		return "POST", pattern.Post
	case *annotations.HttpRule_Patch:
		return "PATCH", pattern.Patch
	case *annotations.HttpRule_Delete:
		return "DELETE", pattern.Delete
	}
	return "", ""
}

var (
	variable = regexp.MustCompile(`\\\{[^}]*\\\}`)
	gives    = regexp.MustCompile(` (-d|--data-binary) `)
)

// called tells whether a command calls the path by the verb. Curl posts where data are given.
func called(shell []string, verb, path string) bool {
	form := regexp.MustCompile(variable.ReplaceAllString(regexp.QuoteMeta(path), `[^\s/"?:]+`) + `(?:[^\w/:-]|$)`)
	for _, line := range shell {
		// Several calls may stand in a line.
		for at := form.FindStringIndex(line); at != nil; at = form.FindStringIndex(line) {
			rest, _, _ := strings.Cut(line[at[0]:], "; api ")
			used := "GET"
			switch {
			case strings.Contains(rest, "-X PATCH"):
				used = "PATCH"
			case strings.Contains(rest, "-X DELETE"):
				used = "DELETE"
			case gives.MatchString(rest):
				used = "POST"
			}
			if used == verb {
				return true
			}
			line = line[at[1]:]
		}
	}
	return false
}
