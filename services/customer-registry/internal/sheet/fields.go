package sheet

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// field is one column that a file of customers may have.
type field struct {
	// name is the path of the field in a CustomerRecord's customer, or of the record itself.
	name, chinese string
	set           func(*customerv1.CustomerRecord, string, *time.Location) *rpcerr.Text
	get           func(*customerv1.Customer, *time.Location) string
}

// Fields are the fields that columns may be: those of every file and the attributes in use.
type Fields struct {
	all []field
	// headings are the fields by the headings that stand for them, folded.
	headings map[string]*field
	// unclear are headings that are the label of several attributes.
	unclear map[string][]string
}

// FieldsOf are the fields where these attributes are defined. An attribute is known by
// `attributes.` and its key, by its key alone and by its labels, as far as no other field has
// that name.
func FieldsOf(definitions []*customerv1.AttributeDefinition) *Fields {
	f := &Fields{all: fields(), headings: map[string]*field{}, unclear: map[string][]string{}}
	plain := len(f.all)
	var used []*customerv1.AttributeDefinition
	for _, d := range definitions {
		if !d.GetRetired() {
			f.all, used = append(f.all, attribute(d)), append(used, d)
		}
	}
	for i := range f.all {
		f.head(&f.all[i], f.all[i].name)
	}
	for i := range f.all[:plain] {
		f.head(&f.all[i], f.all[i].chinese)
	}
	for i, d := range used {
		f.head(&f.all[plain+i], d.GetKey())
	}
	for heading, of := range labels(used) {
		if f.headings[heading] != nil {
			continue
		}
		if len(of) > 1 {
			f.unclear[heading] = of
			continue
		}
		f.head(f.find(of[0]), heading)
	}
	return f
}

// head has a heading stand for a field unless it stands for another.
func (f *Fields) head(of *field, heading string) {
	if heading = fold(heading); f.headings[heading] == nil {
		f.headings[heading] = of
	}
}

func fold(heading string) string { return strings.ToLower(strings.TrimSpace(heading)) }

func (f *Fields) find(name string) *field {
	for i := range f.all {
		if f.all[i].name == name {
			return &f.all[i]
		}
	}
	return nil
}

func (f *Fields) names() string {
	var out []string
	for _, one := range f.all {
		out = append(out, one.name)
	}
	return strings.Join(out, ", ")
}

// kinds and the like are the words for values, the first of each the one that is written.
var (
	kindWords = words[customerv1.CustomerKind]{
		customerv1.CustomerKind_CUSTOMER_KIND_DISTRIBUTOR: {"distributor", "经销商"},
		customerv1.CustomerKind_CUSTOMER_KIND_AGENT:       {"agent", "代理商"},
		customerv1.CustomerKind_CUSTOMER_KIND_DIRECT_USER: {"direct_user", "直接用户", "direct user"},
	}
	partyWords = words[customerv1.Party]{
		customerv1.Party_PARTY_ORGANISATION: {"organisation", "单位", "组织", "企业", "organization"},
		customerv1.Party_PARTY_PERSON:       {"person", "个人"},
	}
	lifecycleWords = words[customerv1.Lifecycle]{
		customerv1.Lifecycle_LIFECYCLE_POTENTIAL: {"potential", "潜在"},
		customerv1.Lifecycle_LIFECYCLE_NEW:       {"new", "新客户"},
		customerv1.Lifecycle_LIFECYCLE_LONG_TERM: {"long_term", "长期", "long term"},
		customerv1.Lifecycle_LIFECYCLE_LAPSED:    {"lapsed", "流失"},
	}
)

type words[E interface {
	comparable
	protoreflect.Enum
}] map[E][]string

