// Package access is the one table of who may do what: roles of the token and
// the permissions they grant. A person's post, department or name grants
// nothing. How far a grant reaches is its scope; the handler checks it on the
// row it loaded.
package access

import (
	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	"github.com/kefu-suite/kefu/runtime/authz"
)

// Roles, as they stand in a token.
const (
	ServiceManager           = "service-manager"
	ServiceSupervisor        = "service-supervisor"
	ServiceAgent             = "service-agent"
	SupportEngineer          = "support-engineer"
	AfterSalesSpecialist     = "after-sales-specialist"
	CRMSpecialist            = "crm-specialist"
	InformationAdministrator = "information-administrator"
	QCInspector              = "qc-inspector"
	Salesperson              = "salesperson"
	SalesManager             = "sales-manager"
	CompanyManager           = "company-manager"
	Auditor                  = "auditor"
	Customer                 = "customer"
)

const (
	own     = accessv1.Scope_SCOPE_OWN
	team    = accessv1.Scope_SCOPE_TEAM
	company = accessv1.Scope_SCOPE_COMPANY
)

// Policy returns the table. Of service accounts it says only what they see: they have
// exactly the permissions their token lists.
func Policy() authz.Policy {
	return authz.Policy{
		Roles: map[string]authz.Role{
			ServiceManager:           {Grants: serviceManager(), Sees: desk()},
			ServiceSupervisor:        {Grants: serviceSupervisor(), Sees: desk()},
			ServiceAgent:             {Grants: serviceAgent(), Sees: desk()},
			SupportEngineer:          {Grants: supportEngineer(), Sees: staff()},
			AfterSalesSpecialist:     {Grants: afterSalesSpecialist(), Sees: staff(shown(ForCase, confidential))},
			CRMSpecialist:            {Grants: crmSpecialist(), Sees: staff(shown(ForService, confidential), shown(ForInvitation, restricted))},
			InformationAdministrator: {Grants: informationAdministrator(), Sees: staff(shown(ForService, restricted))},
			QCInspector:              {Grants: qcInspector(), Sees: staff()},
			Salesperson:              {Grants: salesperson(), Sees: staff(shown(ForService, internal))},
			SalesManager:             {Grants: salesManager(), Sees: staff(shown(ForService, internal))},
			CompanyManager:           {Grants: companyManager(), Sees: staff(shown(ForService, internal))},
			Auditor:                  {Grants: auditor(), Sees: []authz.Clearance{shown(ForWork, internal)}},
			Customer:                 {Grants: customer(), Sees: []authz.Clearance{shown(ForService, restricted), shown(ForCase, restricted)}},
		},
		Accounts: []authz.Clearance{shown("", confidential), shown(ForInvitation, restricted)},
	}
}

// ServiceAccountOnly lists the permissions that no role has: streams of
// everything and lookups of every caller are for systems, not for people.
func ServiceAccountOnly() []string { return []string{"events.read", "callers.lookup"} }

// Everything on tickets and complaints, standards, approvals, reports. Contact
// data of customer files stays masked: files are kept by others.
func serviceManager() []authz.Grant {
	return grants(
		at(company, "summaries.read", "customers.readmasked", "contacts.readmasked", "profiles.readmasked", "orders.read"),
		at(company, "tickets.read", "tickets.create", "tickets.triage", "tickets.assign", "tickets.work",
			"tickets.comment", "tickets.history", "tickets.confirm", "tickets.reopen", "tickets.cancel", "tickets.retarget"),
		at(company, "directory.read", "directory.write", "staff.status", "tasks.work", "calendars.read", "calendars.write"),
		at(company, "cannedanswers.read", "cannedanswers.write", "faultnotices.read", "faultnotices.write"),
		at(company, "ticketpolicies.read", "ticketpolicies.write", "complaintpolicies.read", "complaintpolicies.write",
			"complaints.retarget", "causes.read", "causes.write"),
		at(company, "complaints.read", "complaints.register", "complaints.submit", "complaints.review",
			"complaints.assign", "complaints.work", "complaints.approve", "complaints.close", "complaints.history"),
		at(company, "questionnaires.read", "invitations.read", "results.read"),
		breakers(), at(company, "customers.unmask", "consents.read"),
		coverReaders(), exporters(), tierReaders(), coverKeepers(),
	)
}

