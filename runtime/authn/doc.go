// Package authn establishes who is calling.
//
// A caller is known in one of three ways, and in no other: by an OIDC access token
// (Verifier), by the gateway's short token presented by a peer with a certificate of
// the suite (GatewayVerifier), or by that certificate alone (PeerService). A call with
// none of them is Public; a call with a bad one is refused, never demoted to Public.
// Nothing is ever taken from bare metadata.
package authn
