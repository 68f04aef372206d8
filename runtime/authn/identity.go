package authn

import (
	"context"
	"encoding/binary"
	"time"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
)

// Kind is what sort of caller an Identity is. The zero value is the one with the
// fewest rights.
type Kind int

const (
	// Public is a caller without credentials.
	Public Kind = iota
	// Person is a member of staff, by access token.
	Person
	// Customer is a customer, by an access token of the customers' audience.
	Customer
	// ServiceAccount is an outside system with a token of its own, e.g. the ERP.
	ServiceAccount
	// Service is a program of the suite, by certificate alone.
	Service
)

var kindNames = [...]string{"public", "person", "customer", "service-account", "service"}

// String names the kind as gateway tokens and logs do; an unknown one is "public".
func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return kindNames[Public]
	}
	return kindNames[k]
}

func parseKind(name string) (Kind, bool) {
	for i, n := range kindNames {
		if n == name {
			return Kind(i), true
		}
	}
	return Public, false
}

// CustomerRole is the role of every customer and of nobody else: a person's token that
// claims it does not get it.
const CustomerRole = "customer"

// GatewayService is the one program that speaks for callers who are not services.
const GatewayService = "gateway"

// Identity is a caller whose credentials were verified. It is a value: copy it freely,
// but do not change the slices.
type Identity struct {
	Kind Kind
	// Issuer and Subject name a person, customer or service account; for a customer
	// Subject is the customer's id in canonical UUID form.
	Issuer, Subject string
	// Roles of a person (from the token) or a customer (CustomerRole).
	Roles []string
	// Permissions of a service account, exactly as listed in its token.
	Permissions []string
	// Service is the name in the certificate, for Kind Service only.
	Service string
	// Until is when the access token expires that the caller signed in with, also behind the
	// gateway; zero for a certificate and for nobody.
	Until time.Time
}

// Actor names the caller for audit records and idempotency keys: "issuer|subject", the
// service's name, or "public". It is unique among callers: subjects of two issuers
// never meet, and a service name holds no "|".
func (i Identity) Actor() string {
	switch i.Kind {
	case Person, Customer, ServiceAccount:
		return i.Issuer + "|" + i.Subject
	case Service:
		return i.Service
	default:
		return "public"
	}
}

// ActorKind is the Kind in the vocabulary of events.
func (i Identity) ActorKind() eventv1.ActorKind {
	switch i.Kind {
	case Person:
		return eventv1.ActorKind_ACTOR_KIND_PERSON
	case Customer:
		return eventv1.ActorKind_ACTOR_KIND_CUSTOMER
	case ServiceAccount:
		return eventv1.ActorKind_ACTOR_KIND_SERVICE_ACCOUNT
	case Service:
		return eventv1.ActorKind_ACTOR_KIND_SERVICE
	default:
		return eventv1.ActorKind_ACTOR_KIND_PUBLIC
	}
}

// encode gives texts that are equal for equal identities only.
func (i Identity) encode() string {
	var b []byte
	add := func(s string) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	b = append(b, byte(i.Kind))
	add(i.Issuer)
	add(i.Subject)
	add(i.Service)
	b = binary.AppendVarint(b, i.Until.Unix())
	for _, list := range [][]string{i.Roles, i.Permissions} {
		b = binary.AppendUvarint(b, uint64(len(list)))
		for _, s := range list {
			add(s)
		}
	}
	return string(b)
}

type identityKey struct{}

// NewContext returns a context that carries the identity. Only interceptors, consumers
// and jobs (which act as their service) and tests call it.
func NewContext(ctx context.Context, i Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, i)
}

// FromContext returns the identity, or the Public one if none was established.
func FromContext(ctx context.Context) Identity {
	i, _ := ctx.Value(identityKey{}).(Identity)
	return i
}
