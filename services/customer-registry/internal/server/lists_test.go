package server_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"pgregory.net/rapid"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/access/accesstest"
)

const getCustomer = "CustomerService/GetCustomer"

// listing is one List beside the Get of the same things.
type listing struct {
	method string
	// key is the field of a listed thing that names it; of says in what other request it is
	// listed, e.g. a tier run. With per the request names a customer in customer_id instead, and
	// what is named is the customer who has something to list.
	key string
	of  map[string]string
	per bool
	// get reads the thing by the field by.
	get, by string
	// all is what there is.
	all []string
	// line: the list shows a line of a file that Get shows the whole of. Who sees the line may
	// know of the customer, and no more.
	line bool
}

// notCompared are lists of what has no Get and is of no customer, or is tested with its rules.
func notCompared() []string {
	return []string{
		"FileService/ListMaintenancePlans", "QualityService/ListQualitySnapshots", "SubjectRequestService/ListLegalHolds",
		"AccessReviewService/ListAccessReviews", "AccessReviewService/ListAccessReviewReaders", "AccessReviewService/ListAccessReviewGrants",
		"AccessReviewService/ListDueAccessReviews", "CustomerImportService/ListCustomerImportErrors", "CustomerImportService/ListCustomerImportReviews",
	}
}

// shelf is a registry with a bit of everything, of everybody's.
type shelf struct {
	*registry
	t *testing.T
	// files are of nobody, "me", "colleague" and "stranger", the key customers among them first.
	files []string
	// lent are opened to "me" by a grant that ended, by one that runs, and by broken glass.
	lent     []string
	listings []listing
	may      map[string]error
}

func newShelf(t *testing.T) *shelf {
	s := &shelf{registry: start(t), t: t, may: map[string]error{}}
	team := newID(t)
	owners := []string{"", s.hire(t, "me", team), s.hire(t, "colleague", team), s.hire(t, "stranger", newID(t))}
	for _, owner := range slices.Concat(owners, owners) {
		s.files = append(s.files, s.place(owner))
	}
	s.Clock.Advance(200 * 24 * time.Hour)
	run := s.preview(t, nil).GetId()
	_, err := s.Pool.Exec(t.Context(), `UPDATE tier_scores SET to_tier = 2 WHERE run_id = $1`, run)
	s.ok(err)
	s.lent = []string{s.place(owners[3]), s.place(owners[3])}
	for _, id := range slices.Concat(s.files[:len(owners)], s.lent) {
		_, err := s.customers.SetTier(s.admin(), s.tier(id, 300))
		s.ok(err)
	}
	for _, id := range s.lent {
		s.Clock.Advance(8 * 24 * time.Hour)
		_, err := s.approve(s.sales(), s.ask(t, s.AsStaff(access.SupportEngineer, "me"), wanting(id)).GetId())
		s.ok(err)
	}
	for _, who := range []string{"me", "stranger"} {
		agent := s.AsStaff(access.ServiceAgent, who)
		s.ask(t, agent, wanting(s.files[0]))
		s.lent = append(s.lent, s.breakGlass(t, agent, s.place(owners[3])).GetCustomerId())
		_, err := s.reports.CreateChangeReport(agent, proposal(s.files[4], "13900139000"))
		s.ok(err)
	}
	person := s.person(t).GetId()
	s.asks(t, s.AsStaff(access.CRMSpecialist, "me"), corrections, person, "")
	_, err = s.reports.CreateChangeReport(s.AsCustomer(person), proposal(person, "13900139000"))
	s.ok(err)
	s.files = append(s.files, person)
	s.begin(t, plan())
	s.define(t, attribute("fleet", customerv1.AttributeType_ATTRIBUTE_TYPE_NUMBER))
	s.publishCover(t, cover("", 12, 6))
	s.compare(s.saved(t, "all", regionIn(full().GetRegion())).GetId(), run)
	return s
}

