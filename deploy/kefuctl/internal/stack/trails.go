package stack

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/kefu-suite/kefu/runtime/audit"
)

// Trail is where the audit trail of one service lies and what it is checked with.
type Trail struct {
	Service string
	// DatabaseURL is of the service's run role.
	DatabaseURL, MasterKeyFile string
	// AnchorFile is empty where the chain is anchored nowhere.
	AnchorFile string
}

// Trails are those of the stack in a folder. Their databases are up while the stack is.
func Trails(path string) ([]Trail, error) {
	d := Dir(path)
	content, err := os.ReadFile(d.databaseFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no stack was started in %s; run `kefuctl up` first, name its folder with --dir, or a service with --service", path)
	}
	urls := map[string]string{}
	if err == nil {
		err = json.Unmarshal(content, &urls)
	}
	if err != nil {
		return nil, fmt.Errorf("databases of the stack: %w", err)
	}
	var out []Trail
	for _, s := range services() {
		out = append(out, Trail{
			Service: s.name, DatabaseURL: urls[s.name], MasterKeyFile: d.masterKey(s.name),
			AnchorFile: audit.AnchorFile(d.anchors(), s.name),
		})
	}
	return out, nil
}

// writeTrails keeps where the databases are now, for Trails.
func (u *up) writeTrails() error {
	urls := map[string]string{}
	for _, s := range services() {
		url, err := u.runURL(s.name)
		if err != nil {
			return fmt.Errorf("database of %s: %w", s.name, err)
		}
		urls[s.name] = url
	}
	content, err := json.MarshalIndent(urls, "", "  ")
	if err == nil {
		err = writeFile(u.dir.databaseFile(), content)
	}
	if err != nil {
		return fmt.Errorf("databases of the stack: %w", err)
	}
	return nil
}
