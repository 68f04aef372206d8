package e2e

import "testing"

// TestSurveysTour runs the tour of questionnaires.
func TestSurveysTour(t *testing.T) {
	tells(t, tour(t, "docs", "surveys.md"),
		"FINDING_KIND_MISSING_TRANSLATION", "questions[2].text.en", "FINDING_KIND_SCALE_MISMATCH", "FINDING_KIND_UNKNOWN_REFERENCE", "questions[3].show_if",
		"QUESTIONNAIRE_INCOMPLETE", `"version":1`, "A copy", "用户体验调查", "brand-image",
		`"shownQuestions":["overall","parts","why"]`, `"missingQuestions":["why"]`, `"droppedQuestions":["since"]`, `"answers":"1"`,
		`"withdrawTime"`, "INVITATION_ANSWERED", `"answer":"withdrawn"`, `"answers":"0"`)
}

// TestCampaignsTour runs the walk from a questionnaire over a campaign to the trace of a low score.
func TestCampaignsTour(t *testing.T) {
	tells(t, tour(t, "docs", "campaigns.md"),
		"TIER_KEY", `"version":1`, "CAMPAIGN_STATE_SCHEDULED",
		`"audience":"4","sampled":"4","waiting":"0","asked":"2","heldBack":"2","dropped":"0","answered":"0"`,
		`"reason":"HELD_BACK_NO_CONSENT","count":"1"`, `"reason":"HELD_BACK_WITHDRAWN","count":"1"`,
		"SURVEY_CHANNEL_EMAIL", "SURVEY_CHANNEL_TELEPHONE", "2\n",
		"<h1>How did we do?</h1>", "INVITATION_ANSWERED", `"answered":"1"`, `"audienceShare":0.25`, `"answeredShare":1`, `"least":120,"median":120,"greatest":120`,
		`"questionKey":"overall","score":1`, `"inTime":true`, `"evidence":{"answerId":"`, "INVITATION_STATE_REVOKED",
		`"flagged":"1"`, `"topicKey":"quality"`, `"topicKey":"speed"`, "CAMPAIGN_STATE_STOPPED")
}
