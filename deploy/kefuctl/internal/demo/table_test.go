package demo

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
)

// folder writes files into a new folder.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestReadTable(t *testing.T) {
	dir := folder(t, map[string]string{"a.csv": "\ufeffid,text\n1,\"two\nlines, \"\"quoted\"\"\"\n2, plain \n"})
	var got []string
	var lines []int
	err := readTable(dir, "a.csv", []string{"id", "text"}, func(r row) error {
		got, lines = append(got, r.at("id")+"="+r.at("text")), append(lines, r.line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, []string{"1=two\nlines, \"quoted\"", "2=plain"}) || !slices.Equal(lines, []int{2, 4}) {
		t.Fatalf("got %q at %v", got, lines)
	}
	if err := readTable(dir, "a.csv", []string{"name"}, nil); err == nil || !strings.Contains(err.Error(), `no column "name"`) {
		t.Fatalf("missing column: %v", err)
	}
	dir = folder(t, map[string]string{"b.csv": "id,text\n1\n"})
	if err := readTable(dir, "b.csv", []string{"id"}, func(row) error { return nil }); err == nil {
		t.Fatal("a short row was accepted")
	}
}

func TestMended(t *testing.T) {
	for given, want := range map[string]string{
		"plain":                    "plain",
		"Departmentâ\u0080\u0099s": "Department’s",
		"já está":                  "já está", // Latin letters that make no UTF-8
		"部门":                       "部门",
	} {
		if got := mended(given); got != want {
			t.Errorf("%q: got %q, want %q", given, got, want)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   float64
	}{{[]float64{7}, 7}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 2, 100}, 3}} {
		if got := median(tt.values); got != tt.want {
			t.Errorf("%v: %v", tt.values, got)
		}
	}
}

func TestAmount(t *testing.T) {
	for given, want := range map[string]string{
		"99.9": "99 900000000", "0.01": "0 10000000", "12": "12 0", "1.123456789": "1 123456789",
	} {
		a, err := parseAmount(given)
		if err != nil {
			t.Fatal(err)
		}
		m := a.in("BRL")
		if got := fmt.Sprint(m.GetUnits(), " ", m.GetNanos()); got != want {
			t.Errorf("%s: %s, want %s", given, got, want)
		}
	}
	for _, bad := range []string{"", "-1", "1,5", "1.0000000001", "x", "1.-5"} {
		if _, err := parseAmount(bad); err == nil {
			t.Errorf("%q was read as an amount", bad)
		}
	}
	// A tenth has no exact binary fraction; sums must be exact all the same.
	sum := amount(0)
	for range 10 {
		a, _ := parseAmount("0.1")
		sum += a
	}
	if m := sum.in("BRL"); m.GetUnits() != 1 || m.GetNanos() != 0 {
		t.Errorf("ten tenths are %v", m)
	}
}

func TestCut(t *testing.T) {
	if got := cut("客户投诉处理", 4); got != "客户投…" {
		t.Errorf("got %q", got)
	}
	if got := cut("客户", 2); got != "客户" {
		t.Errorf("got %q", got)
	}
}

func TestSamplesAreTheSameEveryTime(t *testing.T) {
	one, two := people(), people()
	if len(one) != sampleCount {
		t.Fatalf("%d samples", len(one))
	}
	phones := map[string]bool{}
	for i := range one {
		if !proto.Equal(one[i].record, two[i].record) || len(one[i].contacts) != len(two[i].contacts) {
			t.Fatalf("sample %d differs", i)
		}
		for n := range one[i].orders {
			if !proto.Equal(one[i].orders[n], two[i].orders[n]) || !proto.Equal(one[i].products[n], two[i].products[n]) {
				t.Fatalf("order %d of sample %d differs", n, i)
			}
		}
		phones[one[i].record.GetCustomer().GetPhone()] = true
	}
	if len(phones) != sampleCount {
		t.Errorf("%d phones among %d samples", len(phones), sampleCount)
	}
}

func TestOrganisation(t *testing.T) {
	codes, subjects := map[string]bool{}, map[string]bool{}
	for _, u := range organisation() {
		if u.parent != "" && !codes[u.parent] {
			t.Errorf("%s stands before its parent %s", u.code, u.parent)
		}
		if codes[u.code] || len(u.staff) == 0 || u.zh == "" || u.en == "" {
			t.Errorf("%s: twice, or without staff or a name", u.code)
		}
		codes[u.code] = true
		for _, s := range u.staff {
			if subjects[s.subject] {
				t.Errorf("%s twice", s.subject)
			}
			subjects[s.subject] = true
		}
	}
}
