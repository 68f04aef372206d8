package access

import "github.com/kefu-suite/kefu/runtime/authz"

// askers may ask for a file that is not open to them, and use the grant they get. They report
// what they learn of a customer.
func askers() []authz.Grant {
	return grants(requesters(), reporters())
}

func requesters() []authz.Grant {
	return at(own, "accessrequests.create", "accessrequests.read", "grants.use")
}

// reporters report changes of files and see what became of their reports.
func reporters() []authz.Grant { return at(own, "changereports.create", "changereports.read") }

// breakers may also open a file in an emergency, before anybody agreed: those who deal with
// any customer anyway. Engineers, who get no contact data, and after-sales specialists, who get
// none but of the customers they go to, ask.
func breakers() []authz.Grant {
	return grants(askers(), at(own, "breakglass.use", "breakglass.read"))
}

// deciders decide on what others ask for and review what others opened. Their own requests
// are decided by one another.
func deciders() []authz.Grant {
	return grants(
		at(own, "accessrequests.create", "grants.use", "breakglass.use"), reporters(),
		at(company, "accessrequests.read", "accessrequests.decide", "breakglass.read", "breakglass.review"),
	)
}

// reviewer is the auditor, whose one write is the signature under the quarterly review.
func reviewer() []authz.Grant {
	return at(company, "accessrequests.read", "breakglass.read", "accessreviews.read", "accessreviews.sign")
}

// rightsDesk takes what people ask for about their own data, and decides on what others asked
// for.
func rightsDesk() []authz.Grant {
	return at(company, "subjectrequests.create", "subjectrequests.decide")
}
