//go:build bench

package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kefu-suite/kefu/runtime/testkit/measure"
)

// profileTime is less than the ops server gives an answer.
const profileTime = 6 * time.Second

// profile drives an operation over REST and keeps CPU profiles of the programs that
// answer it, for `go tool pprof`.
func (b *bench) profile(t *testing.T, o operation, calls []func(context.Context) error, dir string) {
	t.Helper()
	var group sync.WaitGroup
	for _, program := range []string{"gateway", o.service} {
		group.Go(func() {
			path := filepath.Join(dir, strings.ReplaceAll(o.name, " ", "-")+"-"+program+".pprof")
			if err := fetch(b.stack.programs[program].Metrics, path); err != nil {
				t.Errorf("profile of %s: %v", program, err)
			}
		})
	}
	if _, _, err := measure.Drive(t.Context(), calls, profileTime+time.Second); err != nil {
		t.Error(err)
	}
	group.Wait()
	b.settle(t, o)
}

func fetch(address, path string) error {
	res, err := http.Get(fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", address, int(profileTime.Seconds())))
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	content, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%d %s", res.StatusCode, content)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o644)
}
