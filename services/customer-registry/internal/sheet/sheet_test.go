package sheet

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/simplifiedchinese"
	"google.golang.org/protobuf/proto"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
)

var zone = time.FixedZone("UTC+8", 8*60*60)

func rows(t *testing.T, r Reader) (lines []int64, out [][]string, err error) {
	t.Helper()
	for {
		line, cells, err := r.Next()
		if errors.Is(err, io.EOF) {
			return lines, out, nil
		}
		if err != nil {
			return lines, out, err
		}
		lines, out = append(lines, line), append(out, slices.Clone(cells))
	}
}

func TestCSV(t *testing.T) {
	gb, err := simplifiedchinese.GB18030.NewEncoder().String("名称;电话\n王伟;\"a\n;b\"\n\n李雷;c")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		text, delimiter, encoding string
		lines                     []int64
		want                      string
	}{
		"plain":                    {"a,b\n1,2\n", "", "", []int64{1, 2}, "a|b/1|2"},
		"a mark and carriage ends": {"\ufeffa,b\r\n1,2\r\n", ",", "utf-8", []int64{1, 2}, "a|b/1|2"},
		"lines in cells":           {"a,b\n\"1\n1\",2\n3\n", "", "", []int64{1, 2, 4}, "a|b/1\n1|2/3"},
		"gb18030 and semicolons":   {gb, ";", "gb18030", []int64{1, 2, 5}, "名称|电话/王伟|a\n;b/李雷|c"},
		"tabs":                     {"a\tb\n", "\t", "", []int64{1}, "a|b"},
	} {
		lines, got, err := rows(t, CSV(strings.NewReader(tc.text), tc.delimiter, tc.encoding))
		var joined []string
		for _, r := range got {
			joined = append(joined, strings.Join(r, "|"))
		}
		if err != nil || strings.Join(joined, "/") != tc.want || !slices.Equal(lines, tc.lines) {
			t.Errorf("%s: %v %q, %v", name, lines, joined, err)
		}
	}
	var bad *Broken
	if _, _, err := rows(t, CSV(strings.NewReader("a,b\n1,\"2\"x\n"), "", "")); !errors.As(err, &bad) || !strings.Contains(bad.Text.EN, "line 2") || bad.Text.ZH == "" {
		t.Errorf("a broken quotation: %v", err)
	}
	if _, _, err := rows(t, CSV(strings.NewReader(strings.Repeat(",", maxCells)), "", "")); !errors.As(err, &bad) {
		t.Errorf("too many cells: %v", err)
	}
}

