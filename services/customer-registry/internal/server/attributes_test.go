package server_test

import (
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
)

func attribute(key string, of customerv1.AttributeType) *customerv1.AttributeDefinition {
	return &customerv1.AttributeDefinition{Key: key, Type: of, Label: &typev1.Text{Zh: key}}
}

func (r *registry) define(t *testing.T, d *customerv1.AttributeDefinition) *customerv1.AttributeDefinition {
	t.Helper()
	made, err := r.attributes.CreateAttributeDefinition(r.admin(), &customerv1.CreateAttributeDefinitionRequest{AttributeDefinition: d})
	if err != nil {
		t.Fatalf("define %s: %v", d.GetKey(), err)
	}
	return made
}

func textOf(key, v string) *customerv1.AttributeValue {
	return &customerv1.AttributeValue{Key: key, Value: &customerv1.AttributeValue_Text{Text: v}}
}

func numberOf(key string, v float64) *customerv1.AttributeValue {
	return &customerv1.AttributeValue{Key: key, Value: &customerv1.AttributeValue_Number{Number: v}}
}

func flagOf(key string, v bool) *customerv1.AttributeValue {
	return &customerv1.AttributeValue{Key: key, Value: &customerv1.AttributeValue_Flag{Flag: v}}
}

func TestAttributesAreValidatedByTheirDefinitions(t *testing.T) {
	r := start(t)
	segment := attribute("segment", customerv1.AttributeType_ATTRIBUTE_TYPE_CHOICE)
	segment.Choices, segment.Required = []string{"A", "B"}, true
	made := r.define(t, segment)
	fleet := attribute("fleet", customerv1.AttributeType_ATTRIBUTE_TYPE_NUMBER)
	fleet.MinNumber, fleet.MaxNumber = proto.Float64(0), proto.Float64(100)
	r.define(t, fleet)
	since := attribute("since", customerv1.AttributeType_ATTRIBUTE_TYPE_DATE)
	since.MinDate = "2000-01-01"
	r.define(t, since)
	r.define(t, attribute("vip", customerv1.AttributeType_ATTRIBUTE_TYPE_BOOLEAN))
	note := attribute("motto", customerv1.AttributeType_ATTRIBUTE_TYPE_TEXT)
	note.MaxLength = 3
	r.define(t, note)
	try := func(values ...*customerv1.AttributeValue) (*customerv1.Customer, error) {
		c := full()
		c.Attributes = values
		return r.customers.CreateCustomer(r.admin(), &customerv1.CreateCustomerRequest{Customer: c})
	}
	c, err := try(flagOf("vip", true), textOf("segment", "A"), numberOf("fleet", 12.5), textOf("since", "2020-02-29"), textOf("motto", "勤奋啊"))
	if err != nil || len(c.GetAttributes()) != 5 || c.GetAttributes()[0].GetKey() != "fleet" || c.GetAttributes()[0].GetNumber() != 12.5 {
		t.Fatalf("made %v, %v", c.GetAttributes(), err)
	}
	if got := r.get(t, c.GetId()); !proto.Equal(got, c) {
		t.Errorf("read %v\nwant %v", got, c)
	}
	a := textOf("segment", "A")
	for name, values := range map[string][]*customerv1.AttributeValue{
		"no choice":      {textOf("segment", "C")},
		"missing":        {flagOf("vip", true)},
		"unknown":        {a, textOf("ship", "x")},
		"twice":          {a, textOf("segment", "B")},
		"below":          {a, numberOf("fleet", -1)},
		"above":          {a, numberOf("fleet", 101)},
		"type":           {a, textOf("fleet", "12")},
		"another type":   {a, numberOf("vip", 1)},
		"no date":        {a, textOf("since", "2021-02-29")},
		"early":          {a, textOf("since", "1999-12-31")},
		"long":           {a, textOf("motto", "勤奋努力")},
		"number of text": {a, numberOf("motto", 1)},
	} {
		_, err := try(values...)
		refused(t, name, err, codes.InvalidArgument, "VALIDATION_FAILED")
	}
	// What a file has may stay when its definition moves on.
	if _, err := r.attributes.UpdateAttributeDefinition(r.admin(), &customerv1.UpdateAttributeDefinitionRequest{
		AttributeDefinition: &customerv1.AttributeDefinition{Id: made.GetId(), Choices: []string{"B"}, Etag: "1"}, UpdateMask: mask("choices"),
	}); err != nil {
		t.Fatal(err)
	}
	r.update(t, &customerv1.Customer{Id: c.GetId(), Region: "华南"}, 0, "region")
	r.update(t, &customerv1.Customer{Id: c.GetId(), Attributes: []*customerv1.AttributeValue{a, numberOf("fleet", 3)}}, 0, "attributes")
	_, err = r.customers.UpdateCustomer(r.admin(), &customerv1.UpdateCustomerRequest{
		Customer: &customerv1.Customer{Id: c.GetId()}, UpdateMask: mask("attributes")})
	refused(t, "the required one removed", err, codes.InvalidArgument, "VALIDATION_FAILED", "customer.attributes")
	changes, err := r.files.ListCustomerChanges(r.admin(), &customerv1.ListCustomerChangesRequest{CustomerId: c.GetId(), Field: "attributes.fleet"})
	if err != nil || len(changes.GetChanges()) != 1 || changes.GetChanges()[0].GetBefore() != "12.5" || changes.GetChanges()[0].GetAfter() != "3" {
		t.Errorf("history %v, %v", changes, err)
	}
}

