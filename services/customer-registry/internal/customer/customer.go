package customer

import (
	"fmt"
	"time"

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
}

// Normalize brings phone and e-mail to the form they are kept in and returns
// those that cannot be.
func Normalize(phone, email *string, region string) []Fault {
	var faults []Fault
	var fault *Fault
	if *phone, fault = Phone(*phone, region); fault != nil {
		faults = append(faults, *fault)
	}
	if *email, fault = Email(*email); fault != nil {
		faults = append(faults, *fault)
	}
	return faults
}
