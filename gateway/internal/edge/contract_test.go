package edge

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	"github.com/kefu-suite/kefu/proto/openapi"
)

// method is an RPC with what its options say.
type method struct {
	protoreflect.MethodDescriptor
	rule *accessv1.AccessRule
	verb string // of its REST binding; "" for none
}

// id is what the document calls the method.
func (m method) id() string { return string(m.Parent().Name()) + "_" + string(m.Name()) }

// contractMethods are all methods of the linked contracts.
func contractMethods(t *testing.T) []method {
	t.Helper()
	var all []method
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(file.Package()), "kefu.") {
			return true
		}
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				m := method{MethodDescriptor: methods.Get(j)}
				m.rule, _ = proto.GetExtension(m.Options(), accessv1.E_Access).(*accessv1.AccessRule)
				if rule, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule); rule != nil {
					m.verb, _ = binding(rule)
				}
				all = append(all, m)
			}
		}
		return true
	})
	if len(all) < 70 {
		t.Fatalf("only %d methods are linked", len(all))
	}
	return all
}

func TestEveryMethodSaysWhoMayCallIt(t *testing.T) {
	for _, m := range contractMethods(t) {
		if m.rule == nil {
			t.Errorf("%s has no access rule", m.FullName())
			continue
		}
		granted := len(m.rule.GetPermissions()) > 0 || len(m.rule.GetCallers()) > 0
		if m.rule.GetPublic() == granted {
			t.Errorf("%s: public is %v beside permissions %v and callers %v", m.FullName(), m.rule.GetPublic(), m.rule.GetPermissions(), m.rule.GetCallers())
		}
		internal := !m.rule.GetPublic() && len(m.rule.GetPermissions()) == 0
		switch {
		case internal && m.verb != "":
			t.Errorf("%s is for services only and has a REST binding", m.FullName())
		// What streams towards a service has no form in JSON: it is for systems, over gRPC, or
		// has a route of the gateway's own.
		case m.verb == "" && len(m.rule.GetCallers()) == 0 && !m.IsStreamingClient():
			t.Errorf("%s has no REST binding, though people may call it", m.FullName())
		case m.verb != "" && (m.IsStreamingClient() || m.IsStreamingServer() &&
			!strings.HasPrefix(string(m.Name()), "DryRun") && m.Output().FullName() != "google.api.HttpBody"):
			t.Errorf("%s streams over REST", m.FullName())
		}
		reads := m.verb == "" || m.verb == "GET" || computes(m)
		if !reads && m.rule.GetAudit() != accessv1.Audit_AUDIT_WRITE {
			t.Errorf("%s changes something and leaves %s in the audit trail", m.FullName(), m.rule.GetAudit())
		}
		if m.rule.GetPublic() && m.rule.GetRate() != accessv1.RateClass_RATE_CLASS_PUBLIC {
			t.Errorf("%s is public and limited as %s", m.FullName(), m.rule.GetRate())
		}
		if path := m.rule.GetObjectField(); path != "" && find(m.Input(), strings.Split(path, ".")) == nil {
			t.Errorf("%s: there is no field %s", m.FullName(), path)
		}
	}
}

// computes tells whether a method takes more than a query can hold and changes nothing.
func computes(m method) bool {
	return slices.ContainsFunc([]string{"Compute", "Validate", "DryRun", "Analyze", "ExportAnalysis", "Suggest"}, func(prefix string) bool {
		return strings.HasPrefix(string(m.Name()), prefix)
	})
}

func TestEveryListPages(t *testing.T) {
	lists := 0
	for _, m := range contractMethods(t) {
		next := m.Output().Fields().ByName("next_page_token")
		if next == nil && !strings.HasPrefix(string(m.Name()), "List") {
			continue
		}
		lists++
		size, token := m.Input().Fields().ByName("page_size"), m.Input().Fields().ByName("page_token")
		if next == nil || size == nil || token == nil || next.Kind() != protoreflect.StringKind || token.Kind() != protoreflect.StringKind {
			t.Errorf("%s does not page", m.FullName())
			continue
		}
		rules, _ := proto.GetExtension(size.Options(), validate.E_Field).(*validate.FieldRules)
		if most := rules.GetInt32().GetLte(); most < 1 || most > 500 {
			t.Errorf("%s: a page has at most %d items", m.FullName(), most)
		}
		if rules, _ := proto.GetExtension(token.Options(), validate.E_Field).(*validate.FieldRules); rules.GetString().GetMaxLen() == 0 {
			t.Errorf("%s: a page token may be of any length", m.FullName())
		}
	}
	if lists < 14 {
		t.Errorf("only %d lists were seen", lists)
	}
}