func workbook(t *testing.T, cells map[string]any) []byte {
	t.Helper()
	f := excelize.NewFile()
	for at, v := range cells {
		if err := f.SetCellValue("Sheet1", at, v); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestXLSX(t *testing.T) {
	book := workbook(t, map[string]any{"A1": "name", "B1": "create_time", "A3": "王伟", "B3": time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)})
	r, err := XLSX(bytes.NewReader(book), "")
	if err != nil {
		t.Fatal(err)
	}
	lines, got, err := rows(t, r)
	if err != nil || !slices.Equal(lines, []int64{1, 3}) || got[1][0] != "王伟" {
		t.Errorf("%v %q, %v", lines, got, err)
	}
	if at, ok := readTime(got[1][1], zone); !ok || at.Format(time.DateTime) != "2020-02-03 04:05:06" {
		t.Errorf("the date %q is read as %v", got[1][1], at)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	var bad *Broken
	if _, err := XLSX(strings.NewReader("no zip"), ""); !errors.As(err, &bad) {
		t.Errorf("no workbook: %v", err)
	}
	if _, err := XLSX(bytes.NewReader(book), "客户"); !errors.As(err, &bad) || !strings.Contains(bad.Text.EN, "Sheet1") {
		t.Errorf("no such sheet: %v", err)
	}
}

func TestMap(t *testing.T) {
	m, err := FieldsOf(nil).Map([]string{" 名称 ", "PHONE", "Kind", "主体", "code", "unknown"}, []*customerv1.ImportColumn{
		{Field: "external_id", Heading: "code"}, {Field: "region", Value: "华东"}}, zone)
	if err != nil {
		t.Fatal(err)
	}
	got, given, faults := m.Record([]string{"王伟", " 13812345678 ", "经销商", "PERSON", "E-1", "x"})
	want := &customerv1.CustomerRecord{ExternalId: "E-1", Customer: &customerv1.Customer{
		Name: "王伟", Phone: "13812345678", Region: "华东",
		Kind: customerv1.CustomerKind_CUSTOMER_KIND_DISTRIBUTOR, Party: customerv1.Party_PARTY_PERSON}}
	if !proto.Equal(got, want) || len(faults) > 0 || !slices.Contains(given, "region") || slices.Contains(given, "email") {
		t.Errorf("%v, %v, %v", got, given, faults)
	}
	_, _, faults = m.Record([]string{"王伟", "", "shop", "", "E-1"})
	if len(faults) != 1 || faults[0].Column != 2 || faults[0].Heading != "Kind" || faults[0].Cell != "shop" || !strings.Contains(faults[0].Text.ZH, "经销商") {
		t.Errorf("faults %+v", faults)
	}
	if f := m.Blame([]string{"", "123"}, got, "customer.phone", "R", faults[0].Text); f.Column != 1 || f.Cell != "123" || f.Field != "phone" {
		t.Errorf("blamed %+v", f)
	}
	if f := m.Blame(nil, got, "customer.region", "R", faults[0].Text); f.Column != -1 || f.Cell != "华东" || f.Field != "region" {
		t.Errorf("the value of every row is blamed as %+v", f)
	}
	if f := m.Blame(nil, got, "customer.email", "R", faults[0].Text); f.Column != -1 || f.Field != "email" {
		t.Errorf("blamed %+v", f)
	}
	for name, tc := range map[string]struct {
		heading []string
		given   []*customerv1.ImportColumn
		say     string
	}{
		"a needed one is missing": {[]string{"name", "kind", "party"}, nil, "external_id"},
		"no such column":          {[]string{"name"}, []*customerv1.ImportColumn{{Field: "name", Heading: "客户"}}, "客户"},
		"two of a field":          {[]string{"name", "名称", "kind", "party", "external_id"}, nil, "second is B"},
	} {
		var bad *Broken
		if _, err := FieldsOf(nil).Map(tc.heading, tc.given, zone); !errors.As(err, &bad) || !strings.Contains(bad.Text.EN, tc.say) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCheckColumns(t *testing.T) {
	faults := FieldsOf(nil).Check([]*customerv1.ImportColumn{
		{Field: "name", Heading: "a"}, {Field: "nonsense", Heading: "a"}, {Field: "name", Heading: "b"}, {Field: "phone"},
		{Field: "email", Heading: "a", Value: "b"}, {Field: "kind", Value: "shop"}, {Field: "party", Value: "person"},
	}, zone)
	var fields []string
	for _, f := range faults {
		fields = append(fields, f.Field)
	}
	if want := []string{"columns[1].field", "columns[2].field", "columns[3].heading", "columns[4].heading", "columns[5].value"}; !slices.Equal(fields, want) {
		t.Errorf("blames %v, want %v", fields, want)
	}
}

func TestReadTime(t *testing.T) {
	for text, want := range map[string]string{
		"2026-11-02": "2026-11-02 00:00:00", "2026-11-02 09:30:05": "2026-11-02 09:30:05", "2026/1/2": "2026-01-02 00:00:00",
		"2026年1月2日": "2026-01-02 00:00:00", "2026-01-01T16:00:00Z": "2026-01-02 00:00:00", "45000.5": "2023-03-15 12:00:00",
	} {
		if at, ok := readTime(text, zone); !ok || at.In(zone).Format(time.DateTime) != want {
			t.Errorf("%s is %v, want %s", text, at, want)
		}
	}
	for _, text := range []string{"yesterday", "0", "-3", "2958466", "NaN", "Inf", "2026-13-01", "31/12/2026"} {
		if at, ok := readTime(text, zone); ok {
			t.Errorf("%s is %v", text, at)
		}
	}
}
