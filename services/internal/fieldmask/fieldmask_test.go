package fieldmask_test

import (
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/internal/fieldmask"
)

func file() *customerv1.Customer {
	return &customerv1.Customer{
		Id: "1", Name: "old", Region: "north", Tags: []string{"a"},
		Address: &customerv1.Address{City: "Wuhan", Street: "1"},
	}
}

func TestApply(t *testing.T) {
	for _, c := range []struct {
		name      string
		src, want *customerv1.Customer
		paths     []string
	}{
		{"one field", &customerv1.Customer{Name: "new", Region: "south"},
			&customerv1.Customer{Id: "1", Name: "new", Region: "north", Tags: []string{"a"}, Address: &customerv1.Address{City: "Wuhan", Street: "1"}},
			[]string{"name", "etag"}},
		{"an unset field is cleared", &customerv1.Customer{},
			&customerv1.Customer{Id: "1", Name: "old", Address: &customerv1.Address{City: "Wuhan", Street: "1"}},
			[]string{"region", "tags"}},
		{"part of a message", &customerv1.Customer{Address: &customerv1.Address{City: "Xi'an"}},
			&customerv1.Customer{Id: "1", Name: "old", Region: "north", Tags: []string{"a"}, Address: &customerv1.Address{City: "Xi'an", Street: "1"}},
			[]string{"address.city"}},
		{"a whole message", &customerv1.Customer{Address: &customerv1.Address{City: "Xi'an"}, Tags: []string{"b", "c"}},
			&customerv1.Customer{Id: "1", Name: "old", Region: "north", Tags: []string{"b", "c"}, Address: &customerv1.Address{City: "Xi'an"}},
			[]string{"address", "tags"}},
		{"a part of nothing", &customerv1.Customer{},
			&customerv1.Customer{Id: "1", Name: "old", Region: "north", Tags: []string{"a"}, Address: &customerv1.Address{Street: "1"}},
			[]string{"address.city", "address.position.latitude"}},
	} {
		got := file()
		if err := fieldmask.Apply(got, c.src, &fieldmaskpb.FieldMask{Paths: c.paths}, "id"); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if !proto.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestApplyCopies(t *testing.T) {
	src := &customerv1.Customer{Tags: []string{"x"}, Address: &customerv1.Address{City: "x"}}
	got := file()
	if err := fieldmask.Apply(got, src, &fieldmaskpb.FieldMask{Paths: []string{"tags", "address"}}); err != nil {
		t.Fatal(err)
	}
	src.Tags[0], src.Address.City = "y", "y"
	if got.GetTags()[0] != "x" || got.GetAddress().GetCity() != "x" {
		t.Errorf("the result shares memory with the request: %v", got)
	}
}

func TestApplyRefuses(t *testing.T) {
	for name, paths := range map[string][]string{
		"empty": nil, "etag alone": {"etag"}, "unknown": {"nam"}, "output only": {"name", "tier"}, "nested output only": {"consents.granted"},
		"fixed": {"id"}, "into a list": {"tags.x"}, "into a scalar": {"name.x"}, "unknown nested": {"address.town"}, "blank": {""},
	} {
		got := file()
		err := fieldmask.Apply(got, &customerv1.Customer{Name: "new"}, &fieldmaskpb.FieldMask{Paths: paths}, "id")
		var public *rpcerr.Error
		if !errors.As(err, &public) || public.Reason() != fieldmask.ReasonInvalid {
			t.Errorf("%s: %v, want %s", name, err, fieldmask.ReasonInvalid)
		}
		if !proto.Equal(got, file()) {
			t.Errorf("%s: a refused mask changed %v", name, got)
		}
	}
}
