package server_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/type/date"
	"google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/services/internal/access"
)

// rich is a file with all that is kept of a customer beside what every file has.
func rich() *customerv1.Customer {
	c := full()
	c.Needs = &customerv1.Needs{Needs: []string{"备件快"}, PainPoints: []string{"停机"}, ExpectedSpeed: "当天", Habits: "周一开会"}
	c.Credit = &customerv1.Credit{Rating: "AA", Limit: &money.Money{CurrencyCode: "CNY", Units: 50_000}}
	c.Relationship = "十年老客户"
	c.ResponsibleStaffId, c.UpdateIntervalDays = "01890a5d-ac96-774b-bcce-b302099a8058", 30
	return c
}

func (r *registry) update(t *testing.T, c *customerv1.Customer, source customerv1.ValueSource, paths ...string) *customerv1.Customer {
	t.Helper()
	out, err := r.customers.UpdateCustomer(r.admin(), &customerv1.UpdateCustomerRequest{Customer: c, UpdateMask: mask(paths...), Source: source})
	if err != nil {
		t.Fatalf("UpdateCustomer: %v", err)
	}
	return out
}

func TestARichFileIsKeptAndShownByRight(t *testing.T) {
	r := start(t)
	made := r.make(t, rich())
	got := r.get(t, made.GetId())
	if !proto.Equal(got, made) || !proto.Equal(got.GetNeeds(), rich().GetNeeds()) || !proto.Equal(got.GetCredit(), rich().GetCredit()) {
		t.Errorf("read %v\nwant %v", got, made)
	}
	if want := r.Clock.Now().AddDate(0, 0, 30); !got.GetReviewDueTime().AsTime().Equal(want) {
		t.Errorf("to be reviewed at %v, want %v", got.GetReviewDueTime().AsTime(), want)
	}
	agent, err := r.customers.GetCustomer(r.As(access.ServiceAgent), &customerv1.GetCustomerRequest{Id: made.GetId()})
	if err != nil || agent.GetCredit() != nil || agent.GetNeeds() == nil {
		t.Errorf("an agent sees credit %v and needs %v, %v; want the needs alone", agent.GetCredit(), agent.GetNeeds(), err)
	}
	mine, err := r.customers.GetCustomer(r.AsCustomer(made.GetId()), &customerv1.GetCustomerRequest{Id: made.GetId()})
	if err != nil || mine.GetCredit() != nil || mine.GetNeeds() != nil || mine.GetRelationship() != "" {
		t.Errorf("customers see what the company makes of them: %v, %v", mine, err)
	}
	if n := r.count(t, `SELECT count(*) FROM customers WHERE encode(credit, 'escape') LIKE '%CNY%'`); n != 0 {
		t.Error("the credit is stored in plain")
	}
	bad := rich()
	bad.Credit.Limit.Units = -1
	_, err = r.customers.CreateCustomer(r.admin(), &customerv1.CreateCustomerRequest{Customer: bad})
	refused(t, "a limit below zero", err, codes.InvalidArgument, "VALIDATION_FAILED", "customer.credit.limit")
}

