package access_test

import (
	"context"
	"testing"

	"google.golang.org/genproto/googleapis/type/date"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/services/internal/access"
)

// BenchmarkGuard is what deciding on a call and masking its answer cost: a file that is
// masked, one that is not, a page of fifty names and one of fifty people, with the origin of
// each value.
func BenchmarkGuard(b *testing.B) {
	guard := authz.New(access.Policy())
	if err := guard.Check(map[string]grpc.ServiceInfo{
		"kefu.customer.v1.CustomerService": {Methods: []grpc.MethodInfo{{Name: "GetCustomer"}, {Name: "ListCustomerSummaries"}}},
		"kefu.customer.v1.ContactService":  {Methods: []grpc.MethodInfo{{Name: "ListContacts"}}},
	}); err != nil {
		b.Fatal(err)
	}
	file := &customerv1.Customer{Name: "张伟", Phone: "+8613812345678", Email: "zhang@example.com", Address: &customerv1.Address{City: "武汉"}}
	page := &customerv1.ListCustomerSummariesResponse{}
	for range 50 {
		page.CustomerSummaries = append(page.CustomerSummaries, &customerv1.CustomerSummary{Name: "张伟"})
	}
	var whole, people []*customerv1.Contact
	for range 50 {
		whole, people = append(whole, someone()), append(people, someone())
	}
	// What is masked is filled in again: to copy fifty people takes ten times what it measures.
	contacts := &customerv1.ListContactsResponse{Contacts: people}
	fill := func() {
		for i, c := range people {
			c.Name, c.Phone, c.Email, c.Birthday = whole[i].Name, whole[i].Phone, whole[i].Email, whole[i].Birthday
		}
	}
	const files, persons = "/kefu.customer.v1.CustomerService/", "/kefu.customer.v1.ContactService/"
	for name, tc := range map[string]struct {
		role, method string
		answer       any
	}{
		"masked":        {access.ServiceAgent, files + "GetCustomer", file},
		"shown":         {access.CRMSpecialist, files + "GetCustomer", file},
		"page":          {access.ServiceAgent, files + "ListCustomerSummaries", page},
		"people masked": {access.ServiceAgent, persons + "ListContacts", contacts},
		"people shown":  {access.CRMSpecialist, persons + "ListContacts", contacts},
	} {
		ctx := authn.NewContext(b.Context(), authn.Identity{Kind: authn.Person, Issuer: "https://i", Subject: "u", Roles: []string{tc.role}})
		info := &grpc.UnaryServerInfo{FullMethod: tc.method}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := guard.Unary()(ctx, &customerv1.GetCustomerRequest{Id: "x"}, info,
					func(context.Context, any) (any, error) {
						file.Phone, file.Email = "+8613812345678", "zhang@example.com"
						if tc.answer == contacts {
							fill()
						}
						return tc.answer, nil
					}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func someone() *customerv1.Contact {
	now := timestamppb.Now()
	c := &customerv1.Contact{
		Id: "01a2", CustomerId: "01a1", Name: "李四", Phone: "+8613800138000", Email: "li@jinggong.example", Language: "zh-CN",
		Birthday: &date.Date{Month: 5, Day: 3}, PhoneQuality: customerv1.PointQuality_POINT_QUALITY_VALID,
		EmailQuality: customerv1.PointQuality_POINT_QUALITY_VALID, CreateTime: now, UpdateTime: now, Etag: "1",
	}
	for _, field := range []string{"birthday", "email", "language", "name", "phone"} {
		c.FieldStates = append(c.FieldStates, &customerv1.FieldState{Field: field, SetTime: now, Setter: "https://i|u"})
	}
	return c
}
