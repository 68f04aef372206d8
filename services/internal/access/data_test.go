package access_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/mask"
	"github.com/kefu-suite/kefu/services/internal/access"
)

// personal are the names of fields that hold personal data, or what people wrote.
var personal = regexp.MustCompile(`(^|_)(phones?|mobile|fax|e?mails?|address(es)?|postal_code|street|latitude|longitude|` +
	`birthday|birth_date|gender|identity_number|id_card|passport|bank|iban|credit|said_by|reporter|password|token|secret|` +
	`body|note|notes|description|demanded_remedy|told|findings|signature|full_name|nickname|wechat|qq)($|_)`)

// names are the messages whose field name is a person's or a customer's.
var names = []protoreflect.FullName{
	"kefu.customer.v1.Customer", "kefu.customer.v1.Contact", "kefu.customer.v1.CustomerSummary",
	"kefu.ticket.v1.Reporter", "kefu.ticket.v1.Staff",
}

// harmless are fields that only look like personal data, and why.
var harmless = map[protoreflect.FullName]string{
	"kefu.ticket.v1.Ticket.reporter":            "its parts have rules of their own",
	"kefu.customer.v1.ExtractedFile.phone":      "masked for everyone, before it is stored",
	"kefu.customer.v1.ExtractedFile.email":      "masked for everyone, before it is stored",
	"kefu.customer.v1.ExtractedContact.phone":   "masked for everyone, before it is stored",
	"kefu.customer.v1.ExtractedContact.email":   "masked for everyone, before it is stored",
	"kefu.calendar.v1.ComputeDueResponse.notes": "what the calendar does not know of its years",
	"kefu.customer.v1.Customer.phone_quality":   "whether it can be dialled, not what it is",
	"kefu.customer.v1.Customer.email_quality":   "whether it can be written to, not what it is",
	"kefu.customer.v1.Contact.phone_quality":    "whether it can be dialled, not what it is",
	"kefu.customer.v1.Contact.email_quality":    "whether it can be written to, not what it is",
}

// pageToken are sealed and say nothing to whoever holds them.
func pageToken(name protoreflect.Name) bool { return strings.HasSuffix(string(name), "page_token") }

// answers calls visit for each field of every message that a method answers with, but for
// those within a field that has a rule.
func answers(t *testing.T, visit func(fd protoreflect.FieldDescriptor, rule *accessv1.DataRule)) {
	t.Helper()
	seen := map[protoreflect.FullName]bool{}
	var walk func(d protoreflect.MessageDescriptor)
	walk = func(d protoreflect.MessageDescriptor) {
		if seen[d.FullName()] || !strings.HasPrefix(string(d.FullName()), "kefu.") {
			return
		}
		seen[d.FullName()] = true
		for i := range d.Fields().Len() {
			fd := d.Fields().Get(i)
			rule := mask.Rule(fd)
			visit(fd, rule)
			if held := fd.Message(); held != nil && rule == nil {
				walk(held)
			}
		}
	}
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				walk(methods.Get(j).Output())
			}
		}
		return true
	})
	if len(seen) < 30 {
		t.Fatalf("only %d messages found", len(seen))
	}
}

func TestPersonalDataHasRules(t *testing.T) {
	ruled := 0
	answers(t, func(fd protoreflect.FieldDescriptor, rule *accessv1.DataRule) {
		if rule != nil {
			ruled++
			return
		}
		looks := personal.MatchString(string(fd.Name())) && !pageToken(fd.Name()) ||
			fd.Name() == "subject" || fd.Name() == "name" && slices.Contains(names, fd.ContainingMessage().FullName())
		if looks && harmless[fd.FullName()] == "" {
			t.Errorf("%s holds personal data and has no data rule", fd.FullName())
		}
	})
	if ruled < 30 {
		t.Errorf("only %d fields have a rule", ruled)
	}
}

// A rule for a purpose that nobody is cleared for would hide its field from everyone.
func TestEveryPurposeIsKnownAndSeen(t *testing.T) {
	known := []string{access.ForService, access.ForCase, access.ForWork, access.ForInvitation}
	answers(t, func(fd protoreflect.FieldDescriptor, rule *accessv1.DataRule) {
		if rule == nil {
			return
		}
		if !slices.Contains(known, rule.GetPurpose()) {
			t.Errorf("%s is kept for %q, which is none of %v", fd.FullName(), rule.GetPurpose(), known)
		}
		for _, role := range access.Policy().Roles {
			if authz.See(role.Sees, rule) == mask.Shown {
				return
			}
		}
		t.Errorf("%s: no role sees it", fd.FullName())
	})
}

// The table of clearances, written anew from the table of roles.
func TestWhatRolesSee(t *testing.T) {
	const none, masked, shown = mask.Absent, mask.Masked, mask.Shown
	type views struct{ file, reporter, staff, link mask.View }
	want := map[string]views{
		access.ServiceManager:           {masked, shown, shown, none},
		access.ServiceSupervisor:        {masked, shown, shown, none},
		access.ServiceAgent:             {masked, shown, shown, none},
		access.SupportEngineer:          {none, none, shown, none},
		access.AfterSalesSpecialist:     {none, shown, shown, none},
		access.CRMSpecialist:            {shown, none, shown, shown},
		access.InformationAdministrator: {shown, none, shown, none},
		access.QCInspector:              {none, none, shown, none},
		access.Salesperson:              {none, none, shown, none},
		access.SalesManager:             {none, none, shown, none},
		access.CompanyManager:           {none, none, shown, none},
		access.Auditor:                  {none, none, shown, none},
		access.Customer:                 {shown, shown, none, none},
	}
	field := func(message protoreflect.FullName, name protoreflect.Name) *accessv1.DataRule {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(message.Append(name))
		if err != nil {
			t.Fatal(err)
		}
		return mask.Rule(d.(protoreflect.FieldDescriptor))
	}
	phone, reporter := field("kefu.customer.v1.Customer", "phone"), field("kefu.ticket.v1.Reporter", "phone")
	staff, link := field("kefu.ticket.v1.Staff", "name"), field("kefu.survey.v1.InvitationLink", "token")
	roles := access.Policy().Roles
	if len(roles) != len(want) {
		t.Errorf("%d roles, want %d", len(roles), len(want))
	}
	for role, may := range roles {
		got := views{authz.See(may.Sees, phone), authz.See(may.Sees, reporter), authz.See(may.Sees, staff), authz.See(may.Sees, link)}
		if got != want[role] {
			t.Errorf("%s sees file, reporter, staff, link %v, want %v", role, got, want[role])
		}
	}
}
