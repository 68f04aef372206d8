package e2e

import "testing"

// TestIntakeTour runs the tour of intake, triage and standards.
func TestIntakeTour(t *testing.T) {
	tells(t, tour(t, "docs", "intake.md"),
		`"type":"TICKET_TYPE_REPAIR"`, `"ruleId":"repair"`, `"priority":"PRIORITY_P1"`, "停线", `"type":"TICKET_TYPE_REPAIR"`, `"priority":"PRIORITY_P2"`,
		"VALIDATION_FAILED", "TICKET_STATE_TRIAGED", `"overridden":true`,
		"TRIAGE_SOURCE_MATRIX", "紧急程度“高”、影响范围“中”对应 P2", "PRIORITY_P1", "对应 P1；请说明改为 P4 的理由", "PRIORITY_SOURCE_MATRIX",
		`"impact":"IMPACT_MEDIUM"`, "整个车间都受影响", `"impact":"IMPACT_HIGH"`,
		"TRIAGE_RULES_STATE_DRAFT", "TRIAGE_RULES_INVALID", "rules[0].confidence", "TRIAGE_RULES_STATE_DRAFT", "oil-", `"skills":["hydraulics"]`,
		"TRIAGE_FIELD_TYPE", "TRIAGE_FIELD_DEPARTMENT",
		"江南泵业", `"joined":false`, `"joined":false`, `"joined":true`, `"joined":false`, `"otherCases":[{`, "机器有异响",
		"CONTACT_FORM_PASS_INVALID", "T-", "joined",
		`"joined":false`, `"joined":true`, "SIGNATURE_INVALID",
		"resolution-c-p3", `"inEffect":true`, "resolution-a-p3",
		"SECOND_PERSON_NEEDED", "ESCALATION_STATE_GRANTED", "TIER_KEY", "resolution-key-p3",
		"read 4 requests of 311", "CHANNEL_APP", "2018-06-27T03:15:00Z", "under version 1", "request              p3       resolution               2         2         0         0    50.0 %")
}
