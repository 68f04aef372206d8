package subject

import (
	"context"

	"github.com/kefu-suite/kefu/runtime/app"
)

// Install puts the SubjectService on a process that is being set up, after it has erased what
// a restored database brought back.
func Install(ctx context.Context, p *app.Process, d Declaration) (*Server, error) {
	list, err := OpenList(p.ErasureList, p.Name)
	if err != nil {
		return nil, err
	}
	s := &Server{Declaration: d, Pool: p.Pool, Keys: p.Keyring, Write: p.Write, List: list, Log: p.Log, Now: p.Now}
	if err := s.Replay(ctx); err != nil {
		return nil, err
	}
	s.Register(p.GRPC)
	return s, nil
}