func (w words[E]) read(text string) (E, *rpcerr.Text) {
	var none E
	folded := strings.ToLower(text)
	var known []string
	for value, names := range w {
		if slices.Contains(names, folded) || strings.ToLower(fmt.Sprint(value)) == folded {
			return value, nil
		}
		known = append(known, names[0]+" ("+names[1]+")")
	}
	slices.Sort(known)
	t := rpcerr.T("it is none of %[1]s; give one of them", "不是可用的值；请填写以下之一：%[1]s", strings.Join(known, ", "))
	return none, &t
}

func (w words[E]) write(value E) string {
	if names := w[value]; len(names) > 0 {
		return names[0]
	}
	return ""
}

// plain is a field of text.
func plain(name, chinese string, of func(*customerv1.Customer) *string) field {
	return field{name, chinese,
		func(r *customerv1.CustomerRecord, text string, _ *time.Location) *rpcerr.Text {
			*of(r.Customer) = text
			return nil
		},
		func(c *customerv1.Customer, _ *time.Location) string { return *of(c) },
	}
}

// part is a field of text in a message of the file, which its first value makes.
func part[M any](name, chinese string, message func(*customerv1.Customer) **M, of func(*M) *string) field {
	return field{name, chinese,
		func(r *customerv1.CustomerRecord, text string, _ *time.Location) *rpcerr.Text {
			*of(made(message(r.Customer))) = text
			return nil
		},
		func(c *customerv1.Customer, _ *time.Location) string {
			if m := *message(c); m != nil {
				return *of(m)
			}
			return ""
		},
	}
}

// made is the message at a place, a new one where there was none.
func made[M any](at **M) *M {
	if *at == nil {
		*at = new(M)
	}
	return *at
}

func postal(name, chinese string, of func(*customerv1.Address) *string) field {
	return part(name, chinese, func(c *customerv1.Customer) **customerv1.Address { return &c.Address }, of)
}

func degree(name, chinese string, of func(*customerv1.Position) *float64) field {
	return field{name, chinese,
		func(r *customerv1.CustomerRecord, text string, _ *time.Location) *rpcerr.Text {
			value, ok := readNumber(text)
			if !ok {
				t := rpcerr.T("it is no number; give degrees such as 31.2304", "不是数字；请填写度数，例如 31.2304")
				return &t
			}
			*of(made(&made(&r.Customer.Address).Position)) = value
			return nil
		},
		func(c *customerv1.Customer, _ *time.Location) string {
			if p := c.GetAddress().GetPosition(); p != nil {
				return writeNumber(*of(p))
			}
			return ""
		},
	}
}

func word[E interface {
	comparable
	protoreflect.Enum
}](name, chinese string, w words[E], of func(*customerv1.Customer) *E) field {
	return field{name, chinese,
		func(r *customerv1.CustomerRecord, text string, _ *time.Location) *rpcerr.Text {
			value, fault := w.read(text)
			*of(r.Customer) = value
			return fault
		},
		func(c *customerv1.Customer, _ *time.Location) string { return w.write(*of(c)) },
	}
}

