package dryrun

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
)

// line names one of the table: cases of a type and a priority or severity, and one of the
// standards that they were judged by.
type line struct{ about, level, standard string }

// ends counts how deadlines ended.
type ends struct{ met, missed, open, givenUp int }

// table counts, under the version that is tried, which standards were met and missed.
type table map[line]*ends

func (t table) add(c *clockv1.DryRunCase) {
	for _, d := range c.GetClocks() {
		if d.GetTried() == nil {
			continue
		}
		at := line{cmp.Or(c.GetType(), "-"), cmp.Or(c.GetLevel(), "-"), d.GetKind()}
		if t[at] == nil {
			t[at] = &ends{}
		}
		switch d.GetTried().GetState() {
		case clockv1.ClockState_CLOCK_STATE_MET:
			t[at].met++
		case missed:
			t[at].missed++
		case clockv1.ClockState_CLOCK_STATE_CANCELLED:
			t[at].givenUp++
		default:
			t[at].open++
		}
	}
}

func (t table) write(out io.Writer, version int64) error {
	if len(t) == 0 {
		return nil
	}
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "\nby type and priority, under version %d\n%-20s %-8s %-16s %9s %9s %9s %9s %9s\n", version,
		"type", "priority", "standard", "met", "missed", "open", "given up", "met of all")
	for _, at := range slices.SortedFunc(maps.Keys(t), func(a, b line) int {
		return cmp.Or(cmp.Compare(a.about, b.about), cmp.Compare(a.level, b.level), cmp.Compare(a.standard, b.standard))
	}) {
		n, share := t[at], "-"
		if judged := n.met + n.missed; judged > 0 {
			share = fmt.Sprintf("%.1f %%", 100*float64(n.met)/float64(judged))
		}
		_, _ = fmt.Fprintf(&b, "%-20s %-8s %-16s %9d %9d %9d %9d %9s\n", at.about, at.level, at.standard, n.met, n.missed, n.open, n.givenUp, share)
	}
	_, err := io.WriteString(out, b.String())
	return err
}
