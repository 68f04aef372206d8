package server_test

import (
	"encoding/csv"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
)

const attributeHeading = "external_id,名称,kind,party,grade,车队规模,attributes.since\n"

// grades defines attributes: a grade, which every new file has, a number and a date.
func (r *registry) grades(t *testing.T) (grade *customerv1.AttributeDefinition) {
	t.Helper()
	grade = attribute("grade", customerv1.AttributeType_ATTRIBUTE_TYPE_CHOICE)
	grade.Choices, grade.Required = []string{"A", "B"}, true
	grade = r.define(t, grade)
	fleet := attribute("fleet", customerv1.AttributeType_ATTRIBUTE_TYPE_NUMBER)
	fleet.MinNumber, fleet.Label = proto.Float64(0), &typev1.Text{Zh: "车队规模"}
	r.define(t, fleet)
	r.define(t, attribute("since", customerv1.AttributeType_ATTRIBUTE_TYPE_DATE))
	return grade
}

func onExisting(policy customerv1.OnExisting) *customerv1.CustomerImport {
	return &customerv1.CustomerImport{Source: "erp", Format: customerv1.SheetFormat_SHEET_FORMAT_CSV, OnExisting: policy}
}

// told are the faults of an import, each as line, column, field and value.
func (r *registry) told(t *testing.T, id string) []string {
	t.Helper()
	var out []string
	for _, f := range r.faults(t, id) {
		out = append(out, fmt.Sprintf("%d%s %s %q", f.GetLine(), f.GetColumn(), f.GetField(), f.GetValue()))
	}
	return out
}

func attributesOf(c *customerv1.Customer) string {
	var out []string
	for _, a := range c.GetAttributes() {
		out = append(out, fmt.Sprint(a.GetKey(), "=", a.GetText(), a.GetNumber()))
	}
	return strings.Join(out, " ")
}

func TestSheetOfAttributes(t *testing.T) {
	r := start(t)
	r.grades(t)
	got := r.loadSheet(t, onExisting(0), []byte(attributeHeading+
		"E-1,王伟,agent,person,A,12.5,2020/2/29\n"+
		"E-2,李雷,agent,person,C,many,2020-02-30\n"+
		"E-3,韩梅梅,agent,person,B,-1,\n"+
		"E-4,,agent,person,,x,\n"))
	want := []string{`3E attributes.grade "C"`, `3F attributes.fleet "many"`, `3G attributes.since "2020-02-30"`, `4F attributes.fleet "-1"`, `5B name ""`, `5E attributes.grade ""`, `5F attributes.fleet "x"`}
	if told := r.told(t, got.GetId()); got.GetCreated() != 1 || got.GetRefused() != 3 || !slices.Equal(told, want) {
		t.Errorf("%v: faults\n%q\nwant\n%q", got, told, want)
	}
	if has := attributesOf(r.byExternal(t, "E-1")); has != "fleet=12.5 grade=A0 since=2020-02-290" {
		t.Errorf("E-1 has %s", has)
	}
	// Without a column it is the row that lacks it.
	got = r.loadSheet(t, onExisting(0), []byte("external_id,名称,kind,party\nE-5,王伟,agent,person\n"))
	if told := r.told(t, got.GetId()); got.GetRefused() != 1 || !slices.Equal(told, []string{`2 attributes.grade ""`}) {
		t.Errorf("%v: faults %q", got, told)
	}
}

