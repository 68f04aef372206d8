package report

import (
	"fmt"
	"time"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// section is a part of the file: a sheet of a workbook.
type section int

const (
	questionSection section = iota
	groupSection
	problemSection
	trendSection
	sections
)

// row is one line of the file. What is nil is empty.
type row struct {
	section                                         section
	question, item                                  string
	n                                               int64
	value, low, high, df1, df2, p, adjusted, effect *float64
	text                                            string
}

// columns are the headings of a file, and cells the values of a row under them.
func columns(language string) []string {
	var out []string
	for _, heading := range []rpcerr.Text{
		{EN: "Question", ZH: "问题"}, {EN: "Figure", ZH: "指标"}, {EN: "Answers", ZH: "回答数"}, {EN: "Value", ZH: "数值"},
		{EN: "Low", ZH: "区间下限"}, {EN: "High", ZH: "区间上限"}, {EN: "df1", ZH: "自由度1"}, {EN: "df2", ZH: "自由度2"},
		{EN: "p", ZH: "p 值"}, {EN: "p (Holm)", ZH: "p 值（Holm 校正）"}, {EN: "Effect", ZH: "效应量"}, {EN: "Sentence", ZH: "说明"},
	} {
		out = append(out, heading.In(language))
	}
	return out
}

func (r row) cells() []any {
	out := []any{r.question, r.item, nil}
	if r.n > 0 {
		out[2] = r.n
	}
	for _, number := range []*float64{r.value, r.low, r.high, r.df1, r.df2, r.p, r.adjusted, r.effect} {
		if number == nil {
			out = append(out, nil)
			continue
		}
		out = append(out, *number)
	}
	return append(out, r.text)
}

func (s section) title(language string) string {
	return [...]rpcerr.Text{{EN: "Questions", ZH: "问题"}, {EN: "Groups", ZH: "分组比较"}, {EN: "Problems", ZH: "问题排序"}, {EN: "Trend", ZH: "趋势"}}[s].In(language)
}

// listing collects the rows of an analysis in one language.
type listing struct {
	language string
	labels   map[string]string
	rows     []row
}

func (l *listing) in(t *typev1.Text) string {
	n := name(t)
	return n.In(l.language)
}

func (l *listing) word(en, zh string) string { return rpcerr.Text{EN: en, ZH: zh}.In(l.language) }

// rowsOf lists everything in an analysis.
func rowsOf(plan *Plan, a *surveyv1.Analysis, language string) []row {
	l := &listing{language: language, labels: map[string]string{}}
	for _, q := range plan.Questions() {
		l.labels[q.Key] = l.in(q.Label)
	}
	l.figure(questionSection, l.in(plan.Title), l.word("response rate", "回收率"), a.GetResponseRate())
	questions := a.GetAspects()
	if a.GetOverall() != nil {
		questions = append([]*surveyv1.QuestionAnalysis{a.GetOverall()}, questions...)
	}
	for _, q := range questions {
		l.question(q)
	}
	l.cleaned(a.GetCleaned())
	for _, g := range a.GetGroupings() {
		l.grouping(g)
	}
	for i, p := range a.GetProblems() {
		weight := p.GetWeight()
		l.rows = append(l.rows, row{section: problemSection, question: l.labels[p.GetQuestionKey()], value: &weight, text: l.in(p.GetText()),
			item: fmt.Sprintf("%d %s %s", i+1, l.severity(p.GetSeverity()), l.nature(p.GetNature()))})
	}
	for _, q := range questions {
		for _, point := range q.GetTrend() {
			at := point.GetStartTime().AsTime().Format(time.DateOnly)
			l.figure(trendSection, l.labels[q.GetQuestionKey()], at, point.GetMean())
			if point.GetChange() != nil {
				l.figure(trendSection, l.labels[q.GetQuestionKey()], at+" "+l.word("change", "变化"), point.GetChange())
			}
		}
		if q.GetSlope() != nil {
			l.figure(trendSection, l.labels[q.GetQuestionKey()], l.word("slope", "斜率"), q.GetSlope())
		}
	}
	return l.rows
}

// cleaned lists the figures without what cleaning excludes, under the same labels and marked.
func (l *listing) cleaned(a *surveyv1.Analysis) {
	from := len(l.rows)
	if a.GetOverall() != nil {
		l.question(a.GetOverall())
	}
	for _, q := range a.GetAspects() {
		l.question(q)
	}
	for i := range l.rows[from:] {
		r := &l.rows[from+i]
		r.item = l.word("cleaned: ", "清洗后：") + r.item
	}
}

func (l *listing) severity(s surveyv1.ProblemSeverity) string {
	return [...]string{l.word("not judged", "未评定"), l.word("minor", "轻微"), l.word("major", "严重"), l.word("critical", "重大")}[s]
}

func (l *listing) nature(n surveyv1.ProblemNature) string {
	return [...]string{"", l.word("product", "产品"), l.word("service", "服务"), l.word("training", "培训")}[n]
}

func (l *listing) figure(at section, question, item string, f *surveyv1.Figure) {
	if f == nil {
		return
	}
	out := row{section: at, question: question, item: item, n: f.GetN(), value: f.Value, text: l.in(f.GetText())}
	if i := f.GetInterval(); i != nil {
		out.low, out.high = &i.Low, &i.High
	}
	l.rows = append(l.rows, out)
}

func (l *listing) question(q *surveyv1.QuestionAnalysis) {
	label := l.labels[q.GetQuestionKey()]
	l.figure(questionSection, label, l.word("mean", "平均分"), q.GetMean())
	if q.StandardDeviation != nil {
		l.rows = append(l.rows, row{section: questionSection, question: label, item: l.word("standard deviation", "标准差"), n: q.GetMean().GetN(), value: q.StandardDeviation})
	}
	l.figure(questionSection, label, "CSAT", q.GetCsat())
	l.figure(questionSection, label, "NPS", q.GetNps())
	l.figure(questionSection, label, "CES", q.GetCes())
	l.figure(questionSection, label, l.word("weighted mean", "加权平均分"), q.GetWeightedMean())
	for _, b := range q.GetDistribution() {
		l.rows = append(l.rows, row{section: questionSection, question: label, item: l.word("share of ", "占比：") + b.GetValue(), n: b.GetCount(), value: &b.Share})
	}
	for _, r := range []struct {
		item string
		r    *surveyv1.Relation
	}{{"Pearson r", q.GetPearson()}, {"Spearman ρ", q.GetSpearman()}} {
		if r.r == nil {
			continue
		}
		l.figure(questionSection, label, r.item, r.r.GetR())
		if last := &l.rows[len(l.rows)-1]; r.r.P != nil {
			last.df1, last.p = &r.r.Df, r.r.P
		}
	}
	if q.GetQuadrantText() != nil {
		l.rows = append(l.rows, row{section: questionSection, question: label, item: l.word("importance and performance", "重要性与表现"), text: l.in(q.GetQuadrantText())})
	}
}

func (l *listing) grouping(g *surveyv1.GroupingAnalysis) {
	by := l.in(g.GetLabel())
	for _, q := range g.GetQuestions() {
		label := l.labels[q.GetQuestionKey()]
		for i, mean := range q.GetMeans() {
			l.figure(groupSection, label, by+": "+l.in(g.GetGroups()[i].GetLabel()), mean)
		}
		for _, t := range []struct {
			item string
			test *surveyv1.GroupTest
		}{{"Welch t", q.GetWelchT()}, {"ANOVA F", q.GetAnova()}, {"Welch F", q.GetWelchAnova()}, {"Kruskal-Wallis H", q.GetKruskalWallis()}, {"χ²", q.GetChiSquare()}} {
			if t.test != nil {
				l.rows = append(l.rows, l.test(label, by+": "+t.item, t.test))
			}
		}
	}
}

func (l *listing) test(label, item string, t *surveyv1.GroupTest) row {
	out := row{section: groupSection, question: label, item: item, n: t.GetN(), text: l.in(t.GetText())}
	if t.P == nil {
		return out
	}
	out.value, out.df1, out.p, out.adjusted, out.effect = &t.Statistic, &t.Df1, t.P, t.AdjustedP, &t.Effect
	if t.GetDf2() > 0 {
		out.df2 = &t.Df2
	}
	return out
}
