-- name: FindPurchase :one
SELECT o.order_time, o.ship_time, o.delivery_time, coalesce((
    SELECT sum(l.quantity) FROM order_lines l
    WHERE l.order_id = o.id AND (@product_model::text = '' OR l.product_model = @product_model)
  ), 0)::bigint AS quantity
FROM orders o WHERE o.order_number = @order_number AND o.customer_id = @customer_id;

-- name: IsBought :one
SELECT (EXISTS (
    SELECT FROM orders o JOIN order_lines l ON l.order_id = o.id WHERE o.customer_id = @customer_id AND l.product_model = @product_model::text
  ) OR EXISTS (
    SELECT FROM installed_products p WHERE p.customer_id = @customer_id AND p.product_model = @product_model::text
  ))::boolean AS bought;
