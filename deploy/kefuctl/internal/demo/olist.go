package demo

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
)

const (
	olistSource = "olist"
	olistZone   = "America/Sao_Paulo"
	olistLayout = "2006-01-02 15:04:05"
	olistMoney  = "BRL"
)

// origin is where a record was read.
type origin struct {
	File string
	Line int
	ID   string
}

// note is something a reader should know of a record that was taken all the same.
type note struct {
	origin
	Text string
}

// olist is the shop's data as records of ours.
type olist struct {
	customers []*customerv1.CustomerRecord
	orders    []olistOrder
	answers   []olistAnswer
	// origins are of customers by id.
	origins map[string]origin
	notes   []note
	// unplaced counts the persons whose postcode has no known point, mixed those with
	// several postcodes, empty the orders without items, items all items, lines those
	// skipped and twice the times that summer time makes doubtful.
	unplaced, mixed, empty, items, skipped, twice int
}

type olistOrder struct {
	origin
	person string
	order  *customerv1.Order
}

type olistAnswer struct {
	origin
	person string
	record *surveyv1.AnswerRecord
}

// alias is one order's name for a person.
type alias struct {
	origin
	person, zip, city, state string
}

// reader reads the tables one after another, each with what it needs of those before.
type reader struct {
	dir        string
	zone       *time.Location
	out        *olist
	positions  map[string]*customerv1.Position
	categories map[string]string // product → category
	aliases    map[string]alias
	people     []string // in the order of the file
	latest     map[string]visit
	lines      map[string][]*customerv1.OrderLine
	sums       map[string]amount
	buyers     map[string]string // order → person
}

// visit is what the orders tell of a person.
type visit struct {
	first, last time.Time
	alias       alias
	zips        []string
	orders      int
}

// readOlist reads the tables of a folder. It fails on the first value that cannot be
// read: a file that is not what it should be is not half loaded.
func readOlist(dir string) (*olist, error) {
	zone, err := time.LoadLocation(olistZone)
	if err != nil {
		return nil, err
	}
	r := &reader{
		dir: dir, zone: zone, out: &olist{origins: map[string]origin{}},
		aliases: map[string]alias{}, latest: map[string]visit{},
		lines: map[string][]*customerv1.OrderLine{}, sums: map[string]amount{}, buyers: map[string]string{},
	}
	for _, step := range []func() error{r.geolocation, r.products, r.readAliases, r.readItems, r.readOrders, r.persons, r.readReviews} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return r.out, nil
}

// geolocation takes the median of each postcode's points: single points may lie
// anywhere.
func (r *reader) geolocation() error {
	latitudes, longitudes := map[string][]float64{}, map[string][]float64{}
	err := readTable(r.dir, "geolocation.csv", []string{"geolocation_zip_code_prefix", "geolocation_lat", "geolocation_lng"}, func(row row) error {
		latitude, err := strconv.ParseFloat(row.at("geolocation_lat"), 64)
		if err != nil {
			return err
		}
		longitude, err := strconv.ParseFloat(row.at("geolocation_lng"), 64)
		if err != nil {
			return err
		}
		zip := row.at("geolocation_zip_code_prefix")
		latitudes[zip] = append(latitudes[zip], latitude)
		longitudes[zip] = append(longitudes[zip], longitude)
		return nil
	})
	r.positions = map[string]*customerv1.Position{}
	for zip := range latitudes {
		r.positions[zip] = &customerv1.Position{Latitude: median(latitudes[zip]), Longitude: median(longitudes[zip])}
	}
	return err
}

// median sorts its argument, which holds at least one value.
func median(values []float64) float64 {
	slices.Sort(values)
	middle := len(values) / 2
	if len(values)%2 == 1 {
		return values[middle]
	}
	return (values[middle-1] + values[middle]) / 2
}

