package db

import "github.com/kefu-suite/kefu/services/internal/subject"

// triageTables hold no words of a person's text but those that a rule has too, or that three
// tickets have.
func triageTables() []subject.Table {
	const rules, learned = "rules of triage and what they decided", "how often words occur in many tickets"
	return []subject.Table{
		{Name: "triage_rules", Reason: rules, Kept: "version id state effective_time content create_time update_time revision"},
		{Name: "ticket_triages", Reason: rules, Kept: "ticket_id rules_version content"},
		{Name: "triage_models", Reason: learned, Kept: "version id create_time figures content"},
		{Name: "connectors", Reason: "systems that bring messages", Kept: "id code channel off secret_generation previous_until create_time"},
		{Name: "standard_exceptions", Reason: "what the company agreed on with a customer", Kept: "id customer_id version tier start_time end_time reason create_time"},
		{Name: "customer_standards", Reason: "what the company agreed on with a customer", Kept: "customer_id tier look_time"},
		{Name: "routing_versions", Reason: "the organisation, its staff and their duties", Kept: "single version"},
	}
}
