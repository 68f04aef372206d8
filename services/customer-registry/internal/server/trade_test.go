package server_test

import (
	"google.golang.org/grpc"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
)

// trade are the clients of what is bought, installed and worth.
type trade struct {
	purchases  customerv1.PurchaseServiceClient
	warranties customerv1.WarrantyServiceClient
	tiers      customerv1.TierServiceClient
	imports    customerv1.CustomerImportServiceClient
	exports    customerv1.CustomerExportServiceClient
}

func newTrade(on grpc.ClientConnInterface) trade {
	return trade{
		purchases: customerv1.NewPurchaseServiceClient(on), warranties: customerv1.NewWarrantyServiceClient(on),
		tiers: customerv1.NewTierServiceClient(on), imports: customerv1.NewCustomerImportServiceClient(on),
		exports: customerv1.NewCustomerExportServiceClient(on),
	}
}
