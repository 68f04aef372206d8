-- name: LockCases :many
SELECT * FROM cases WHERE subject_id = ANY(@subject_ids::uuid[]) ORDER BY subject_id FOR UPDATE;

-- name: UpsertCases :exec
-- Nobody stands as the nil id, for arrays of ids have no null.
INSERT INTO cases (subject_id, kind, customer_id, open, visitor_staff_id, version)
SELECT unnest(@subject_ids::uuid[]), unnest(@kinds::smallint[]),
  NULLIF(unnest(@customer_ids::uuid[]), '00000000-0000-0000-0000-000000000000'), unnest(@opens::boolean[]),
  NULLIF(unnest(@visitor_staff_ids::uuid[]), '00000000-0000-0000-0000-000000000000'), unnest(@versions::bigint[])
ON CONFLICT (subject_id) DO UPDATE SET customer_id = excluded.customer_id, open = excluded.open,
  visitor_staff_id = excluded.visitor_staff_id, version = excluded.version
WHERE cases.version < excluded.version;

-- name: InsertTimelineEntry :exec
INSERT INTO timeline (id, customer_id, occur_time, type, subject_id, number, state, score,
  contact, historic)
VALUES (@id, @customer_id, @occur_time, @type, @subject_id, @number, @state, @score,
  @contact, @historic)
ON CONFLICT (id) DO NOTHING;

-- name: InsertTimelineEntries :exec
INSERT INTO timeline (id, customer_id, occur_time, type, subject_id, number, state, score, contact, historic)
SELECT unnest(@ids::uuid[]), NULLIF(unnest(@customer_ids::uuid[]), '00000000-0000-0000-0000-000000000000'),
  unnest(@occur_times::timestamptz[]), unnest(@types::text[]), unnest(@subject_ids::uuid[]), unnest(@numbers::text[]),
  unnest(@states::text[]), unnest(@scores::smallint[]), unnest(@contacts::boolean[]), unnest(@historics::boolean[])
ON CONFLICT (id) DO NOTHING;

-- name: MoveTimeline :exec
UPDATE timeline SET customer_id = @customer_id
WHERE subject_id = @subject_id AND customer_id IS DISTINCT FROM @customer_id;

-- name: ListTimeline :many
SELECT * FROM timeline
WHERE customer_id = @customer_id::uuid
  AND (occur_time, id) < (@before_time::timestamptz, @before_id::uuid)
ORDER BY occur_time DESC, id DESC LIMIT @count;
