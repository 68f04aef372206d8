package rpc

import (
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
)

// TestNULIsRefused: the database holds any text but U+0000.
func TestNULIsRefused(t *testing.T) {
	validator, err := NewValidator()
	if err != nil {
		t.Fatal(err)
	}
	file := func(change func(*customerv1.Customer)) *customerv1.Customer {
		c := &customerv1.Customer{Name: "n", Kind: customerv1.CustomerKind_CUSTOMER_KIND_AGENT, Party: customerv1.Party_PARTY_PERSON}
		change(c)
		return c
	}
	for name, c := range map[string]struct {
		message proto.Message
		field   string
	}{
		"plain":     {&customerv1.CreateCustomerRequest{Customer: file(func(*customerv1.Customer) {})}, ""},
		"text":      {&customerv1.CreateCustomerRequest{Customer: file(func(c *customerv1.Customer) { c.Industry = "a\x00" })}, "customer.industry"},
		"list":      {&customerv1.CreateCustomerRequest{Customer: file(func(c *customerv1.Customer) { c.Tags = []string{"a", "\x00"} })}, "customer.tags[1]"},
		"below":     {&customerv1.CreateCustomerRequest{Customer: file(func(c *customerv1.Customer) { c.Address = &customerv1.Address{City: "\x00"} })}, "customer.address.city"},
		"top level": {&customerv1.ListCustomerSummariesRequest{Query: "\x00"}, "query"},
		// One bad record must not refuse the others: its handler checks each.
		"in a record": {&customerv1.ImportCustomersRequest{Purpose: "first load", Source: "erp", Records: []*customerv1.CustomerRecord{
			{ExternalId: "1", Customer: file(func(c *customerv1.Customer) { c.Name = "\x00" })}}}, ""},
		"the record": {&customerv1.CustomerRecord{ExternalId: "1", Customer: file(func(c *customerv1.Customer) { c.Name = "\x00" })}, "customer.name"},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			for _, detail := range status.Convert(Check(validator, c.message)).Details() {
				if bad, ok := detail.(*errdetails.BadRequest); ok {
					got = bad.GetFieldViolations()[0].GetField()
				}
			}
			if got != c.field {
				t.Errorf("refused for %q, expected %q", got, c.field)
			}
		})
	}
}
