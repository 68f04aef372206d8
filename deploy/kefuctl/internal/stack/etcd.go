package stack

import (
	"context"

	"github.com/kefu-suite/kefu/runtime/localetcd"
)

// registry is the etcd in which the programs find each other: our own, or the one that
// KEFU_ETCD_ENDPOINTS names, which we neither start nor stop.
type registry struct {
	endpoints string
	own       *localetcd.Server
}

func (u *up) startEtcd(ctx context.Context) (*registry, error) {
	if named := u.env("KEFU_ETCD_ENDPOINTS"); named != "" {
		u.say("using the etcd of KEFU_ETCD_ENDPOINTS")
		return &registry{endpoints: named}, nil
	}
	own, err := localetcd.Start(ctx, localetcd.Options{Dir: u.dir.in("etcd"), LogFile: u.dir.logFile("etcd")})
	if err != nil {
		return nil, err
	}
	return &registry{endpoints: own.Endpoint(), own: own}, nil
}

// err delivers the end of our own etcd, and nothing of another's.
func (r *registry) err() <-chan error {
	if r.own == nil {
		return nil
	}
	return r.own.Err()
}

func (r *registry) stop() {
	if r.own != nil {
		r.own.Stop()
	}
}
