package analysis_test

import (
	"encoding/binary"
	"math"
	"reflect"
	"testing"

	. "github.com/kefu-suite/kefu/services/survey/internal/analysis"
)

// decode makes tables of any bytes: a score of two bytes and a count of four, of which some
// are negative or greater than allowed.
func decode(data []byte) (groups []Counts, pairs Pairs) {
	groups = make([]Counts, 3)
	for i := 0; len(data) >= 6; i++ {
		score := int32(int16(binary.LittleEndian.Uint16(data)))
		count := int64(int32(binary.LittleEndian.Uint32(data[2:])))
		groups[i%3] = append(groups[i%3], Count{Score: score, N: count})
		pairs = append(pairs, Pair{X: score, Y: score>>3 ^ int32(i%7), N: count})
		data = data[6:]
	}
	return groups, pairs
}

// finite fails on any number that is none.
func finite(t *testing.T, what string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Float64:
		if math.IsNaN(v.Float()) || math.IsInf(v.Float(), 0) {
			t.Errorf("%s is %v", what, v.Float())
		}
		if p := v.Float(); (what == "P" || what == "Share" || what == "SmallExpected") && (p < 0 || p > 1) {
			t.Errorf("%s is %v", what, p)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			finite(t, what, v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			finite(t, v.Type().Field(i).Name, v.Field(i))
		}
		if i, ok := v.Interface().(Interval); ok && i.Low > i.High {
			t.Errorf("%s is from %v to %v", what, i.Low, i.High)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			finite(t, what, v.Index(i))
		}
	default:
	}
}

func FuzzFigures(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte, level float64) {
		groups, pairs := decode(data)
		outcomes := append(comparisons(groups), double(pairs)...)
		outcomes = append(outcomes, single(groups[0])...)
		welch, err := Welch(groups[0], groups[1], level)
		outcomes = append(outcomes, of("Welch", welch, err))
		mean, err := MeanInterval(groups[0], level)
		outcomes = append(outcomes, of("mean", mean, err))
		weighted, err := PostStratify([]Stratum{{7, groups[0]}, {1, groups[1]}, {0, groups[2]}}, level)
		outcomes = append(outcomes, of("weighted", weighted, err))
		trend, err := TrendOf(groups, level)
		outcomes = append(outcomes, of("trend", trend, err))
		table := make([][]int64, len(groups))
		for i, g := range groups {
			table[i] = make([]int64, len(data)/6/3+1)
			for j, c := range g {
				table[i][j] = c.N
			}
		}
		chi, err := ChiSquare(table)
		outcomes = append(outcomes, of("chi-square", chi, err))
		for _, o := range outcomes {
			if o.err == nil {
				finite(t, o.name, reflect.ValueOf(o.value))
			}
		}
	})
}
