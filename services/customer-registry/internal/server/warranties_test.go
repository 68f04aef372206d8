package server_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
)

func cover(prefix string, warranty, guarantee int32) *customerv1.WarrantyClause {
	id := "cover-rest"
	if prefix != "" {
		id = "cover-some"
	}
	return &customerv1.WarrantyClause{ClauseId: id, ModelPrefix: prefix, WarrantyMonths: warranty, GuaranteeMonths: guarantee}
}

// publishCover makes and publishes a policy by two people.
func (r *registry) publishCover(t *testing.T, clauses ...*customerv1.WarrantyClause) *customerv1.WarrantyPolicy {
	t.Helper()
	draft, err := r.warranties.CreateWarrantyPolicy(r.admin(), &customerv1.CreateWarrantyPolicyRequest{WarrantyPolicy: &customerv1.WarrantyPolicy{Clauses: clauses}})
	if err != nil {
		t.Fatal(err)
	}
	out, err := r.warranties.PublishWarrantyPolicy(r.As(access.SalesManager), &customerv1.PublishWarrantyPolicyRequest{Id: draft.GetId(), Etag: draft.GetEtag()})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (r *registry) covered(ctx context.Context, serial string, at *timestamppb.Timestamp) (*customerv1.WarrantyState, error) {
	return r.warranties.GetWarrantyState(ctx, &customerv1.GetWarrantyStateRequest{SerialNumber: serial, AtTime: at})
}

func TestGetWarrantyState(t *testing.T) {
	r := start(t)
	owner := r.make(t, full())
	bare := &customerv1.InstalledProduct{SerialNumber: "SN-1", ProductModel: "KF-100", ShipTime: r.ago(400), DeliveryTime: r.ago(390)}
	made, err := r.install(owner.GetId(), bare)
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.covered(r.erp(), "SN-1", nil)
	if err != nil || got.GetWarranty().GetState() != customerv1.CoverageState_COVERAGE_STATE_ENDED ||
		got.GetWarranty().GetClauseId() != "cover-default" || got.GetPolicyVersion() != 1 || got.GetInstalledProductId() != made.GetId() {
		t.Errorf("by the default %v, %v", got, err)
	}
	got, err = r.covered(r.AsCustomer(owner.GetId()), "SN-1", r.ago(300))
	if err != nil || got.GetWarranty().GetState() != customerv1.CoverageState_COVERAGE_STATE_COVERED || !got.GetStartTime().AsTime().Equal(made.GetDeliveryTime().AsTime()) {
		t.Errorf("at a date, for the customer %v, %v", got, err)
	}
	// A later version is for what is delivered later.
	later := r.publishCover(t, cover("", 6, 3), cover("KF-", 24, 0))
	if got, err = r.covered(r.erp(), "SN-1", nil); err != nil || got.GetPolicyVersion() != 1 {
		t.Errorf("delivered under another version, and got %v, %v", got, err)
	}
	r.Clock.Advance(48 * time.Hour)
	for serial, model := range map[string]string{"SN-2": "KF-100", "SN-3": "X"} {
		if _, err := r.install(owner.GetId(), &customerv1.InstalledProduct{SerialNumber: serial, ProductModel: model, DeliveryTime: r.ago(1)}); err != nil {
			t.Fatal(err)
		}
	}
	got, err = r.covered(r.AsService("service-ticket"), "SN-2", nil)
	if err != nil || got.GetPolicyId() != later.GetId() || got.GetWarranty().GetClauseId() != "cover-some" ||
		got.GetGuarantee().GetState() != customerv1.CoverageState_COVERAGE_STATE_ENDED {
		t.Errorf("by the later version %v, %v", got, err)
	}
	if got, err = r.covered(r.erp(), "SN-3", nil); err != nil || got.GetWarranty().GetClauseId() != "cover-rest" {
		t.Errorf("another model %v, %v", got, err)
	}
	byID, err := r.warranties.GetWarrantyState(r.erp(), &customerv1.GetWarrantyStateRequest{InstalledProductId: got.GetInstalledProductId()})
	if err != nil || byID.GetSerialNumber() != "SN-3" {
		t.Errorf("by id %v, %v", byID, err)
	}
	if n := r.count(t, `SELECT count(*) FROM file_reads`); n != 4 {
		t.Errorf("%d reads recorded, want those of the system and neither the customer's own nor the service's", n)
	}
	_, err = r.covered(r.erp(), "none", nil)
	refused(t, "unknown", err, codes.NotFound, "INSTALLED_PRODUCT_NOT_FOUND")
	_, err = r.covered(r.AsCustomer(newID(t)), "SN-1", nil)
	refused(t, "another customer", err, codes.NotFound, "CUSTOMER_NOT_FOUND")
	_, err = r.covered(r.As(access.Salesperson), "SN-1", nil)
	refused(t, "without a grant", err, codes.NotFound, "CUSTOMER_NOT_FOUND")
	for name, req := range map[string]*customerv1.GetWarrantyStateRequest{
		"neither": {}, "both": {SerialNumber: "SN-1", InstalledProductId: made.GetId()},
	} {
		_, err = r.warranties.GetWarrantyState(r.erp(), req)
		refused(t, name, err, codes.InvalidArgument, "VALIDATION_FAILED", "serial_number")
	}
}

func TestWarrantyPolicies(t *testing.T) {
	r := start(t)
	create := func(ctx context.Context, clauses ...*customerv1.WarrantyClause) (*customerv1.WarrantyPolicy, error) {
		return r.warranties.CreateWarrantyPolicy(ctx, &customerv1.CreateWarrantyPolicyRequest{WarrantyPolicy: &customerv1.WarrantyPolicy{Clauses: clauses}})
	}
	draft, err := create(r.AsStaff(access.InformationAdministrator, "a"), cover("", 12, 6))
	if err != nil || draft.GetVersion() != 2 || draft.GetState() != customerv1.VersionState_VERSION_STATE_DRAFT || draft.GetAuthor() == "" {
		t.Fatalf("draft %v, %v", draft, err)
	}
	_, err = create(r.admin(), cover("", 12, 6), cover("", 1, 1))
	refused(t, "twice", err, codes.InvalidArgument, "VALIDATION_FAILED", "warranty_policy.clauses[1].clause_id", "warranty_policy.clauses[1].model_prefix")
	_, err = create(r.admin(), cover("", 601, -1))
	refused(t, "months", err, codes.InvalidArgument, "VALIDATION_FAILED", "warranty_policy.clauses[0].warranty_months", "warranty_policy.clauses[0].guarantee_months")
	_, err = create(r.admin())
	refused(t, "nothing", err, codes.InvalidArgument, "VALIDATION_FAILED", "warranty_policy.clauses")
	_, err = create(r.AsAccount("erp", "warranties.prepare"), cover("", 1, 1))
	refused(t, "a system", err, codes.PermissionDenied, "PEOPLE_ONLY")
	publish := func(ctx context.Context, req *customerv1.PublishWarrantyPolicyRequest) (*customerv1.WarrantyPolicy, error) {
		return r.warranties.PublishWarrantyPolicy(ctx, req)
	}
	_, err = publish(r.AsAccount("erp", "warranties.publish"), &customerv1.PublishWarrantyPolicyRequest{Id: draft.GetId()})
	refused(t, "a system publishes", err, codes.PermissionDenied, "PEOPLE_ONLY")
	_, err = publish(r.As(access.SalesManager), &customerv1.PublishWarrantyPolicyRequest{Id: draft.GetId(), Etag: "9"})
	refused(t, "stale", err, codes.Aborted, "ETAG_MISMATCH")
	_, err = publish(r.As(access.SalesManager), &customerv1.PublishWarrantyPolicyRequest{Id: draft.GetId(), EffectiveTime: r.ago(1)})
	refused(t, "past", err, codes.InvalidArgument, "VALIDATION_FAILED", "effective_time")
	_, err = publish(r.As(access.SalesManager), &customerv1.PublishWarrantyPolicyRequest{Id: newID(t)})
	refused(t, "unknown", err, codes.NotFound, "WARRANTY_POLICY_NOT_FOUND")
	both, err := create(r.AsPerson("both", access.InformationAdministrator, access.SalesManager), cover("", 9, 9))
	if err != nil {
		t.Fatal(err)
	}
	_, err = publish(r.AsPerson("both", access.InformationAdministrator, access.SalesManager), &customerv1.PublishWarrantyPolicyRequest{Id: both.GetId()})
	refused(t, "the author", err, codes.PermissionDenied, "SECOND_PERSON_NEEDED")
	done, err := publish(r.As(access.CompanyManager), &customerv1.PublishWarrantyPolicyRequest{Id: draft.GetId(), Etag: "1"})
	if err != nil || done.GetState() != customerv1.VersionState_VERSION_STATE_PUBLISHED || done.GetPublisher() == "" || done.GetEtag() != "2" {
		t.Errorf("published %v, %v", done, err)
	}
	_, err = publish(r.As(access.SalesManager), &customerv1.PublishWarrantyPolicyRequest{Id: draft.GetId()})
	refused(t, "again", err, codes.FailedPrecondition, "VERSION_PUBLISHED")
	if _, err := r.Pool.Exec(t.Context(), `UPDATE rule_versions SET definition = '{}' WHERE id = $1`, draft.GetId()); err == nil {
		t.Error("a published version was changed")
	}
	got, err := r.warranties.GetWarrantyPolicy(r.As(access.ServiceAgent), &customerv1.GetWarrantyPolicyRequest{Id: draft.GetId()})
	if err != nil || !proto.Equal(got, done) {
		t.Errorf("read %v, %v\nwant %v", got, err, done)
	}
	list, err := r.warranties.ListWarrantyPolicies(r.As(access.ServiceAgent), &customerv1.ListWarrantyPoliciesRequest{PageSize: 2})
	if err != nil || len(list.GetWarrantyPolicies()) != 2 || list.GetWarrantyPolicies()[0].GetId() != both.GetId() {
		t.Fatalf("listed %v, %v", list, err)
	}
	rest, err := r.warranties.ListWarrantyPolicies(r.As(access.ServiceAgent), &customerv1.ListWarrantyPoliciesRequest{PageSize: 2, PageToken: list.GetNextPageToken()})
	if err != nil || len(rest.GetWarrantyPolicies()) != 1 || rest.GetNextPageToken() != "" {
		t.Errorf("the rest %v, %v", rest, err)
	}
}
