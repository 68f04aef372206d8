// Package config reads a program's settings from the environment, once, into
// one typed struct. No other package reads the environment.
//
// A secret is never a setting: its variable ends in _FILE and holds the path of
// a file, which the part that needs the secret reads.
package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/caarlos0/env/v11"
)

// Checker is a configuration that can tell more than that each variable parses:
// what must not stand together, or not in production. Check gives every problem,
// none if the settings are usable.
type Checker interface{ Check() []error }

// Error holds every problem of an environment at once.
type Error struct{ Problems []error }

// Error lists the problems, a line each.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("the environment is not usable:")
	for _, p := range e.Problems {
		b.WriteString("\n  - ")
		b.WriteString(p.Error())
	}
	return b.String()
}

// Unwrap gives the single problems to errors.Is and errors.As.
func (e *Error) Unwrap() []error { return e.Problems }

// Load fills cfg, a pointer to a struct with `env` tags, from the process
// environment. It fails with an *Error that names every variable that is missing
// or wrong, and every problem that cfg's own Check finds.
func Load(cfg any) error { return LoadFrom(cfg, env.ToMap(os.Environ())) }

// LoadFrom is Load with the given variables instead of the environment's.
func LoadFrom(cfg any, environ map[string]string) error {
	problems := parse(cfg, environ)
	if c, ok := cfg.(Checker); ok {
		problems = append(problems, c.Check()...)
	}
	if len(problems) > 0 {
		return &Error{Problems: problems}
	}
	return nil
}

// parse gives one problem a variable, naming the variable and not the field.
func parse(cfg any, environ map[string]string) []error {
	err := env.ParseWithOptions(cfg, env.Options{Environment: environ})
	if err == nil {
		return nil
	}
	var all env.AggregateError
	if !errors.As(err, &all) {
		return []error{err}
	}
	keys := map[string]string{}
	collectKeys(reflect.TypeOf(cfg), keys)
	var problems []error
	for _, e := range all.Errors {
		problems = append(problems, name(e, keys))
	}
	return problems
}

func name(err error, keys map[string]string) error {
	var (
		unset  env.VarIsNotSetError
		empty  env.EmptyVarError
		parsed env.ParseError
	)
	switch {
	case errors.As(err, &unset):
		return fmt.Errorf("%s is not set", unset.Key)
	case errors.As(err, &empty):
		return fmt.Errorf("%s is empty", empty.Key)
	case errors.As(err, &parsed) && keys[parsed.Name] != "":
		return fmt.Errorf("%s does not parse as %s: %w", keys[parsed.Name], parsed.Type, parsed.Err)
	}
	return err
}

// collectKeys maps field names to variable names, through embedded and nested structs.
func collectKeys(t reflect.Type, keys map[string]string) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return
	}
	for i := range t.NumField() {
		f := t.Field(i)
		key, _, _ := strings.Cut(f.Tag.Get("env"), ",")
		if key == "" {
			collectKeys(f.Type, keys)
			continue
		}
		keys[f.Name] = key
	}
}
