-- name: LockCase :one
SELECT * FROM cases WHERE subject_id = @subject_id FOR UPDATE;

-- name: UpsertCase :exec
INSERT INTO cases (subject_id, kind, customer_id, open, version)
VALUES (@subject_id, @kind, @customer_id, @open, @version)
ON CONFLICT (subject_id) DO UPDATE SET customer_id = excluded.customer_id, open = excluded.open,
  version = excluded.version
WHERE cases.version < excluded.version;

-- name: InsertTimelineEntry :exec
INSERT INTO timeline (id, customer_id, occur_time, type, subject_id, number, state, score,
  contact, historic)
VALUES (@id, @customer_id, @occur_time, @type, @subject_id, @number, @state, @score,
  @contact, @historic)
ON CONFLICT (id) DO NOTHING;

-- name: MoveTimeline :exec
UPDATE timeline SET customer_id = @customer_id
WHERE subject_id = @subject_id AND customer_id IS DISTINCT FROM @customer_id;

-- name: ListTimeline :many
SELECT * FROM timeline
WHERE customer_id = @customer_id::uuid
  AND (occur_time, id) < (@before_time::timestamptz, @before_id::uuid)
ORDER BY occur_time DESC, id DESC LIMIT @count;