func TestHistoryAndOriginOfValues(t *testing.T) {
	r := start(t)
	made := r.make(t, rich())
	r.Clock.Advance(time.Hour)
	change := &customerv1.Customer{Id: made.GetId(), Phone: "010-62345678", Credit: &customerv1.Credit{Rating: "B"}, Needs: &customerv1.Needs{Needs: []string{"便宜"}}}
	r.update(t, change, customerv1.ValueSource_VALUE_SOURCE_SURVEY, "phone", "credit", "needs.needs")
	list := func(field string) []*customerv1.CustomerChange {
		t.Helper()
		out, err := r.files.ListCustomerChanges(r.As(access.CRMSpecialist), &customerv1.ListCustomerChangesRequest{CustomerId: made.GetId(), Field: field})
		if err != nil {
			t.Fatal(err)
		}
		return out.GetChanges()
	}
	changes := map[string]*customerv1.CustomerChange{}
	for _, c := range list("") {
		changes[c.GetField()] = c
	}
	phone := changes["phone"]
	if len(changes) != 4 || phone.GetBefore() != "+8613800138000" || phone.GetAfter() != "+861062345678" || phone.GetEtag() != "2" ||
		!strings.HasSuffix(phone.GetActor(), "information-administrator") || phone.GetSource() != customerv1.ValueSource_VALUE_SOURCE_SURVEY {
		t.Errorf("history %v", changes)
	}
	if limit := changes["credit.limit"]; !strings.Contains(limit.GetBefore(), "50000") || limit.GetAfter() != "" {
		t.Errorf("the limit's history: %v", limit)
	}
	if only := list("needs.needs"); len(only) != 1 || only[0].GetAfter() != `["便宜"]` {
		t.Errorf("history of the needs: %v", only)
	}
	if n := r.count(t, `SELECT count(*) FROM customer_changes WHERE encode(before, 'escape') LIKE '%13800138000%'`); n != 0 {
		t.Error("the history is stored in plain")
	}
	states := r.states(t, made.GetId())
	if s := states["phone"]; s.GetSource() != customerv1.ValueSource_VALUE_SOURCE_SURVEY || !s.GetSetTime().AsTime().Equal(r.Clock.Now()) {
		t.Errorf("where the phone came from: %v", s)
	}
	if s := states["region"]; !s.GetSetTime().AsTime().Equal(made.GetCreateTime().AsTime()) || s.GetSetter() == "" || s.GetVerified() {
		t.Errorf("where the region came from: %v", s)
	}
	if states["credit.limit"] != nil {
		t.Error("a value that is gone still has a state")
	}
	_, err := r.files.ListCustomerChanges(r.As(access.ServiceAgent), &customerv1.ListCustomerChangesRequest{CustomerId: made.GetId()})
	refused(t, "an agent", err, codes.PermissionDenied, "PERMISSION_DENIED")
	_, err = r.files.ListCustomerChanges(r.admin(), &customerv1.ListCustomerChangesRequest{CustomerId: newID(t)})
	refused(t, "unknown", err, codes.NotFound, "CUSTOMER_NOT_FOUND")
}

func (r *registry) states(t *testing.T, id string) map[string]*customerv1.FieldState {
	t.Helper()
	got, err := r.files.GetFieldStates(r.admin(), &customerv1.GetFieldStatesRequest{Id: id})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*customerv1.FieldState{}
	for _, s := range got.GetStates() {
		out[s.GetField()] = s
	}
	return out
}

