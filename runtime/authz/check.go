package authz

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	"github.com/kefu-suite/kefu/runtime/mask"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// standard are grpc's own services, which cannot carry our option and show no data.
// Reflection is registered in development only.
func standard(service protoreflect.FullName) bool {
	switch service {
	case "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection":
		return true
	}
	return false
}

// Check reads the rule of every registered method (grpc.Server.GetServiceInfo) and must
// pass before the server serves. Its error names every method whose rule is missing or
// contradictory and every fault of the policy; until it returns nil the guard refuses
// all calls.
func (g *Guard) Check(infos map[string]grpc.ServiceInfo) error {
	problems := []error{g.policy.check()}
	rules := make(map[string]*accessv1.AccessRule)
	for _, name := range slices.Sorted(maps.Keys(infos)) {
		service, err := findService(protoreflect.FullName(name))
		if err != nil {
			problems = append(problems, err)
			continue
		}
		for _, m := range infos[name].Methods {
			method := service.Methods().ByName(protoreflect.Name(m.Name))
			if method == nil {
				problems = append(problems, fmt.Errorf("/%s/%s: no such method in the contract", name, m.Name))
				continue
			}
			rule, err := ruleOf(method)
			if err != nil {
				problems = append(problems, err)
				continue
			}
			rules["/"+name+"/"+m.Name] = rule
		}
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("authz: %w", err)
	}
	g.rules.Store(&rules)
	return nil
}

// Walk checks the rule of every method of the services whose full name begins with
// prefix, e.g. "kefu.", and names all that lack a valid one. Contract tests call it with
// protoregistry.GlobalFiles; it also fails if it finds no method at all, because then it
// has checked nothing.
func Walk(files *protoregistry.Files, prefix string) error {
	var problems []error
	found := 0
	files.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			service := f.Services().Get(i)
			if !strings.HasPrefix(string(service.FullName()), prefix) {
				continue
			}
			for j := range service.Methods().Len() {
				found++
				if _, err := ruleOf(service.Methods().Get(j)); err != nil {
					problems = append(problems, err)
				}
			}
		}
		return true
	})
	if found == 0 {
		problems = append(problems, fmt.Errorf("no method of %q is linked in", prefix))
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("authz: %w", err)
	}
	return nil
}

func findService(name protoreflect.FullName) (protoreflect.ServiceDescriptor, error) {
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		return nil, fmt.Errorf("%s: no descriptor: %w", name, err)
	}
	service, ok := d.(protoreflect.ServiceDescriptor)
	if !ok {
		return nil, fmt.Errorf("%s is not a service", name)
	}
	return service, nil
}

var callerName = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

// ruleOf returns the method's rule, or why it has no valid one.
func ruleOf(m protoreflect.MethodDescriptor) (*accessv1.AccessRule, error) {
	service := m.Parent().FullName()
	if standard(service) {
		return &accessv1.AccessRule{Public: true}, nil
	}
	name := fmt.Sprintf("/%s/%s", service, m.Name())
	if !proto.HasExtension(m.Options(), accessv1.E_Access) {
		return nil, fmt.Errorf("%s: no access rule", name)
	}
	rule, ok := proto.GetExtension(m.Options(), accessv1.E_Access).(*accessv1.AccessRule)
	if !ok {
		return nil, fmt.Errorf("%s: no access rule", name)
	}
	if err := validRule(rule); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := fieldExists(m.Input(), rule.GetObjectField()); err != nil {
		return nil, fmt.Errorf("%s: object_field: %w", name, err)
	}
	if why := m.Input().Fields().ByName("purpose"); rule.GetNeedsPurpose() && (why == nil || why.Kind() != protoreflect.StringKind) {
		return nil, fmt.Errorf("%s: needs_purpose: %s has no text field purpose", name, m.Input().FullName())
	}
	if err := errors.Join(mask.Check(m.Input()), mask.Check(m.Output())); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return rule, nil
}

func validRule(rule *accessv1.AccessRule) error {
	named := len(rule.GetPermissions())+len(rule.GetCallers()) > 0
	if rule.GetPublic() == named {
		return errors.New("the rule must be either public or name permissions or callers")
	}
	for _, p := range rule.GetPermissions() {
		if !permissionName.MatchString(p) {
			return fmt.Errorf("%q is not a permission such as tickets.write", p)
		}
	}
	for _, c := range rule.GetCallers() {
		if !callerName.MatchString(c) {
			return fmt.Errorf("%q is not the name of a service", c)
		}
	}
	return nil
}

// fieldExists follows a dotted path through the request's messages.
func fieldExists(msg protoreflect.MessageDescriptor, path string) error {
	if path == "" {
		return nil
	}
	for part := range strings.SplitSeq(path, ".") {
		if msg == nil {
			return fmt.Errorf("%s: %s is below a plain value", path, part)
		}
		field := msg.Fields().ByName(protoreflect.Name(part))
		if field == nil {
			return fmt.Errorf("%s: %s has no field %s", path, msg.FullName(), part)
		}
		msg = field.Message()
	}
	return nil
}
