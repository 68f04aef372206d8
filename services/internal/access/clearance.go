package access

import (
	"context"
	"slices"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/authz"
)

// Purposes for which data is kept, as they stand in data rules. Who works for a purpose
// sees its data; nobody sees data because they see other data of the same level.
const (
	// ForService is the customer file: to serve the customer over the years.
	ForService = "service"
	// ForCase is what people told with one ticket or complaint, to settle it.
	ForCase = "case"
	// ForWork is who does what in the company, and what it makes of a case.
	ForWork = "work"
	// ForInvitation is the link by which a customer answers without signing in.
	ForInvitation = "invitation"
)

const (
	internal     = accessv1.Sensitivity_SENSITIVITY_INTERNAL
	confidential = accessv1.Sensitivity_SENSITIVITY_CONFIDENTIAL
	restricted   = accessv1.Sensitivity_SENSITIVITY_RESTRICTED
)

// shown is a clearance without anything masked.
func shown(purpose string, level accessv1.Sensitivity) authz.Clearance {
	return authz.Clearance{Purpose: purpose, Shown: level}
}

// staff is what everyone who may be given a case sees, and what is more for a role. How
// those who reported a case are reached is not in it.
func staff(more ...authz.Clearance) []authz.Clearance {
	return append([]authz.Clearance{shown(ForWork, internal), shown(ForCase, internal)}, more...)
}

// desk is the customer service department: who takes a case in hears the reporter's phone
// anyway, and gets customer files masked.
func desk() []authz.Clearance {
	return staff(shown(ForCase, confidential),
		authz.Clearance{Purpose: ForService, Shown: internal, Masked: confidential})
}

// OpenCasesOnly tells whether the caller may know how somebody is reached only while their
// case is open: after-sales specialists, unless another of their roles knows it anyway.
func OpenCasesOnly(ctx context.Context) bool {
	i := authn.FromContext(ctx)
	return i.Kind == authn.Person && slices.Contains(i.Roles, AfterSalesSpecialist) &&
		!slices.ContainsFunc(i.Roles, func(r string) bool {
			return r == ServiceManager || r == ServiceSupervisor || r == ServiceAgent
		})
}
