package main

import (
	"strings"
	"testing"

	"github.com/kefu-suite/kefu/runtime/app"
)

// Whoever may unmask a file after another all day needs no export.
func TestProductionBoundsTheUnmaskBudget(t *testing.T) {
	for _, c := range []struct {
		env    string
		budget int32
		told   bool
	}{
		{app.Production, 500, false}, {app.Production, 501, true}, {app.Development, 10_000, false}, {app.Development, 10_001, true},
	} {
		cfg := Config{UnmaskBudget: c.budget}
		cfg.Env = c.env
		told := 0
		for _, problem := range cfg.Check() {
			if strings.HasPrefix(problem.Error(), "KEFU_UNMASK_BUDGET") {
				told++
			}
		}
		if (told == 1) != c.told || told > 1 {
			t.Errorf("%d in %s is refused %d times, want %v", c.budget, c.env, told, c.told)
		}
	}
}
