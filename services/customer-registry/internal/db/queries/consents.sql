-- name: ListConsentHistory :many
SELECT * FROM consents WHERE customer_id = @customer_id AND version < @before ORDER BY version DESC LIMIT @count;

-- name: FindConsent :one
SELECT granted FROM consents WHERE customer_id = @customer_id AND purpose = @purpose ORDER BY version DESC LIMIT 1;

-- name: FindReservation :one
SELECT * FROM contact_reservations WHERE sender = @sender AND request_id = @request_id;

-- name: LastReservation :one
SELECT reserve_time FROM contact_reservations WHERE recipient_id = @recipient_id AND kind = @kind
ORDER BY reserve_time DESC LIMIT 1;

-- name: ReservedForEvent :one
SELECT EXISTS (SELECT FROM contact_reservations
  WHERE event_id = @event_id::uuid AND recipient_id = @recipient_id AND kind = @kind AND purpose = 1);

-- name: InsertReservation :exec
INSERT INTO contact_reservations (id, customer_id, recipient_id, kind, purpose, channel, event_id, sender, request_id, reserve_time)
VALUES (@id, @customer_id, @recipient_id, @kind, @purpose, @channel, @event_id, @sender, @request_id, @reserve_time);
