package access_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/services/internal/access"
)

// BenchmarkGuard is what deciding on a call and masking its answer cost: a file that is
// masked, one that is not, and a page of fifty names.
func BenchmarkGuard(b *testing.B) {
	guard := authz.New(access.Policy())
	methods := []grpc.MethodInfo{{Name: "GetCustomer"}, {Name: "ListCustomerSummaries"}}
	if err := guard.Check(map[string]grpc.ServiceInfo{"kefu.customer.v1.CustomerService": {Methods: methods}}); err != nil {
		b.Fatal(err)
	}
	file := &customerv1.Customer{Name: "张伟", Phone: "+8613812345678", Email: "zhang@example.com", Address: &customerv1.Address{City: "武汉"}}
	page := &customerv1.ListCustomerSummariesResponse{}
	for range 50 {
		page.CustomerSummaries = append(page.CustomerSummaries, &customerv1.CustomerSummary{Name: "张伟"})
	}
	for name, tc := range map[string]struct {
		role, method string
		answer       any
	}{
		"masked": {access.ServiceAgent, "GetCustomer", file},
		"shown":  {access.CRMSpecialist, "GetCustomer", file},
		"page":   {access.ServiceAgent, "ListCustomerSummaries", page},
	} {
		ctx := authn.NewContext(b.Context(), authn.Identity{Kind: authn.Person, Issuer: "https://i", Subject: "u", Roles: []string{tc.role}})
		info := &grpc.UnaryServerInfo{FullMethod: "/kefu.customer.v1.CustomerService/" + tc.method}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := guard.Unary()(ctx, &customerv1.GetCustomerRequest{Id: "x"}, info,
					func(context.Context, any) (any, error) { return tc.answer, nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
