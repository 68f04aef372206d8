package report

import (
	"time"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/survey/internal/questionnaire"
)

// maxPeriods bounds a trend.
const maxPeriods = 120

// Periods gives when the periods begin that hold the first and the last answer and all between,
// in UTC; none without answers.
func Periods(length surveyv1.TrendPeriod, first, last *time.Time) ([]time.Time, []questionnaire.Fault) {
	if first == nil || last == nil {
		return nil, nil
	}
	months := map[surveyv1.TrendPeriod]int{
		surveyv1.TrendPeriod_TREND_PERIOD_MONTH: 1, surveyv1.TrendPeriod_TREND_PERIOD_QUARTER: 3, surveyv1.TrendPeriod_TREND_PERIOD_YEAR: 12,
	}[length]
	from := first.UTC()
	month := (int(from.Month()) - 1) / months * months
	var out []time.Time
	for at := time.Date(from.Year(), time.Month(month+1), 1, 0, 0, 0, 0, time.UTC); !at.After(*last); at = at.AddDate(0, months, 0) {
		if len(out) == maxPeriods {
			return nil, []questionnaire.Fault{{Path: "trend", Text: rpcerr.T(
				"the answers from %[1]s to %[2]s make more than %[3]d periods; choose longer ones or set start_time",
				"%[1]s 至 %[2]s 的回答超过 %[3]d 期；请选择更长的周期，或设置 start_time",
				from.Format(time.DateOnly), last.UTC().Format(time.DateOnly), maxPeriods)}}
		}
		out = append(out, at)
	}
	return out, nil
}
