package e2e

import "testing"

// TestAnalysisTour runs the tour of the analysis.
func TestAnalysisTour(t *testing.T) {
	tells(t, tour(t, "docs", "analysis.md"), "60", "The mean of speed is ", "Whoever rates speed higher", "of less than 5 answers nothing is shown",
		"3\n", "The mean of speed (meters) is ", "speed differs between the groups of product line", "recognisably", "问题,总体,平均分,63,")
}
