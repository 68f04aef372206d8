-- +goose Up
-- What the customer registry said of the purchase that a complaint names.
CREATE TABLE complaint_purchases (
  complaint_id  uuid PRIMARY KEY CONSTRAINT complaint_purchases_complaint_id_fkey REFERENCES complaints,
  verdict       smallint NOT NULL,
  order_time    timestamptz,
  ship_time     timestamptz,
  delivery_time timestamptz,
  quantity      bigint NOT NULL,
  check_time    timestamptz NOT NULL
);

-- +goose Down
DROP TABLE complaint_purchases;
