-- name: InsertHotline :exec
INSERT INTO hotlines (id, number, name_zh, name_en, hours, purpose, line, owner_staff_id, create_time, update_time, version, owner_posts)
VALUES (@id, @number, @name_zh, @name_en, @hours, @purpose, @line, @owner_staff_id, @create_time, @create_time, 1, @owner_posts);

-- name: LockHotline :one
SELECT * FROM hotlines WHERE id = @id AND delete_time IS NULL FOR NO KEY UPDATE;

-- name: UpdateHotline :exec
UPDATE hotlines SET number = @number, name_zh = @name_zh, name_en = @name_en, hours = @hours, purpose = @purpose,
  line = @line, owner_staff_id = @owner_staff_id, delete_time = @delete_time, update_time = @update_time, version = @version,
  owner_posts = @owner_posts, owner_told = @owner_told
WHERE id = @id;

-- name: ListHotlines :many
SELECT sqlc.embed(h), s.posts, s.status FROM hotlines h JOIN staff s ON s.id = h.owner_staff_id
WHERE h.delete_time IS NULL AND h.id > @after ORDER BY h.id LIMIT @size;

-- name: SetHotlineOwnerTold :execrows
-- No change of the hotline, and nothing where it changed meanwhile.
UPDATE hotlines SET owner_told = @owner_told WHERE id = @id AND version = @version;

-- name: ConfirmHotlineOwners :exec
-- The posts that owners have are from now on those they had. Staff who left hold none.
UPDATE hotlines h SET owner_posts = s.posts FROM staff s WHERE s.id = h.owner_staff_id AND h.delete_time IS NULL AND s.status <> 5;

-- name: ListHotlinesToPublish :many
-- A company has few hotlines: all are published. Staff who left answer for none.
SELECT sqlc.embed(h), s.posts, s.status, d.name_zh AS department_zh, d.name_en AS department_en
FROM hotlines h JOIN staff s ON s.id = h.owner_staff_id JOIN departments d ON d.id = s.department_id
WHERE h.delete_time IS NULL ORDER BY h.purpose, h.id;

-- name: LockHotlinePublications :exec
-- Publications follow each other, so that their versions have no gaps. Released at the end
-- of the transaction.
SELECT pg_advisory_xact_lock(hashtextextended('hotline_publications', 0));

-- name: GetLatestPublication :one
SELECT * FROM hotline_publications ORDER BY version DESC LIMIT 1;

-- name: GetPublication :one
SELECT * FROM hotline_publications WHERE version = @version;

-- name: InsertPublication :exec
INSERT INTO hotline_publications (version, subject_id, publish_time, content)
VALUES (@version, @subject_id, @publish_time, @content);

-- name: HotlinesChangedSince :one
SELECT EXISTS (SELECT FROM hotlines WHERE update_time > @since);

-- name: InsertHotlineReminder :execrows
INSERT INTO hotline_reminders (version, reason, remind_time) VALUES (@version, @reason, @remind_time)
ON CONFLICT DO NOTHING;
