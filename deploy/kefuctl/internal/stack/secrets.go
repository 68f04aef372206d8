package stack

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/pii"
)

// secrets are what the programs of a stack prove themselves with. All of it is made
// once and kept: data encrypted under a lost key is lost.
type secrets struct {
	ca        *authn.CA
	passwords map[string]rolePasswords
}

// rolePasswords are those of one service's two database roles.
type rolePasswords struct {
	Owner string `json:"owner"`
	Run   string `json:"run"`
}

func openSecrets(d Dir) (*secrets, error) {
	ca, err := authn.LoadCA(d.in("ca"))
	if errors.Is(err, fs.ErrNotExist) {
		ca, err = authn.NewCA(d.in("ca"))
	}
	if err != nil {
		return nil, err
	}
	if err := once(d.gatewayKey(), func() error { return authn.NewGatewayKey(d.gatewayKey(), d.gatewayKeys()) }); err != nil {
		return nil, err
	}
	for _, s := range services() {
		path := d.masterKey(s.name)
		if err := once(path, func() error { return pii.NewKeyFile(path) }); err != nil {
			return nil, err
		}
	}
	passwords, err := openPasswords(d.passwordFile())
	if err != nil {
		return nil, err
	}
	return &secrets{ca: ca, passwords: passwords}, nil
}

// once makes a file that is not there.
func once(path string, create func() error) error {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return create()
	}
	return err
}

// openPasswords reads the passwords and makes those of services that have none yet.
func openPasswords(path string) (map[string]rolePasswords, error) {
	all := map[string]rolePasswords{}
	content, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("database passwords: %w", err)
	default:
		if err := json.Unmarshal(content, &all); err != nil {
			return nil, fmt.Errorf("database passwords in %s: %w", path, err)
		}
	}
	changed := false
	for _, s := range services() {
		if _, ok := all[s.name]; !ok {
			all[s.name], changed = rolePasswords{Owner: rand.Text(), Run: rand.Text()}, true
		}
	}
	if !changed {
		return all, nil
	}
	content, err = json.MarshalIndent(all, "", "  ")
	if err == nil {
		err = writeFile(path, content)
	}
	if err != nil {
		return nil, fmt.Errorf("database passwords: %w", err)
	}
	return all, nil
}