// A row has what it has: the customer there is keeps the rest, also what must be there.
func TestSheetChangesSomeAttributes(t *testing.T) {
	r := start(t)
	r.grades(t)
	r.loadSheet(t, onExisting(0), []byte(attributeHeading+"E-1,王伟,agent,person,A,12,2020-02-29\n"))
	some := []byte("external_id,名称,kind,party,fleet\nE-1,,,,13\nE-9,新的,agent,person,1\n")
	got := r.loadSheet(t, onExisting(customerv1.OnExisting_ON_EXISTING_UPDATE), some)
	if told := r.told(t, got.GetId()); got.GetUpdated() != 1 || got.GetCreated() != 0 || !slices.Equal(told, []string{`3 attributes.grade ""`}) {
		t.Errorf("update %v, faults %q", got, told)
	}
	if c := r.byExternal(t, "E-1"); attributesOf(c) != "fleet=13 grade=A0 since=2020-02-290" || c.GetName() != "王伟" || c.GetEtag() != "2" {
		t.Errorf("E-1 is %v", c)
	}
	wrong := []byte("external_id,名称,kind,party,fleet\nE-1,,,,x\n")
	if told := r.told(t, r.loadSheet(t, onExisting(customerv1.OnExisting_ON_EXISTING_UPDATE), wrong).GetId()); !slices.Equal(told, []string{`2E attributes.fleet "x"`}) {
		t.Errorf("a fault for a customer there is: %q", told)
	}
	if got = r.loadSheet(t, onExisting(customerv1.OnExisting_ON_EXISTING_UPDATE), some); got.GetExisting() != 1 || got.GetUpdated() != 0 {
		t.Errorf("again %v", got)
	}
	if got = r.loadSheet(t, onExisting(customerv1.OnExisting_ON_EXISTING_SKIP), some); got.GetExisting() != 1 || got.GetRefused() != 1 {
		t.Errorf("left alone %v", got)
	}
	got = r.loadSheet(t, onExisting(customerv1.OnExisting_ON_EXISTING_REVIEW), []byte("external_id,名称,kind,party,fleet,since\nE-1,王伟,agent,person,14,2020-02-29\n"))
	list, err := r.imports.ListCustomerImportReviews(r.admin(), &customerv1.ListCustomerImportReviewsRequest{CustomerImportId: got.GetId()})
	if err != nil || len(list.GetCustomerImportReviews()) != 1 {
		t.Fatalf("reviews %v, %v", list, err)
	}
	if one := list.GetCustomerImportReviews()[0]; !slices.Equal(one.GetChanges(), []string{"attributes.fleet"}) || attributesOf(one.GetProposed()) != "fleet=14 grade=A0 since=2020-02-290" {
		t.Errorf("to be compared %v", one)
	}
	if _, err := r.imports.DecideCustomerImportReview(r.admin(), &customerv1.DecideCustomerImportReviewRequest{CustomerImportId: got.GetId(), Line: 2, Accept: true}); err != nil {
		t.Fatal(err)
	}
	if has := attributesOf(r.byExternal(t, "E-1")); has != "fleet=14 grade=A0 since=2020-02-290" {
		t.Errorf("accepted, E-1 has %s", has)
	}
}

// A file from before an attribute had to be there gets it with the next attribute that changes.
func TestSheetForAFileThatLacksAnAttribute(t *testing.T) {
	r := start(t)
	r.loadSheet(t, onExisting(0), []byte("external_id,名称,kind,party\nE-1,王伟,agent,person\n"))
	r.grades(t)
	update := onExisting(customerv1.OnExisting_ON_EXISTING_UPDATE)
	if got := r.loadSheet(t, update, []byte("external_id,名称,kind,party\nE-1,王小伟,agent,person\n")); got.GetUpdated() != 1 {
		t.Errorf("no attribute changes: %v", got)
	}
	got := r.loadSheet(t, update, []byte("external_id,名称,kind,party,fleet\nE-1,王伟,agent,person,3\n"))
	if told := r.told(t, got.GetId()); got.GetRefused() != 1 || !slices.Equal(told, []string{`2A attributes.grade "E-1"`}) {
		t.Errorf("%v: faults %q", got, told)
	}
	if got := r.loadSheet(t, update, []byte("external_id,名称,kind,party,fleet,grade\nE-1,王伟,agent,person,3,A\n")); got.GetUpdated() != 1 {
		t.Errorf("with the grade: %v", got)
	}
}

// A row that is refused makes no customer that a later one could repeat, in a dry run too.
func TestSheetAfterARowThatLacksSomething(t *testing.T) {
	r := start(t)
	r.grades(t)
	dry := onExisting(0)
	dry.DryRun = true
	got := r.loadSheet(t, dry, []byte(attributeHeading+"E-1,王伟,agent,person,,,\nE-1,王伟,agent,person,A,,\nE-1,,agent,person,,7,\n"))
	if counts(got) != "1 0 1 0 1" {
		t.Errorf("dry run %v", got)
	}
	if got = r.inEarnest(t, got.GetId()); counts(got) != "1 0 1 0 1" || attributesOf(r.byExternal(t, "E-1")) != "grade=A0" {
		t.Errorf("in earnest %v", got)
	}
}

// Definitions may change while an import waits for its file.
func TestSheetAfterItsAttributesChanged(t *testing.T) {
	r := start(t)
	grade := r.grades(t)
	p := onExisting(0)
	p.Columns = []*customerv1.ImportColumn{{Field: "attributes.grade", Value: "B"}}
	fixed, gone := r.begin(t, p), r.begin(t, p)
	change := func(d *customerv1.AttributeDefinition, path string) {
		d.Id, d.Key = grade.GetId(), grade.GetKey()
		if _, err := r.attributes.UpdateAttributeDefinition(r.admin(), &customerv1.UpdateAttributeDefinitionRequest{
			AttributeDefinition: d, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{path}}}); err != nil {
			t.Fatal(err)
		}
	}
	work := func(id string) *customerv1.CustomerImport {
		file := []byte("external_id,名称,kind,party\nE-1,王伟,agent,person\n")
		if _, err := r.send(r.admin(), &customerv1.UploadCustomerImportRequest{Id: id, Data: file, Last: true}); err != nil {
			t.Fatal(err)
		}
		if err := r.WorkSheets(t.Context()); err != nil {
			t.Fatal(err)
		}
		return r.sheet(t, id)
	}
	change(&customerv1.AttributeDefinition{Choices: []string{"A", "C"}}, "choices")
	got := work(fixed.GetId())
	if told := r.told(t, got.GetId()); got.GetRefused() != 1 || !slices.Equal(told, []string{`2 attributes.grade "B"`}) {
		t.Errorf("%v: faults %q", got, told)
	}
	change(&customerv1.AttributeDefinition{Retired: true}, "retired")
	if got := work(gone.GetId()); got.GetState() != customerv1.ImportState_IMPORT_STATE_FAILED || !strings.Contains(got.GetFailure(), "attributes.grade") {
		t.Errorf("of one retired meanwhile: %v", got)
	}
}

