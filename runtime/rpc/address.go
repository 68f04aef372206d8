package rpc

import (
	"context"
	"net"
	"net/netip"
	"strings"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/kefu-suite/kefu/runtime/authn"
)

// OriginKey carries the address of a call's first caller from one service of the suite to the
// next. It is reserved: believed from a peer with a certificate only, and seen by no handler.
const OriginKey = authn.ReservedPrefix + "origin"

// Address gives from where the call that ctx belongs to was begun: the peer's address; behind
// the gateway that of its caller, and in a call that a service made for its own caller that of
// the latter. The zero Addr is an address that is not known, as outside of a call. What anyone
// else says of where they are is not believed.
func Address(ctx context.Context) netip.Addr { return requestOf(ctx).address }

// addressOf finds the address of an incoming call. Whoever may pass on another's credential may
// say from where it came: the gateway (forwarder) in the header of proxies, services in OriginKey.
func addressOf(ctx context.Context, md metadata.MD, forwarder string) netip.Addr {
	said := ""
	switch service := authn.PeerService(ctx); service {
	case "":
	case forwarder:
		// The last address is the one that the gateway added.
		if all := md.Get(ForwardedKey); len(all) > 0 {
			last := all[len(all)-1]
			said = strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
		}
	default:
		said = first(md, OriginKey)
	}
	if a, err := netip.ParseAddr(said); err == nil {
		return plain(a)
	}
	return peerAddress(ctx)
}

func peerAddress(ctx context.Context) netip.Addr {
	p, ok := peer.FromContext(ctx)
	if !ok || p.Addr == nil {
		return netip.Addr{}
	}
	if tcp, ok := p.Addr.(*net.TCPAddr); ok {
		return plain(tcp.AddrPort().Addr())
	}
	at, err := netip.ParseAddrPort(p.Addr.String())
	if err != nil { // a connection in memory, or a socket file
		return netip.Addr{}
	}
	return plain(at.Addr())
}

// plain gives equal addresses one form.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }
