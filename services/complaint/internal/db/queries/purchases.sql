-- name: SetPurchase :exec
INSERT INTO complaint_purchases (complaint_id, verdict, order_time, ship_time, delivery_time, quantity, check_time)
VALUES (@complaint_id, @verdict, @order_time, @ship_time, @delivery_time, @quantity, @check_time)
ON CONFLICT ON CONSTRAINT complaint_purchases_pkey DO UPDATE SET verdict = excluded.verdict, order_time = excluded.order_time,
  ship_time = excluded.ship_time, delivery_time = excluded.delivery_time, quantity = excluded.quantity, check_time = excluded.check_time;

-- name: SelectPurchases :many
SELECT * FROM complaint_purchases WHERE complaint_id = ANY (@complaint_ids::uuid[]);
