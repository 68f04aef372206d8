package access_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	_ "github.com/kefu-suite/kefu/proto/gen/go/kefu/calendar/v1"
	_ "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	_ "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	_ "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	_ "github.com/kefu-suite/kefu/proto/gen/go/kefu/subject/v1"
	_ "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	_ "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
)

// rules returns the access rule of every method of the suite.
func rules(t *testing.T) map[string]*accessv1.AccessRule {
	t.Helper()
	out := map[string]*accessv1.AccessRule{}
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(file.Package()), "kefu.") {
			return true
		}
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				rule, ok := proto.GetExtension(methods.Get(j).Options(), accessv1.E_Access).(*accessv1.AccessRule)
				if !ok || rule == nil {
					t.Errorf("%s has no access rule", methods.Get(j).FullName())
					continue
				}
				out[string(methods.Get(j).FullName())] = rule
			}
		}
		return true
	})
	if len(out) < 20 {
		t.Fatalf("only %d methods found", len(out))
	}
	return out
}

func TestEveryPermissionIsGrantedAndEveryGrantIsUsed(t *testing.T) {
	named := map[string]string{}
	for method, rule := range rules(t) {
		for _, p := range rule.GetPermissions() {
			named[p] = method
		}
	}
	granted := map[string]string{}
	for role, may := range access.Policy().Roles {
		for _, g := range may.Grants {
			granted[g.Permission] = role
		}
	}
	systems := access.ServiceAccountOnly()
	for p, method := range named {
		if _, ok := granted[p]; !ok && !slices.Contains(systems, p) {
			t.Errorf("%s asks for %q, which no role has", method, p)
		}
	}
	for p, role := range granted {
		if _, ok := named[p]; !ok {
			t.Errorf("%s has %q, which no method asks for", role, p)
		}
	}
	for _, p := range systems {
		if role, ok := granted[p]; ok {
			t.Errorf("%q is for service accounts alone and %s has it", p, role)
		}
		if _, ok := named[p]; !ok {
			t.Errorf("%q is for service accounts and no method asks for it", p)
		}
	}
}

// A grant narrower than every method that asks for it can never be used.
func TestEveryGrantReachesAMethod(t *testing.T) {
	narrowest := map[string]accessv1.Scope{}
	for _, rule := range rules(t) {
		for _, p := range rule.GetPermissions() {
			if s, ok := narrowest[p]; !ok || rule.GetScope() < s {
				narrowest[p] = rule.GetScope()
			}
		}
	}
	for role, may := range access.Policy().Roles {
		seen := map[string]bool{}
		for _, g := range may.Grants {
			if seen[g.Permission] {
				t.Errorf("%s has %q twice", role, g.Permission)
			}
			seen[g.Permission] = true
			if g.Scope == accessv1.Scope_SCOPE_UNSPECIFIED {
				t.Errorf("%s has %q without a scope", role, g.Permission)
			}
			if g.Scope < narrowest[g.Permission] {
				t.Errorf("%s has %q with %v, but each method wants at least %v", role, g.Permission, g.Scope, narrowest[g.Permission])
			}
		}
	}
}

// The right column of the table of roles: what each may not.
func TestWhatRolesMayNot(t *testing.T) {
	inner := []string{"customers.", "contacts.", "profiles.", "consents.", "orders."}
	files := append(slices.Clone(inner), "summaries.")
	forbidden := map[string][]string{
		access.ServiceManager:           {"customers.read", "contacts.read", "profiles.read", "*.import"},
		access.ServiceSupervisor:        {"customers.read", "contacts.read", "profiles.read", "directory.write", "*.import"},
		access.ServiceAgent:             {"customers.read", "contacts.read", "profiles.read", "directory.write", "complaints.approve", "*.import"},
		access.SupportEngineer:          append([]string{"breakglass.", "visits."}, files...),
		access.AfterSalesSpecialist:     append([]string{"breakglass."}, files...),
		access.CRMSpecialist:            {"tickets.", "customers.tier", "customers.unmask", "*.import", "directory.write"},
		access.InformationAdministrator: {"complaints.approve", "complaints.close", "accessrequests.decide"},
		access.QCInspector:              files,
		access.Salesperson:              append([]string{"breakglass."}, inner...),
		access.SalesManager:             append([]string{"accessreviews."}, inner...),
		access.CompanyManager:           append([]string{"accessreviews."}, files...),
		access.Auditor:                  append([]string{"tickets.", "complaints.", "answers."}, files...),
		access.Customer:                 {"summaries.", "directory.", "questionnaires.", "answers.", "complaints.approve", "complaints.work", "complaints.history", "tickets.work", "tickets.history"},
	}
	policy := access.Policy().Roles
	if got, want := slices.Sorted(maps.Keys(policy)), slices.Sorted(maps.Keys(forbidden)); !slices.Equal(got, want) {
		t.Fatalf("roles %v, want %v", got, want)
	}
	for role, patterns := range forbidden {
		for _, g := range policy[role].Grants {
			for _, p := range patterns {
				if matches(p, g.Permission) {
					t.Errorf("%s must not have %q (%s)", role, g.Permission, p)
				}
			}
			if role == access.Customer && g.Scope != accessv1.Scope_SCOPE_OWN {
				t.Errorf("a customer has %q beyond their own", g.Permission)
			}
			// The auditor's signature under the quarterly review is their one write.
			if role == access.Auditor && !strings.HasSuffix(g.Permission, ".read") && g.Permission != "accessreviews.sign" {
				t.Errorf("the auditor may write: %q", g.Permission)
			}
		}
	}
}

// matches takes a whole permission, an area ("tickets.") or a verb ("*.import").
func matches(pattern, permission string) bool {
	if verb, ok := strings.CutPrefix(pattern, "*"); ok {
		return strings.HasSuffix(permission, verb)
	}
	if strings.HasSuffix(pattern, ".") {
		return strings.HasPrefix(permission, pattern)
	}
	return permission == pattern
}
