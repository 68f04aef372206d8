-- name: InsertTicketText :exec
INSERT INTO ticket_texts (ticket_id, position, folded, grams) VALUES (@ticket_id, @position, @folded, @grams);

-- name: SetTicketText :exec
UPDATE ticket_texts SET folded = @folded, grams = @grams WHERE ticket_id = @ticket_id AND folded <> @folded;
