package server_test

import (
	"testing"

	"google.golang.org/grpc/codes"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/internal/customerref"
)

func TestNoComplaintForARetiredCustomer(t *testing.T) {
	w := newWorld(t)
	in := w.sample()
	ref := &customerv1.CustomerRef{
		Id: in.GetCustomerId(), Number: "C-1", Tier: typev1.Tier_TIER_C, Version: 2,
		Status: customerv1.CustomerStatus_CUSTOMER_STATUS_RETIRED,
	}
	if _, err := customerref.Apply(t.Context(), w.Pool, ref); err != nil {
		t.Fatal(err)
	}
	_, err := w.client.CreateComplaint(w.as("agent"), &complaintv1.CreateComplaintRequest{Complaint: in})
	w.refused("a retired customer", err, codes.FailedPrecondition, "CUSTOMER_RETIRED", "")
}
