package intake_test

import (
	"encoding/base64"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/kefu-suite/kefu/services/service-ticket/internal/intake"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

var now = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

// The value is that of `printf 'm1.1700000000.{}' | openssl dgst -sha256 -hmac secret`.
func TestSignIsPlainHMAC(t *testing.T) {
	if got := intake.Sign("secret", "m1", 1700000000, "{}"); got != "e9ad814bbb6fe32c16b24133bfae6d048bee43a94caa1500c485d166e131d6de" {
		t.Errorf("signature %s", got)
	}
}

func TestSigned(t *testing.T) {
	at := now.Unix()
	good := intake.Sign("b", "m", at, "{}")
	for name, c := range map[string]struct {
		secrets            []string
		signature, id, pay string
		at                 int64
		want               bool
	}{
		"right":           {[]string{"a", "b"}, good, "m", "{}", at, true},
		"another secret":  {[]string{"a"}, good, "m", "{}", at, false},
		"no secret":       {nil, good, "m", "{}", at, false},
		"another id":      {[]string{"b"}, good, "n", "{}", at, false},
		"another payload": {[]string{"b"}, good, "m", "{ }", at, false},
		"another time":    {[]string{"b"}, good, "m", "{}", at + 1, false},
		"old":             {[]string{"b"}, intake.Sign("b", "m", at-300, "{}"), "m", "{}", at - 300, true},
		"too old":         {[]string{"b"}, intake.Sign("b", "m", at-301, "{}"), "m", "{}", at - 301, false},
		"too early":       {[]string{"b"}, intake.Sign("b", "m", at+301, "{}"), "m", "{}", at + 301, false},
		"out of range":    {[]string{"b"}, intake.Sign("b", "m", math.MinInt64, "{}"), "m", "{}", math.MinInt64, false},
	} {
		if got := intake.Signed(c.secrets, c.signature, c.id, c.at, c.pay, now); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestSecretsDiffer(t *testing.T) {
	seen := map[string]bool{}
	for _, key := range []string{"k1", "k2"} {
		for id := range byte(3) {
			for generation := range int32(3) {
				s := intake.Secret([]byte(key), [16]byte{id}, generation)
				if len(s) != 43 || seen[s] {
					t.Errorf("secret %q", s)
				}
				seen[s] = true
			}
		}
	}
}

func TestPass(t *testing.T) {
	key := []byte("key")
	pass := intake.NewPass(key, [12]byte{1}, now)
	for name, c := range map[string]struct {
		pass string
		at   time.Time
		want bool
	}{
		"a person's":   {pass, now.Add(10 * time.Second), true},
		"at once":      {pass, now.Add(2 * time.Second), false},
		"at the end":   {pass, now.Add(2*time.Hour - time.Second), true},
		"too late":     {pass, now.Add(2 * time.Hour), false},
		"another key":  {intake.NewPass([]byte("other"), [12]byte{1}, now), now.Add(time.Minute), false},
		"made younger": {tampered(t, pass), now.Add(3 * time.Hour), false},
		"cut":          {pass[:20], now.Add(time.Minute), false},
		"nothing":      {"", now.Add(time.Minute), false},
	} {
		if _, got := intake.Pass(key, c.pass, c.at); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	one, _ := intake.Pass(key, pass, now)
	two, _ := intake.Pass(key, intake.NewPass(key, [12]byte{2}, now), now)
	if one == two || one == "" {
		t.Errorf("ids %q and %q", one, two)
	}
}

// tampered is a pass with a later time and the seal of before.
func tampered(t *testing.T, pass string) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(pass)
	if err != nil {
		t.Fatal(err)
	}
	raw[17]++
	return base64.RawURLEncoding.EncodeToString(raw)
}

func TestJoinable(t *testing.T) {
	for s, want := range map[ticket.State]bool{
		ticket.New: true, ticket.Triaged: true, ticket.Assigned: true, ticket.InProgress: true, ticket.Waiting: true,
		ticket.Resolved: true, ticket.Closed: false, ticket.Cancelled: false, ticket.Merged: false,
	} {
		if intake.Joinable(s) != want {
			t.Errorf("%s: %v", ticket.Name(s), !want)
		}
	}
}

func TestLines(t *testing.T) {
	long := strings.Repeat("漏", 300)
	for text, want := range map[string][2]string{
		"  hello ":       {"hello", ""},
		"hello\nworld":   {"hello", "hello\nworld"},
		long:             {strings.Repeat("漏", 199) + "…", long},
		"\n\nhello\nyou": {"hello", "hello\nyou"},
	} {
		if title, rest := intake.Lines(text); title != want[0] || rest != want[1] {
			t.Errorf("%q: %q, %q", text, title, rest)
		}
	}
}
