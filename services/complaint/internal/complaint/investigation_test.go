package complaint_test

import (
	"testing"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/type/money"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
)

func TestWhatAnInvestigationDemands(t *testing.T) {
	loss := []complaintv1.Consequence{complaintv1.Consequence_CONSEQUENCE_LOSS}
	for name, test := range map[string]struct {
		in    *complaintv1.Investigation
		right bool
	}{
		"nothing more":         {&complaintv1.Investigation{}, true},
		"a loss":               {&complaintv1.Investigation{Consequences: loss, Loss: &money.Money{CurrencyCode: "CNY", Units: 1}}, true},
		"a loss of no amount":  {&complaintv1.Investigation{Consequences: loss}, true},
		"an amount of no loss": {&complaintv1.Investigation{Loss: &money.Money{CurrencyCode: "CNY", Units: 1}}, false},
		"no currency":          {&complaintv1.Investigation{Consequences: loss, Loss: &money.Money{Units: 1}}, false},
	} {
		if err := complaint.Findings(test.in); (err == nil) != test.right {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatQualityControlConfirms(t *testing.T) {
	const quality, human = complaintv1.Quality_QUALITY_QUALITY, complaintv1.Quality_QUALITY_NON_QUALITY
	if complaint.Measures(&complaintv1.Inspection{Quality: quality}) == nil {
		t.Error("of quality without measures")
	}
	for _, i := range []*complaintv1.Inspection{{Quality: human}, {Quality: quality, Measures: "sort the lot"}} {
		if err := complaint.Measures(i); err != nil {
			t.Errorf("%v: %v", i, err)
		}
	}
	if got := reason(t, complaint.Confirmed(quality, false)); got != "QUALITY_NOT_CONFIRMED complaint.quality-confirmation/1" {
		t.Error(got)
	}
	if complaint.Confirmed(quality, true) != nil || complaint.Confirmed(human, false) != nil {
		t.Error("confirmed, or not of quality, is refused")
	}
	if got := reason(t, complaint.Inspector(complaint.Caller{Staff: ann}, ann)); got != "INSPECTOR_HANDLES complaint.inspector/1" {
		t.Error(got)
	}
	if complaint.Inspector(complaint.Caller{Staff: ann}, bob) != nil || complaint.Inspector(complaint.Caller{}, uuid.Nil) != nil {
		t.Error("another inspector is refused")
	}
}

func TestACauseIsNotBelowItself(t *testing.T) {
	parents := map[uuid.UUID]uuid.UUID{bob: ann, qc: bob, it: uuid.Nil, ann: uuid.Nil}
	for name, test := range map[string]struct {
		cause, parent uuid.UUID
		right         bool
	}{
		"at the top": {ann, uuid.Nil, true}, "below another": {qc, it, true}, "below itself": {ann, ann, false},
		"below its grandchild": {ann, qc, false}, "below its grandparent": {qc, ann, true},
	} {
		if err := complaint.Ancestry(test.cause, test.parent, parents); (err == nil) != test.right || err != nil && rpcerr.Reason(err) != "CAUSE_CYCLE" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if complaint.Ancestry(it, ann, map[uuid.UUID]uuid.UUID{ann: bob, bob: ann}) != nil {
		t.Error("a circle of others is endless")
	}
}
