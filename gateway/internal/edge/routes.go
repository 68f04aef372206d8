package edge

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
)

// routeTable knows every REST binding of the linked contracts.
type routeTable struct {
	routes []route
	public map[string]bool // full method → callable without a token
}

type route struct {
	verb string
	path *regexp.Regexp
	// params are the names of its parameters, as the groups of path find their values.
	params []string
	// request is what the call takes.
	request protoreflect.MessageDescriptor
	// body is what the body holds, nil for none.
	body protoreflect.MessageDescriptor
	// query: fields are left that neither the path nor the body gives.
	query bool
	// stream: the answer is a stream of messages.
	stream bool
}

var pathParameter = regexp.MustCompile(`\{[^}]*\}`)

// describe reads the bindings from the descriptors, so that the table cannot differ
// from what grpc-gateway serves.
func describe() (*routeTable, error) {
	t := &routeTable{public: map[string]bool{}}
	var failed error
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(file.Package()), "kefu.") {
			return true
		}
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				if err := t.add(methods.Get(j)); err != nil {
					failed = err
					return false
				}
			}
		}
		return true
	})
	return t, failed
}

func (t *routeTable) add(m protoreflect.MethodDescriptor) error {
	full := fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name())
	if rule, ok := proto.GetExtension(m.Options(), accessv1.E_Access).(*accessv1.AccessRule); ok {
		t.public[full] = rule.GetPublic()
	}
	http, ok := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
	if !ok || http == nil {
		return nil
	}
	for _, rule := range append([]*annotations.HttpRule{http}, http.GetAdditionalBindings()...) {
		verb, template := binding(rule)
		pattern, err := regexp.Compile("^" + literal(template) + "$")
		if err != nil {
			return fmt.Errorf("path of %s: %w", full, err)
		}
		t.routes = append(t.routes, route{
			verb: verb, path: pattern, params: parameters(template), request: m.Input(), body: bodyOf(m.Input(), rule.GetBody()), query: leavesFields(m.Input(), template, rule.GetBody()), stream: m.IsStreamingServer(),
		})
	}
	return nil
}

// parameters gives the names of the parameters of a path.
func parameters(template string) []string {
	var names []string
	for _, parameter := range pathParameter.FindAllString(template, -1) {
		names = append(names, strings.Trim(parameter, "{}"))
	}
	return names
}

// bodyOf gives the message that the body of a binding is read into.
func bodyOf(request protoreflect.MessageDescriptor, body string) protoreflect.MessageDescriptor {
	switch body {
	case "":
		return nil
	case "*":
		return request
	}
	return request.Fields().ByName(protoreflect.Name(body)).Message()
}

// leavesFields tells whether a request has fields that stand neither in the path nor in
// the body.
func leavesFields(request protoreflect.MessageDescriptor, template, body string) bool {
	if body == "*" {
		return false
	}
	left := request.Fields().Len()
	if body != "" {
		left--
	}
	for _, parameter := range pathParameter.FindAllString(template, -1) {
		if !strings.Contains(parameter, ".") { // with a dot it lies within the body
			left--
		}
	}
	return left > 0
}

// literal turns a path template into the text of a regular expression in which every
// parameter is one segment without a verb.
func literal(template string) string {
	var b strings.Builder
	for {
		at := pathParameter.FindStringIndex(template)
		if at == nil {
			b.WriteString(regexp.QuoteMeta(template))
			return b.String()
		}
		b.WriteString(regexp.QuoteMeta(template[:at[0]]))
		b.WriteString("([^/:]+)")
		template = template[at[1]:]
	}
}

func binding(rule *annotations.HttpRule) (verb, template string) {
	switch p := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		return http.MethodGet, p.Get
	case *annotations.HttpRule_Post:
		return http.MethodPost, p.Post
	case *annotations.HttpRule_Patch:
		return http.MethodPatch, p.Patch
	case *annotations.HttpRule_Put:
		return http.MethodPut, p.Put
	case *annotations.HttpRule_Delete:
		return http.MethodDelete, p.Delete
	}
	return "", ""
}

// streams tells whether the call answers with a stream.
func (t *routeTable) streams(verb, path string) bool {
	return slices.ContainsFunc(t.routes, func(r route) bool { return r.stream && r.verb == verb && r.path.MatchString(path) })
}

// find gives the route of a call, nil for none.
func (t *routeTable) find(verb, path string) *route {
	at := slices.IndexFunc(t.routes, func(r route) bool { return r.verb == verb && r.path.MatchString(path) })
	if at < 0 {
		return nil
	}
	return &t.routes[at]
}

// allowed gives the verbs that the path answers to, sorted; none for an unknown path.
func (t *routeTable) allowed(path string) []string {
	verbs := map[string]bool{}
	for _, r := range t.routes {
		if r.path.MatchString(path) {
			verbs[r.verb] = true
		}
	}
	return slices.Sorted(maps.Keys(verbs))
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
