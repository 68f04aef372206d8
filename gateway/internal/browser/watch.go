package browser

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Complaints collects from now on what the browser of ctx complains of: errors on the
// console, exceptions, and what a content security policy has blocked.
func Complaints(t testing.TB, ctx context.Context) func() []string {
	t.Helper()
	var mu sync.Mutex
	var complaints []string
	complain := func(text string) {
		mu.Lock()
		defer mu.Unlock()
		complaints = append(complaints, text)
	}
	if err := chromedp.Listen(ctx, func(event any) {
		switch e := event.(type) {
		case *runtime.EventConsoleAPICalled:
			if e.Type == runtime.ConsoleAPICalledTypeError {
				complain(fmt.Sprint(e.Args))
			}
		case *runtime.EventExceptionThrown:
			complain(e.ExceptionDetails.Text)
		case *log.EventEntryAdded:
			if e.Entry.Level == log.EntryLevelError {
				complain(e.Entry.Text + " " + e.Entry.URL)
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(complaints)
	}
}

// Keep writes a picture into the folder KEFU_TEST_PICTURES, for somebody to look at; without
// it nothing is kept.
func Keep(t testing.TB, name string, picture []byte) {
	t.Helper()
	if dir := os.Getenv("KEFU_TEST_PICTURES"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name), picture, 0o600); err != nil {
			t.Error(err)
		}
	}
}
