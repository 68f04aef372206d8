package questionnaire

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

const (
	// tolerance is how far a number may be from one with the digits that are allowed, in its last
	// digit: doubles do not hold decimals exactly.
	tolerance = 1e-6
	// maxNumber bounds numbers so that their last digit is exact.
	maxNumber = 1e9
)

// checkValue names the field at fault, or nothing when the value fits the question.
func checkValue(question *surveyv1.Question, response *surveyv1.Response) (string, rpcerr.Text) {
	key, want := question.GetKey(), fieldOf(question.GetType())
	given := givenField(response)
	switch given {
	case "":
		return want, rpcerr.T("the response to %[1]q has no value; give a %[2]s or leave the response out",
			"对 %[1]q 的回答没有值；请填写 %[2]s，或不提交该回答", key, want)
	case want:
	default:
		return given, rpcerr.T("the question %[1]q takes a %[2]s, not a %[3]s; give a %[2]s",
			"问题 %[1]q 需要 %[2]s，而不是 %[3]s；请填写 %[2]s", key, want, given)
	}
	text, fits := rpcerr.Text{}, true
	switch value := response.GetValue().(type) {
	case *surveyv1.Response_Score:
		text, fits = checkScore(question, value.Score)
	case *surveyv1.Response_Choice:
		text, fits = checkKeys(question, []string{value.Choice})
	case *surveyv1.Response_Text:
		text, fits = checkAnswerText(question, value.Text)
	case *surveyv1.Response_Choices:
		text, fits = checkPicks(question, value.Choices.GetKeys())
	case *surveyv1.Response_Ranking:
		text, fits = checkRanking(question, value.Ranking.GetKeys())
	case *surveyv1.Response_Rows:
		text, fits = checkRows(question, value.Rows.GetScores())
	case *surveyv1.Response_Number:
		text, fits = checkNumber(question, value.Number)
	case *surveyv1.Response_Date:
		text, fits = checkDate(question, value.Date)
	}
	if fits {
		return "", rpcerr.Text{}
	}
	return given, text
}

// fieldOf is the field of a response that a type takes.
func fieldOf(t surveyv1.QuestionType) string {
	switch t {
	case kindSingle:
		return "choice"
	case kindMultiple:
		return "choices"
	case kindRanking:
		return "ranking"
	case kindMatrix:
		return "rows"
	case kindNumber:
		return "number"
	case kindDate:
		return "date"
	case kindText:
		return "text"
	}
	return "score"
}

func givenField(response *surveyv1.Response) string {
	switch response.GetValue().(type) {
	case *surveyv1.Response_Score:
		return "score"
	case *surveyv1.Response_Choice:
		return "choice"
	case *surveyv1.Response_Text:
		return "text"
	case *surveyv1.Response_Choices:
		return "choices"
	case *surveyv1.Response_Ranking:
		return "ranking"
	case *surveyv1.Response_Rows:
		return "rows"
	case *surveyv1.Response_Number:
		return "number"
	case *surveyv1.Response_Date:
		return "date"
	}
	return ""
}

func fits() (rpcerr.Text, bool) { return rpcerr.Text{}, true }

func checkScore(question *surveyv1.Question, score int32) (rpcerr.Text, bool) {
	least, greatest, _ := Range(question.GetType())
	if score >= least && score <= greatest {
		return fits()
	}
	return rpcerr.T("the score of %[1]q is %[2]d; give one from %[3]d to %[4]d",
		"%[1]q 的评分为 %[2]d；请在 %[3]d 到 %[4]d 之间选择", question.GetKey(), score, least, greatest), false
}

// checkKeys finds a key that is no choice, and one that is named twice.
func checkKeys(question *surveyv1.Question, keys []string) (rpcerr.Text, bool) {
	offered := make(map[string]bool, len(question.GetChoices()))
	var all []string
	for _, choice := range question.GetChoices() {
		offered[choice.GetKey()] = true
		all = append(all, choice.GetKey())
	}
	seen := make(map[string]bool, len(keys))
	for _, key := range keys {
		switch {
		case !offered[key]:
			return rpcerr.T("%[2]q is no choice of %[1]q; choose from %[3]s",
				"%[2]q 不是 %[1]q 的选项；请从以下选项中选择：%[3]s", question.GetKey(), key, strings.Join(all, ", ")), false
		case seen[key]:
			return rpcerr.T("%[2]q is named twice in the response to %[1]q; name it once",
				"对 %[1]q 的回答中 %[2]q 出现了两次；请只填一次", question.GetKey(), key), false
		}
		seen[key] = true
	}
	return fits()
}

func checkPicks(question *surveyv1.Question, keys []string) (rpcerr.Text, bool) {
	if text, ok := checkKeys(question, keys); !ok {
		return text, false
	}
	least, greatest := max(1, int(question.GetChoiceRule().GetLeast())), int(most(question))
	if len(keys) < least || len(keys) > greatest {
		return rpcerr.T("%[2]d choices of %[1]q are named; choose %[3]d to %[4]d, or leave the response out",
			"%[1]q 选择了 %[2]d 项；请选择 %[3]d 到 %[4]d 项，或不提交该回答", question.GetKey(), len(keys), least, greatest), false
	}
	for _, choice := range question.GetChoices() {
		if choice.GetExclusive() && len(keys) > 1 && overlap(keys, []string{choice.GetKey()}) {
			return rpcerr.T("%[2]q of %[1]q cannot be chosen beside another choice; choose it alone or leave it out",
				"%[1]q 的选项 %[2]q 不能与其他选项同时选择；请单独选择或去掉", question.GetKey(), choice.GetKey()), false
		}
	}
	return fits()
}

