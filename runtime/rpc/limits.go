package rpc

import "time"

// Limits bound what callers can make a server do. The zero value is not usable:
// fill it by config.Load, or take DefaultLimits.
type Limits struct {
	// MaxStreams is the number of calls in flight on one connection.
	MaxStreams uint32 `env:"KEFU_GRPC_MAX_STREAMS" envDefault:"1000"`
	// MaxMessageBytes bounds a received message.
	MaxMessageBytes int `env:"KEFU_GRPC_MAX_MESSAGE_BYTES" envDefault:"1048576"`
	// MaxBulkBytes bounds a received message of a method in RATE_CLASS_BULK.
	MaxBulkBytes int `env:"KEFU_GRPC_MAX_BULK_BYTES" envDefault:"4194304"`
	// MaxHeaderBytes bounds the metadata of a call.
	MaxHeaderBytes uint32 `env:"KEFU_GRPC_MAX_HEADER_BYTES" envDefault:"16384"`
	// Handshake bounds the time from accept to a usable connection.
	Handshake time.Duration `env:"KEFU_GRPC_HANDSHAKE" envDefault:"5s"`
	// ConnectionAge is after how long a client is asked to connect anew, so that
	// load spreads over new instances.
	ConnectionAge time.Duration `env:"KEFU_GRPC_CONNECTION_AGE" envDefault:"30m"`
	// ConnectionGrace is how long calls may still run on an aged connection.
	ConnectionGrace time.Duration `env:"KEFU_GRPC_CONNECTION_GRACE" envDefault:"5m"`
	// PingEvery is the least time between keepalive pings of a client; one that
	// pings more often is cut off.
	PingEvery time.Duration `env:"KEFU_GRPC_PING_EVERY" envDefault:"10s"`
	// Deadline bounds a unary call, also one without a deadline of its own.
	Deadline time.Duration `env:"KEFU_GRPC_DEADLINE" envDefault:"30s"`
	// MaxCalls is the number of unary calls handled at once.
	MaxCalls int `env:"KEFU_GRPC_MAX_CALLS" envDefault:"256"`
	// MaxOpenStreams is the number of streams handled at once.
	MaxOpenStreams int `env:"KEFU_GRPC_MAX_OPEN_STREAMS" envDefault:"1000"`
	// StreamCheck is how often the caller of an open stream is checked again: whoever's token
	// has expired or who has lost the right is told so within this time.
	StreamCheck time.Duration `env:"KEFU_GRPC_STREAM_CHECK" envDefault:"15s"`

	// Rates of calls a second, and how many may come at once, for one caller:
	// signed-in callers, callers without a token by network address, bulk
	// methods, and services of the suite by certificate.
	DefaultRate  float64 `env:"KEFU_RATE_DEFAULT" envDefault:"500"`
	DefaultBurst int     `env:"KEFU_RATE_DEFAULT_BURST" envDefault:"1000"`
	PublicRate   float64 `env:"KEFU_RATE_PUBLIC" envDefault:"20"`
	PublicBurst  int     `env:"KEFU_RATE_PUBLIC_BURST" envDefault:"100"`
	BulkRate     float64 `env:"KEFU_RATE_BULK" envDefault:"50"`
	BulkBurst    int     `env:"KEFU_RATE_BULK_BURST" envDefault:"100"`
	ServiceRate  float64 `env:"KEFU_RATE_SERVICE" envDefault:"5000"`
	ServiceBurst int     `env:"KEFU_RATE_SERVICE_BURST" envDefault:"10000"`
	// RateCallers bounds the memory of the rates: the callers remembered at once.
	RateCallers int `env:"KEFU_RATE_CALLERS" envDefault:"20000"`
}

// DefaultLimits gives the limits of an empty environment.
func DefaultLimits() Limits {
	return Limits{
		MaxStreams: 1000, MaxMessageBytes: 1 << 20, MaxBulkBytes: 4 << 20, MaxHeaderBytes: 16 << 10,
		Handshake: 5 * time.Second, ConnectionAge: 30 * time.Minute, ConnectionGrace: 5 * time.Minute,
		PingEvery: 10 * time.Second, Deadline: 30 * time.Second, MaxCalls: 256, MaxOpenStreams: 1000, StreamCheck: 15 * time.Second,
		DefaultRate: 500, DefaultBurst: 1000, PublicRate: 20, PublicBurst: 100,
		BulkRate: 50, BulkBurst: 100, ServiceRate: 5000, ServiceBurst: 10000, RateCallers: 20000,
	}
}
