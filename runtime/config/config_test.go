package config_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kefu-suite/kefu/runtime/config"
)

type base struct {
	Listen  string        `env:"KEFU_LISTEN" envDefault:"127.0.0.1:0"`
	Timeout time.Duration `env:"KEFU_TIMEOUT" envDefault:"30s"`
}

type settings struct {
	base
	Base     base   `envPrefix:""`
	Database string `env:"KEFU_DATABASE_URL,required,notEmpty"`
	Key      string `env:"KEFU_MASTER_KEY_FILE,required"`
	Size     int    `env:"KEFU_SIZE"`
}

func (s *settings) Check() []error {
	if s.Size < 0 {
		return []error{errors.New("KEFU_SIZE must not be negative")}
	}
	return nil
}

func TestLoad(t *testing.T) {
	var got settings
	err := config.LoadFrom(&got, map[string]string{
		"KEFU_DATABASE_URL": "postgres://x", "KEFU_MASTER_KEY_FILE": "/k", "KEFU_TIMEOUT": "3s",
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.Base.Listen != "127.0.0.1:0" || got.Base.Timeout != 3*time.Second || got.Database != "postgres://x" {
		t.Fatalf("wrong values: %+v", got)
	}
}

func TestLoadNamesEveryProblemAtOnce(t *testing.T) {
	var got settings
	err := config.LoadFrom(&got, map[string]string{"KEFU_TIMEOUT": "soon", "KEFU_SIZE": "-1"})
	var all *config.Error
	if !errors.As(err, &all) {
		t.Fatalf("got %v, want an *Error", err)
	}
	for _, want := range []string{
		"KEFU_DATABASE_URL is not set", "KEFU_MASTER_KEY_FILE is not set",
		"KEFU_TIMEOUT does not parse", "KEFU_SIZE must not be negative",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the message lacks %q:\n%v", want, err)
		}
	}
}

func TestLoadReadsTheEnvironment(t *testing.T) {
	t.Setenv("KEFU_DATABASE_URL", "postgres://y")
	t.Setenv("KEFU_MASTER_KEY_FILE", "/k")
	var got settings
	if err := config.Load(&got); err != nil {
		t.Fatal(err)
	}
	if got.Database != "postgres://y" {
		t.Fatalf("got %q", got.Database)
	}
}