func checkRanking(question *surveyv1.Question, keys []string) (rpcerr.Text, bool) {
	if text, ok := checkKeys(question, keys); !ok {
		return text, false
	}
	if len(keys) < 1 || len(keys) > int(most(question)) {
		return rpcerr.T("%[2]d choices of %[1]q are ranked; rank 1 to %[3]d, or leave the response out",
			"%[1]q 排列了 %[2]d 项；请排列 1 到 %[3]d 项，或不提交该回答", question.GetKey(), len(keys), most(question)), false
	}
	return fits()
}

func checkRows(question *surveyv1.Question, cells []*surveyv1.RowScore) (rpcerr.Text, bool) {
	known := make(map[string]bool, len(question.GetRows()))
	var all []string
	for _, row := range question.GetRows() {
		known[row.GetKey()] = true
		all = append(all, row.GetKey())
	}
	if len(cells) == 0 {
		return rpcerr.T("no row of %[1]q is rated; rate one of %[2]s or leave the response out",
			"%[1]q 没有任何行被评分；请为以下任一行评分：%[2]s，或不提交该回答", question.GetKey(), strings.Join(all, ", ")), false
	}
	seen := make(map[string]bool, len(cells))
	for _, cell := range cells {
		row := cell.GetRowKey()
		switch {
		case !known[row]:
			return rpcerr.T("%[2]q is no row of %[1]q; use %[3]s", "%[2]q 不是 %[1]q 的行；请使用 %[3]s",
				question.GetKey(), row, strings.Join(all, ", ")), false
		case seen[row]:
			return rpcerr.T("the row %[2]q of %[1]q is rated twice; rate it once", "%[1]q 的行 %[2]q 被评了两次；请只评一次",
				question.GetKey(), row), false
		case cell.GetScore() < leastRow || cell.GetScore() > greatestRow:
			return rpcerr.T("the score of row %[2]q of %[1]q is %[3]d; give one from %[4]d to %[5]d",
				"%[1]q 的行 %[2]q 评分为 %[3]d；请在 %[4]d 到 %[5]d 之间选择", question.GetKey(), row, cell.GetScore(), leastRow, greatestRow), false
		}
		seen[row] = true
	}
	return fits()
}

func checkNumber(question *surveyv1.Question, n float64) (rpcerr.Text, bool) {
	rule := question.GetNumberRule()
	least, greatest := scale(question)
	least, greatest = max(least, -maxNumber), min(greatest, maxNumber)
	if math.IsNaN(n) || n < least || n > greatest {
		return rpcerr.T("the number of %[1]q is %[2]v; give one from %[3]s to %[4]s", "%[1]q 的数字为 %[2]v；请填写 %[3]s 到 %[4]s 之间的数字",
			question.GetKey(), n, plain(least), plain(greatest)), false
	}
	scaled := n * math.Pow10(int(rule.GetDecimals()))
	if math.Abs(scaled-math.Round(scaled)) > tolerance {
		return rpcerr.T("the number of %[1]q is %[2]v; give at most %[3]d digits after the point",
			"%[1]q 的数字为 %[2]v；小数点后最多 %[3]d 位", question.GetKey(), plain(n), rule.GetDecimals()), false
	}
	return fits()
}

// plain writes a number without an exponent.
func plain(n float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.6f", n), "0"), ".")
}

func checkDate(question *surveyv1.Question, day string) (rpcerr.Text, bool) {
	if !isDay(day) {
		return rpcerr.T("%[2]q of %[1]q is no day; write one as 2026-11-26", "%[1]q 的 %[2]q 不是有效日期；请按 2026-11-26 的格式填写",
			question.GetKey(), day), false
	}
	if least, greatest := days(question.GetDateRule()); day < least || day > greatest {
		return rpcerr.T("the day of %[1]q is %[2]s; give one from %[3]s to %[4]s", "%[1]q 的日期为 %[2]s；请填写 %[3]s 到 %[4]s 之间的日期",
			question.GetKey(), day, least, greatest), false
	}
	return fits()
}

func checkAnswerText(question *surveyv1.Question, text string) (rpcerr.Text, bool) {
	key, rule := question.GetKey(), question.GetTextRule()
	switch n := int32(utf8.RuneCountInString(text)); {
	case n > longest(rule):
		return rpcerr.T("the text of %[1]q has %[2]d characters; use at most %[3]d",
			"%[1]q 的文本共 %[2]d 个字符；最多 %[3]d 个", key, n, longest(rule)), false
	case empty(text):
		return rpcerr.T("the text of %[1]q is empty; write something or leave the response out",
			"%[1]q 的文本为空；请填写，或不提交该回答", key), false
	case n < rule.GetLeast():
		return rpcerr.T("the text of %[1]q has %[2]d characters; write at least %[3]d",
			"%[1]q 的文本共 %[2]d 个字符；至少 %[3]d 个", key, n, rule.GetLeast()), false
	case strings.ContainsRune(text, 0):
		return nulText(), false
	case rule.GetSingleLine() && strings.ContainsAny(text, "\r\n"):
		return rpcerr.T("the text of %[1]q has several lines; write it in one", "%[1]q 的文本有多行；请写成一行", key), false
	}
	return fits()
}
