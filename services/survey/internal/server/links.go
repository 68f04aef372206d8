package server

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"

	"google.golang.org/grpc/codes"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
)

// LinkKeyLabel is the label under which the key of links is derived from the keyring.
const LinkKeyLabel = "survey-link"

// tokenBytes are random; in base64url they make 32 characters.
const tokenBytes = 24

// links makes the tokens of invitations. Only a keyed hash of a token is kept and looked
// up, so neither the database nor the time a search takes says anything about tokens.
type links struct{ key []byte }

func (l links) issue() (token string, hash []byte) {
	random := make([]byte, tokenBytes)
	_, _ = rand.Read(random) // never fails
	token = base64.RawURLEncoding.EncodeToString(random)
	return token, l.hash(token)
}

func (l links) hash(token string) []byte {
	mac := hmac.New(sha256.New, l.key)
	mac.Write([]byte(token))
	return mac.Sum(nil)
}

// unknownLink does not repeat the token: it may be one mistyped character from a real one.
func unknownLink() error {
	return rpcerr.New(codes.NotFound, "INVITATION_NOT_FOUND", rpcerr.T(
		"There is no invitation behind this link; use the newest link you were sent, unchanged.",
		"该链接没有对应的邀请；请原样使用最近收到的链接。"))
}

// ofLink is a request by link whose request id counts only together with the link. Everyone
// without credentials is the same caller, and so nobody can block or replay what another
// sends by using the same request id.
type ofLink struct {
	write.Request
	hash []byte
}

// linked binds the request id of req to the link with that hash.
func linked(req write.Request, hash []byte) write.Request { return ofLink{Request: req, hash: hash} }

// GetRequestId overrides that of the request.
func (r ofLink) GetRequestId() string {
	id := r.Request.GetRequestId()
	if id == "" {
		return ""
	}
	return id + "@" + hex.EncodeToString(r.hash[:16])
}
