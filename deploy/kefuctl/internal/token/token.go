// Package token mints development tokens for the people, customers and systems of a
// local stack.
package token

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kefu-suite/kefu/runtime/devissuer"
)

// The audiences of tokens.
const (
	audience         = "kefu"
	customerAudience = "kefu-customers"
	customerRole     = "customer"
)

// Roles are those the services know. The table itself belongs to the services, which
// this program does not link; a test holds the two against each other.
func Roles() []string {
	return []string{
		"service-manager", "service-supervisor", "service-agent", "support-engineer",
		"after-sales-specialist", "crm-specialist", "information-administrator", "qc-inspector",
		"salesperson", "sales-manager", "company-manager", "auditor", customerRole,
	}
}

// Request says whom a token is for: a person with roles, a customer, or a service
// account with permissions.
type Request struct {
	Roles []string
	// Staff is the subject of a person: the id of a member of staff, unless the
	// directory names another. Empty takes "dev-" and the first role.
	Staff string
	// Customer is the id of a customer, who has the role customer.
	Customer string
	// Account is the name of a service account.
	Account     string
	Permissions []string
	// Lifetime is at most an hour; an hour if zero.
	Lifetime time.Duration
}

// Mint makes the token. It fails, saying what would be right, on an unknown role and on
// a request that is for nobody or for several.
func Mint(issuer *devissuer.Issuer, r Request) (string, error) {
	claims, err := r.claims()
	if err != nil {
		return "", err
	}
	return issuer.Mint(claims)
}

func (r Request) claims() (devissuer.Claims, error) {
	c := devissuer.Claims{Audience: audience, Lifetime: r.Lifetime}
	if r.Lifetime < 0 || r.Lifetime > devissuer.DefaultLifetime {
		return c, fmt.Errorf("--ttl %s: a token lives at most %s", r.Lifetime, devissuer.DefaultLifetime)
	}
	for _, role := range r.Roles {
		if !slices.Contains(Roles(), role) {
			return c, fmt.Errorf("unknown role %q; the roles are %s", role, strings.Join(Roles(), ", "))
		}
	}
	person := r.Staff != "" || slices.ContainsFunc(r.Roles, func(role string) bool { return role != customerRole })
	customer := r.Customer != "" || slices.Contains(r.Roles, customerRole)
	account := r.Account != "" || len(r.Permissions) > 0
	switch {
	case (person && customer) || (person && account) || (customer && account):
		return c, errors.New("a token is for one of a person (--role, --staff), a customer (--customer) and a service account (--service-account, --permission)")
	case account && (r.Account == "" || len(r.Permissions) == 0):
		return c, errors.New("a service account needs its name and its permissions: --service-account erp --permission orders.write")
	case account:
		c.Subject, c.Permissions = r.Account, r.Permissions
	case customer && r.Customer == "":
		return c, errors.New("a customer's token needs the customer's id: --customer ID")
	case customer:
		c.Audience, c.Subject, c.Roles = customerAudience, r.Customer, []string{customerRole}
	case len(r.Roles) == 0:
		return c, fmt.Errorf("a person's token needs a role; the roles are %s", strings.Join(Roles(), ", "))
	default:
		c.Subject, c.Roles = r.Staff, r.Roles
		if c.Subject == "" {
			c.Subject = "dev-" + r.Roles[0]
		}
	}
	return c, nil
}
