package intake_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/kefu-suite/kefu/services/service-ticket/internal/intake"
)

// FuzzPass: no text is a pass but the one that was given, under the one id that it is used
// up by.
func FuzzPass(f *testing.F) {
	key := []byte("key")
	pass := intake.NewPass(key, [12]byte{1, 2, 3}, now)
	want, _ := intake.Pass(key, pass, now)
	for _, s := range []string{pass, "", pass[:20], pass + "A", pass + "=", pass + "\n", intake.NewPass([]byte("other"), [12]byte{1, 2, 3}, now)} {
		f.Add(s, int64(60))
		f.Add(s, int64(7201))
	}
	f.Fuzz(func(t *testing.T, given string, after int64) {
		if after < -1<<30 || after > 1<<30 {
			return
		}
		id, good := intake.Pass(key, given, now.Add(time.Duration(after)*time.Second))
		if good && (id != want || after < 3 || after >= 7200) {
			t.Fatalf("%q is a pass after %d s, with the id %s; only %q is, with %s", given, after, id, pass, want)
		}
	})
}

// FuzzSigned: a signature is of the one message it was made for, near its time.
func FuzzSigned(f *testing.F) {
	at := now.Unix()
	payload := `{"thread":"t-1","text":"水泵漏水"}`
	good := intake.Sign("secret", "m-1", at, payload)
	f.Add(good, "m-1", at, payload, int64(0))
	f.Add(good, "m-1", at, payload, int64(301))
	f.Add(good, "m-1", at+1, payload, int64(0))
	f.Add(good, "m-2", at, payload, int64(0))
	f.Add(good, "m-1", at, payload+" ", int64(0))
	f.Add(good, "m-1."+strconv.FormatInt(at, 10), int64(0), payload, int64(0))
	f.Add("", "", int64(0), "", int64(0))
	f.Fuzz(func(t *testing.T, signature, id string, timestamp int64, text string, off int64) {
		if off < -1<<30 || off > 1<<30 || !intake.Signed([]string{"other", "secret"}, signature, id, timestamp, text, now.Add(time.Duration(off)*time.Second)) {
			return
		}
		known := signature == intake.Sign("secret", id, timestamp, text) || signature == intake.Sign("other", id, timestamp, text)
		if !known || (signature == good && id+"|"+text != "m-1|"+payload) {
			t.Fatalf("%q signs %q at %d with %q", signature, id, timestamp, text)
		}
		if from := at + off - timestamp; from > 300 || from < -300 {
			t.Fatalf("a message of %d s ago is taken", from)
		}
	})
}
