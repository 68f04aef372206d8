// Package pg is the suite's only way to Postgres: one pool with bounded
// statements, two doors to a transaction, constraint tests, and migrations.
//
// # The two doors
//
// [InTx] is for a call that reads, decides and writes. [InBatch] is for writes
// that need no read first: all statements travel in one round trip and commit
// or vanish together. Both run their function again after a serialization
// failure (40001) or a deadlock (40P01), so the function must have no effect
// outside the database and must reset what it collects.
//
// # What an error says
//
// pgx errors carry row values. They are private: wrap them with %w, translate
// the expected ones with [Violates], and log only [Describe] of them.
//
// # Databases and roles
//
// Each service has one database and two roles, all named after it with
// underscores for hyphens. For customer-registry:
//
//	customer_registry         the database
//	customer_registry_owner   owns it and migrates
//	customer_registry         runs: SELECT, INSERT, UPDATE, DELETE on tables,
//	                          USAGE on sequences, nothing else
//
// [CreateDatabase] makes them and [Migrate] runs migrations as the owner. New
// tables get the run role's rights through default privileges, so an ordinary
// migration needs no GRANT. A migration that takes rights away must not name
// the run role, because the same migration runs in several services and in
// test databases; it reads the name from the setting kefu.run_role, which
// Migrate puts on its connection:
//
//	-- +goose StatementBegin
//	DO $$
//	BEGIN
//	  EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON audit_records FROM %I',
//	                 current_setting('kefu.run_role'));
//	END
//	$$;
//	-- +goose StatementEnd
package pg