func TestAttributeDefinitions(t *testing.T) {
	r := start(t)
	made := r.define(t, attribute("fleet", customerv1.AttributeType_ATTRIBUTE_TYPE_NUMBER))
	got, err := r.attributes.GetAttributeDefinition(r.As(access.Salesperson), &customerv1.GetAttributeDefinitionRequest{Id: made.GetId()})
	if err != nil || !proto.Equal(got, made) {
		t.Errorf("read %v, %v", got, err)
	}
	_, err = r.attributes.GetAttributeDefinition(r.admin(), &customerv1.GetAttributeDefinitionRequest{Id: newID(t)})
	refused(t, "unknown", err, codes.NotFound, "ATTRIBUTE_DEFINITION_NOT_FOUND")
	create := func(d *customerv1.AttributeDefinition) error {
		_, err := r.attributes.CreateAttributeDefinition(r.admin(), &customerv1.CreateAttributeDefinitionRequest{AttributeDefinition: d})
		return err
	}
	refused(t, "again", create(attribute("fleet", customerv1.AttributeType_ATTRIBUTE_TYPE_TEXT)), codes.AlreadyExists, "ATTRIBUTE_DEFINITION_EXISTS")
	for field, spoil := range map[string]func(*customerv1.AttributeDefinition){
		"key":        func(d *customerv1.AttributeDefinition) { d.Key = "Fleet" },
		"type":       func(d *customerv1.AttributeDefinition) { d.Type = 0 },
		"label":      func(d *customerv1.AttributeDefinition) { d.Label = &typev1.Text{} },
		"choices":    func(d *customerv1.AttributeDefinition) { d.Type = customerv1.AttributeType_ATTRIBUTE_TYPE_CHOICE },
		"max_length": func(d *customerv1.AttributeDefinition) { d.MaxLength = 9 },
		"min_date":   func(d *customerv1.AttributeDefinition) { d.MinDate = "2020-01-01" },
		"max_number": func(d *customerv1.AttributeDefinition) { d.MinNumber, d.MaxNumber = proto.Float64(2), proto.Float64(1) },
		"max_date": func(d *customerv1.AttributeDefinition) {
			d.Type, d.MinDate, d.MaxDate = customerv1.AttributeType_ATTRIBUTE_TYPE_DATE, "2020-01-02", "2020-01-01"
		},
	} {
		d := attribute("other", customerv1.AttributeType_ATTRIBUTE_TYPE_NUMBER)
		spoil(d)
		refused(t, field, create(d), codes.InvalidArgument, "VALIDATION_FAILED", "attribute_definition."+field)
	}
	update := func(d *customerv1.AttributeDefinition, paths ...string) error {
		_, err := r.attributes.UpdateAttributeDefinition(r.admin(), &customerv1.UpdateAttributeDefinitionRequest{AttributeDefinition: d, UpdateMask: mask(paths...)})
		return err
	}
	refused(t, "another type", update(&customerv1.AttributeDefinition{Id: made.GetId()}, "type"), codes.InvalidArgument, "UPDATE_MASK_INVALID")
	refused(t, "stale", update(&customerv1.AttributeDefinition{Id: made.GetId(), Etag: "7", Required: true}, "required"), codes.Aborted, "ETAG_MISMATCH")
	refused(t, "nobody's", update(&customerv1.AttributeDefinition{Id: newID(t), Required: true}, "required"), codes.NotFound, "ATTRIBUTE_DEFINITION_NOT_FOUND")
	for i := range 99 {
		r.define(t, attribute(fmt.Sprintf("a%d", i), customerv1.AttributeType_ATTRIBUTE_TYPE_BOOLEAN))
	}
	refused(t, "too many", create(attribute("more", customerv1.AttributeType_ATTRIBUTE_TYPE_BOOLEAN)), codes.FailedPrecondition, "TOO_MANY_ATTRIBUTES")
	if err := update(&customerv1.AttributeDefinition{Id: made.GetId(), Retired: true}, "retired"); err != nil {
		t.Fatal(err)
	}
	r.define(t, attribute("more", customerv1.AttributeType_ATTRIBUTE_TYPE_BOOLEAN))
	refused(t, "too many again", update(&customerv1.AttributeDefinition{Id: made.GetId()}, "retired"), codes.FailedPrecondition, "TOO_MANY_ATTRIBUTES")
	c := full()
	c.Attributes = []*customerv1.AttributeValue{numberOf("fleet", 1)}
	_, err = r.customers.CreateCustomer(r.admin(), &customerv1.CreateCustomerRequest{Customer: c})
	refused(t, "a retired attribute", err, codes.InvalidArgument, "VALIDATION_FAILED", "customer.attributes[0]")
	page, err := r.attributes.ListAttributeDefinitions(r.admin(), &customerv1.ListAttributeDefinitionsRequest{PageSize: 100})
	if err != nil || len(page.GetAttributeDefinitions()) != 100 || page.GetNextPageToken() == "" {
		t.Fatalf("%d definitions, %v", len(page.GetAttributeDefinitions()), err)
	}
	page, err = r.attributes.ListAttributeDefinitions(r.admin(), &customerv1.ListAttributeDefinitionsRequest{PageSize: 100, PageToken: page.GetNextPageToken()})
	if err != nil || len(page.GetAttributeDefinitions()) != 1 || page.GetAttributeDefinitions()[0].GetKey() != "more" {
		t.Errorf("the last page: %v, %v", page, err)
	}
	_, err = r.attributes.CreateAttributeDefinition(r.As(access.CRMSpecialist), &customerv1.CreateAttributeDefinitionRequest{AttributeDefinition: attribute("x", 1)})
	refused(t, "no right", err, codes.PermissionDenied, "PERMISSION_DENIED")
}
