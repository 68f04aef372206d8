package rpc_test

import (
	"log/slog"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/kefu-suite/kefu/runtime/rpc"
)

// BenchmarkCall compares the whole chain on both sides with bare gRPC.
func BenchmarkCall(b *testing.B) {
	note()
	listen := func(s *grpc.Server) string {
		register(s, echo, noStream)
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		go func() { _ = s.Serve(lis) }()
		b.Cleanup(s.Stop)
		return lis.Addr().String()
	}
	b.Run("bare", func(b *testing.B) {
		conn, err := grpc.NewClient(listen(grpc.NewServer()), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			b.Fatal(err)
		}
		repeat(b, conn)
	})
	b.Run("chain", func(b *testing.B) {
		limits := rpc.DefaultLimits()
		limits.PublicRate, limits.PublicBurst = 1e9, 1e9
		s, err := rpc.NewServer(rpc.ServerConfig{
			Log: slog.New(slog.DiscardHandler), Authn: pass{}, Guard: pass{}, Limits: limits,
		})
		if err != nil {
			b.Fatal(err)
		}
		conn, err := rpc.Dial(listen(s), rpc.ClientConfig{})
		if err != nil {
			b.Fatal(err)
		}
		repeat(b, conn)
	})
}

func repeat(b *testing.B, conn *grpc.ClientConn) {
	b.Cleanup(func() { _ = conn.Close() })
	for b.Loop() {
		if _, err := call(b.Context(), conn, "Get", "x"); err != nil {
			b.Fatal(err)
		}
	}
}
