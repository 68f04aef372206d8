package testkit

import (
	"context"
	"os"
	"runtime"
	"testing"

	"github.com/kefu-suite/kefu/runtime/localpg"
)

// Durable starts a Postgres of the test's own in a folder, with real durability and memory
// for a million rows, and gives its administrator's URL. It is for measuring and for crashes:
// the server that [Database] shares gives durability up. It stops when the test ends.
func Durable(t testing.TB, dir string, settings ...string) (admin string) {
	t.Helper()
	started, end, over := make(chan error, 1), make(chan struct{}), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the server ends with the thread that started it
		server, err := localpg.Start(context.Background(), localpg.Options{
			Dir: dir, Path: os.Getenv("PATH"), Settings: append([]string{"shared_buffers=1GB", "max_wal_size=8GB"}, settings...),
		})
		if err == nil {
			admin = server.AdminURL()
		}
		started <- err
		<-end
		if server != nil {
			err = server.Stop(context.Background())
		}
		over <- err
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		close(end)
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
	return admin
}
