package authn

import (
	"errors"
	"fmt"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// Reasons of the public errors this package makes.
const (
	ReasonInvalid = "TOKEN_INVALID"
	ReasonExpired = "TOKEN_EXPIRED"
)

// Check names the rule a token broke. It is for logs and tests; the caller only learns
// invalid or expired, so that a forger learns nothing from the answers.
type Check string

// The checks, in the order in which they are made.
const (
	CheckSize       Check = "size"
	CheckFormat     Check = "format"
	CheckAlgorithm  Check = "algorithm"
	CheckCritical   Check = "crit"
	CheckType       Check = "type"
	CheckIssuer     Check = "issuer"
	CheckKey        Check = "key"
	CheckProvider   Check = "provider"
	CheckSignature  Check = "signature"
	CheckExpiry     Check = "expired"
	CheckNotBefore  Check = "not-before"
	CheckLifetime   Check = "lifetime"
	CheckAudience   Check = "audience"
	CheckSubject    Check = "subject"
	CheckClaims     Check = "claims"
	CheckPeer       Check = "peer"
	CheckCredential Check = "credential"
)

// Refusal is why a credential was not accepted. Its text may quote the token's claims
// and is private; Public is what the caller may see.
type Refusal struct {
	Check Check
	cause error
}

func refuse(check Check, format string, args ...any) *Refusal {
	return &Refusal{Check: check, cause: fmt.Errorf(format, args...)}
}

// Error says which check failed and how.
func (r *Refusal) Error() string { return fmt.Sprintf("authn: %s: %v", r.Check, r.cause) }

// Unwrap gives the underlying error.
func (r *Refusal) Unwrap() error { return r.cause }

// Public is the error for the caller: UNAUTHENTICATED with TOKEN_INVALID or
// TOKEN_EXPIRED and a constant text, or UNAVAILABLE where the provider's keys could not
// be had and so nothing is known about the token.
func (r *Refusal) Public() *rpcerr.Error {
	switch r.Check {
	case CheckProvider:
		return rpcerr.Unavailable("identity-provider")
	case CheckExpiry:
		return rpcerr.Unauthenticated(ReasonExpired, rpcerr.T(
			"The access token has expired; sign in again.", "访问令牌已过期，请重新登录。"))
	default:
		return rpcerr.Unauthenticated(ReasonInvalid, rpcerr.T(
			"The access token is not valid here; sign in again.", "访问令牌无效，请重新登录。"))
	}
}

// PublicError turns an error of Verify into the one the caller may see. An error that is
// not a Refusal is returned as it is.
func PublicError(err error) error {
	var r *Refusal
	if errors.As(err, &r) {
		return r.Public()
	}
	return err
}
