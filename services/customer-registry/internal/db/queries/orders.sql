-- name: InsertOrder :execrows
INSERT INTO orders (id, customer_id, order_number, order_time, status, currency, amount_units, amount_nanos,
  cost_units, cost_nanos, ship_time, delivery_time, create_time, update_time, version)
VALUES (@id, @customer_id, @order_number, @order_time, @status, @currency, @amount_units, @amount_nanos,
  @cost_units, @cost_nanos, @ship_time, @delivery_time, @create_time, @update_time, 1)
ON CONFLICT ON CONSTRAINT orders_order_number_key DO NOTHING;

-- name: LockOrder :one
SELECT * FROM orders WHERE order_number = @order_number FOR UPDATE;

-- name: UpdateOrder :exec
UPDATE orders SET order_time = @order_time, status = @status, currency = @currency, amount_units = @amount_units,
  amount_nanos = @amount_nanos, cost_units = @cost_units, cost_nanos = @cost_nanos, ship_time = @ship_time,
  delivery_time = @delivery_time, update_time = @update_time, version = version + 1
WHERE id = @id;

-- name: DeleteOrderLines :exec
DELETE FROM order_lines WHERE order_id = @order_id;

-- name: InsertOrderLine :exec
INSERT INTO order_lines (order_id, line, product_model, product_category, quantity, price_units, price_nanos,
  freight_units, freight_nanos)
VALUES (@order_id, @line, @product_model, @product_category, @quantity, @price_units, @price_nanos,
  @freight_units, @freight_nanos);

-- name: ListOrderLines :many
SELECT * FROM order_lines WHERE order_id = ANY(@order_ids::uuid[]) ORDER BY order_id, line;

-- name: ListOrders :many
SELECT * FROM orders WHERE customer_id = @customer_id AND id < @before ORDER BY id DESC LIMIT @count;

-- name: InsertInstalledProduct :execrows
INSERT INTO installed_products (id, customer_id, serial_number, product_model, order_number, ship_time,
  delivery_time, warranty_end_time, guarantee_end_time, create_time, update_time, version)
VALUES (@id, @customer_id, @serial_number, @product_model, @order_number, @ship_time,
  @delivery_time, @warranty_end_time, @guarantee_end_time, @create_time, @update_time, 1)
ON CONFLICT ON CONSTRAINT installed_products_serial_number_key DO NOTHING;

-- name: LockInstalledProduct :one
SELECT * FROM installed_products WHERE serial_number = @serial_number FOR UPDATE;

-- name: UpdateInstalledProduct :exec
UPDATE installed_products SET product_model = @product_model, order_number = @order_number, ship_time = @ship_time,
  delivery_time = @delivery_time, warranty_end_time = @warranty_end_time, guarantee_end_time = @guarantee_end_time,
  update_time = @update_time, version = version + 1
WHERE id = @id;

-- name: ListInstalledProducts :many
SELECT * FROM installed_products WHERE customer_id = @customer_id AND id < @before ORDER BY id DESC LIMIT @count;
