package organisation

import (
	"math"
	"strings"

	"github.com/google/uuid"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// Route says which department gets tickets of a type, of a product, or of both; the zero
// type and the empty product are every one.
type Route struct {
	ID, Department uuid.UUID
	Type           ticketv1.TicketType
	Product        string
}

// Product is the form in which products are compared.
func Product(model string) string { return strings.ToLower(strings.TrimSpace(model)) }

// CheckRoute refuses a route for everything: that is what the default is for.
func CheckRoute(kind ticketv1.TicketType, product string) error {
	if kind != 0 || product != "" {
		return nil
	}
	return rpcerr.Invalid("type", rpcerr.T(
		"neither a type nor a product is given; give one of them or both",
		"类型和产品均未填写；请至少填写其一"))
}

// PickRoute gives the route that fits a ticket best: one for its type and product, for its
// product, for its type; false for none.
func PickRoute(routes []Route, kind ticketv1.TicketType, product string) (best Route, ok bool) {
	rank := 0
	for _, r := range routes {
		fits := (r.Type == 0 || r.Type == kind) && (r.Product == "" || r.Product == product)
		n := 1
		if r.Type != 0 {
			n++
		}
		if r.Product != "" {
			n += 2
		}
		if fits && n > rank {
			best, rank = r, n
		}
	}
	return best, rank > 0
}

// FunctionFor is what a department does that gets tickets of a type by default.
func FunctionFor(kind ticketv1.TicketType) ticketv1.DepartmentFunction {
	switch kind {
	case ticketv1.TicketType_TICKET_TYPE_TECHNICAL_PROBLEM:
		return ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_TECHNICAL_SUPPORT
	case ticketv1.TicketType_TICKET_TYPE_REPAIR, ticketv1.TicketType_TICKET_TYPE_RETURN, ticketv1.TicketType_TICKET_TYPE_INSTALLATION:
		return ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_AFTER_SALES
	}
	return ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_CUSTOMER_SERVICE
}

const earthRadiusKM = 6371.0088

// Distance is the great-circle distance of two places in kilometres, given in degrees.
func Distance(latA, lonA, latB, lonB float64) float64 {
	rad := math.Pi / 180
	dLat, dLon := (latB-latA)*rad, (lonB-lonA)*rad
	h := math.Pow(math.Sin(dLat/2), 2) + math.Cos(latA*rad)*math.Cos(latB*rad)*math.Pow(math.Sin(dLon/2), 2)
	return 2 * earthRadiusKM * math.Asin(math.Sqrt(math.Min(1, h)))
}
