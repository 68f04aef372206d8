-- +goose Up
-- Who registered a ticket reaches it afterwards; lists walk this index downwards.
CREATE INDEX ticket_transitions_registrar_idx ON ticket_transitions (actor, ticket_id) WHERE version = 1;

-- +goose Down
DROP INDEX ticket_transitions_registrar_idx;
