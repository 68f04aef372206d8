package demo

import (
	"fmt"
	"strings"
	"time"

	"github.com/brianvoe/gofakeit/v7"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
)

const (
	sampleSource = "demo"
	// sampleSeed makes every run's samples the same.
	sampleSeed    = 20250201
	chineseShare  = 3 // of five customers
	sampleCount   = 50
	chineseMoney  = "CNY"
	englishMoney  = "GBP"
	warranty      = 365 * 24 * time.Hour
	guarantee     = 182 * 24 * time.Hour
	betweenOrders = 20 * time.Hour
)

// person is one sample customer with everything that hangs on it.
type person struct {
	origin
	chinese  bool
	record   *customerv1.CustomerRecord
	contacts []*customerv1.Contact
	orders   []*customerv1.Order
	products []*customerv1.InstalledProduct
}

type city struct {
	name, province, region, country string
	latitude, longitude             float64
}

type product struct {
	model, category string
	price           amount
}

func chineseCities() []city {
	return []city{
		{"上海", "上海", "华东", "CN", 31.2304, 121.4737}, {"杭州", "浙江", "华东", "CN", 30.2741, 120.1551},
		{"苏州", "江苏", "华东", "CN", 31.2990, 120.5853}, {"广州", "广东", "华南", "CN", 23.1291, 113.2644},
		{"深圳", "广东", "华南", "CN", 22.5431, 114.0579}, {"北京", "北京", "华北", "CN", 39.9042, 116.4074},
		{"天津", "天津", "华北", "CN", 39.3434, 117.3616}, {"成都", "四川", "西南", "CN", 30.5728, 104.0668},
		{"重庆", "重庆", "西南", "CN", 29.5630, 106.5516}, {"武汉", "湖北", "华中", "CN", 30.5928, 114.3055},
		{"西安", "陕西", "西北", "CN", 34.3416, 108.9398}, {"沈阳", "辽宁", "东北", "CN", 41.8057, 123.4315},
	}
}

func englishCities() []city {
	return []city{
		{"London", "Greater London", "UK", "GB", 51.5072, -0.1276}, {"Leeds", "West Yorkshire", "UK", "GB", 53.8008, -1.5491},
		{"Bristol", "Bristol", "UK", "GB", 51.4545, -2.5879}, {"Glasgow", "Lanarkshire", "UK", "GB", 55.8642, -4.2518},
	}
}

func catalogue() []product {
	return []product{
		{"KF-100 离心泵", "pumps", 3_680 * nanosAUnit}, {"KF-200 多级泵", "pumps", 8_950 * nanosAUnit},
		{"KV-20 电动阀", "valves", 1_260 * nanosAUnit}, {"KM-3 电磁流量计", "meters", 4_720 * nanosAUnit},
		{"KC-7 控制柜", "controls", 15_800 * nanosAUnit}, {"KS-1 压力传感器", "sensors", 430 * nanosAUnit},
	}
}

func surnames() []string {
	return []string{"张", "王", "李", "赵", "陈", "刘", "黄", "周", "吴", "徐", "孙", "马", "朱", "胡", "林", "郭", "何", "高", "罗", "郑"}
}

func givenNames() []string {
	return []string{"伟", "芳", "秀英", "敏", "静", "丽", "强", "磊", "洋", "艳", "勇", "军", "杰", "娟", "涛", "明", "超", "秀兰", "霞", "平", "建华", "晓东", "雨桐", "子涵"}
}

func brands() []string {
	return []string{"恒达", "鑫源", "华盛", "瑞丰", "永兴", "东方", "金桥", "海纳", "博远", "中联", "天成", "宏图", "启明", "嘉禾", "泰和"}
}

func trades() []string {
	return []string{"机械设备", "自动化", "水务工程", "环保科技", "机电", "化工", "食品", "建筑安装"}
}

// people makes the sample customers, the same ones at every call.
func people() []person {
	f := gofakeit.New(sampleSeed)
	out := make([]person, 0, sampleCount)
	for i := range sampleCount {
		p := person{origin: origin{File: "samples", Line: i + 1, ID: fmt.Sprintf("sample-%02d", i+1)}, chinese: i%5 < chineseShare}
		p.record = &customerv1.CustomerRecord{
			ExternalId: p.ID, CreateTime: timestamppb.New(sampleTime(i, 0).Add(-30 * 24 * time.Hour)), Customer: &customerv1.Customer{
				Kind: customerv1.CustomerKind(1 + i%3), Lifecycle: customerv1.Lifecycle(1 + i%4), SourceChannel: f.RandomString([]string{"fair", "referral", "web", "visit"}),
			},
		}
		if p.chinese {
			chinese(f, &p, i)
		} else {
			english(f, &p, i)
		}
		p.trade(f, i)
		out = append(out, p)
	}
	return out
}

