// Package page seals the cursors of lists.
//
// A page token is ciphertext bound to the caller and to the request it came
// from, so a caller cannot read, forge or lend one, nor carry one over to other
// filters.
package page

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// The sizes of pages; above MaxSize the request's validation rule refuses.
const (
	DefaultSize = 50
	MaxSize     = 500
)

// life is how long a token may be used.
const life = 24 * time.Hour

// Size gives the number of rows for a requested page_size: the default for 0,
// never more than MaxSize.
func Size(requested int32) int32 {
	if requested <= 0 {
		return DefaultSize
	}
	return min(requested, MaxSize)
}

// Sealer makes and opens page tokens. It is safe for concurrent use.
type Sealer struct {
	aead cipher.AEAD
	now  func() time.Time
}

// NewSealer makes a Sealer from 32 bytes of key; all replicas of a service need
// the same. It fails for a key of another length.
func NewSealer(key []byte, now func() time.Time) (*Sealer, error) {
	if len(key) != 32 {
		return nil, fmt.Errorf("page: the key has %d bytes, it needs 32", len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("page: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("page: %w", err)
	}
	return &Sealer{aead: aead, now: now}, nil
}

// Seal makes the next_page_token for the rows after cursor. It is valid for the
// same caller, the same request but for page_size and page_token,
// and 24 hours. An empty cursor gives an empty token: there is no next page.
func (s *Sealer) Seal(ctx context.Context, req proto.Message, cursor string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	binding, err := bind(ctx, req)
	if err != nil {
		return "", err
	}
	plain := binary.BigEndian.AppendUint64(nil, uint64(s.now().Add(life).Unix()))
	plain = append(plain, cursor...)
	sealed := s.aead.Seal(nil, nil, plain, binding)
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

// Open gives the cursor of a token that Seal made, "" for an empty token. A
// token that is tampered with, expired, or from another caller or other filters
// gives a public INVALID_ARGUMENT on page_token, which does not say which.
func (s *Sealer) Open(ctx context.Context, req proto.Message, token string) (string, error) {
	if token == "" {
		return "", nil
	}
	sealed, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return "", refused()
	}
	binding, err := bind(ctx, req)
	if err != nil {
		return "", err
	}
	plain, err := s.aead.Open(nil, nil, sealed, binding)
	if err != nil || len(plain) < 8 {
		return "", refused()
	}
	if until := time.Unix(int64(binary.BigEndian.Uint64(plain)), 0); !s.now().Before(until) {
		return "", refused()
	}
	return string(plain[8:]), nil
}

func refused() error {
	return rpcerr.Invalid("page_token", rpcerr.T(
		"the token is not valid for this caller and these filters, or is older than 24 hours; "+
			"give the next_page_token of the same list unchanged, or start again without one.",
		"该分页令牌不适用于当前调用者和筛选条件，或已超过 24 小时；"+
			"请原样传入同一列表返回的 next_page_token，或不带令牌重新开始。"))
}

// bind is the associated data: who asks for what. The paging fields are cleared
// on a copy, so that a client may change the size of pages on its way.
func bind(ctx context.Context, req proto.Message) ([]byte, error) {
	clean := proto.Clone(req)
	m := clean.ProtoReflect()
	for _, name := range []protoreflect.Name{"page_size", "page_token"} {
		if fd := m.Descriptor().Fields().ByName(name); fd != nil {
			m.Clear(fd)
		}
	}
	wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(clean)
	if err != nil {
		return nil, fmt.Errorf("page: marshal the request: %w", err)
	}
	h := sha256.New()
	for _, part := range [][]byte{
		[]byte(authn.FromContext(ctx).Actor()), []byte(m.Descriptor().FullName()), wire,
	} {
		// A length before each part keeps two different splits from meeting.
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		h.Write(part)
	}
	return h.Sum(nil), nil
}
