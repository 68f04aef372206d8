package consent_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/consent"
)

const (
	quality   = customerv1.ConsentPurpose_CONSENT_PURPOSE_SERVICE_QUALITY
	surveys   = customerv1.ConsentPurpose_CONSENT_PURPOSE_SURVEYS
	marketing = customerv1.ConsentPurpose_CONSENT_PURPOSE_MARKETING
	care      = customerv1.ConsentPurpose_CONSENT_PURPOSE_CARE
	budget    = 30 * 24 * time.Hour
)

var (
	now   = time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	event = uuid.MustParse("01900000-0000-7000-8000-000000000001")
)

func TestJudge(t *testing.T) {
	type m = consent.Message
	type r = consent.Recipient
	yes, no := r{Decided: true, Agreed: true}, r{Decided: true}
	sent := func(to r, ago time.Duration) r { to.Last = now.Add(-ago); return to }
	for name, c := range map[string]struct {
		message m
		to      r
		want    consent.HeldBack
		free    time.Time
	}{
		"service quality is on":                 {m{Purpose: quality}, r{}, consent.Send, time.Time{}},
		"service quality withdrawn":             {m{Purpose: quality, Event: event}, no, consent.Withdrawn, time.Time{}},
		"surveys need consent":                  {m{Purpose: surveys}, r{}, consent.NoConsent, time.Time{}},
		"marketing needs consent":               {m{Purpose: marketing}, r{}, consent.NoConsent, time.Time{}},
		"care needs consent":                    {m{Purpose: care}, r{}, consent.NoConsent, time.Time{}},
		"surveys agreed to":                     {m{Purpose: surveys}, yes, consent.Send, time.Time{}},
		"marketing withdrawn":                   {m{Purpose: marketing}, no, consent.Withdrawn, time.Time{}},
		"a month is not over":                   {m{Purpose: surveys}, sent(yes, budget-1), consent.BudgetUsed, now.Add(1)},
		"a month is over":                       {m{Purpose: surveys}, sent(yes, budget), consent.Send, time.Time{}},
		"an event goes before the month":        {m{Purpose: quality, Event: event}, sent(r{}, time.Hour), consent.Send, time.Time{}},
		"once for an event":                     {m{Purpose: quality, Event: event}, r{Told: true}, consent.BudgetUsed, time.Time{}},
		"marketing is no transaction":           {m{Purpose: marketing, Event: event}, sent(yes, time.Hour), consent.BudgetUsed, now.Add(budget - time.Hour)},
		"no address":                            {m{Purpose: quality, Channel: typev1.Channel_CHANNEL_EMAIL}, r{HasPhone: true}, consent.NoChannel, time.Time{}},
		"no phone":                              {m{Purpose: quality, Channel: typev1.Channel_CHANNEL_SMS}, r{HasEmail: true}, consent.NoChannel, time.Time{}},
		"a phone":                               {m{Purpose: quality, Channel: typev1.Channel_CHANNEL_PHONE}, r{HasPhone: true}, consent.Send, time.Time{}},
		"a page needs neither":                  {m{Purpose: quality, Channel: typev1.Channel_CHANNEL_WEB}, r{}, consent.Send, time.Time{}},
		"withdrawal is told before the channel": {m{Purpose: quality, Channel: typev1.Channel_CHANNEL_EMAIL}, no, consent.Withdrawn, time.Time{}},
	} {
		if got, free := consent.Judge(c.message, c.to, budget, now); got != c.want || !free.Equal(c.free) {
			t.Errorf("%s: %v until %v, want %v until %v", name, got, free, c.want, c.free)
		}
	}
}
