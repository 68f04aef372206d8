package server_test

import (
	"fmt"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
)

const shortHeading = "external_id,名称,kind,party,phone\n"

// counts are those of an import: created, updated, existing, to be reviewed and refused.
func counts(i *customerv1.CustomerImport) string {
	return fmt.Sprint(i.GetCreated(), i.GetUpdated(), i.GetExisting(), i.GetReviews(), i.GetRefused())
}

// listed are the rows on an import's list, each as its line, state and changes.
func (r *registry) listed(t *testing.T, id string) []string {
	t.Helper()
	list, err := r.imports.ListCustomerImportReviews(r.admin(), &customerv1.ListCustomerImportReviewsRequest{CustomerImportId: id})
	if err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for _, one := range list.GetCustomerImportReviews() {
		out = append(out, fmt.Sprint(one.GetLine(), one.GetState(), one.GetChanges()))
	}
	return out
}

// inEarnest runs an import that was tried.
func (r *registry) inEarnest(t *testing.T, id string) *customerv1.CustomerImport {
	t.Helper()
	if _, err := r.imports.RunCustomerImport(r.admin(), &customerv1.RunCustomerImportRequest{Id: id}); err != nil {
		t.Fatal(err)
	}
	if err := r.WorkSheets(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r.sheet(t, id)
}

// three stores three customers, of whom the third is retired.
func (r *registry) three(t *testing.T) {
	t.Helper()
	r.loadSheet(t, onExisting(0), []byte(shortHeading+"E-1,王伟,agent,person,13812345678\nE-2,李雷,agent,person,\nE-3,韩梅梅,agent,person,\n"))
	if _, err := r.files.RetireCustomer(r.admin(), &customerv1.RetireCustomerRequest{Id: r.byExternal(t, "E-3").GetId(), Reason: "closed"}); err != nil {
		t.Fatal(err)
	}
}

// A dry run says of each row what it would change, and does as the import will.
func TestDryRunOfAnUpdate(t *testing.T) {
	r := start(t)
	r.three(t)
	dry := onExisting(customerv1.OnExisting_ON_EXISTING_UPDATE)
	dry.DryRun = true
	got := r.loadSheet(t, dry, []byte(shortHeading+
		"E-1,王小伟,agent,person,138 1234 5678\n"+
		"E-2,李雷,agent,person,\n"+
		"E-9,新的,agent,person,\n"+
		"E-3,韩梅梅,agent,organisation,\n"+
		"E-1,王小伟,agent,person,138 1234 5678\n"+
		"E-9,新的,agent,person,\n"+
		"E-9,新的,agent,person,13912345678\n"+
		"E-2,,,,13712345678\n"))
	const want = "1 3 3 0 1"
	if counts(got) != want {
		t.Errorf("dry run: %s, want %s", counts(got), want)
	}
	if listed := r.listed(t, got.GetId()); !slices.Equal(listed, []string{"2 REVIEW_STATE_PREVIEW [name]", "9 REVIEW_STATE_PREVIEW [phone]"}) {
		t.Errorf("would change %q", listed)
	}
	retired := []string{`5A external_id "E-3"`}
	if told := r.told(t, got.GetId()); !slices.Equal(told, retired) {
		t.Errorf("faults %q", told)
	}
	if c := r.byExternal(t, "E-1"); c.GetName() != "王伟" || c.GetEtag() != "1" {
		t.Errorf("a dry run made %v", c)
	}
	_, err := r.imports.DecideCustomerImportReview(r.admin(), &customerv1.DecideCustomerImportReviewRequest{CustomerImportId: got.GetId(), Line: 2, Accept: true})
	refused(t, "what a dry run shows", err, codes.FailedPrecondition, "IMPORT_WRONG_STATE")
	done := r.inEarnest(t, got.GetId())
	if told := r.told(t, got.GetId()); counts(done) != want || !slices.Equal(told, retired) {
		t.Errorf("in earnest: %s, want %s; faults %q", counts(done), want, told)
	}
	if listed := r.listed(t, got.GetId()); len(listed) != 0 {
		t.Errorf("still on the list: %q", listed)
	}
	if a, b, c := r.byExternal(t, "E-1"), r.byExternal(t, "E-2"), r.byExternal(t, "E-9"); a.GetName() != "王小伟" || b.GetPhone() != "+8613712345678" || c.GetPhone() != "+8613912345678" {
		t.Errorf("stored %v, %v, %v", a, b, c)
	}
}

// Rows that nobody could take over are refused with their cells, tried or in earnest.
func TestDryRunOfAReview(t *testing.T) {
	r := start(t)
	r.three(t)
	r.grades(t)
	dry := onExisting(customerv1.OnExisting_ON_EXISTING_REVIEW)
	dry.DryRun = true
	got := r.loadSheet(t, dry, []byte("external_id,名称,kind,party,fleet,grade\n"+
		"E-1,王小伟,agent,person,,\nE-2,李雷,agent,person,3,\nE-3,韩梅梅,agent,person,,A\nE-2,李雷,agent,person,3,B\n"))
	if counts(got) != "0 0 0 2 2" {
		t.Errorf("dry run: %s", counts(got))
	}
	faults := []string{`3F attributes.grade ""`, `4A external_id "E-3"`}
	if told := r.told(t, got.GetId()); !slices.Equal(told, faults) {
		t.Errorf("faults %q", told)
	}
	if listed := r.listed(t, got.GetId()); !slices.Equal(listed, []string{"2 REVIEW_STATE_PREVIEW [name]", "5 REVIEW_STATE_PREVIEW [attributes.fleet attributes.grade]"}) {
		t.Errorf("would be listed %q", listed)
	}
	done := r.inEarnest(t, got.GetId())
	if told := r.told(t, got.GetId()); counts(done) != "0 0 0 2 2" || !slices.Equal(told, faults) {
		t.Errorf("in earnest: %s, faults %q", counts(done), told)
	}
	if listed := r.listed(t, got.GetId()); !slices.Equal(listed, []string{"2 REVIEW_STATE_OPEN [name]", "5 REVIEW_STATE_OPEN [attributes.fleet attributes.grade]"}) {
		t.Errorf("listed %q", listed)
	}
}

// As many faults and rows are kept as somebody may look through; all are counted.
func TestDryRunKeepsNotAll(t *testing.T) {
	r := start(t)
	r.KeepOfSheets(1)
	r.three(t)
	dry := onExisting(customerv1.OnExisting_ON_EXISTING_UPDATE)
	dry.DryRun = true
	got := r.loadSheet(t, dry, []byte(shortHeading+"E-1,甲,agent,person,\nE-2,乙,agent,person,\nE-7,丙,shop,person,\nE-8,丁,shop,person,\n"))
	if counts(got) != "0 2 0 0 2" || len(r.listed(t, got.GetId())) != 1 || len(r.told(t, got.GetId())) != 1 {
		t.Errorf("%s: %q, %q", counts(got), r.listed(t, got.GetId()), r.told(t, got.GetId()))
	}
	if done := r.inEarnest(t, got.GetId()); counts(done) != "0 2 0 0 2" {
		t.Errorf("in earnest: %s", counts(done))
	}
}
