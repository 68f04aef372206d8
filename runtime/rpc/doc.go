// Package rpc makes gRPC servers and clients that all behave alike: the same
// limits, the same order of interceptors, the same retries.
//
// # A call's way through a server
//
// telemetry → request id and language → boundary (log, errors) → recovery →
// deadline → size → concurrency → authentication → rate → authorisation →
// validation → handler.
//
// The boundary is the only place where an error becomes public: an
// *rpcerr.Error passes in the caller's language, everything else becomes
// INTERNAL with the request id and is logged once (or UNAVAILABLE,
// DEADLINE_EXCEEDED, ABORTED where a fault of the surroundings is recognised).
// The services of grpc itself (health, reflection) pass untouched.
//
// # Endless streams
//
// Server streams whose method begins with Stream or Watch have no end of their
// own. When the server is told to stop they end with UNAVAILABLE
// (SHUTTING_DOWN), so that a graceful stop does not wait for them; every other
// call may finish.
package rpc