// What an export writes comes in as it was and goes out the same, masked for whom it is masked.
func TestExportComesBack(t *testing.T) {
	r := start(t)
	r.grades(t)
	whole := full()
	whole.Phone, whole.Tags = "027 8765 4321 ext. 12", []string{"a;b", "展会"}
	whole.Attributes = []*customerv1.AttributeValue{textOf("grade", "A"), numberOf("fleet", 12.5), textOf("since", "2020-02-29")}
	whole.Relationship, whole.ResponsibleStaffId, whole.UpdateIntervalDays = "老客户", keeper, 90
	whole.Needs = &customerv1.Needs{Needs: []string{"夜间到货；当日", "电子回单"}, ExpectedQuality: "零缺陷", Habits: "晨会"}
	whole.Credit = &customerv1.Credit{Rating: "AA", Limit: &money.Money{CurrencyCode: "CNY", Units: 500_000, Nanos: 250_000_000}}
	r.make(t, whole)
	bare := file("只有名称")
	bare.Attributes = []*customerv1.AttributeValue{textOf("grade", "B")}
	r.make(t, bare)
	data, _, err := r.export(r.admin(), &customerv1.ExportCustomersRequest{Format: customerv1.SheetFormat_SHEET_FORMAT_CSV, Purpose: "x"})
	if err != nil {
		t.Fatal(err)
	}
	p := onExisting(0)
	p.Columns = []*customerv1.ImportColumn{{Field: "external_id", Heading: "number"}}
	if got := r.loadSheet(t, p, data); got.GetCreated() != 2 {
		t.Fatalf("import %v, faults %q", got, r.told(t, got.GetId()))
	}
	p.OnExisting = customerv1.OnExisting_ON_EXISTING_UPDATE
	if got := r.loadSheet(t, p, data); got.GetExisting() != 2 || got.GetUpdated() != 0 {
		t.Errorf("again %v", got)
	}
	rows := r.exportRows(t, r.admin(), &customerv1.ExportCustomersRequest{})
	if len(rows) != 4 {
		t.Fatalf("%d rows", len(rows))
	}
	byName := map[string][]map[string]string{}
	for _, row := range rows {
		delete(row, "id")
		delete(row, "number")
		byName[row["name"]] = append(byName[row["name"]], row)
	}
	for name, two := range byName {
		if len(two) != 2 || !maps.Equal(two[0], two[1]) {
			t.Errorf("%s: %v", name, two)
		}
	}
	if one := byName[whole.GetName()][0]; one["attributes.grade"] != "A" || one["attributes.fleet"] != "12.5" || one["attributes.since"] != "2020-02-29" || one["phone"] != "'+862787654321 ext. 12" || one["tags"] != `a\;b;展会` {
		t.Errorf("written %v", one)
	}
	masked := r.exportRows(t, r.As(access.ServiceSupervisor), &customerv1.ExportCustomersRequest{})
	for _, row := range masked {
		if row["name"] == whole.GetName() && (row["attributes.grade"] != "A" || !strings.Contains(row["phone"], "****") || strings.Contains(row["phone"], "ext")) {
			t.Errorf("masked %v", row)
		}
	}
}

// A column goes with its attribute.
func TestExportHasTheAttributesInUse(t *testing.T) {
	r := start(t)
	grade := r.grades(t)
	if _, err := r.attributes.UpdateAttributeDefinition(r.admin(), &customerv1.UpdateAttributeDefinitionRequest{
		AttributeDefinition: &customerv1.AttributeDefinition{Id: grade.GetId(), Key: grade.GetKey(), Retired: true}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"retired"}}}); err != nil {
		t.Fatal(err)
	}
	data, _, err := r.export(r.admin(), &customerv1.ExportCustomersRequest{Format: customerv1.SheetFormat_SHEET_FORMAT_CSV, Purpose: "x"})
	if err != nil {
		t.Fatal(err)
	}
	heading, err := csv.NewReader(strings.NewReader(string(data[3:]))).Read()
	if err != nil || slices.Contains(heading, "attributes.grade") || !slices.Contains(heading, "attributes.fleet") {
		t.Errorf("heading %v, %v", heading, err)
	}
}