func TestVerifyCustomer(t *testing.T) {
	r := start(t)
	made := r.make(t, rich())
	verify := func(id string, fields ...string) error {
		_, err := r.files.VerifyCustomer(r.admin(), &customerv1.VerifyCustomerRequest{Id: id, Fields: fields, Method: "called back"})
		return err
	}
	if err := verify(made.GetId(), "phone", "credit.rating"); err != nil {
		t.Fatal(err)
	}
	if s := r.states(t, made.GetId())["phone"]; !s.GetVerified() || s.GetVerifyMethod() != "called back" || s.GetVerifier() == "" || s.GetVerifyTime() == nil {
		t.Errorf("the phone's state: %v", s)
	}
	refused(t, "no value", verify(made.GetId(), "phone", "attributes.x"), codes.InvalidArgument, "VALIDATION_FAILED", "fields")
	refused(t, "unknown", verify(newID(t), "phone"), codes.NotFound, "CUSTOMER_NOT_FOUND")
	r.update(t, &customerv1.Customer{Id: made.GetId(), Phone: "010-62345678"}, 0, "phone")
	states := r.states(t, made.GetId())
	if states["phone"].GetVerified() || !states["credit.rating"].GetVerified() {
		t.Errorf("after another phone: %v", states)
	}
	mine, err := r.files.GetFieldStates(r.AsCustomer(made.GetId()), &customerv1.GetFieldStatesRequest{Id: made.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range mine.GetStates() {
		if s.GetSetter() != "" || strings.HasPrefix(s.GetField(), "credit") {
			t.Errorf("a customer sees %v", s)
		}
	}
}

func TestRetireAndRestore(t *testing.T) {
	r := start(t)
	made := r.make(t, rich())
	contact := r.addContact(t, made.GetId(), person("李四"))
	retired, err := r.files.RetireCustomer(r.admin(), &customerv1.RetireCustomerRequest{Id: made.GetId(), Reason: "已注销", Etag: "1"})
	if err != nil || retired.GetStatus() != customerv1.CustomerStatus_CUSTOMER_STATUS_RETIRED || retired.GetRetireReason() != "已注销" || retired.GetRetireTime() == nil {
		t.Fatalf("retired: %v, %v", retired, err)
	}
	last := r.Events(t)
	payload, err := event.Unpack[*customerv1.CustomerChanged](last[len(last)-1])
	if err != nil || payload.GetCustomer().GetStatus() != customerv1.CustomerStatus_CUSTOMER_STATUS_RETIRED {
		t.Errorf("the others hear %v, %v", payload, err)
	}
	if got := r.profile(t, made.GetId()).GetSummary().GetStatus(); got != customerv1.CustomerStatus_CUSTOMER_STATUS_RETIRED {
		t.Errorf("the summary says %v", got)
	}
	_, err = r.files.RetireCustomer(r.admin(), &customerv1.RetireCustomerRequest{Id: made.GetId(), Reason: "again"})
	refused(t, "retired twice", err, codes.FailedPrecondition, "CUSTOMER_RETIRED")
	_, err = r.customers.UpdateCustomer(r.admin(), &customerv1.UpdateCustomerRequest{Customer: &customerv1.Customer{Id: made.GetId(), Region: "x"}, UpdateMask: mask("region")})
	refused(t, "a change", err, codes.FailedPrecondition, "CUSTOMER_RETIRED")
	_, err = r.files.ConfirmCustomer(r.admin(), &customerv1.ConfirmCustomerRequest{Id: made.GetId()})
	refused(t, "a review", err, codes.FailedPrecondition, "CUSTOMER_RETIRED")
	_, err = r.files.VerifyCustomer(r.admin(), &customerv1.VerifyCustomerRequest{Id: made.GetId(), Fields: []string{"phone"}, Method: "x"})
	refused(t, "a verification", err, codes.FailedPrecondition, "CUSTOMER_RETIRED")
	_, err = r.contacts.CreateContact(r.admin(), &customerv1.CreateContactRequest{CustomerId: made.GetId(), Contact: person("王五")})
	refused(t, "a contact", err, codes.FailedPrecondition, "CUSTOMER_RETIRED")
	contact.Name = "李四四"
	_, err = r.contacts.UpdateContact(r.admin(), &customerv1.UpdateContactRequest{Contact: contact, UpdateMask: mask("name")})
	refused(t, "a contact's change", err, codes.FailedPrecondition, "CUSTOMER_RETIRED")
	restored, err := r.files.RestoreCustomer(r.admin(), &customerv1.RestoreCustomerRequest{Id: made.GetId()})
	if err != nil || restored.GetStatus() != customerv1.CustomerStatus_CUSTOMER_STATUS_ACTIVE || restored.GetRetireReason() != "" {
		t.Errorf("restored: %v, %v", restored, err)
	}
	_, err = r.files.RestoreCustomer(r.admin(), &customerv1.RestoreCustomerRequest{Id: made.GetId()})
	refused(t, "restored twice", err, codes.FailedPrecondition, "CUSTOMER_NOT_RETIRED")
	_, err = r.files.RestoreCustomer(r.admin(), &customerv1.RestoreCustomerRequest{Id: made.GetId(), Etag: "1"})
	refused(t, "stale", err, codes.Aborted, "ETAG_MISMATCH")
	_, err = r.files.RetireCustomer(r.admin(), &customerv1.RetireCustomerRequest{Id: made.GetId()})
	refused(t, "no reason", err, codes.InvalidArgument, "VALIDATION_FAILED", "reason")
	history, err := r.files.ListCustomerChanges(r.admin(), &customerv1.ListCustomerChangesRequest{CustomerId: made.GetId(), Field: "status"})
	if err != nil || len(history.GetChanges()) != 2 || !strings.HasSuffix(history.GetChanges()[1].GetAfter(), "已注销") {
		t.Errorf("history %v, %v", history, err)
	}
}

func TestRetireRace(t *testing.T) {
	r := start(t)
	made := r.make(t, rich())
	errs := make([]error, 6)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = r.files.RetireCustomer(r.admin(), &customerv1.RetireCustomerRequest{Id: made.GetId(), Reason: "closed"})
		})
	}
	wg.Wait()
	exactlyOne(t, errs, codes.FailedPrecondition, "CUSTOMER_RETIRED")
}