func (r *reader) products() error {
	english := map[string]string{}
	err := readTable(r.dir, "product_category_translation.csv", []string{"product_category_name", "product_category_name_english"}, func(row row) error {
		english[row.at("product_category_name")] = row.at("product_category_name_english")
		return nil
	})
	if err != nil {
		return err
	}
	r.categories = map[string]string{}
	return readTable(r.dir, "products.csv", []string{"product_id", "product_category_name"}, func(row row) error {
		category := row.at("product_category_name")
		if name, ok := english[category]; ok {
			category = name
		}
		r.categories[row.at("product_id")] = category
		return nil
	})
}

func (r *reader) readAliases() error {
	columns := []string{"customer_id", "customer_unique_id", "customer_zip_code_prefix", "customer_city", "customer_state"}
	return readTable(r.dir, "customers.csv", columns, func(row row) error {
		person := row.at("customer_unique_id")
		a := alias{
			origin: origin{row.file, row.line, person}, person: person,
			zip: row.at("customer_zip_code_prefix"), city: row.at("customer_city"), state: row.at("customer_state"),
		}
		r.aliases[row.at("customer_id")] = a
		if _, ok := r.out.origins[person]; !ok {
			r.out.origins[person] = a.origin
			r.people = append(r.people, person)
		}
		return nil
	})
}

func (r *reader) readItems() error {
	return readTable(r.dir, "order_items.csv", []string{"order_id", "product_id", "price", "freight_value"}, func(row row) error {
		price, err := parseAmount(row.at("price"))
		if err != nil {
			return err
		}
		freight, err := parseAmount(row.at("freight_value"))
		if err != nil {
			return err
		}
		order, product := row.at("order_id"), row.at("product_id")
		r.lines[order] = append(r.lines[order], &customerv1.OrderLine{
			ProductModel: product, ProductCategory: r.categories[product], Quantity: 1,
			UnitPrice: price.in(olistMoney), Freight: freight.in(olistMoney),
		})
		r.sums[order] += price + freight
		r.out.items++
		return nil
	})
}

func (r *reader) readOrders() error {
	columns := []string{"order_id", "customer_id", "order_status", "order_purchase_timestamp", "order_delivered_carrier_date", "order_delivered_customer_date"}
	return readTable(r.dir, "orders.csv", columns, func(row row) error {
		id := row.at("order_id")
		a, ok := r.aliases[row.at("customer_id")]
		if !ok {
			return fmt.Errorf("customer %s is in no row of customers.csv", row.at("customer_id"))
		}
		at := origin{row.file, row.line, id}
		times, err := r.times(at, row, "order_purchase_timestamp", "order_delivered_carrier_date", "order_delivered_customer_date")
		if err != nil {
			return err
		}
		placed, shipped, delivered := times[0], times[1], times[2]
		if shipped != nil && (shipped.Before(*placed) || (delivered != nil && delivered.Before(*shipped))) {
			r.note(at, "shipped %s, which is before it was ordered or after it was delivered: left without a shipping time", stamp(*shipped))
			shipped = nil
		}
		order := &customerv1.Order{
			OrderNumber: id, OrderTime: timestamp(placed), Status: row.at("order_status"), Lines: r.lines[id],
			ShipTime: timestamp(shipped), DeliveryTime: timestamp(delivered),
		}
		if len(order.Lines) > 0 {
			order.Amount = r.sums[id].in(olistMoney)
		} else {
			r.out.empty++
		}
		r.out.orders = append(r.out.orders, olistOrder{origin: at, person: a.person, order: order})
		r.buyers[id] = a.person
		r.visit(a, *placed)
		return nil
	})
}

// visit keeps the first order, the last one's address, and every postcode of a person.
func (r *reader) visit(a alias, at time.Time) {
	v, known := r.latest[a.person]
	if !known || at.Before(v.first) {
		v.first = at
	}
	if !known || at.After(v.last) {
		v.last, v.alias = at, a
	}
	if !slices.Contains(v.zips, a.zip) {
		v.zips = append(v.zips, a.zip)
	}
	v.orders++
	r.latest[a.person] = v
}