// The team's tickets: reassign, escalate, approve closures.
func serviceSupervisor() []authz.Grant {
	return grants(
		at(company, "summaries.read", "customers.readmasked", "contacts.readmasked", "profiles.readmasked", "orders.read"),
		at(team, "tickets.read", "tickets.create", "tickets.triage", "tickets.assign", "tickets.work",
			"tickets.comment", "tickets.history", "tickets.confirm", "tickets.reopen", "tickets.cancel"),
		at(company, "directory.read", "causes.read", "calendars.read", "ticketpolicies.read", "complaintpolicies.read",
			"cannedanswers.read", "faultnotices.read"),
		at(team, "staff.status", "tasks.work"),
		at(team, "complaints.read", "complaints.register", "complaints.submit", "complaints.review",
			"complaints.assign", "complaints.work", "complaints.approve", "complaints.close", "complaints.history"),
		at(company, "results.read"),
		breakers(), at(company, "customers.unmask", "consents.read"),
		coverReaders(), exporters(),
	)
}

// Own and queue tickets, registering complaints, masked contacts one customer
// at a time.
func serviceAgent() []authz.Grant {
	return grants(
		at(company, "summaries.read", "customers.readmasked", "contacts.readmasked", "profiles.readmasked", "orders.read"),
		at(own, "tickets.read", "tickets.create", "tickets.triage", "tickets.assign", "tickets.work",
			"tickets.comment", "tickets.history", "tickets.confirm", "tickets.reopen", "tickets.cancel"),
		at(company, "directory.read", "causes.read", "calendars.read", "cannedanswers.read", "faultnotices.read"), at(own, "staff.status", "tasks.work"),
		at(own, "complaints.read", "complaints.register", "complaints.submit", "complaints.review",
			"complaints.work", "complaints.history"),
		breakers(), at(company, "customers.unmask", "consents.read"),
		coverReaders(),
	)
}

// Tickets assigned to engineering; nothing of customer files.
func supportEngineer() []authz.Grant {
	return grants(
		at(team, "tickets.read", "tickets.work", "tickets.comment", "tickets.history"),
		at(company, "directory.read", "causes.read", "calendars.read", "cannedanswers.read", "faultnotices.read"), at(own, "staff.status", "tasks.work"),
		at(own, "complaints.read", "complaints.work", "complaints.history"),
		at(team, "complaints.assign"),
		askers(),
		coverReaders(),
	)
}

// Repairs, returns, on-site visits, with address and phone while one is open; nothing of
// other customers.
func afterSalesSpecialist() []authz.Grant {
	return grants(
		at(own, "tickets.read", "tickets.create", "tickets.work", "tickets.comment", "tickets.history"),
		at(own, "visits.read"),
		at(company, "directory.read", "causes.read", "calendars.read", "cannedanswers.read", "faultnotices.read"), at(own, "staff.status", "tasks.work"),
		at(own, "complaints.read", "complaints.work", "complaints.history"),
		at(team, "complaints.assign"),
		askers(),
		coverReaders(),
	)
}

// Customer files, consent, surveys; nothing of a ticket's inside.
func crmSpecialist() []authz.Grant {
	return grants(
		at(company, "summaries.read", "customers.read", "customers.write", "consents.write", "profiles.read",
			"contacts.read", "contacts.write", "orders.read", "customerchanges.read", "segments.read", "segments.write",
			"quality.read"),
		at(company, "directory.read", "causes.read", "calendars.read"), at(own, "staff.status", "tasks.work"),
		at(own, "complaints.read", "complaints.work", "complaints.history"),
		at(team, "complaints.assign"),
		at(company, "questionnaires.read", "questionnaires.write", "invitations.read", "invitations.write",
			"answers.read", "answers.enter", "results.read"),
		breakers(), at(company, "consents.read"),
		coverReaders(), tierReaders(), tierPreparers(), rightsDesk(),
	)
}

