package app_test

import (
	"log/slog"
	"net/http"
	"testing"

	"github.com/kefu-suite/kefu/runtime/app"
)

// Profiles tell of what a process has in memory: only development shows them.
func TestProfilesAreForDevelopment(t *testing.T) {
	for profiles, want := range map[bool]int{true: http.StatusOK, false: http.StatusNotFound} {
		ops, err := app.StartOps(slog.New(slog.DiscardHandler), "127.0.0.1:0", app.NewMetrics(), func() error { return nil }, profiles)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/debug/pprof/", "/debug/pprof/goroutine", "/debug/pprof/profile?seconds=1"} {
			res, err := http.Get("http://" + ops.Addr() + path)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if res.StatusCode != want {
				t.Errorf("%s with profiles %v: %d, want %d", path, profiles, res.StatusCode, want)
			}
		}
		if err := ops.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
