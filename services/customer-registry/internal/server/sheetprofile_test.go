package server_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
)

const profileHeading = "external_id,名称,kind,party,客户关系,负责人,更新周期,需求,痛点,期望速度,needs.habits,信用等级,信用额度\n"

const keeper = "01890a5d-ac96-774b-bcce-b302099a8058"

// What a file says of how a customer works comes in, each cell judged, and changes alone.
func TestSheetOfNeedsAndCredit(t *testing.T) {
	r := start(t)
	got := r.loadSheet(t, onExisting(0), []byte(profileHeading+
		`E-1,王伟,agent,person,老客户,`+keeper+`,90,夜间到货；电子\；回单,交期不稳,当日,晨会,AA,"500,000.50 CNY"`+"\n"+
		"E-2,李雷,agent,person,,nobody,0,,,,,,五十万\n"+
		"E-3,韩梅梅,agent,person,,,4000,,,,,,-5 CNY\n"))
	want := []string{`3F responsible_staff_id "nobody"`, `3G update_interval_days "0"`, `3M credit.limit "五十万"`, `4G update_interval_days "4000"`, `4M credit.limit "-5 CNY"`}
	if told := r.told(t, got.GetId()); got.GetCreated() != 1 || !slices.Equal(told, want) {
		t.Errorf("%v: faults\n%q\nwant\n%q", got, told, want)
	}
	c := r.byExternal(t, "E-1")
	if c.GetRelationship() != "老客户" || c.GetResponsibleStaffId() != keeper || c.GetUpdateIntervalDays() != 90 ||
		!slices.Equal(c.GetNeeds().GetNeeds(), []string{"夜间到货", "电子；回单"}) || !slices.Equal(c.GetNeeds().GetPainPoints(), []string{"交期不稳"}) ||
		c.GetNeeds().GetExpectedSpeed() != "当日" || c.GetNeeds().GetHabits() != "晨会" || c.GetCredit().GetRating() != "AA" ||
		c.GetCredit().GetLimit().GetUnits() != 500_000 || c.GetCredit().GetLimit().GetNanos() != 500_000_000 || c.GetCredit().GetLimit().GetCurrencyCode() != "CNY" {
		t.Errorf("E-1 is %v", c)
	}
	if due := c.GetReviewDueTime().AsTime().Sub(c.GetCreateTime().AsTime()); due.Hours() != 90*24 {
		t.Errorf("to be reviewed %v after it was opened", due)
	}
	update := onExisting(customerv1.OnExisting_ON_EXISTING_UPDATE)
	if got := r.loadSheet(t, update, []byte("external_id,名称,kind,party,信用等级,痛点\nE-1,,,,B,\n")); got.GetUpdated() != 1 {
		t.Errorf("update %v, faults %q", got, r.told(t, got.GetId()))
	}
	after := proto.CloneOf(c)
	after.Credit.Rating = "B"
	changed := r.byExternal(t, "E-1")
	after.Etag, after.UpdateTime = changed.GetEtag(), changed.GetUpdateTime()
	if !proto.Equal(changed, after) {
		t.Errorf("after the update %v\nwant %v", changed, after)
	}
	whole := r.exportRows(t, r.admin(), &customerv1.ExportCustomersRequest{})[0]
	masked := r.exportRows(t, r.As(access.ServiceSupervisor), &customerv1.ExportCustomersRequest{})[0]
	some := func(row map[string]string) string {
		return fmt.Sprint(row["relationship"], "|", row["responsible_staff_id"], "|", row["update_interval_days"], "|", row["needs.needs"], "|", row["credit.rating"], "|", row["credit.limit"])
	}
	if got, want := some(whole), "老客户|"+keeper+`|90|夜间到货;电子\；回单|B|500000.5 CNY`; got != want {
		t.Errorf("exported %s, want %s", got, want)
	}
	// What the desk may see of a file is what it gets in a table.
	if got, want := some(masked), "老客户|"+keeper+`|90|夜间到货;电子\；回单||`; got != want {
		t.Errorf("exported for the desk %s, want %s", got, want)
	}
}

// A file that says nothing of it is to be reviewed 180 days after it came, to the second.
func TestSheetWithoutAnInterval(t *testing.T) {
	r := start(t)
	r.loadSheet(t, onExisting(0), []byte("external_id,名称,kind,party\nE-1,王伟,agent,person\n"))
	c := r.byExternal(t, "E-1")
	if want := r.Clock.Now().Add(180 * 24 * time.Hour); c.GetUpdateIntervalDays() != 180 || !c.GetReviewDueTime().AsTime().Equal(want) {
		t.Errorf("every %d days, at %v, want %v", c.GetUpdateIntervalDays(), c.GetReviewDueTime().AsTime(), want)
	}
	overdue := func() int {
		list, err := r.files.ListOverdueFiles(r.admin(), &customerv1.ListOverdueFilesRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return len(list.GetOverdueFiles())
	}
	r.Clock.Advance(180*24*time.Hour - time.Second)
	if n := overdue(); n != 0 {
		t.Errorf("%d overdue a second early", n)
	}
	r.Clock.Advance(time.Second)
	if n := overdue(); n != 1 {
		t.Errorf("%d overdue in time", n)
	}
}