// persons makes one customer of all aliases of a person.
func (r *reader) persons() error {
	for _, person := range r.people {
		v, ok := r.latest[person]
		if !ok {
			return fmt.Errorf("customers.csv: person %s has no order", person)
		}
		position, ok := r.positions[v.alias.zip]
		if !ok {
			r.out.unplaced++
		}
		if len(v.zips) > 1 {
			r.out.mixed++
			r.note(r.out.origins[person], "has the postcodes %v: that of the latest order, %s, is taken", v.zips, v.alias.zip)
		}
		lifecycle := customerv1.Lifecycle_LIFECYCLE_NEW
		if v.orders > 1 {
			lifecycle = customerv1.Lifecycle_LIFECYCLE_LONG_TERM
		}
		r.out.customers = append(r.out.customers, &customerv1.CustomerRecord{
			ExternalId: person, CreateTime: timestamppb.New(v.first),
			Customer: &customerv1.Customer{
				// The source names nobody.
				Name: "Cliente " + person[:min(8, len(person))], Kind: customerv1.CustomerKind_CUSTOMER_KIND_DIRECT_USER,
				Party: customerv1.Party_PARTY_PERSON, Region: v.alias.state, SourceChannel: olistSource, Lifecycle: lifecycle, Language: "en",
				Address: &customerv1.Address{
					City: v.alias.city, Province: v.alias.state, PostalCode: v.alias.zip, CountryCode: "BR", Position: position,
				},
			},
		})
	}
	return nil
}

func (r *reader) readReviews() error {
	columns := []string{"review_id", "order_id", "review_score", "review_comment_title", "review_comment_message", "review_creation_date", "review_answer_timestamp"}
	return readTable(r.dir, "order_reviews.csv", columns, func(row row) error {
		order := row.at("order_id")
		// One review id may stand with several orders.
		at := origin{row.file, row.line, row.at("review_id") + "/" + order}
		score, err := strconv.ParseInt(row.at("review_score"), 10, 32)
		if err != nil {
			return err
		}
		times, err := r.times(at, row, "review_creation_date", "review_answer_timestamp")
		if err != nil {
			return err
		}
		record := &surveyv1.AnswerRecord{
			ExternalId: at.ID, OrderNumber: order, InviteTime: timestamp(times[0]), AnswerTime: timestamp(times[1]),
			Responses: []*surveyv1.Response{{QuestionKey: ratingKey, Value: &surveyv1.Response_Score{Score: int32(score)}}},
		}
		for _, free := range [][2]string{{titleKey, "review_comment_title"}, {commentKey, "review_comment_message"}} {
			if text := row.at(free[1]); text != "" {
				record.Responses = append(record.Responses, &surveyv1.Response{QuestionKey: free[0], Value: &surveyv1.Response_Text{Text: text}})
			}
		}
		r.out.answers = append(r.out.answers, olistAnswer{origin: at, person: r.buyers[order], record: record})
		return nil
	})
}

// times reads columns of local times; an empty one but the first gives nil.
func (r *reader) times(at origin, row row, columns ...string) ([]*time.Time, error) {
	times := make([]*time.Time, len(columns))
	for i, column := range columns {
		text := row.at(column)
		if text == "" && i > 0 {
			continue
		}
		t, fit, err := local(olistLayout, text, r.zone)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", column, err)
		}
		switch fit {
		case twice:
			r.out.twice++
			r.note(at, "%s %s was shown twice by the clock of %s: the first is taken", column, text, r.zone)
		case skipped:
			r.out.skipped++
			r.note(at, "%s %s was skipped by the clock of %s: taken as %s", column, text, r.zone, stamp(t))
		}
		times[i] = &t
	}
	return times, nil
}

func (r *reader) note(at origin, format string, args ...any) {
	r.out.notes = append(r.out.notes, note{at, fmt.Sprintf(format, args...)})
}

func timestamp(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(*t)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
