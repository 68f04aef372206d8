package accesstest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kefu-suite/kefu/runtime/testkit"
)

// Attempt calls a method on a row, and fails with one of the codes of Refused where the
// caller may not.
type Attempt func(ctx context.Context, id string) error

// Refused tells whether an error is that of a caller who may not.
func Refused(err error) bool {
	switch status.Code(err) {
	case codes.Unauthenticated, codes.PermissionDenied, codes.NotFound:
		return true
	}
	return false
}

// Matrix holds the methods of a service against callers and rows: a row of their own, of
// their team and of others.
type Matrix struct {
	// Rowless are the methods that are about no row there is: who may call them may,
	// whichever row the attempt is about. Customers are for themselves there too.
	Rowless []string
	// Bare are permissions that open no row to a system: to use what was granted to somebody,
	// and to do what people alone may.
	Bare []string

	t        testing.TB
	service  string
	table    map[string]Line
	attempts map[string]Attempt
	// Cells is how many were asserted, Wrong how many were not as the table has them.
	Cells, Wrong int
}

// NewMatrix begins one. A method of the service without an attempt fails the test, so that
// none is forgotten.
func NewMatrix(t testing.TB, service *grpc.ServiceDesc, attempts map[string]Attempt) *Matrix {
	t.Helper()
	var methods []string
	for _, m := range service.Methods {
		methods = append(methods, m.MethodName)
	}
	for _, s := range service.Streams {
		methods = append(methods, s.StreamName)
	}
	slices.Sort(methods)
	if tried := slices.Sorted(maps.Keys(attempts)); !slices.Equal(tried, methods) {
		t.Fatalf("%s has the methods\n%v\nand the rows are tried with\n%v", service.ServiceName, methods, tried)
	}
	table := Table(t)
	for _, m := range methods {
		if _, ok := table["/"+service.ServiceName+"/"+m]; !ok {
			t.Fatalf("%s is not in the table", m)
		}
	}
	return &Matrix{t: t, service: service.ServiceName, table: table, attempts: attempts}
}

// Check tries every method on rows, by how far from the caller they are.
func (m *Matrix) Check(who string, ctx context.Context, reach func(Line) Reach, rows map[Reach]string) {
	m.t.Helper()
	for method := range m.attempts {
		m.check(method, who, ctx, reach(m.line(method)), rows)
	}
}

// Role tries every method by a role.
func (m *Matrix) Role(role string, ctx context.Context, rows map[Reach]string) {
	m.t.Helper()
	m.Check(role, ctx, func(l Line) Reach {
		if role != "customer" && l.Role(role) != None && slices.Contains(m.Rowless, l.Name()) {
			return Company
		}
		return l.Role(role)
	}, rows)
}

// Others tries every method by whoever has no role: nobody, other services, accounts with
// the permission and with each other one, and people the table knows nothing of.
func (m *Matrix) Others(s *testkit.Service, row string) {
	m.t.Helper()
	rows := map[Reach]string{Company: row}
	permissions := map[string]bool{"other.things": true}
	for method := range m.attempts {
		for _, p := range m.line(method).Permissions {
			permissions[p] = true
		}
	}
	none := func(Line) Reach { return None }
	m.Check("nobody", s.AsPublic(), none, rows)
	m.Check("a person without roles", s.AsPerson("nobody"), none, rows)
	m.Check("a person with an unknown role", s.AsPerson("x", "director"), none, rows)
	m.Check("a person who claims to be a customer", s.AsPerson("x", "customer"), none, rows)
	for _, service := range []string{"customer-registry", "survey", "gateway", "stranger"} {
		m.Check("the service "+service, s.AsService(service), func(l Line) Reach {
			if slices.Contains(l.Callers, service) {
				return Company
			}
			return None
		}, rows)
	}
	for _, p := range slices.Sorted(maps.Keys(permissions)) {
		m.Check("an account with "+p, s.AsAccount("erp", p), func(l Line) Reach {
			if slices.Contains(l.Permissions, p) && !slices.Contains(m.Bare, p) {
				return Company
			}
			return None
		}, rows)
	}
}

func (m *Matrix) line(method string) Line { return m.table["/"+m.service+"/"+method] }

func (m *Matrix) check(method, who string, ctx context.Context, reach Reach, rows map[Reach]string) {
	m.t.Helper()
	for row, id := range rows {
		m.Cells++
		if err := m.attempts[method](ctx, id); Refused(err) == reach.Covers(row) {
			m.Wrong++
			m.t.Errorf("%s by %s on row %d: %v, want allowed %v", method, who, row, err, reach.Covers(row))
		}
	}
}

// Name is the method without its service.
func (l Line) Name() string { return l.Method[strings.LastIndexByte(l.Method, '/')+1:] }
