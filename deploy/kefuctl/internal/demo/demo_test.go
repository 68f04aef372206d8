package demo

import (
	"strings"
	"testing"
)

// A folder holds the data sets that it holds; one with none is refused by what it could hold.
func TestAFolderWithoutDataSets(t *testing.T) {
	var out strings.Builder
	err := loadData(t.Context(), nil, t.TempDir(), &out, &summary{})
	if err == nil || !strings.Contains(err.Error(), "has none of olist, nyc311_2018.csv, airline_satisfaction.csv") || out.Len() > 0 {
		t.Errorf("%v, told %q", err, &out)
	}
	// What is there must be whole.
	err = loadData(t.Context(), nil, folder(t, map[string]string{nycFile: "Unique Key\n1\n"}), &out, &summary{})
	if err == nil || !strings.Contains(err.Error(), "has no column") {
		t.Errorf("a file without its columns: %v", err)
	}
}