func TestEveryChangeCanBeRepeatedSafely(t *testing.T) {
	changes := 0
	for _, m := range contractMethods(t) {
		if m.verb == "GET" || (m.verb == "" && m.rule.GetAudit() != accessv1.Audit_AUDIT_WRITE) {
			continue
		}
		changes++
		fd := m.Input().Fields().ByName("request_id")
		if fd == nil || fd.Kind() != protoreflect.StringKind {
			t.Errorf("%s has no request_id", m.FullName())
			continue
		}
		rules, _ := proto.GetExtension(fd.Options(), validate.E_Field).(*validate.FieldRules)
		if most := rules.GetString().GetMaxLen(); most != 64 {
			t.Errorf("%s: a request_id has at most %d characters, the document says 64", m.FullName(), most)
		}
	}
	if changes < 40 {
		t.Errorf("only %d changes were seen", changes)
	}
}

type documentOperation struct {
	OperationID string
	Summary     string
	Description string
	Security    *[]any
	Parameters  []struct{ Name, In, Description string }
	Responses   map[string]any
}

// TestDocumentDescribesEveryMethod: the descriptors linked into Go have no comments, the
// document made of them has.
func TestDocumentDescribesEveryMethod(t *testing.T) {
	var document struct {
		Paths      map[string]map[string]documentOperation
		Components struct {
			Schemas map[string]struct{ Description, Type string }
		}
	}
	if err := json.Unmarshal([]byte(openapi.Document()), &document); err != nil {
		t.Fatal(err)
	}
	described := map[string]documentOperation{}
	for path, verbs := range document.Paths {
		for verb, op := range verbs {
			if _, twice := described[op.OperationID]; twice {
				t.Errorf("%s stands twice in the document", op.OperationID)
			}
			described[op.OperationID] = op
			if strings.ContainsAny(path, "._") {
				t.Errorf("%s %s: the path is not in lowerCamelCase", verb, path)
			}
		}
	}
	bound := 0
	for _, m := range contractMethods(t) {
		if m.verb == "" {
			continue
		}
		bound++
		op, ok := described[m.id()]
		if !ok {
			t.Errorf("%s is not in the document", m.FullName())
			continue
		}
		checkOperation(t, m, op)
	}
	// A stream into the service has no binding: the route of the upload is the gateway's own.
	upload := described["CustomerImportService_UploadCustomerImport"]
	if !strings.Contains(upload.Description, "Errors:") || upload.Responses["200"] == nil || upload.Responses["default"] == nil {
		t.Errorf("the upload of a file is in the document as %v", upload)
	}
	if bound+1 != len(described) {
		t.Errorf("the document has %d operations, the contracts %d and one upload", len(described), bound)
	}
	for name, schema := range document.Components.Schemas {
		if schema.Description == "" && strings.HasPrefix(name, "kefu.") {
			t.Errorf("%s has no comment", name)
		}
	}
}

func checkOperation(t *testing.T, m method, op documentOperation) {
	t.Helper()
	if op.Summary == "" || !strings.Contains(op.Description, "Errors:") {
		t.Errorf("%s: the comment does not say what it does and with which reasons it fails: %q", m.id(), op.Description)
	}
	if open := op.Security != nil && len(*op.Security) == 0; open != m.rule.GetPublic() {
		t.Errorf("%s: the document says %v to calls without a token, the access rule %v", m.id(), open, m.rule.GetPublic())
	}
	if op.Responses["200"] == nil || op.Responses["default"] == nil {
		t.Errorf("%s: the document has answers %v", m.id(), op.Responses)
	}
	has := func(header string) bool {
		return slices.ContainsFunc(op.Parameters, func(p struct{ Name, In, Description string }) bool {
			return p.In == "header" && p.Name == header
		})
	}
	if has("Idempotency-Key") != (m.verb != "GET") {
		t.Errorf("%s %s: Idempotency-Key is in the document: %v", m.verb, m.id(), has("Idempotency-Key"))
	}
	_, conditional := etagHolder(newMessage(m.Input()))
	if has("If-Match") != (conditional && m.verb != "GET") {
		t.Errorf("%s: the gateway takes If-Match: %v, the document has it: %v", m.id(), conditional, has("If-Match"))
	}
	for _, p := range op.Parameters {
		if p.Description == "" && p.In != "query" {
			t.Errorf("%s: parameter %s has no comment", m.id(), p.Name)
		}
	}
}

func newMessage(d protoreflect.MessageDescriptor) protoreflect.Message {
	kind, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		return nil
	}
	return kind.New()
}
