package audit

import (
	"context"
	"net/netip"
	"time"

	"github.com/google/uuid"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/rpc"
)

// Origin says who made the change, on whose call and from where.
type Origin struct {
	Time      time.Time
	Actor     string
	ActorKind eventv1.ActorKind
	RequestID string
	// CauseEventID is the event a consumer acted on; zero where a caller acted.
	CauseEventID uuid.UUID
	// Address is from where the caller acted; the zero Prefix where that is unknown, and for
	// work in the background.
	Address netip.Prefix
}

// Called is the origin of what the caller of the RPC that ctx belongs to does at the instant
// now. The address is that of rpc.Address: of staff and systems whole, of customers and
// unknown callers their network only, because an address is personal data and a record can
// never be erased.
func Called(ctx context.Context, now time.Time) Origin {
	caller := authn.FromContext(ctx)
	return Origin{
		Time: now, Actor: caller.Actor(), ActorKind: caller.ActorKind(), RequestID: rpc.RequestID(ctx),
		Address: kept(caller.Kind, rpc.Address(ctx)),
	}
}

// The networks that stand for addresses: what an access provider gives to many, for IPv6 to one site.
const (
	networkBits4 = 24
	networkBits6 = 48
)

func kept(kind authn.Kind, a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if kind == authn.Customer || kind == authn.Public {
		bits = networkBits6
		if a.Is4() {
			bits = networkBits4
		}
	}
	network, err := a.Prefix(bits)
	if err != nil { // there is no address
		return netip.Prefix{}
	}
	return network
}

// addressText is the address alone where it is one, or the network.
func addressText(p netip.Prefix) string {
	switch {
	case !p.IsValid():
		return ""
	case p.IsSingleIP():
		return p.Addr().String()
	}
	return p.String()
}

// parseAddress reads what addressText writes; of a network any address in it will do.
func parseAddress(text string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(text); err == nil {
		a = a.Unmap().WithZone("")
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(text)
	return p.Masked(), err == nil
}