func (s *shelf) ok(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// place opens a file with a contact, an order, a product, a decision on consent and a change.
func (s *shelf) place(owner string) string {
	s.t.Helper()
	c := full()
	c.OwnerStaffId = owner
	id := s.make(s.t, c).GetId()
	s.addContact(s.t, id, person("李四"))
	_, err := s.upsert(id, s.order("O-"+id))
	s.ok(err)
	_, err = s.install(id, s.product("SN-"+id))
	s.ok(err)
	_, err = s.customers.SetConsent(s.crm(), consent(id, marketing, true))
	s.ok(err)
	return id
}

// ids are those that a query answers.
func (s *shelf) ids(sql string) []string {
	s.t.Helper()
	rows, err := s.Pool.Query(s.t.Context(), sql)
	s.ok(err)
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	s.ok(err)
	return out
}

// compare fills in the lists.
func (s *shelf) compare(segment, run string) {
	every := s.ids(`SELECT id::text FROM customers`)
	own := func(service, list, get, table string) listing {
		return listing{method: service + "/" + list, key: "id", get: service + "/" + get, by: "id", all: s.ids(`SELECT id::text FROM ` + table)}
	}
	line := func(method string, of map[string]string, all []string) listing {
		return listing{method: method, key: "customer_id", of: of, get: getCustomer, by: "id", all: all, line: true}
	}
	s.listings = []listing{
		line("CustomerService/ListCustomerSummaries", nil, every),
		line("FileService/ListOverdueFiles", nil, s.ids(`SELECT id::text FROM customers WHERE review_due_time < '`+s.Clock.Now().Format(time.RFC3339)+`'`)),
		line("SegmentService/ListSegmentMembers", map[string]string{"id": segment}, s.files[:8]),
		{method: "ConsentService/ListConsents", per: true, get: getCustomer, by: "id", all: s.files[:8], line: true},
		{method: "ContactService/ListContacts", per: true, get: getCustomer, by: "id", all: s.files[:8]},
		{method: "OrderService/ListOrders", per: true, get: getCustomer, by: "id", all: s.files[:8]},
		{method: "OrderService/ListInstalledProducts", per: true, get: getCustomer, by: "id", all: s.files[:8]},
		{method: "FileService/ListCustomerChanges", per: true, get: getCustomer, by: "id", all: s.files[:8]},
		{method: "QualityService/ListCustomerQualities", key: "customer_id", get: "QualityService/GetCustomerQuality", by: "customer_id", all: every},
		{method: "TierService/ListTierMoves", key: "customer_id", of: map[string]string{"tier_run_id": run}, get: "TierService/GetStanding", by: "customer_id", all: s.files[:8]},
		own("ChangeReportService", "ListChangeReports", "GetChangeReport", "change_reports"),
		own("AccessRequestService", "ListAccessRequests", "GetAccessRequest", "access_requests"),
		own("BreakGlassService", "ListBreakGlasses", "GetBreakGlass", "break_glasses"),
		own("SubjectRequestService", "ListSubjectRequests", "GetSubjectRequest", "subject_requests"),
		own("CustomerImportService", "ListCustomerImports", "GetCustomerImport", "customer_imports"),
		own("SegmentService", "ListSegments", "GetSegment", "segments"),
		own("AttributeService", "ListAttributeDefinitions", "GetAttributeDefinition", "attribute_definitions"),
		own("TierService", "ListTierModels", "GetTierModel", "rule_versions WHERE kind = 2"),
		own("TierService", "ListTierRuns", "GetTierRun", "tier_runs"),
		own("WarrantyService", "ListWarrantyPolicies", "GetWarrantyPolicy", "rule_versions WHERE kind = 1"),
	}
	s.ok(s.ScoreFiles(s.t.Context()))
}

// invoke calls a method of the registry with texts as the request's fields.
func (s *shelf) invoke(ctx context.Context, method string, fields map[string]string) (protoreflect.Message, error) {
	name := "kefu.customer.v1." + method
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(strings.ReplaceAll(name, "/", ".")))
	s.ok(err)
	of, ok := found.(protoreflect.MethodDescriptor)
	if !ok {
		s.t.Fatalf("%s is no method", name)
	}
	message := func(d protoreflect.MessageDescriptor) protoreflect.Message {
		kind, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
		s.ok(err)
		return kind.New()
	}
	req, resp := message(of.Input()), message(of.Output())
	for field, value := range fields {
		req.Set(of.Input().Fields().ByName(protoreflect.Name(field)), protoreflect.ValueOfString(value))
	}
	return resp, s.Conn.Invoke(ctx, "/"+name, req.Interface(), resp.Interface())
}

// pages reads a list to its end and gives of each thing what key names, or the whole of it.
func (s *shelf) pages(ctx context.Context, method, key string, of map[string]string) ([]string, error) {
	var out []string
	req := map[string]string{}
	for field, value := range of {
		req[field] = value
	}
	for {
		page, err := s.invoke(ctx, method, req)
		if err != nil {
			return nil, err
		}
		out = append(out, named(page, key)...)
		next := page.Get(page.Descriptor().Fields().ByName("next_page_token")).String()
		if next == "" {
			return out, nil
		}
		req["page_token"] = next
	}
}

// named gives of each thing of a page what key names, and with no key that there is one.
func named(page protoreflect.Message, key string) []string {
	var out []string
	page.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		for i := range v.List().Len() {
			if key == "" {
				out = append(out, "")
				continue
			}
			thing := v.List().Get(i).Message()
			out = append(out, thing.Get(thing.Descriptor().Fields().ByName(protoreflect.Name(key))).String())
		}
		return true
	})
	return out
}

