package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/worktime"
)

// Vocabulary is what the clauses of a service may speak of.
type Vocabulary struct {
	Kinds, StartEvents, StopEvents, PauseReasons []string
	Roles, Priorities, Severities                []string
	// Extensions are the events that can extend a clock; none where nothing does.
	Extensions []string
	// Calendar says whether there is one of that id.
	Calendar func(id string) bool
	// Reach fails where a calendar never holds a target. Nil for what asks no calendar.
	Reach func(calendarID string, target worktime.Target) error
	// Kind gives the kind of clock that a clause id stood for, empty for none. Nil for no
	// earlier version.
	Kind func(clauseID string) string
}

// What a target may be.
const (
	maxWorkingTime = 10 * 366 * 24 * time.Hour
	maxWorkingDays = 1000
	maxPercent     = 1000
)

const slugRule = "lower case letters, digits, dots and hyphens, beginning with a letter or digit"

// checker gathers faults.
type checker struct {
	words  Vocabulary
	slug   *regexp.Regexp
	clause string
	faults []*clockv1.PolicyFault
}

func (c *checker) add(field, en, zh string, args ...any) {
	text := rpcerr.T(en, zh, args...)
	c.faults = append(c.faults, &clockv1.PolicyFault{
		Field: field, ClauseId: c.clause, Text: &typev1.Text{Zh: text.ZH, En: text.EN},
	})
}

// word wants a word of a list.
func (c *checker) word(field, got string, list []string) {
	if !slices.Contains(list, got) {
		c.add(field, "%[1]q is not known; give one of %[2]s", "%[1]q 不在可选范围内；请使用 %[2]s 之一", got, strings.Join(list, ", "))
	}
}

