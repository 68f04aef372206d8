package sheet

import (
	"bytes"
	"encoding/csv"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
)

// words of files that tables find hard.
var hard = rapid.SampledFrom([]string{"王伟", "=1+1", "a,b", "\"x\"", "a;b", "需求一；需求二", `c:\d`, `\`, `\;`, "line\nbreak", "'x", "-5", "+86", "true", "1"})

func hardTexts(t *rapid.T, name string) []string {
	return rapid.SliceOfN(hard, 0, 3).Draw(t, name)
}

// hardFile draws a file of words that tables find hard.
func hardFile(t *rapid.T) *customerv1.Customer {
	c := &customerv1.Customer{
		Id: "id", Number: "C-1", Name: hard.Draw(t, "name"), Kind: customerv1.CustomerKind_CUSTOMER_KIND_AGENT, Party: customerv1.Party_PARTY_PERSON,
		ClassificationCode: hard.Draw(t, "code"), Industry: hard.Draw(t, "industry"), Region: "华东", SourceChannel: "fair", OwnerStaffId: "o",
		Tags: hardTexts(t, "tags"), Lifecycle: customerv1.Lifecycle_LIFECYCLE_LONG_TERM, Language: "en", Phone: "+8613812345678", Email: "a@b.cn",
		Address: &customerv1.Address{Street: hard.Draw(t, "street"), City: "上海", Province: "上海", PostalCode: "200000", CountryCode: "CN",
			Position: &customerv1.Position{Latitude: rapid.Float64Range(-90, 90).Draw(t, "latitude"), Longitude: 121.5}},
		CreateTime:   timestamppb.New(time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)),
		Relationship: hard.Draw(t, "relationship"), ResponsibleStaffId: "r", UpdateIntervalDays: rapid.Int32Range(1, 3650).Draw(t, "days"),
	}
	c.Attributes = []*customerv1.AttributeValue{
		{Key: "fleet", Value: &customerv1.AttributeValue_Number{Number: rapid.Float64().Draw(t, "fleet")}},
		{Key: "motto", Value: &customerv1.AttributeValue_Text{Text: hard.Draw(t, "motto")}},
		{Key: "since", Value: &customerv1.AttributeValue_Text{Text: "2020-02-29"}},
		{Key: "vip", Value: &customerv1.AttributeValue_Flag{Flag: rapid.Bool().Draw(t, "vip")}},
	}
	if rapid.Bool().Draw(t, "with needs") {
		c.Needs = &customerv1.Needs{Needs: hardTexts(t, "needs"), PainPoints: hardTexts(t, "pains"), ExpectedSpeed: hard.Draw(t, "speed"),
			ExpectedQuality: hard.Draw(t, "quality"), ExpectedProfessionalism: "p", BusinessProcesses: "b", Habits: hard.Draw(t, "habits"), BehaviourPreferences: "f"}
	}
	if rapid.Bool().Draw(t, "with credit") {
		c.Credit = &customerv1.Credit{Rating: hard.Draw(t, "rating"), Limit: &money.Money{CurrencyCode: "CNY",
			Units: rapid.Int64Range(0, 999_999_999_999_999_999).Draw(t, "units"), Nanos: rapid.Int32Range(0, 999_999_999).Draw(t, "nanos")}}
	}
	return c
}

// What an export writes an import reads as it was, and an export of that is the same table.
func TestCellsComeBack(t *testing.T) {
	fields := FieldsOf(definitions())
	rapid.Check(t, func(t *rapid.T) {
		file := hardFile(t)
		var b bytes.Buffer
		w := csv.NewWriter(&b)
		w.UseCRLF = true
		for _, row := range [][]string{fields.Heading(), fields.Cells(file, zone)} {
			if err := w.Write(row); err != nil {
				t.Fatal(err)
			}
		}
		w.Flush()
		r := CSV(&b, "", "")
		_, heading, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		m, err := fields.Map(slices.Clone(heading), []*customerv1.ImportColumn{{Field: "external_id", Heading: "number"}}, zone)
		if err != nil {
			t.Fatal(err)
		}
		_, cells, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		got, _, faults := m.Record(cells)
		want := proto.CloneOf(file)
		want.Id, want.Number, want.CreateTime = "", "", nil
		if len(faults) > 0 || got.GetExternalId() != "C-1" || !proto.Equal(got.GetCustomer(), want) || !got.GetCreateTime().AsTime().Equal(file.GetCreateTime().AsTime()) {
			t.Fatalf("%v, %v\nwant %v", got, faults, want)
		}
		again := proto.CloneOf(got.GetCustomer())
		again.Id, again.Number, again.CreateTime = file.GetId(), file.GetNumber(), got.GetCreateTime()
		if one, two := fields.Cells(file, zone), fields.Cells(again, zone); !slices.Equal(one, two) {
			t.Fatalf("the next export is %q, the first was %q", two, one)
		}
	})
}

// A phone's extension travels with it.
func TestPhoneWithExtension(t *testing.T) {
	fields := FieldsOf(nil)
	cells := fields.Cells(&customerv1.Customer{Phone: "+862787654321", PhoneExtension: "12"}, zone)
	if at := slices.Index(fields.Heading(), "phone"); cells[at] != "'+862787654321 ext. 12" {
		t.Errorf("written %q", cells[at])
	}
}

func TestAmounts(t *testing.T) {
	for text, want := range map[string]string{
		"500000 CNY": "500000 CNY", "CNY 1,234,567.50": "1234567.5 CNY", "0.000000001eur": "0.000000001 EUR", "-2.5 CNY": "-2", "0 CNY": "0 CNY",
	} {
		got, ok := readMoney(text)
		if !ok || !strings.HasPrefix(writeMoney(got), want) {
			t.Errorf("%q is read as %v", text, got)
		}
	}
	for _, text := range []string{"500000", "CNY", "1,5 CNY", "12,34,567 CNY", "CNY 5 CNY", "1.0000000001 CNY", "1e5 CNY", "9999999999999999999 CNY", "五十万 CNY", "5 元"} {
		if got, ok := readMoney(text); ok {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}