// fields are all that a file may have; those with a get are written by an export.
func fields() []field {
	return append([]field{
		{"external_id", "外部编号", func(r *customerv1.CustomerRecord, text string, _ *time.Location) *rpcerr.Text {
			r.ExternalId = text
			return nil
		}, nil},
		plain("name", "名称", func(c *customerv1.Customer) *string { return &c.Name }),
		word("kind", "客户性质", kindWords, func(c *customerv1.Customer) *customerv1.CustomerKind { return &c.Kind }),
		word("party", "主体", partyWords, func(c *customerv1.Customer) *customerv1.Party { return &c.Party }),
		plain("classification_code", "分类编码", func(c *customerv1.Customer) *string { return &c.ClassificationCode }),
		plain("industry", "行业", func(c *customerv1.Customer) *string { return &c.Industry }),
		plain("region", "区域", func(c *customerv1.Customer) *string { return &c.Region }),
		plain("source_channel", "来源渠道", func(c *customerv1.Customer) *string { return &c.SourceChannel }),
		plain("owner_staff_id", "客户经理", func(c *customerv1.Customer) *string { return &c.OwnerStaffId }),
		{"tags", "标签", func(r *customerv1.CustomerRecord, text string, _ *time.Location) *rpcerr.Text {
			r.Customer.Tags = split(text)
			return nil
		}, func(c *customerv1.Customer, _ *time.Location) string { return join(c.GetTags()) }},
		word("lifecycle", "生命周期", lifecycleWords, func(c *customerv1.Customer) *customerv1.Lifecycle { return &c.Lifecycle }),
		plain("language", "语言", func(c *customerv1.Customer) *string { return &c.Language }),
		phone(),
		plain("email", "邮箱", func(c *customerv1.Customer) *string { return &c.Email }),
		postal("address.street", "街道", func(a *customerv1.Address) *string { return &a.Street }),
		postal("address.city", "城市", func(a *customerv1.Address) *string { return &a.City }),
		postal("address.province", "省份", func(a *customerv1.Address) *string { return &a.Province }),
		postal("address.postal_code", "邮编", func(a *customerv1.Address) *string { return &a.PostalCode }),
		postal("address.country_code", "国家", func(a *customerv1.Address) *string { return &a.CountryCode }),
		degree("address.position.latitude", "纬度", func(p *customerv1.Position) *float64 { return &p.Latitude }),
		degree("address.position.longitude", "经度", func(p *customerv1.Position) *float64 { return &p.Longitude }),
		{"create_time", "建档时间", func(r *customerv1.CustomerRecord, text string, zone *time.Location) *rpcerr.Text {
			at, ok := readTime(text, zone)
			if !ok {
				t := rpcerr.T("it is no date; give one like 2026-11-02 or 2026-11-02 09:30:00", "不是日期；请填写类似 2026-11-02 或 2026-11-02 09:30:00 的日期")
				return &t
			}
			r.CreateTime = timestamppb.New(at)
			return nil
		}, func(c *customerv1.Customer, zone *time.Location) string {
			if c.GetCreateTime() == nil {
				return ""
			}
			return c.GetCreateTime().AsTime().In(zone).Format(time.DateTime)
		}},
	}, profile()...)
}

// phone is written with its extension, as a phone is given.
func phone() field {
	f := plain("phone", "电话", func(c *customerv1.Customer) *string { return &c.Phone })
	f.get = func(c *customerv1.Customer, _ *time.Location) string {
		if c.GetPhoneExtension() == "" {
			return c.GetPhone()
		}
		return c.GetPhone() + " ext. " + c.GetPhoneExtension()
	}
	return f
}

func readNumber(text string) (float64, bool) {
	value, err := strconv.ParseFloat(text, 64)
	return unsigned(value), err == nil && !math.IsNaN(value) && !math.IsInf(value, 0)
}

func writeNumber(value float64) string { return strconv.FormatFloat(unsigned(value), 'f', -1, 64) }

// unsigned takes the sign off a zero, which nobody means.
func unsigned(value float64) float64 {
	if value == 0 {
		return 0
	}
	return value
}

// readTime takes local dates and times of the zone, instants, and the numbers by which XLSX
// keeps dates: days since 30 December 1899.
func readTime(text string, zone *time.Location) (time.Time, bool) {
	for _, layout := range []string{time.DateTime, time.DateOnly, "2006-01-02 15:04", "2006/1/2 15:04:05", "2006/1/2 15:04", "2006/1/2", "2006年1月2日"} {
		if at, err := time.ParseInLocation(layout, text, zone); err == nil {
			return at, true
		}
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, true
	}
	days, err := strconv.ParseFloat(text, 64)
	if err != nil || !(days >= 1 && days < 2_958_466) { // 9999-12-31
		return time.Time{}, false
	}
	whole, part := math.Modf(days)
	day := time.Date(1899, 12, 30, 0, 0, 0, 0, zone).AddDate(0, 0, int(whole))
	return day.Add(time.Duration(math.Round(part*86400)) * time.Second), true
}
