// Package progress shows how far work is on a terminal, or in a log.
package progress

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vbauerster/cupwriter"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// Progress shows how far each part of the work is: as bars on a terminal, as lines
// elsewhere.
type Progress struct {
	out  io.Writer
	bars *mpb.Progress
	mu   sync.Mutex
}

// New shows progress on out.
func New(out io.Writer) *Progress {
	p := &Progress{out: out}
	if roomy(cupwriter.New(out, false)) {
		p.bars = mpb.New(mpb.WithOutput(out), mpb.WithWidth(50))
	}
	return p
}

// roomy tells whether bars can be shown: some terminals are of no size.
func roomy(w *cupwriter.Writer) bool {
	if !w.IsTerminal() {
		return false
	}
	width, height, err := w.GetTermSize()
	return err == nil && width >= 80 && height >= 10
}

// Part is one part of the work. Add may be called from any goroutine.
type Part struct {
	progress *Progress
	name     string
	total    int
	bar      *mpb.Bar
	begun    time.Time
	done     atomic.Int64
}

// Begin begins a part of total steps.
func (p *Progress) Begin(name string, total int) *Part {
	t := &Part{progress: p, name: name, total: total, begun: time.Now()}
	if p.bars != nil && total > 0 {
		t.bar = p.bars.AddBar(int64(total),
			mpb.PrependDecorators(decor.Name(fmt.Sprintf("%-12s", name))),
			mpb.AppendDecorators(decor.CountersNoUnit("%d / %d"), decor.Name("  "), decor.Elapsed(decor.ET_STYLE_GO)))
	}
	return t
}

// Add counts n steps as done.
func (t *Part) Add(n int) {
	if t.bar != nil {
		t.bar.IncrBy(n)
		return
	}
	// A line at each tenth is enough for a log.
	now := t.done.Add(int64(n))
	tenth := func(v int64) int64 { return v * 10 / int64(max(1, t.total)) }
	if tenth(now) != tenth(now-int64(n)) {
		t.progress.mu.Lock()
		defer t.progress.mu.Unlock()
		_, _ = fmt.Fprintf(t.progress.out, "%-12s %d / %d  %s\n", t.name, now, t.total, time.Since(t.begun).Round(100*time.Millisecond))
	}
}

// End leaves the bar where it is when the part ended early.
func (t *Part) End() {
	if t.bar != nil {
		t.bar.Abort(false) // does nothing to one that is full
		t.bar.Wait()
	}
}

// Wait leaves the bars as they are at the end; every part must have ended.
func (p *Progress) Wait() {
	if p.bars != nil {
		p.bars.Wait()
	}
}
