package authn

import (
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

const reloadEvery = time.Second

// reloader gives what was parsed from some files and parses them again when one of them
// changed. A file that became unreadable or wrong does not take the service down: the
// last good value stays in use and the failure is logged once a change.
type reloader[T any] struct {
	files []string
	parse func() (T, error)

	mu      sync.Mutex
	value   T
	stamp   string
	checked time.Time
}

// newReloader parses once; the error of that first parse is the caller's.
func newReloader[T any](parse func() (T, error), files ...string) (*reloader[T], error) {
	r := &reloader[T]{files: files, parse: parse}
	r.stamp = r.stat()
	v, err := parse()
	if err != nil {
		return nil, err
	}
	r.value, r.checked = v, time.Now()
	return r, nil
}

// get looks at the files at most once in reloadEvery.
func (r *reloader[T]) get() T {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); now.Sub(r.checked) >= reloadEvery {
		r.checked = now
		if stamp := r.stat(); stamp != r.stamp {
			v, err := r.parse()
			if err != nil {
				slog.Warn("changed file cannot be used, keeping the former", "files", r.files, "error", err)
			} else {
				r.value = v
			}
			r.stamp = stamp
		}
	}
	return r.value
}

func (r *reloader[T]) stat() string {
	s := ""
	for _, f := range r.files {
		info, err := os.Stat(f)
		if err != nil {
			s += "absent;"
			continue
		}
		s += fmt.Sprintf("%d/%d;", info.ModTime().UnixNano(), info.Size())
	}
	return s
}
