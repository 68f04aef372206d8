// Package browser gives tests a real browser without a window.
package browser

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// limit bounds what a test does in the browser.
const limit = 60 * time.Second

// New starts a browser with an empty profile that ends with the test, and returns the
// context for chromedp. Where there is none it is installed if that needs no password;
// else the test fails with the command that does it.
func New(t testing.TB) context.Context {
	t.Helper()
	path, err := find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	return ctx
}

var names = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}

func look() (string, bool) {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, true
		}
	}
	return "", false
}

// find gives the browser's program. A font with Chinese characters comes along where it is
// installed: without one their pages show boxes.
func find(ctx context.Context) (string, error) {
	if path, ok := look(); ok {
		return path, nil
	}
	if _, err := exec.LookPath("apt-get"); err == nil && os.Geteuid() == 0 {
		install := exec.CommandContext(ctx, "sh", "-c", "apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-wqy-microhei")
		install.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := install.CombinedOutput(); err != nil {
			return "", fmt.Errorf("install chromium: %w: %s", err, out)
		}
		if path, ok := look(); ok {
			return path, nil
		}
	}
	return "", fmt.Errorf("no browser found: install one, on Debian with: sudo apt-get install chromium")
}
