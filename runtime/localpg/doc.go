// Package localpg brings up a private Postgres for `kefuctl up` and for tests.
//
// Where the server comes from is decided in this order and said aloud: the
// server named by a given admin URL (then nothing is started), installed
// server binaries (PATH, then /usr/lib/postgresql and its like, newest first,
// at least version 15), the system's package manager where it needs no
// password, and otherwise one sentence that names the package.
//
// # Lifetime
//
// The server that [Start] starts is a child in its own process group. It gets SIGINT
// (fast shutdown) when the OS thread that started it ends, so a program that
// is killed leaves no server. That thread is the one Start was called on:
// call runtime.LockOSThread in the goroutine that calls Start (in main, before
// anything else) and keep that goroutine alive for as long as the server is
// wanted. Without the lock Go may end the thread at any time and the server
// with it.
//
// [Share] instead starts a server that many processes use, one after another
// and at once: tests of several packages. It belongs to none of them and ends
// itself when the last has been gone for a while.
//
// # Where it listens
//
// On a Unix socket inside its directory, so neither ports nor other users
// matter. Where that path would pass the 107 bytes a socket address holds, it
// listens on 127.0.0.1, on a port kept in a file and changed when it is taken.
// Either way the superuser needs the password that Start made.
//
// # Root
//
// Postgres refuses to run as root. Started by root it runs in a user namespace
// in which root is the unprivileged 65534, which needs no other owner of its
// directory; where namespaces are not allowed it runs as the user postgres or
// nobody, who then owns the data directory.
package localpg
