package e2e

import "testing"

// TestSurveysTour runs the tour of questionnaires.
func TestSurveysTour(t *testing.T) {
	tells(t, tour(t, "docs", "surveys.md"),
		"FINDING_KIND_MISSING_TRANSLATION", "questions[2].text.en", "FINDING_KIND_SCALE_MISMATCH", "FINDING_KIND_UNKNOWN_REFERENCE", "questions[3].show_if",
		"QUESTIONNAIRE_INCOMPLETE", `"version":1`, "A copy", "用户体验调查", "brand-image")
}
