package token_test

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/kefu-suite/kefu/deploy/kefuctl/internal/token"
	"github.com/kefu-suite/kefu/runtime/devissuer"
)

func mint(t *testing.T, r token.Request) (jwt.MapClaims, error) {
	t.Helper()
	issuer, err := devissuer.Open(filepath.Join(t.TempDir(), "issuer.pem"), "http://127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := token.Mint(issuer, r)
	if err != nil {
		return nil, err
	}
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(raw, claims); err != nil {
		t.Fatal(err)
	}
	return claims, nil
}

func TestMint(t *testing.T) {
	for _, tt := range []struct {
		name                     string
		request                  token.Request
		subject, audience, claim string
		values                   []any
	}{
		{"role", token.Request{Roles: []string{"service-agent"}}, "dev-service-agent", "kefu", "kefu_roles", []any{"service-agent"}},
		{"roles and staff", token.Request{Roles: []string{"service-agent", "qc-inspector"}, Staff: "s1"}, "s1", "kefu", "kefu_roles", []any{"service-agent", "qc-inspector"}},
		{"customer", token.Request{Customer: "c1"}, "c1", "kefu-customers", "kefu_roles", []any{"customer"}},
		{"customer with role", token.Request{Customer: "c1", Roles: []string{"customer"}}, "c1", "kefu-customers", "kefu_roles", []any{"customer"}},
		{"service account", token.Request{Account: "erp", Permissions: []string{"orders.write"}}, "erp", "kefu", "kefu_permissions", []any{"orders.write"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			claims, err := mint(t, tt.request)
			if err != nil {
				t.Fatal(err)
			}
			values, _ := claims[tt.claim].([]any)
			if claims["sub"] != tt.subject || claims["aud"] != tt.audience || !slices.Equal(values, tt.values) {
				t.Fatalf("got %v", claims)
			}
			if life := claims["exp"].(float64) - claims["iat"].(float64); life != time.Hour.Seconds() {
				t.Fatalf("lives %v s", life)
			}
		})
	}
}

func TestMintRefuses(t *testing.T) {
	for _, tt := range []struct {
		name    string
		request token.Request
		want    string
	}{
		{"unknown role", token.Request{Roles: []string{"boss"}}, `unknown role "boss"; the roles are service-manager,`},
		{"nobody", token.Request{}, "needs a role"},
		{"customer without id", token.Request{Roles: []string{"customer"}}, "--customer ID"},
		{"customer and staff", token.Request{Customer: "c", Roles: []string{"auditor"}}, "one of"},
		{"account with role", token.Request{Account: "erp", Permissions: []string{"x"}, Roles: []string{"auditor"}}, "one of"},
		{"account without permission", token.Request{Account: "erp"}, "its permissions"},
		{"too long", token.Request{Roles: []string{"auditor"}, Lifetime: 2 * time.Hour}, "at most 1h"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := mint(t, tt.request); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q in it", err, tt.want)
			}
		})
	}
}

// The roles that the services know are constants of their access package.
func TestRolesAreThoseOfTheServices(t *testing.T) {
	path := filepath.Join("..", "..", "..", "..", "services", "internal", "access", "access.go")
	file, err := parser.ParseFile(gotoken.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	var keys []string
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ValueSpec:
			for i, v := range n.Values {
				if lit, ok := v.(*ast.BasicLit); ok && lit.Kind == gotoken.STRING {
					names[n.Names[i].Name], _ = strconv.Unquote(lit.Value)
				}
			}
		case *ast.CompositeLit:
			table, ok := n.Type.(*ast.MapType)
			if !ok {
				return true
			}
			if sel, ok := table.Value.(*ast.SelectorExpr); ok && sel.Sel.Name == "Role" {
				for _, e := range n.Elts {
					keys = append(keys, e.(*ast.KeyValueExpr).Key.(*ast.Ident).Name)
				}
			}
		}
		return true
	})
	var want []string
	for _, k := range keys {
		want = append(want, names[k])
	}
	got := token.Roles()
	slices.Sort(want)
	slices.Sort(got)
	if len(want) == 0 || !slices.Equal(got, want) {
		t.Fatalf("the services know %v, kefuctl %v", want, got)
	}
}
