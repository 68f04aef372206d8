package analysis

import (
	"fmt"
	"math"
	"strings"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// Significant is the probability below which a difference or relation is called one.
const Significant = 0.05

// Name is what a sentence calls a question, a group or a way of grouping.
type Name = rpcerr.Text

// Explain says why there is no figure of that name.
func (l *Lack) Explain(of Name) rpcerr.Text {
	why := l.why()
	return rpcerr.T("There is no figure for %[1]s: %[2]s.", "「%[3]s」没有数字：%[4]s。", of.EN, why.EN, of.ZH, why.ZH)
}

func (l *Lack) why() rpcerr.Text {
	switch l.Reason {
	case TooFew:
		return rpcerr.T("it has %[1]d answers and needs at least %[2]d", "共 %[1]d 份回答，至少需要 %[2]d 份", l.N, l.Need)
	case Withheld:
		return rpcerr.T("of less than %[1]d answers nothing is shown, so that nobody can be told from them",
			"不足 %[1]d 份回答时不予显示，以免辨认出个人", MinShown)
	case WithheldComplement:
		return rpcerr.T("with it a figure of less than %[1]d answers could be found by subtraction",
			"显示后可通过相减得出不足 %[1]d 份回答的数字", MinShown)
	case NoVariance:
		return rpcerr.T("the answers do not differ", "回答之间没有差异")
	case OneGroup:
		return rpcerr.T("there is nothing to compare with", "没有可比较的对象")
	case Uncovered:
		return rpcerr.T("a part of the customers gave no answer, so none can stand for it", "部分客户群没有任何回答，无法代表该群体")
	}
	return rpcerr.T("%[1]v", "%[1]v", l.Reason)
}

// bounds writes an interval, or why there is none.
func bounds(i *Interval, why *Lack, scale float64, unit string) rpcerr.Text {
	if i == nil {
		reason := why.why()
		return rpcerr.T("no interval: %[1]s", "无置信区间：%[2]s", reason.EN, reason.ZH)
	}
	return rpcerr.T("%.0[1]f%% interval %.2[2]f%[4]s to %.2[3]f%[4]s", "%.0[1]f%% 置信区间 %.2[2]f%[4]s 至 %.2[3]f%[4]s",
		i.Level*100, i.Low*scale, i.High*scale, unit)
}

func (e Estimate) explain(scale float64, unit, en, zh string, of Name) rpcerr.Text {
	b := bounds(e.Interval, e.Why, scale, unit)
	return rpcerr.Text{
		EN: fmt.Sprintf(en, of.EN, e.Value*scale) + fmt.Sprintf(" (%s; answers: %d).", b.EN, e.N),
		ZH: fmt.Sprintf(zh, of.ZH, e.Value*scale) + fmt.Sprintf("（%s；%d 份回答）。", b.ZH, e.N),
	}
}

// ExplainMean says a mean in a sentence.
func (e Estimate) ExplainMean(of Name) rpcerr.Text {
	return e.explain(1, "", "The mean of %s is %.2f", "「%s」的平均分为 %.2f", of)
}

// ExplainTopTwo says a share of the two best scores in a sentence.
func (e Estimate) ExplainTopTwo(of Name) rpcerr.Text {
	return e.explain(100, "%", "%s got one of the two best scores in %.2f%% of the answers",
		"「%s」获得最高两档评分的比例为 %.2f%%", of)
}

// ExplainShare says how many chose something in a sentence.
func (e Estimate) ExplainShare(of, chosen Name) rpcerr.Text {
	return e.explain(100, "%", "%s: "+escape(chosen.EN)+" in %.2f%% of the answers", "「%s」中选择「"+escape(chosen.ZH)+"」的比例为 %.2f%%", of)
}

// escape keeps a text from being read as verbs of a format.
func escape(s string) string { return strings.ReplaceAll(s, "%", "%%") }

// ExplainNPS says a net promoter score in a sentence.
func (e Estimate) ExplainNPS(of Name) rpcerr.Text {
	return e.explain(1, "", "The net promoter score of %s, promoters less detractors, is %.2f",
		"「%s」的净推荐值（推荐者占比减贬损者占比）为 %.2f", of)
}

// ExplainCES says a customer effort score in a sentence.
func (e Estimate) ExplainCES(of Name) rpcerr.Text {
	return e.explain(1, "", "The customer effort score of %s is %.2f of 7, where more is easier",
		"「%s」的客户费力度得分为 %.2f（满分 7，越高越省力）", of)
}

// ExplainResponseRate says a response rate in a sentence.
func (e Estimate) ExplainResponseRate(of Name) rpcerr.Text {
	return e.explain(100, "%", "Of those invited to %s, %.2f%% answered", "受邀参加「%s」的客户中有 %.2f%% 作答", of)
}

// ExplainWeighted says a weighted mean in a sentence.
func (w Weighted) ExplainWeighted(of Name) rpcerr.Text {
	b := bounds(w.Interval, w.Why, 1, "")
	return rpcerr.T(
		"Weighted to all customers by tier, the mean of %[1]s is %.2[3]f (%[4]s; %[6]d answers worth %.0[7]f of a simple random sample).",
		"按客户等级加权至全体客户后，「%[2]s」的平均分为 %.2[3]f（%[5]s；%[6]d 份回答相当于简单随机样本的 %.0[7]f 份）。",
		of.EN, of.ZH, w.Value, b.EN, b.ZH, w.N, w.EffectiveN)
}

// Probability writes a probability as reports do.
func Probability(p float64) string {
	if p < 0.001 {
		return "p < 0.001"
	}
	return fmt.Sprintf("p = %.3f", p)
}

// size names an effect by Cohen's limits of small, medium and large.
func size(effect float64, limits [3]float64) rpcerr.Text {
	switch effect = math.Abs(effect); {
	case effect < limits[0]:
		return rpcerr.T("negligible", "可忽略")
	case effect < limits[1]:
		return rpcerr.T("small", "较小")
	case effect < limits[2]:
		return rpcerr.T("medium", "中等")
	}
	return rpcerr.T("large", "较大")
}

// Limits of small, medium and large effects. Source: Cohen, Statistical Power Analysis (1988).
var (
	correlationSizes = [3]float64{0.1, 0.3, 0.5}
	differenceSizes  = [3]float64{0.2, 0.5, 0.8}
	varianceSizes    = [3]float64{0.01, 0.06, 0.14}
)

// Explain says a correlation of two questions in a sentence.
func (c Correlation) Explain(first, second Name) rpcerr.Text {
	b, how := bounds(c.Interval, c.Why, 1, ""), size(c.R, correlationSizes)
	facts := rpcerr.Text{
		EN: fmt.Sprintf(" (r = %.2f, %s, %s, answers: %d).", c.R, b.EN, Probability(c.P), c.N),
		ZH: fmt.Sprintf("（r = %.2f，%s，%s，%d 份回答）。", c.R, b.ZH, Probability(c.P), c.N),
	}
	var text rpcerr.Text
	switch {
	case c.P >= Significant:
		text = rpcerr.T("No relation between %[1]s and %[2]s can be told", "未能看出「%[3]s」与「%[4]s」之间的关系",
			first.EN, second.EN, first.ZH, second.ZH)
	case c.R > 0:
		text = rpcerr.T("Whoever rates %[1]s higher tends to rate %[2]s higher too; the relation is %[5]s",
			"「%[3]s」评分越高，「%[4]s」往往也越高；关系强度%[6]s", first.EN, second.EN, first.ZH, second.ZH, how.EN, how.ZH)
	default:
		text = rpcerr.T("Whoever rates %[1]s higher tends to rate %[2]s lower; the relation is %[5]s",
			"「%[3]s」评分越高，「%[4]s」往往越低；关系强度%[6]s", first.EN, second.EN, first.ZH, second.ZH, how.EN, how.ZH)
	}
	return rpcerr.Text{EN: text.EN + facts.EN, ZH: text.ZH + facts.ZH}
}

// Explain says the difference of a question's means between two groups in a sentence. P is
// the probability to go by, adjusted where several differences are compared.
func (d Difference) Explain(question, first, second Name, p float64) rpcerr.Text {
	how := size(d.Effect, differenceSizes)
	facts := rpcerr.Text{
		EN: fmt.Sprintf("%.0f%% interval of the difference %.2f to %.2f; Cohen's d = %.2f, %.2f to %.2f; Welch's t(%.1f) = %.2f, %s",
			d.Interval.Level*100, d.Interval.Low, d.Interval.High, d.Effect, d.EffectInterval.Low, d.EffectInterval.High, d.DF, d.T, Probability(p)),
		ZH: fmt.Sprintf("差值的 %.0f%% 置信区间 %.2f 至 %.2f；Cohen's d = %.2f，%.2f 至 %.2f；Welch t(%.1f) = %.2f，%s",
			d.Interval.Level*100, d.Interval.Low, d.Interval.High, d.Effect, d.EffectInterval.Low, d.EffectInterval.High, d.DF, d.T, Probability(p)),
	}
	if p >= Significant {
		return rpcerr.T("No difference in %[1]s between %[2]s and %[3]s can be told (%[4]s).",
			"「%[6]s」与「%[7]s」在「%[5]s」上未见差异（%[8]s）。",
			question.EN, first.EN, second.EN, facts.EN, question.ZH, first.ZH, second.ZH, facts.ZH)
	}
	en, zh := "higher", "高"
	if d.Value < 0 {
		en, zh = "lower", "低"
	}
	return rpcerr.Text{
		EN: fmt.Sprintf("In %s, %s is on average %.2f %s than %s, a %s difference (%s).",
			question.EN, first.EN, math.Abs(d.Value), en, second.EN, how.EN, facts.EN),
		ZH: fmt.Sprintf("在「%s」上，「%s」平均比「%s」%s %.2f 分，差异%s（%s）。",
			question.ZH, first.ZH, second.ZH, zh, math.Abs(d.Value), how.ZH, facts.ZH),
	}
}

// Test names a test that Comparison holds.
type Test int

const (
	ANOVATest Test = iota + 1
	WelchTest
	KruskalTest
	ChiSquareTest
)

// facts writes statistic, degrees of freedom and effect size as reports do.
func (t Test) facts(c Comparison) (name, effect string, sizes [3]float64) {
	switch t {
	case ANOVATest:
		return fmt.Sprintf("F(%.0f, %.0f) = %.2f", c.DF1, c.DF2, c.Statistic), "η²", varianceSizes
	case WelchTest:
		return fmt.Sprintf("Welch F(%.0f, %.1f) = %.2f", c.DF1, c.DF2, c.Statistic), "η²", varianceSizes
	case KruskalTest:
		return fmt.Sprintf("Kruskal-Wallis H(%.0f) = %.2f", c.DF1, c.Statistic), "ε²", varianceSizes
	default:
		return fmt.Sprintf("χ²(%.0f) = %.2f", c.DF1, c.Statistic), "V", correlationSizes
	}
}

// Explain says in a sentence whether a question differs between groups. P is the probability
// to go by, adjusted where several questions are compared.
func (c Comparison) Explain(t Test, question, grouping Name, p float64) rpcerr.Text {
	name, effect, sizes := t.facts(c)
	how := size(c.Effect, sizes)
	facts := fmt.Sprintf("%s, %s, %s = %.3f", name, Probability(p), effect, c.Effect)
	if p >= Significant {
		return rpcerr.T("No difference in %[1]s between the groups of %[2]s can be told (%[3]s).",
			"按「%[5]s」分组，「%[4]s」未见差异（%[3]s）。", question.EN, grouping.EN, facts, question.ZH, grouping.ZH)
	}
	return rpcerr.T("%[1]s differs between the groups of %[2]s; the difference is %[6]s (%[3]s).",
		"按「%[5]s」分组，「%[4]s」存在差异，差异%[7]s（%[3]s）。", question.EN, grouping.EN, facts, question.ZH, grouping.ZH, how.EN, how.ZH)
}

// Explain says in a sentence what a place among the quadrants means.
func (q Quadrant) Explain(of Name) rpcerr.Text {
	switch q {
	case Concentrate:
		return rpcerr.T("%[1]s matters more than average and does worse: work here first.", "「%[2]s」重要性高于平均而表现低于平均：应优先改进。", of.EN, of.ZH)
	case KeepUp:
		return rpcerr.T("%[1]s matters more than average and does better: keep it up.", "「%[2]s」重要性与表现均高于平均：继续保持。", of.EN, of.ZH)
	case LowPriority:
		return rpcerr.T("%[1]s matters less than average and does worse: it can wait.", "「%[2]s」重要性与表现均低于平均：可延后处理。", of.EN, of.ZH)
	default:
		return rpcerr.T("%[1]s matters less than average and does better: effort may be moved from here.", "「%[2]s」重要性低于平均而表现高于平均：可适当减少投入。", of.EN, of.ZH)
	}
}

// Explain says in a sentence why a problem stands at its place, the first being 1.
func (p Problem) Explain(place int, of Name) rpcerr.Text {
	return rpcerr.T(
		"%[1]s is problem number %[3]d: severity %[4]d, then importance %.2[5]f × shortfall %.2[6]f × %.2[7]f%% low scores.",
		"「%[2]s」为第 %[3]d 位问题：严重度 %[4]d，其次为重要性 %.2[5]f × 差距 %.2[6]f × 低分占比 %.2[7]f%%。",
		of.EN, of.ZH, place, p.Severity, max(p.Importance, 0), p.Shortfall, p.Share*100)
}

// Explain says in a sentence how a question moves from period to period.
func (s Slope) Explain(of Name) rpcerr.Text {
	b := bounds(s.Interval, s.Why, 1, "")
	facts := rpcerr.Text{
		EN: fmt.Sprintf("%+.3f a period, %s, %s", s.Value, b.EN, Probability(s.P)),
		ZH: fmt.Sprintf("每期 %+.3f，%s，%s", s.Value, b.ZH, Probability(s.P)),
	}
	switch {
	case s.P >= Significant:
		return rpcerr.T("%[1]s neither rises nor falls recognisably (%[3]s).", "「%[2]s」未见上升或下降（%[4]s）。", of.EN, of.ZH, facts.EN, facts.ZH)
	case s.Value > 0:
		return rpcerr.T("%[1]s rises over the periods (%[3]s).", "「%[2]s」逐期上升（%[4]s）。", of.EN, of.ZH, facts.EN, facts.ZH)
	}
	return rpcerr.T("%[1]s falls over the periods (%[3]s).", "「%[2]s」逐期下降（%[4]s）。", of.EN, of.ZH, facts.EN, facts.ZH)
}
