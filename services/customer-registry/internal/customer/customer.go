package customer

import (
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/type/date"
	"google.golang.org/protobuf/proto"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// Number is the customer number of a file opened at that instant.
func Number(opened time.Time, sequence int64) string {
	return fmt.Sprintf("C-%s-%06d", opened.UTC().Format("200601"), sequence)
}

// TierEndTime judges the end of a tier set by hand.
func TierEndTime(end, now time.Time) *Fault {
	if end.After(now) {
		return nil
	}
	return &Fault{"end_time", rpcerr.T("it is %[1]s, which is not in the future; give a time after %[2]s",
		"时间为 %[1]s，不在将来；请填写晚于 %[2]s 的时间", stamp(end), stamp(now))}
}

// TierAfterOverride is the tier of a customer whose override ended: until a
// score gives another one it is the tier of customers not scored.
func TierAfterOverride() typev1.Tier { return typev1.Tier_TIER_C }

// CreateTime judges when a source opened a file.
func CreateTime(given, now time.Time) *Fault {
	if !given.After(now) {
		return nil
	}
	return &Fault{"create_time", rpcerr.T("it is %[1]s, which is in the future; give %[2]s or earlier",
		"时间为 %[1]s，晚于当前时间；请填写不晚于 %[2]s 的时间", stamp(given), stamp(now))}
}

// Complete fills what a file has when its giver said nothing.
func Complete(c *customerv1.Customer) {
	if c.GetLifecycle() == customerv1.Lifecycle_LIFECYCLE_UNSPECIFIED {
		c.Lifecycle = customerv1.Lifecycle_LIFECYCLE_POTENTIAL
	}
	if c.GetLanguage() == "" {
		c.Language = rpcerr.Chinese
	}
	if c.GetUpdateIntervalDays() == 0 {
		c.UpdateIntervalDays = DefaultUpdateInterval
	}
	// Nothing said is nothing kept.
	if proto.Size(c.GetNeeds()) == 0 {
		c.Needs = nil
	}
	if proto.Size(c.GetCredit()) == 0 {
		c.Credit = nil
	}
	if proto.Size(c.GetAddress()) == 0 {
		c.Address = nil
	}
}

// DefaultUpdateInterval is how many days a file stays unreviewed unless it says otherwise.
const DefaultUpdateInterval = 180

// CheckFile judges what single-field rules cannot.
func CheckFile(c *customerv1.Customer) []Fault {
	if limit := c.GetCredit().GetLimit(); limit != nil {
		if text, ok := checkMoney(limit, true); !ok {
			return []Fault{{"credit.limit", text}}
		}
	}
	return nil
}

// CheckBirthday judges a contact's birthday, of which the year may be unknown.
func CheckBirthday(d *date.Date, now time.Time) []Fault {
	if d == nil {
		return nil
	}
	year := int(d.GetYear())
	if year == 0 {
		year = 2000 // a leap year
	}
	day := time.Date(year, time.Month(d.GetMonth()), int(d.GetDay()), 0, 0, 0, 0, time.UTC)
	if year < 1800 || day.Month() != time.Month(d.GetMonth()) || day.Day() != int(d.GetDay()) || d.GetMonth() < 1 {
		return []Fault{{"birthday", rpcerr.T("it is no day of the calendar; give year, month and day, e.g. 1980, 5 and 17, or year 0 when it is unknown",
			"不是有效的日期；请填写年、月、日，例如 1980、5、17，年份未知时填 0")}}
	}
	if d.GetYear() != 0 && day.After(now) {
		return []Fault{{"birthday", rpcerr.T("it is in the future; give a day before %[1]s", "日期在将来；请填写早于 %[1]s 的日期",
			now.UTC().Format(time.DateOnly))}}
	}
	return nil
}
