// Package campaign holds the states of a campaign, the moves between them, and how samples are
// drawn.
package campaign

import (
	"time"

	"google.golang.org/protobuf/proto"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/survey/internal/questionnaire"
)

// State is where a campaign stands.
type State = surveyv1.CampaignState

// The states.
const (
	Draft     = surveyv1.CampaignState_CAMPAIGN_STATE_DRAFT
	Scheduled = surveyv1.CampaignState_CAMPAIGN_STATE_SCHEDULED
	Sending   = surveyv1.CampaignState_CAMPAIGN_STATE_SENDING
	Paused    = surveyv1.CampaignState_CAMPAIGN_STATE_PAUSED
	Stopped   = surveyv1.CampaignState_CAMPAIGN_STATE_STOPPED
	Finished  = surveyv1.CampaignState_CAMPAIGN_STATE_FINISHED
)

// Verb is what may be done to a campaign.
type Verb int

// The verbs.
const (
	Change Verb = iota
	Schedule
	// Begin starts a wave.
	Begin
	Pause
	Resume
	Stop
	// Close ends a wave.
	Close
)

// Next gives the state after a verb; false where the verb is not possible. open tells that a
// wave runs, last that there will be none after it.
func Next(state State, verb Verb, open, last bool) (State, bool) {
	switch {
	case verb == Change && state == Draft:
		return Draft, true
	case verb == Schedule && state == Draft:
		return Scheduled, true
	case verb == Begin && state == Scheduled:
		return Sending, true
	case verb == Pause && (state == Scheduled || state == Sending):
		return Paused, true
	case verb == Resume && state == Paused && open:
		return Sending, true
	case verb == Resume && state == Paused:
		return Scheduled, true
	case verb == Stop && state != Stopped && state != Finished:
		return Stopped, true
	case verb == Close && state == Sending && last:
		return Finished, true
	case verb == Close && state == Sending:
		return Scheduled, true
	}
	return state, false
}

// Months between waves; 0 for a single one.
func Months(c *surveyv1.Campaign) int {
	switch c.GetInterval() {
	case surveyv1.CampaignInterval_CAMPAIGN_INTERVAL_TWELVE_MONTHS:
		return 12
	case surveyv1.CampaignInterval_CAMPAIGN_INTERVAL_ONCE:
		return 0
	}
	return 6
}

// After gives when the wave after this one begins: so many months after it did by the
// schedule, and later than now by whole intervals. 31 August and six months are 28 February.
func After(c *surveyv1.Campaign, wave int32, now time.Time) time.Time {
	start, months := c.GetStartTime().AsTime(), Months(c)
	for n := int(wave); ; n++ {
		if at := addMonths(start, n*months); at.After(now) {
			return at
		}
	}
}

// addMonths stays in the month that it counts to.
func addMonths(t time.Time, n int) time.Time {
	first := time.Date(t.Year(), t.Month()+time.Month(n), 1, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), t.Location())
	days := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(t.Day(), days)-1)
}

// Content is what a caller sets, with defaults in place of what is not given.
func Content(c *surveyv1.Campaign) *surveyv1.Campaign {
	out := proto.CloneOf(&surveyv1.Campaign{
		Name: c.GetName(), QuestionnaireId: c.GetQuestionnaireId(), SegmentId: c.GetSegmentId(), Sampling: c.GetSampling(),
		Channels: c.GetChannels(), StartTime: c.GetStartTime(), Interval: c.GetInterval(), AnswerDays: c.GetAnswerDays(),
		ReminderDays: c.GetReminderDays(), KeyFloorMonths: c.GetKeyFloorMonths(), FloorMonths: c.GetFloorMonths(),
	})
	if out.Interval == 0 {
		out.Interval = surveyv1.CampaignInterval_CAMPAIGN_INTERVAL_SIX_MONTHS
	}
	for _, standard := range []struct {
		field *int32
		days  int32
	}{{&out.AnswerDays, 30}, {&out.KeyFloorMonths, 6}, {&out.FloorMonths, 12}} {
		if *standard.field == 0 {
			*standard.field = standard.days
		}
	}
	return out
}

// Check finds what does not fit together in a content.
func Check(c *surveyv1.Campaign) []questionnaire.Fault {
	var faults []questionnaire.Fault
	fault := func(path string, text rpcerr.Text) {
		faults = append(faults, questionnaire.Fault{Path: path, Text: text})
	}
	if err := c.GetStartTime().CheckValid(); err != nil {
		fault("start_time", rpcerr.T("it is no instant between the years 1 and 9999", "不是公元 1 年至 9999 年之间的有效时间"))
	}
	before := int32(0)
	for _, day := range c.GetReminderDays() {
		if day <= before || day >= c.GetAnswerDays() {
			fault("reminder_days", rpcerr.T("%[1]v do not rise from 1 to less than the %[2]d days for an answer; give days that do",
				"%[1]v 未在 1 到 %[2]d（不含，作答天数）之间递增；请修改", c.GetReminderDays(), c.GetAnswerDays()))
			break
		}
		before = day
	}
	if s := c.GetSampling().GetStratified(); s != nil {
		if (s.GetTotal() > 0) == (len(s.GetSizes()) > 0) {
			fault("sampling.stratified", rpcerr.T("it has both total and sizes or neither; give one of them", "total 与 sizes 须且仅须填写其一"))
		}
		seen := map[int32]bool{}
		for _, size := range s.GetSizes() {
			if tier := int32(size.GetTier()); seen[tier] {
				fault("sampling.stratified.sizes", rpcerr.T("the tier %[1]s is named twice; name each once", "等级 %[1]s 重复；每个等级只能出现一次", size.GetTier()))
			} else {
				seen[tier] = true
			}
		}
	}
	return faults
}

// Delivered tells whether a message leaves by itself over a channel.
func Delivered(c surveyv1.SurveyChannel) bool {
	switch c {
	case surveyv1.SurveyChannel_SURVEY_CHANNEL_EMAIL, surveyv1.SurveyChannel_SURVEY_CHANNEL_ONE_CLICK, surveyv1.SurveyChannel_SURVEY_CHANNEL_SMS:
		return true
	}
	return false
}
