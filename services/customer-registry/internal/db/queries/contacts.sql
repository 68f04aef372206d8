-- name: InsertContact :exec
INSERT INTO contacts (id, customer_id, name, decision_role, language, phone, phone_index, phone_last4_index,
  email, email_index, preferred_channel, birthday, phone_quality, email_quality, creator, create_source, create_time, update_time, version)
VALUES (@id, @customer_id, @name, @decision_role, @language, @phone, @phone_index, @phone_last4_index,
  @email, @email_index, @preferred_channel, @birthday, @phone_quality, @email_quality, @creator, @create_source, @create_time, @update_time, 1);

-- name: GetContact :one
SELECT * FROM contacts WHERE id = @id AND customer_id = @customer_id AND delete_time IS NULL;

-- name: LockContact :one
SELECT * FROM contacts WHERE id = @id AND customer_id = @customer_id AND delete_time IS NULL FOR UPDATE;

-- name: ListContacts :many
SELECT * FROM contacts WHERE customer_id = @customer_id AND delete_time IS NULL AND id > @after
ORDER BY id LIMIT @count;

-- name: UpdateContact :exec
UPDATE contacts SET name = @name, decision_role = @decision_role, language = @language, phone = @phone,
  phone_index = @phone_index, phone_last4_index = @phone_last4_index, email = @email, email_index = @email_index,
  preferred_channel = @preferred_channel, birthday = @birthday, phone_quality = @phone_quality, email_quality = @email_quality,
  field_states = @field_states, verified_points = @verified_points, update_time = @update_time, version = version + 1
WHERE id = @id;

-- name: EraseContact :exec
UPDATE contacts SET name = '', decision_role = 0, phone = NULL, phone_index = NULL, phone_last4_index = NULL,
  email = NULL, email_index = NULL, preferred_channel = 0, birthday = NULL, phone_quality = 0, email_quality = 0, field_states = NULL,
  verified_points = 0, update_time = @now::timestamptz, delete_time = @now::timestamptz,
  version = version + 1
WHERE id = @id;
