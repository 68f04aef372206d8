// Package intake is what is asked of messages from outside before anything believes them, and
// which case they belong to. It does no I/O.
package intake

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

const (
	// Window is how far the time of a signed message may be off.
	Window = 5 * time.Minute
	// KeepSecret is how long a secret stays valid beside its successor, unless told otherwise.
	KeepSecret = 24 * time.Hour
	// PassAfter is how soon after it was given a pass is good, PassFor until when.
	PassAfter = 3 * time.Second
	PassFor   = 2 * time.Hour
	// maxTitle is how long the title of a ticket may be.
	maxTitle = 200
)

// Secret derives the secret of a connector of a generation from a key of the service's own.
func Secret(key []byte, id [16]byte, generation int32) string {
	mac := hmac.New(sha256.New, key)
	mac.Write(id[:])
	_ = binary.Write(mac, binary.BigEndian, generation) // a hash never fails
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Sign gives the signature of a message in lower-case hexadecimal.
func Sign(secret, messageID string, timestamp int64, payload string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(messageID + "." + strconv.FormatInt(timestamp, 10) + "." + payload))
	return hex.EncodeToString(mac.Sum(nil))
}

// Signed tells whether one of the secrets signed a message, at a time near enough.
func Signed(secrets []string, signature, messageID string, timestamp int64, payload string, now time.Time) bool {
	right := false
	for _, secret := range secrets {
		// Every secret is tried, so that the time says nothing about which one it was.
		if hmac.Equal([]byte(Sign(secret, messageID, timestamp, payload)), []byte(signature)) {
			right = true
		}
	}
	// In seconds, since a timestamp may be too large for a duration.
	off := now.Unix() - timestamp
	return right && off <= int64(Window.Seconds()) && off >= -int64(Window.Seconds())
}

// NewPass makes a pass for the contact form out of random bytes.
func NewPass(key []byte, random [12]byte, at time.Time) string {
	body := binary.BigEndian.AppendUint64(random[:], uint64(at.UnixMilli()))
	return base64.RawURLEncoding.EncodeToString(append(body, seal(key, body)...))
}

func seal(key, body []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(body)
	return mac.Sum(nil)
}

// Pass reads one that is good now: its id, which belongs to no other.
func Pass(key []byte, pass string, now time.Time) (id string, good bool) {
	raw, err := base64.RawURLEncoding.DecodeString(pass)
	if err != nil || len(raw) != 12+8+sha256.Size || !hmac.Equal(seal(key, raw[:20]), raw[20:]) {
		return "", false
	}
	at := time.UnixMilli(int64(binary.BigEndian.Uint64(raw[12:20])))
	return hex.EncodeToString(raw[:12]), !now.Before(at.Add(PassAfter)) && now.Before(at.Add(PassFor))
}

// Joinable tells the states in which a case takes up what the customer says.
func Joinable(s ticket.State) bool { return ticket.Open(s) || s == ticket.Resolved }

// Lines splits a text into the title of a ticket and the whole, where the title does not say
// it all.
func Lines(text string) (title, description string) {
	text = strings.TrimSpace(text)
	first, _, _ := strings.Cut(text, "\n")
	first = strings.TrimSpace(first)
	if utf8.RuneCountInString(first) > maxTitle {
		first = string([]rune(first)[:maxTitle-1]) + "…"
	}
	if first == text {
		return text, ""
	}
	return first, text
}