func TestOverdueFiles(t *testing.T) {
	r := start(t)
	soon, later, gone := r.make(t, rich()), r.make(t, full()), r.make(t, rich())
	if _, err := r.files.RetireCustomer(r.admin(), &customerv1.RetireCustomerRequest{Id: gone.GetId(), Reason: "closed"}); err != nil {
		t.Fatal(err)
	}
	list := func(req *customerv1.ListOverdueFilesRequest) []string {
		t.Helper()
		out, err := r.files.ListOverdueFiles(r.admin(), req)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, f := range out.GetOverdueFiles() {
			ids = append(ids, f.GetCustomerId())
		}
		if out.GetNextPageToken() != "" {
			next := proto.CloneOf(req)
			next.PageToken = out.GetNextPageToken()
			more, err := r.files.ListOverdueFiles(r.admin(), next)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range more.GetOverdueFiles() {
				ids = append(ids, f.GetCustomerId())
			}
		}
		return ids
	}
	is := func(what string, got []string, want ...string) {
		t.Helper()
		if strings.Join(got, ",") != strings.Join(want, ",") {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	is("nothing is due", list(&customerv1.ListOverdueFilesRequest{}))
	r.Clock.Advance(31 * 24 * time.Hour)
	is("after a month", list(&customerv1.ListOverdueFilesRequest{}), soon.GetId())
	r.Clock.Advance(150 * 24 * time.Hour)
	is("after half a year", list(&customerv1.ListOverdueFilesRequest{PageSize: 1}), soon.GetId(), later.GetId())
	is("one person's", list(&customerv1.ListOverdueFilesRequest{ResponsibleStaffId: soon.GetResponsibleStaffId()}), soon.GetId())
	if _, err := r.files.ConfirmCustomer(r.admin(), &customerv1.ConfirmCustomerRequest{Id: soon.GetId()}); err != nil {
		t.Fatal(err)
	}
	is("after a review", list(&customerv1.ListOverdueFilesRequest{}), later.GetId())
	r.update(t, &customerv1.Customer{Id: later.GetId(), Region: "华南"}, 0, "region")
	is("after a change", list(&customerv1.ListOverdueFilesRequest{}))
	_, err := r.files.ConfirmCustomer(r.admin(), &customerv1.ConfirmCustomerRequest{Id: newID(t)})
	refused(t, "unknown", err, codes.NotFound, "CUSTOMER_NOT_FOUND")
}

func TestContactsHaveBirthdaysAndChannels(t *testing.T) {
	r := start(t)
	owner := r.make(t, full())
	given := person("李四")
	given.PreferredChannel, given.Birthday = 1, &date.Date{Month: 2, Day: 29}
	made := r.addContact(t, owner.GetId(), given)
	if made.GetBirthday().GetDay() != 29 || made.GetPreferredChannel() != 1 {
		t.Errorf("made %v", made)
	}
	for name, d := range map[string]*date.Date{
		"no such day": {Year: 2025, Month: 2, Day: 29}, "no month": {Year: 1980, Day: 3}, "to come": {Year: 2030, Month: 1, Day: 1},
	} {
		_, err := r.contacts.UpdateContact(r.admin(), &customerv1.UpdateContactRequest{
			Contact: &customerv1.Contact{Id: made.GetId(), CustomerId: owner.GetId(), Birthday: d}, UpdateMask: mask("birthday")})
		refused(t, name, err, codes.InvalidArgument, "VALIDATION_FAILED", "contact.birthday")
	}
	agent, err := r.getContact(r.As(access.ServiceAgent), owner.GetId(), made.GetId())
	if err != nil || agent.GetBirthday() != nil {
		t.Errorf("an agent sees the birthday %v, %v", agent.GetBirthday(), err)
	}
	if _, err := r.contacts.UpdateContact(r.admin(), &customerv1.UpdateContactRequest{
		Contact:    &customerv1.Contact{Id: made.GetId(), CustomerId: owner.GetId(), Birthday: &date.Date{Year: 1980, Month: 5, Day: 17}},
		UpdateMask: mask("birthday"), Source: customerv1.ValueSource_VALUE_SOURCE_CUSTOMER}); err != nil {
		t.Fatal(err)
	}
	out, err := r.files.ListCustomerChanges(r.admin(), &customerv1.ListCustomerChangesRequest{CustomerId: owner.GetId()})
	if err != nil || len(out.GetChanges()) != 2 || out.GetChanges()[0].GetContactId() != made.GetId() || !strings.Contains(out.GetChanges()[0].GetAfter(), "1980") {
		t.Errorf("history %v, %v", out, err)
	}
	if _, err := r.contacts.DeleteContact(r.admin(), &customerv1.DeleteContactRequest{CustomerId: owner.GetId(), Id: made.GetId()}); err != nil {
		t.Fatal(err)
	}
	out, err = r.files.ListCustomerChanges(r.admin(), &customerv1.ListCustomerChangesRequest{CustomerId: owner.GetId()})
	if err != nil || out.GetChanges()[1].GetField() != "birthday" || out.GetChanges()[1].GetAfter() != "" {
		t.Errorf("the history of a contact that was removed is readable: %v, %v", out, err)
	}
}

func TestMaintenancePlans(t *testing.T) {
	r := start(t)
	plans, err := r.files.ListMaintenancePlans(r.admin(), &customerv1.ListMaintenancePlansRequest{})
	if err != nil || len(plans.GetMaintenancePlans()) != 4 || plans.GetMaintenancePlans()[2].GetId() != "long-term" || len(plans.GetMaintenancePlans()[2].GetActions()) == 0 {
		t.Fatalf("plans %v, %v", plans, err)
	}
	req := &customerv1.SetMaintenancePlanRequest{Id: "lapsed", Actions: []string{"打电话"}, ContactIntervalDays: 60, Etag: "1"}
	set, err := r.files.SetMaintenancePlan(r.admin(), req)
	if err != nil || set.GetEtag() != "2" || set.GetLifecycle() != customerv1.Lifecycle_LIFECYCLE_LAPSED || set.GetContactIntervalDays() != 60 {
		t.Errorf("set %v, %v", set, err)
	}
	req.Actions = []string{"写信"}
	_, err = r.files.SetMaintenancePlan(r.admin(), req)
	refused(t, "stale", err, codes.Aborted, "ETAG_MISMATCH")
	_, err = r.files.SetMaintenancePlan(r.admin(), &customerv1.SetMaintenancePlanRequest{Id: "gone"})
	refused(t, "bad", err, codes.InvalidArgument, "VALIDATION_FAILED", "id", "actions", "contact_interval_days")
	_, err = r.files.SetMaintenancePlan(r.As(access.CRMSpecialist), req)
	refused(t, "no right", err, codes.PermissionDenied, "PERMISSION_DENIED")
}
