package surveypage

import (
	"fmt"
	"strconv"
	"strings"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// words are the page's own texts in one language.
type words struct {
	Tag, Skip                                           string
	Next, Back, Save, Submit, Required, NoAnswer, Place string
	PageOf                                              string // of number and count
	Problems, ErrorTitle, Answer, Check                 string
	Saved, Opened, Rated                                string // Rated: of the score
	Until                                               string // of a day
	Anonymous                                           string
	End, EndText, Nothing                               string
	Thanks, ThanksText, Dropped                         string
	SendAgain, RequestID                                string
	Withdraw, WithdrawLink                              string
	RateRows, Rank                                      string // Rank: of the number of places
	Satisfied, Likely, Easy                             [2]string
	rules                                               rules
	notices                                             map[noticeKind][2]string
}

// rules say what fits a question.
type rules struct {
	any, exactly, least, most, between                   string // how many choices
	whole, decimals, numberLeast, numberMost, numberFrom string
	dayLeast, dayMost, dayFrom                           string
	lengthMost, lengthFrom, stop                         string
}

func wordsIn(lang string) *words {
	if lang == rpcerr.Chinese {
		return &chinese
	}
	return &english
}

// Of says where a page stands.
func (w *words) Of(number, count int) string { return fmt.Sprintf(w.PageOf, number, count) }

// RatedAs repeats the score of a link.
func (w *words) RatedAs(score string) string { return fmt.Sprintf(w.Rated, score) }

// UntilDay says until when the link works.
func (w *words) UntilDay(day string) string { return fmt.Sprintf(w.Until, day) }

func (w *words) howMany(r *surveyv1.ChoiceRule) string {
	least, most := r.GetLeast(), r.GetGreatest()
	switch {
	case least > 1 && least == most:
		return fmt.Sprintf(w.rules.exactly, least)
	case least > 1 && most > 0:
		return fmt.Sprintf(w.rules.between, least, most)
	case least > 1:
		return fmt.Sprintf(w.rules.least, least)
	case most > 0:
		return fmt.Sprintf(w.rules.most, most)
	}
	return w.rules.any
}

func (w *words) number(r *surveyv1.NumberRule) string {
	text := w.rules.whole
	if n := r.GetDecimals(); n > 0 {
		text = fmt.Sprintf(w.rules.decimals, n)
	}
	plain := func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
	hasLeast, hasGreatest := r != nil && r.Least != nil, r != nil && r.Greatest != nil
	switch {
	case hasLeast && hasGreatest:
		return text + fmt.Sprintf(w.rules.numberFrom, plain(r.GetLeast()), plain(r.GetGreatest()))
	case hasLeast:
		return text + fmt.Sprintf(w.rules.numberLeast, plain(r.GetLeast()))
	case hasGreatest:
		return text + fmt.Sprintf(w.rules.numberMost, plain(r.GetGreatest()))
	}
	return text + w.rules.stop
}

func (w *words) day(r *surveyv1.DateRule) string {
	switch {
	case r.GetLeast() != "" && r.GetGreatest() != "":
		return fmt.Sprintf(w.rules.dayFrom, r.GetLeast(), r.GetGreatest())
	case r.GetLeast() != "":
		return fmt.Sprintf(w.rules.dayLeast, r.GetLeast())
	case r.GetGreatest() != "":
		return fmt.Sprintf(w.rules.dayMost, r.GetGreatest())
	}
	return ""
}

func (w *words) length(r *surveyv1.TextRule) string {
	least, most := r.GetLeast(), r.GetGreatest()
	if most == 0 {
		most = 5000
	}
	if least > 0 {
		return fmt.Sprintf(w.rules.lengthFrom, least, most)
	}
	return fmt.Sprintf(w.rules.lengthMost, most)
}

// notice gives title and text.
func (w *words) notice(kind noticeKind) (title, text string) {
	pair := w.notices[kind]
	return pair[0], strings.TrimSpace(pair[1])
}
