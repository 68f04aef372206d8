package complaint_test

import (
	"slices"
	"testing"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
)

func TestWhereComplaintsGo(t *testing.T) {
	const (
		nobody     = ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_UNSPECIFIED
		quality    = ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_QUALITY_CONTROL
		afterSales = ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_AFTER_SALES
		sales      = ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_SALES_AND_SUPPLY
		service    = ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_CUSTOMER_SERVICE
		company    = ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_COMPANY_MANAGEMENT
	)
	for category, first := range map[complaintv1.Category]ticketv1.DepartmentFunction{
		complaintv1.Category_CATEGORY_PRODUCT_QUALITY: quality, complaintv1.Category_CATEGORY_AFTER_SALES_SERVICE: afterSales,
		complaintv1.Category_CATEGORY_ORDER_PROCESSING: sales, complaintv1.Category_CATEGORY_LOGISTICS: sales,
		complaintv1.Category_CATEGORY_PRICE: sales, complaintv1.Category_CATEGORY_SERVICE_ATTITUDE: service,
	} {
		if got := complaint.Routes(category, nobody); !slices.Equal(got, []ticketv1.DepartmentFunction{first, company}) {
			t.Errorf("%v: %v", category, got)
		}
		if got := complaint.Routes(category, first); !slices.Equal(got, []ticketv1.DepartmentFunction{company}) {
			t.Errorf("%v about the department itself: %v", category, got)
		}
	}
	for _, category := range []complaintv1.Category{complaintv1.Category_CATEGORY_OTHER, complaintv1.Category_CATEGORY_UNSPECIFIED} {
		if got := complaint.Routes(category, nobody); got != nil {
			t.Errorf("%v: %v", category, got)
		}
	}
}