// Validate names everything that is wrong with a draft, in the order of its clauses;
// nothing when it can be published.
func Validate(p *clockv1.Policy, words Vocabulary) []*clockv1.PolicyFault {
	c := &checker{words: words, slug: regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*$`)}
	if strings.TrimSpace(p.GetName()) == "" {
		c.add("name", "it is empty; give the version a name", "名称为空；请填写版本名称")
	}
	if len(p.GetClauses()) == 0 {
		c.add("clauses", "there is none, so no case would get a clock; give at least one",
			"没有任何条款，案件将没有时限；请至少填写一条")
	}
	seen := map[string]int{}
	for i, clause := range p.GetClauses() {
		path := fmt.Sprintf("clauses[%d]", i)
		c.clause = clause.GetClauseId()
		if !c.slug.MatchString(c.clause) {
			c.add(path+".clause_id", "it is %[1]q; give "+slugRule, "现为 %[1]q；请使用小写字母、数字、点和连字符，并以字母或数字开头", c.clause)
		} else if first, ok := seen[c.clause]; ok {
			c.add(path+".clause_id", "%[1]q is that of clauses[%[2]d] too; give each clause its own",
				"%[1]q 与 clauses[%[2]d] 重复；每条条款须有自己的编号", c.clause, first)
		} else {
			seen[c.clause] = i
		}
		c.check(path, clause)
	}
	c.overlaps(p.GetClauses())
	return c.faults
}

func (c *checker) check(path string, clause *clockv1.PolicyClause) {
	c.word(path+".kind", clause.GetKind(), c.words.Kinds)
	if c.words.Kind != nil {
		if was := c.words.Kind(clause.GetClauseId()); was != "" && was != clause.GetKind() {
			c.add(path+".clause_id", "%[1]q stands for %[2]q in the version in effect; give the clause another id, so that what cites it stays true",
				"在现行版本中 %[1]q 代表 %[2]q；请使用其他编号，以免已有引用失真", clause.GetClauseId(), was)
		}
	}
	if clause.GetPriority() != "" {
		c.word(path+".priority", clause.GetPriority(), c.words.Priorities)
	}
	if clause.GetSeverity() != "" {
		c.word(path+".severity", clause.GetSeverity(), c.words.Severities)
	}
	for i, reason := range clause.GetPauseReasons() {
		c.word(fmt.Sprintf("%s.pause_reasons[%d]", path, i), reason, c.words.PauseReasons)
	}
	if clause.GetOwnerRole() != "" {
		c.word(path+".owner_role", clause.GetOwnerRole(), c.words.Roles)
	}
	c.ladder(path, clause)
	if clause.GetTarget() == nil {
		if clause.GetCap() {
			c.add(path+".target", "a cap without target limits nothing; give one", "上限条款没有目标，无法限制；请填写目标")
		}
		if clause.GetFloor() != nil {
			c.add(path+".floor", "there is no target that a floor could hold back; give a target or leave the floor out",
				"没有目标，下限不起作用；请填写目标或删去下限")
		}
		if clause.GetExtension() != nil {
			c.add(path+".extension", "there is no target that it could extend; give a target or leave the extension out",
				"没有目标，无可延长；请填写目标或删去延长")
		}
		return
	}
	c.target(path+".target", clause.GetTarget())
	switch id := clause.GetCalendarId(); {
	case id == "":
		c.add(path+".calendar_id", "a target needs one to be measured in; give a calendar", "目标须以日历计量；请填写日历")
	case c.words.Calendar != nil && !c.words.Calendar(id):
		c.add(path+".calendar_id", "there is no calendar %[1]q; give one that a list of calendars shows",
			"没有日历 %[1]q；请使用日历列表中的编号", id)
	case c.words.Reach != nil:
		c.reaches(path+".target", id, clause.GetTarget())
		if f := clause.GetFloor(); f != nil {
			c.reaches(path+".floor.target", id, f.GetTarget())
		}
	}
	if f := clause.GetFloor(); f != nil {
		c.word(path+".floor.start_event", f.GetStartEvent(), c.words.StartEvents)
		c.target(path+".floor.target", f.GetTarget())
	}
	c.extension(path+".extension", clause.GetExtension())
	if clause.GetCap() {
		return // a cap has the events of the clause it limits
	}
	c.word(path+".start_event", clause.GetStartEvent(), c.words.StartEvents)
	c.word(path+".stop_event", clause.GetStopEvent(), c.words.StopEvents)
	if e := clause.GetStopEvent(); e != "" && e == clause.GetStartEvent() {
		c.add(path+".stop_event", "%[1]q starts the clock and would stop it at once; give another event",
			"%[1]q 既是开始又是结束事件，时钟将立即停止；请填写另一事件", e)
	}
}

func (c *checker) extension(path string, e *clockv1.PolicyFloor) {
	switch {
	case e == nil:
	case len(c.words.Extensions) == 0:
		c.add(path, "nothing extends clocks of these cases; leave it out", "此类案件的时钟不可延长；请删去")
	default:
		c.word(path+".start_event", e.GetStartEvent(), c.words.Extensions)
		c.target(path+".target", e.GetTarget())
	}
}

func (c *checker) target(path string, t *clockv1.ClockTarget) {
	switch amount := t.GetAmount().(type) {
	case *clockv1.ClockTarget_WorkingTime:
		if d := amount.WorkingTime.AsDuration(); amount.WorkingTime.CheckValid() != nil || d < time.Second || d > maxWorkingTime || d%time.Second != 0 {
			c.add(path+".working_time", "it is %[1]s; give whole seconds from 1s to %[2]s",
				"现为 %[1]s；请填写 1s 至 %[2]s 之间的整秒数", d, maxWorkingTime)
		}
	case *clockv1.ClockTarget_WorkingDays:
		if n := amount.WorkingDays; n < 1 || n > maxWorkingDays {
			c.add(path+".working_days", "it is %[1]d; give 1 to %[2]d", "现为 %[1]d；请填写 1 至 %[2]d", n, maxWorkingDays)
		}
	default:
		c.add(path, "it has no amount; give working_time or working_days", "没有数量；请填写 working_time 或 working_days")
	}
}

// reaches wants a target that the calendar holds.
func (c *checker) reaches(path, calendarID string, t *clockv1.ClockTarget) {
	if err := c.words.Reach(calendarID, clock.TargetOf(t)); err != nil {
		c.add(path, "calendar %[1]q never holds so much working time; give less, or another calendar",
			"日历 %[1]q 没有这么多工作时间；请减少目标或更换日历", calendarID)
	}
}

func (c *checker) ladder(path string, clause *clockv1.PolicyClause) {
	seen := map[string]bool{}
	for i, s := range clause.GetLadder() {
		at := fmt.Sprintf("%s.ladder[%d]", path, i)
		if id := s.GetStepId(); !c.slug.MatchString(id) || seen[id] {
			c.add(at+".step_id", "it is %[1]q; give "+slugRule+", each once a clause",
				"现为 %[1]q；请使用小写字母、数字、点和连字符，且同一条款内不重复", id)
		}
		seen[s.GetStepId()] = true
		if n := s.GetPercent(); n < 1 || n > maxPercent {
			c.add(at+".percent", "it is %[1]d; give 1 to %[2]d", "现为 %[1]d；请填写 1 至 %[2]d", n, maxPercent)
		}
		if s.GetAction() == 0 {
			c.add(at+".action", "it is unset; say whether the step warns or escalates", "未填写；请说明该步骤是提醒还是升级")
		}
		switch role := s.GetRole(); {
		case role != clock.RoleOwner:
			c.word(at+".role", role, append([]string{clock.RoleOwner}, c.words.Roles...))
		case clause.GetOwnerRole() == "":
			c.add(at+".role", "the clock is nobody's own, so %[1]q is nobody; give a role", "该时钟没有负责角色，%[1]q 无所指；请填写角色", role)
		}
	}
}

// overlaps finds clauses of which either could apply to a case.
func (c *checker) overlaps(clauses []*clockv1.PolicyClause) {
	for i, b := range clauses {
		for j, a := range clauses[:i] {
			if a.GetCap() || b.GetCap() || a.GetKind() != b.GetKind() || conditions(a) != conditions(b) || !meet(a, b) {
				continue
			}
			c.clause = b.GetClauseId()
			c.add(fmt.Sprintf("clauses[%d]", i), "a case can fit it and clauses[%[1]d] (%[2]q) alike; give one of them a further condition",
				"同一案件可能同时符合该条款与 clauses[%[1]d]（%[2]q）；请为其中之一增加条件", j, a.GetClauseId())
		}
	}
}

// meet says whether some case fits both.
func meet(a, b *clockv1.PolicyClause) bool {
	return compatible(a.GetTier(), b.GetTier()) && compatible(a.GetChannel(), b.GetChannel()) &&
		compatible(a.GetPriority(), b.GetPriority()) && compatible(a.GetSeverity(), b.GetSeverity())
}

func compatible[T comparable](a, b T) bool { return fits(a, b) || fits(b, a) }

// filterable refuses a filter by what no case of the vocabulary has.
func (w Vocabulary) filterable(f Filter) error {
	for _, c := range []struct {
		field, given string
		words        []string
	}{{"priority", f.Facts.Priority, w.Priorities}, {"severity", f.Facts.Severity, w.Severities}} {
		switch {
		case c.given == "" || slices.Contains(c.words, c.given):
		case len(c.words) == 0:
			return rpcerr.Invalid(c.field, rpcerr.T("these cases have none; leave it out", "此类案件没有该属性；请留空"))
		default:
			return rpcerr.Invalid(c.field, rpcerr.T("%[1]q is not known; give one of %[2]s", "%[1]q 不在可选范围内；请使用 %[2]s 之一",
				c.given, strings.Join(c.words, ", ")))
		}
	}
	if f.Source != "" && f.Origin == clockv1.DryRunOrigin_DRY_RUN_ORIGIN_LIVE {
		return rpcerr.Invalid("source", rpcerr.T("cases that were registered here have none; leave it out, or ask for imported ones",
			"在本系统登记的案件没有来源；请留空，或改为查询导入的案件"))
	}
	return nil
}