// listed is what the caller is shown, and whether they may list at all.
func (s *shelf) listed(ctx context.Context, l *listing) (ids []string, may bool, err error) {
	if !l.per {
		ids, err = s.pages(ctx, l.method, l.key, l.of)
		if accesstest.Refused(err) {
			return nil, rpcerr.Reason(err) != "PERMISSION_DENIED", nil
		}
		return ids, true, err
	}
	for _, id := range l.all {
		found, err := s.pages(ctx, l.method, "", map[string]string{"customer_id": id})
		switch {
		case accesstest.Refused(err):
			may = may || rpcerr.Reason(err) != "PERMISSION_DENIED"
		case err != nil:
			return nil, false, err
		default:
			may = true
			if len(found) > 0 {
				ids = append(ids, id)
			}
		}
	}
	return ids, may, nil
}

// got is what Get says to a caller, who asks once.
func (s *shelf) got(who string, ctx context.Context, l *listing, id string) error {
	key := who + l.get + id
	if _, asked := s.may[key]; !asked {
		_, s.may[key] = s.invoke(ctx, l.get, map[string]string{l.by: id})
	}
	return s.may[key]
}

// check compares a list with Get, for one caller.
func (s *shelf) check(t interface{ Errorf(string, ...any) }, who string, ctx context.Context, l *listing) {
	shown, may, err := s.listed(ctx, l)
	if err != nil {
		t.Errorf("%s by %s: %v", l.method, who, err)
		return
	}
	for _, id := range shown {
		err := s.got(who, ctx, l, id)
		if accesstest.Refused(err) && !(l.line && status.Code(err) == codes.PermissionDenied) || err != nil && !accesstest.Refused(err) {
			t.Errorf("%s shows %s the thing %s, and %s refuses it: %v", l.method, who, id, l.get, err)
		}
	}
	if !may {
		return
	}
	for _, id := range l.all {
		// A grant opens a file, and is no scope: it does not lengthen the lists of lines.
		if l.line && slices.Contains(s.lent, id) {
			continue
		}
		if s.got(who, ctx, l, id) == nil && !slices.Contains(shown, id) {
			t.Errorf("%s does not show %s the thing %s, and %s does", l.method, who, id, l.get)
		}
	}
}

// TestListsNeverReturnWhatGetWouldRefuse: nor do they keep back what Get shows, for callers of
// every role and of two, in and out of the account teams, and for customers.
func TestListsNeverReturnWhatGetWouldRefuse(t *testing.T) {
	s := newShelf(t)
	s.completeTable()
	staff := slices.DeleteFunc(accesstest.Roles(), func(role string) bool { return role == access.Customer })
	checked := 0
	for _, role := range staff {
		for _, subject := range []string{"me", "stranger"} {
			for i := range s.listings {
				s.check(t, subject+", "+role, s.AsPerson(subject, role), &s.listings[i])
				checked++
			}
		}
	}
	for _, id := range []string{s.files[0], s.files[5], s.files[8]} {
		for i := range s.listings {
			s.check(t, "the customer "+id, s.AsCustomer(id), &s.listings[i])
			checked++
		}
	}
	if t.Failed() {
		return
	}
	rapid.Check(t, func(r *rapid.T) {
		roles := rapid.SliceOfNDistinct(rapid.SampledFrom(staff), 1, 3, rapid.ID).Draw(r, "roles")
		subject := rapid.SampledFrom([]string{"me", "colleague", "stranger", "unknown"}).Draw(r, "subject")
		l := rapid.SampledFrom(s.listings).Draw(r, "list")
		slices.Sort(roles)
		s.check(r, fmt.Sprint(subject, ", ", roles), s.AsPerson(subject, roles...), &l)
		checked++
	})
	t.Logf("%d lists compared with Get", checked)
}

// completeTable fails where a List of the registry is not compared, and where there is nothing
// to compare.
func (s *shelf) completeTable() {
	s.t.Helper()
	have := notCompared()
	for _, l := range s.listings {
		have = append(have, l.method)
		if len(l.all) == 0 {
			s.t.Errorf("there is nothing that %s could list", l.method)
		}
	}
	var want []string
	protoregistry.GlobalFiles.RangeFilesByPackage("kefu.customer.v1", func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				if name := string(methods.Get(j).Name()); strings.HasPrefix(name, "List") {
					want = append(want, string(file.Services().Get(i).Name())+"/"+name)
				}
			}
		}
		return true
	})
	slices.Sort(have)
	if slices.Sort(want); !slices.Equal(have, want) {
		s.t.Errorf("the registry lists\n%v\nand compared are\n%v", want, have)
	}
}
