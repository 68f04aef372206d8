package complaint

import (
	"strings"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
)

// CategoryName is the category as people write it: `product_quality`.
func CategoryName(c complaintv1.Category) string {
	return strings.ToLower(strings.TrimPrefix(c.String(), "CATEGORY_"))
}

// Routes gives what the departments do that a complaint goes to unless its review names
// another, best first. The one that is itself complained about is passed over; the company's
// management comes last and is never passed over. A category without a route gives none.
func Routes(category complaintv1.Category, concerned ticketv1.DepartmentFunction) []ticketv1.DepartmentFunction {
	const last = ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_COMPANY_MANAGEMENT
	first := ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_UNSPECIFIED
	switch category {
	case complaintv1.Category_CATEGORY_PRODUCT_QUALITY:
		first = ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_QUALITY_CONTROL
	case complaintv1.Category_CATEGORY_AFTER_SALES_SERVICE:
		first = ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_AFTER_SALES
	case complaintv1.Category_CATEGORY_ORDER_PROCESSING, complaintv1.Category_CATEGORY_PRICE, complaintv1.Category_CATEGORY_LOGISTICS:
		first = ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_SALES_AND_SUPPLY
	case complaintv1.Category_CATEGORY_SERVICE_ATTITUDE:
		first = ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_CUSTOMER_SERVICE
	default:
		return nil
	}
	if first == concerned {
		return []ticketv1.DepartmentFunction{last}
	}
	return []ticketv1.DepartmentFunction{first, last}
}
