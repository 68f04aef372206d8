package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// A survey is imported, analysed and taken home as a file, over REST.
func TestAnalysis(t *testing.T) {
	crm, admin := as(t, suite, role("crm-specialist")...), as(t, suite, role("information-administrator")...)
	text := func(s string) object { return object{"zh": s + "（中）", "en": s} }
	q := crm.post("/v1/questionnaires", object{"title": text(unique("analysis")), "questions": []object{
		{"key": "overall", "type": "QUESTION_TYPE_RATING", "text": text("overall")},
		{"key": "speed", "type": "QUESTION_TYPE_RATING", "text": text("speed")},
		{"key": "class", "type": "QUESTION_TYPE_SINGLE_CHOICE", "text": text("class"), "choices": []object{
			{"key": "a", "text": text("first")}, {"key": "b", "text": text("second")}}},
	}}).text("id")
	at := "/v1/questionnaires/" + q
	crm.post(at+":publish", object{})
	var records []object
	for i := range 40 {
		class := string("ab"[i%2])
		records = append(records, object{"externalId": fmt.Sprint(i), "answerTime": "2026-01-05T08:00:00Z", "responses": []object{
			{"questionKey": "overall", "score": 1 + i%5}, {"questionKey": "speed", "score": 1 + (i+i%3)%5}, {"questionKey": "class", "choice": class}}})
	}
	admin.post(at+"/answers:import", object{"source": "e2e", "records": records})
	ask := object{"overall": "overall", "groupings": []object{{"questionKey": "class"}}}
	manager := as(t, suite, role("company-manager")...)
	got := manager.post(at+":analyze", ask)
	speed := got.list("aspects")[0]
	if got.text("answers") != "40" || speed.number("mean", "value") == 0 || !strings.HasPrefix(speed.text("mean", "text", "zh"), "「speed（中）」的平均分为 ") ||
		len(got.list("groupings")[0].list("groups")) != 2 {
		t.Errorf("analysis %v", got)
	}
	for format, want := range map[string][3]string{
		"EXPORT_FORMAT_CSV":  {"text/csv; charset=utf-8", "\ufeff部分,问题,", "export.csv"},
		"EXPORT_FORMAT_XLSX": {"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "PK\x03\x04", "export.xlsx"},
	} {
		file := manager.try(http.MethodPost, at+":exportAnalysis", object{"analysis": ask, "format": format}, "Accept-Language", "zh-CN")
		if file.code != http.StatusOK || file.header.Get("Content-Type") != want[0] || !strings.HasPrefix(file.raw, want[1]) ||
			file.header.Get("Content-Disposition") != `attachment; filename="`+want[2]+`"` {
			t.Errorf("%s: %d %v %.40q", format, file.code, file.header, file.raw)
		}
	}
	if refused := manager.try(http.MethodPost, at+":analyze", object{"overall": "mood"}); refused.code != http.StatusBadRequest || refused.reason != "ANALYSIS_INVALID" {
		t.Errorf("an unknown question: %d %s", refused.code, refused.raw)
	}
	if refused := as(t, suite, role("service-agent")...).try(http.MethodPost, at+":analyze", ask); refused.code != http.StatusForbidden {
		t.Errorf("an agent: %d %s", refused.code, refused.raw)
	}
}
