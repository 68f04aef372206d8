package e2e

import "testing"

// TestRegistryTour runs the tour of the registry.
func TestRegistryTour(t *testing.T) {
	out := tour(t, "docs", "registry.md")
	t.Log(out)
	tells(t, out,
		"ATTRIBUTE_TYPE_NUMBER", "customer.attributes[0]", "+862787654321", `"phoneExtension":"12"`, "回拨核实", `"before":"","after":"机械"`,
		"customer.phone", "POINT_QUALITY_NO_SUCH_NUMBER",
		"+8613900271234", "武汉精工", "武汉精工", "武汉精工", "武汉精工", "武汉精工",
		`"verified":true "verifyMethod":"回拨核实"`,
		`{"count":"1"}`, "condition.attribute.flag", "CONSENT_PURPOSE_SERVICE_QUALITY", "SEGMENT_REACH_PHONE",
		"CHANGE_REPORT_STATE_OPEN", "PERMISSION_DENIED", "走访时得知搬迁", "CHANGE_REPORT_STATE_APPLIED", "鄂州", "CHANGE_REPORT_DECIDED",
		`"customerName":"武汉精工设备有限公司"`, "PERMISSION_DENIED",
		`"overall":82`, `"fault":"QUALITY_FAULT_PARTLY_VERIFIED","points":15`, `"definition":2`,
		"dry run: 4 rows: 2 new", `line 3,column C (客户性质): "门店"`, `line 4,column B (客户): ""`, `line 4,column D (电话): "12"`,
		"4 rows: 2 new", "4 rows: 0 new,0 changed,2 left as they are", "+8657487654321", "2019-03-03T16:00:00Z",
		`"IMPORT_STATE_RUNNING"`, `"existing":"1"`, "IMPORT_STATE_RUNNING", `"changes":["industry"]`,
		"3 rows: 1 new", `line 3,column E`, `"许多"`, `line 3,column H (信用额度): "五十万"`, `line 3,column I (更新周期): "0"`, `line 4,column E`, `"-3"`,
		"1 rows: 0 new,1 changed",
		`"rows":"3" "created":"1" "updated":"1" "existing":"1"`, `"changes":["credit.rating",`, "REVIEW_STATE_PREVIEW", "IMPORT_WRONG_STATE", "IMPORT_STATE_CANCELLED",
		"VALIDATION_FAILED", "宁波海达船舶有限公司,'+8657487654321", "update_interval_days=90 needs.needs=夜间到货;电子回单 credit.rating=AA credit.limit=500000 CNY attributes.fleet_", "=41",
		"宁波海达船舶有限公司,", "****4321", "needs.needs=夜间到货;电子回单 credit.rating= credit.limit= attributes.fleet_", "=41",
		"IMPORT_OUTCOME_CREATED", "IMPORT_OUTCOME_EXISTS", "\n4\n",
		"COVERAGE_STATE_COVERED", "2027-03-09T02:00:00Z", "cover-default", "COVERAGE_STATE_ENDED", "PERMISSION_DENIED", "VERSION_STATE_PUBLISHED",
		"they add up to 0.9", `"from":"TIER_C"`, "TIER_REASON_SCORE", "PERMISSION_DENIED", "TIER_RUN_STATE_APPLYING", "TIER_REASON_SCORE", `"measure":"scale"`,
		"KEY_REASON_STRATEGIC", `"visits":12`, `"before":"TIER_A","after":"TIER_KEY"`, `"before":"TIER_C","after":"TIER_A"`, "standing.strategic_reason")
}