// Customer files, classification, imports; registers complaints.
func informationAdministrator() []authz.Grant {
	return grants(
		at(company, "summaries.read", "customers.read", "customers.write", "customers.tier", "customers.import",
			"profiles.read", "contacts.read", "contacts.write", "orders.read", "orders.write"),
		at(company, "customerchanges.read", "attributes.write", "maintenanceplans.write", "segments.read", "segments.write",
			"quality.read", "changereports.read", "changereports.decide"),
		at(company, "tickets.import", "directory.read", "causes.read", "directory.write", "staff.status", "calendars.read", "calendars.write"),
		at(own, "tasks.work", "complaints.read", "complaints.submit", "complaints.work", "complaints.history"),
		at(company, "complaints.register", "complaints.import"),
		at(company, "answers.import"),
		requesters(), at(own, "changereports.create"), at(company, "consents.read"),
		coverReaders(), exporters(), tierReaders(), coverKeepers(), rightsDesk(), at(company, "subjectdocuments.read", "legalholds.write"),
	)
}

// Quality complaints: investigates and confirms; nothing of customer files.
func qcInspector() []authz.Grant {
	return grants(
		at(company, "directory.read", "causes.read", "calendars.read", "faultnotices.read"), at(own, "staff.status", "tasks.work"),
		at(team, "complaints.read", "complaints.assign", "complaints.history", "complaints.inspect"),
		at(own, "complaints.work"),
		askers(),
		coverReaders(),
	)
}

// The summary lines of own customers.
func salesperson() []authz.Grant {
	return grants(
		at(own, "summaries.read"),
		at(company, "directory.read", "causes.read", "calendars.read"), at(own, "staff.status", "tasks.work"),
		at(own, "complaints.read", "complaints.work", "complaints.history"),
		askers(),
		coverReaders(),
	)
}

// All summaries; cases of the own department.
func salesManager() []authz.Grant {
	return grants(
		at(company, "summaries.read", "directory.read", "causes.read", "calendars.read", "complaints.register",
			"complaints.determine", "segments.read", "quality.read"),
		at(team, "complaints.read", "complaints.assign", "complaints.history"),
		at(own, "complaints.submit", "complaints.work", "staff.status", "tasks.work"),
		at(company, "results.read"),
		deciders(),
		coverReaders(), tierReaders(), tierPreparers(), tierDeciders(), coverDeciders(),
	)
}

// Figures, overrides, the last word on a complaint; no browsing of persons.
func companyManager() []authz.Grant {
	return grants(
		at(company, "directory.read", "causes.read", "calendars.read"), at(own, "staff.status", "tasks.work"),
		at(company, "complaints.read", "complaints.register", "complaints.assign", "complaints.approve",
			"complaints.close", "complaints.history", "complaints.determine", "complaints.decide"),
		at(own, "complaints.submit", "complaints.work"),
		at(company, "results.read"),
		deciders(),
		coverReaders(), tierReaders(), tierDeciders(), coverDeciders(),
	)
}

// The audit trail, which has methods of its own; of the rest the directory
// that names who acted and the calendars that deadlines are counted by.
func auditor() []authz.Grant {
	return grants(at(company, "directory.read", "calendars.read", "auditrecords.read"), reviewer(), coverReaders())
}

// Their own file, tickets and complaints.
func customer() []authz.Grant {
	return at(own, "customers.read", "profiles.read", "contacts.read", "consents.read", "consents.write", "orders.read",
		"tickets.read", "tickets.create", "tickets.comment", "tickets.confirm", "tickets.reopen", "tickets.cancel",
		"complaints.read", "complaints.register", "subjectrequests.create", "subjectdocuments.read", "changereports.create",
		"changereports.read")
}

func at(scope accessv1.Scope, permissions ...string) []authz.Grant {
	out := make([]authz.Grant, 0, len(permissions))
	for _, p := range permissions {
		out = append(out, authz.Grant{Permission: p, Scope: scope})
	}
	return out
}

func grants(lists ...[]authz.Grant) []authz.Grant {
	var out []authz.Grant
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}