// sampleTime is in the past and, so that a second run sends the same, not of today.
func sampleTime(customer, order int) time.Time {
	begin := time.Date(2025, 2, 3, 1, 30, 0, 0, time.UTC)
	return begin.Add(time.Duration(customer*4+order) * betweenOrders)
}

func (p *person) organisation(i int) bool { return i%4 != 3 }

func (p *person) settle(f *gofakeit.Faker, c city, street string) {
	p.record.Customer.Region = c.region
	p.record.Customer.Address = &customerv1.Address{
		Street: street, City: c.name, Province: c.province, CountryCode: c.country,
		// Within some ten kilometres of the centre.
		Position: &customerv1.Position{
			Latitude: c.latitude + f.Float64Range(-0.1, 0.1), Longitude: c.longitude + f.Float64Range(-0.1, 0.1),
		},
	}
}

func chinese(f *gofakeit.Faker, p *person, i int) {
	c, cities := p.record.Customer, chineseCities()
	home := cities[f.IntRange(0, len(cities)-1)]
	name := func() string { return f.RandomString(surnames()) + f.RandomString(givenNames()) }
	c.Language, c.Party, c.Name = "zh-CN", customerv1.Party_PARTY_PERSON, name()
	p.settle(f, home, fmt.Sprintf("%s路%d号", f.RandomString(brands()), f.IntRange(1, 999)))
	// 1380013 is the operator's own series.
	phone := func(n int) string { return fmt.Sprintf("+86138001%05d", 30000+10*i+n) }
	c.Phone, c.Email = phone(0), fmt.Sprintf("kehu%02d@example.com", i+1)
	if !p.organisation(i) {
		return
	}
	trade := f.RandomString(trades())
	c.Party, c.Industry = customerv1.Party_PARTY_ORGANISATION, trade
	c.Name = home.name + f.RandomString(brands()) + trade + "有限公司"
	for n := range f.IntRange(1, 3) {
		p.contacts = append(p.contacts, &customerv1.Contact{
			Name: name(), Phone: phone(n + 1), Email: fmt.Sprintf("lianxi%02d-%d@example.com", i+1, n+1),
			DecisionRole: customerv1.DecisionRole(1 + n), Language: "zh-CN",
		})
	}
}

func english(f *gofakeit.Faker, p *person, i int) {
	c, cities := p.record.Customer, englishCities()
	c.Language, c.Party, c.Name = "en", customerv1.Party_PARTY_PERSON, f.Name()
	p.settle(f, cities[f.IntRange(0, len(cities)-1)], f.Street())
	// 020 7946 0xxx is kept free for fiction.
	phone := func(n int) string { return fmt.Sprintf("+442079460%03d", (10*i+n)%1000) }
	c.Phone, c.Email = phone(0), fmt.Sprintf("customer%02d@example.com", i+1)
	if !p.organisation(i) {
		return
	}
	c.Party, c.Industry, c.Name = customerv1.Party_PARTY_ORGANISATION, f.JobDescriptor(), f.Company()
	for n := range f.IntRange(1, 3) {
		name := f.Name()
		p.contacts = append(p.contacts, &customerv1.Contact{
			Name: name, Phone: phone(n + 1), Email: fmt.Sprintf("%s.%02d-%d@example.com", strings.ToLower(f.LetterN(4)), i+1, n+1),
			DecisionRole: customerv1.DecisionRole(1 + n), Language: "en",
		})
	}
}

// trade gives the customer orders and what was installed with them.
func (p *person) trade(f *gofakeit.Faker, i int) {
	products, currency := catalogue(), englishMoney
	if p.chinese {
		currency = chineseMoney
	}
	for n := range f.IntRange(0, 3) {
		item, quantity := products[f.IntRange(0, len(products)-1)], f.IntRange(1, 4)
		at := sampleTime(i, n)
		shipped, delivered := at.Add(48*time.Hour), at.Add(96*time.Hour)
		order := &customerv1.Order{
			OrderNumber: fmt.Sprintf("DEMO-%02d-%d", i+1, n+1), OrderTime: timestamppb.New(at), Status: "delivered",
			ShipTime: timestamppb.New(shipped), DeliveryTime: timestamppb.New(delivered),
			Amount: (item.price * amount(quantity)).in(currency),
			Lines: []*customerv1.OrderLine{{ProductModel: item.model, ProductCategory: item.category, Quantity: int32(quantity),
				UnitPrice: item.price.in(currency), Freight: amount(0).in(currency)}},
		}
		p.orders = append(p.orders, order)
		p.products = append(p.products, &customerv1.InstalledProduct{
			SerialNumber: "SN-" + order.OrderNumber, ProductModel: item.model, OrderNumber: order.OrderNumber,
			ShipTime: order.ShipTime, DeliveryTime: order.DeliveryTime,
			WarrantyEndTime: timestamppb.New(shipped.Add(warranty)), GuaranteeEndTime: timestamppb.New(shipped.Add(guarantee)),
		})
	}
}
