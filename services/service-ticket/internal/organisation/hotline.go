package organisation

import (
	"regexp"
	"slices"
	"strings"
	"time"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// Line is a hotline as the rules see it.
type Line struct {
	Hours   ticketv1.HotlineHours
	Purpose ticketv1.HotlinePurpose
	Line    ticketv1.HotlineLine
	// Posts are those of its owner, none for one who left.
	Posts []ticketv1.Post
}

func (l Line) meets(r ticketv1.HotlineRequirement) bool {
	manager := l.Purpose == ticketv1.HotlinePurpose_HOTLINE_PURPOSE_COMPLAINT &&
		slices.Contains(l.Posts, ticketv1.Post_POST_COMPANY_MANAGER)
	switch r {
	case ticketv1.HotlineRequirement_HOTLINE_REQUIREMENT_OFFICE_HOURS:
		return l.Purpose == ticketv1.HotlinePurpose_HOTLINE_PURPOSE_SERVICE && l.Hours == ticketv1.HotlineHours_HOTLINE_HOURS_WORKING
	case ticketv1.HotlineRequirement_HOTLINE_REQUIREMENT_DUTY:
		return l.Purpose == ticketv1.HotlinePurpose_HOTLINE_PURPOSE_DUTY && l.Hours == ticketv1.HotlineHours_HOTLINE_HOURS_ALL_DAY
	case ticketv1.HotlineRequirement_HOTLINE_REQUIREMENT_MANAGER_OFFICE:
		return manager && l.Line == ticketv1.HotlineLine_HOTLINE_LINE_OFFICE
	case ticketv1.HotlineRequirement_HOTLINE_REQUIREMENT_MANAGER_MOBILE:
		return manager && l.Line == ticketv1.HotlineLine_HOTLINE_LINE_MOBILE
	}
	return false
}

// requirement is a number that every publication has, in words.
type requirement struct {
	is   ticketv1.HotlineRequirement
	text rpcerr.Text
}

func requirements() []requirement {
	return []requirement{
		{ticketv1.HotlineRequirement_HOTLINE_REQUIREMENT_OFFICE_HOURS, rpcerr.T("a service number for working hours", "工作时间服务电话")},
		{ticketv1.HotlineRequirement_HOTLINE_REQUIREMENT_DUTY, rpcerr.T("a 24 h duty number", "24 小时值班电话")},
		{ticketv1.HotlineRequirement_HOTLINE_REQUIREMENT_MANAGER_OFFICE, rpcerr.T(
			"the company manager's office phone as a complaint line", "公司经理办公电话（投诉电话）")},
		{ticketv1.HotlineRequirement_HOTLINE_REQUIREMENT_MANAGER_MOBILE, rpcerr.T(
			"the company manager's mobile as a complaint line", "公司经理手机（投诉电话）")},
	}
}

// Missing gives the numbers that a publication of these lines would lack.
func Missing(lines []Line) []ticketv1.HotlineRequirement {
	var out []ticketv1.HotlineRequirement
	for _, r := range requirements() {
		if !slices.ContainsFunc(lines, func(l Line) bool { return l.meets(r.is) }) {
			out = append(out, r.is)
		}
	}
	return out
}

// CheckPublication refuses to publish lines that lack a number, and names each.
func CheckPublication(lines []Line) error {
	missing := Missing(lines)
	if len(missing) == 0 {
		return nil
	}
	var en, zh, ids []string
	for _, r := range requirements() {
		if slices.Contains(missing, r.is) {
			en, zh, ids = append(en, r.text.EN), append(zh, r.text.ZH), append(ids, r.is.String())
		}
	}
	return rpcerr.WrongState("HOTLINES_INCOMPLETE", rpcerr.T(
		"The hotlines cannot be published: %[1]s is missing; add it first.",
		"客服热线不能公布，缺少：%[2]s；请先补充。", strings.Join(en, ", "), strings.Join(zh, "、"))).
		With("missing", strings.Join(ids, ",")).Clause("1-hotlines")
}

// Overdue gives why a publication is overdue at a moment: published is zero for none, every is
// how old one may become, changed tells that a hotline changed since, and ownerless that one needs
// a new owner.
func Overdue(published time.Time, every time.Duration, changed, ownerless bool, at time.Time) []ticketv1.HotlineOverdue {
	var out []ticketv1.HotlineOverdue
	switch {
	case published.IsZero():
		return append(out, ticketv1.HotlineOverdue_HOTLINE_OVERDUE_NEVER)
	case !at.Before(published.Add(every)):
		out = append(out, ticketv1.HotlineOverdue_HOTLINE_OVERDUE_PERIOD)
	}
	if changed {
		out = append(out, ticketv1.HotlineOverdue_HOTLINE_OVERDUE_CHANGED)
	}
	if ownerless {
		out = append(out, ticketv1.HotlineOverdue_HOTLINE_OVERDUE_OWNER)
	}
	return out
}

// OwnerFaults gives why a hotline needs a new owner: left tells that they are no longer with the
// company, had are the posts they had when they got it, has those they hold.
func OwnerFaults(purpose ticketv1.HotlinePurpose, left bool, had, has []ticketv1.Post) []ticketv1.HotlineOwnerFault {
	if left {
		return []ticketv1.HotlineOwnerFault{ticketv1.HotlineOwnerFault_HOTLINE_OWNER_FAULT_LEFT}
	}
	held := func(p ticketv1.Post) bool { return slices.Contains(has, p) }
	const manager = ticketv1.Post_POST_COMPANY_MANAGER
	// A complaint line is the manager's, whatever else they were.
	demoted := purpose == ticketv1.HotlinePurpose_HOTLINE_PURPOSE_COMPLAINT && slices.Contains(had, manager) && !held(manager)
	if demoted || len(had) > 0 && !slices.ContainsFunc(had, held) {
		return []ticketv1.HotlineOwnerFault{ticketv1.HotlineOwnerFault_HOTLINE_OWNER_FAULT_POST_LOST}
	}
	return nil
}

var short = regexp.MustCompile(`^[0-9]{3,6}$`)

// ShortNumber tells whether a number is one that is dialled within the country as it is,
// like 95xxx.
func ShortNumber(number string) bool { return short.MatchString(number) }
