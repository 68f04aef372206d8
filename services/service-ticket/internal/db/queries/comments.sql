-- name: InsertComment :exec
INSERT INTO comments (id, ticket_id, body, public, author, author_kind, author_staff_id, create_time)
VALUES (@id, @ticket_id, @body, @public, @author, @author_kind, @author_staff_id, @create_time);

-- name: ListComments :many
SELECT * FROM comments WHERE ticket_id = @ticket_id AND id > @after ORDER BY id LIMIT @size;

-- name: ListPublicComments :many
SELECT * FROM comments WHERE ticket_id = @ticket_id AND public AND id > @after ORDER BY id LIMIT @size;
