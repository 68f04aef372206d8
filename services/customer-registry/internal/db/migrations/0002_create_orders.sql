-- +goose Up
CREATE TABLE orders (
  id            uuid PRIMARY KEY,
  customer_id   uuid NOT NULL CONSTRAINT orders_customer_id_fkey REFERENCES customers,
  order_number  text NOT NULL CONSTRAINT orders_order_number_key UNIQUE,
  order_time    timestamptz NOT NULL,
  status        text NOT NULL,
  -- One currency an order; empty where it names no amount.
  currency      text NOT NULL,
  amount_units  bigint,
  amount_nanos  integer,
  cost_units    bigint,
  cost_nanos    integer,
  ship_time     timestamptz,
  delivery_time timestamptz,
  create_time   timestamptz NOT NULL,
  update_time   timestamptz NOT NULL,
  version       bigint NOT NULL,
  CONSTRAINT orders_amount_check CHECK ((amount_units IS NULL) = (amount_nanos IS NULL)),
  CONSTRAINT orders_cost_check CHECK ((cost_units IS NULL) = (cost_nanos IS NULL)),
  CONSTRAINT orders_ship_time_check CHECK (ship_time >= order_time),
  CONSTRAINT orders_delivery_time_check CHECK (delivery_time >= coalesce(ship_time, order_time))
);
CREATE INDEX orders_customer_id_idx ON orders (customer_id, id DESC);

CREATE TABLE order_lines (
  order_id         uuid NOT NULL CONSTRAINT order_lines_order_id_fkey REFERENCES orders,
  line             integer NOT NULL,
  product_model    text NOT NULL,
  product_category text NOT NULL,
  quantity         integer NOT NULL,
  price_units      bigint,
  price_nanos      integer,
  freight_units    bigint,
  freight_nanos    integer,
  CONSTRAINT order_lines_pkey PRIMARY KEY (order_id, line),
  CONSTRAINT order_lines_quantity_check CHECK (quantity > 0),
  CONSTRAINT order_lines_price_check CHECK ((price_units IS NULL) = (price_nanos IS NULL)),
  CONSTRAINT order_lines_freight_check CHECK ((freight_units IS NULL) = (freight_nanos IS NULL))
);

CREATE TABLE installed_products (
  id                 uuid PRIMARY KEY,
  customer_id        uuid NOT NULL CONSTRAINT installed_products_customer_id_fkey REFERENCES customers,
  serial_number      text NOT NULL CONSTRAINT installed_products_serial_number_key UNIQUE,
  product_model      text NOT NULL,
  order_number       text NOT NULL,
  ship_time          timestamptz,
  delivery_time      timestamptz,
  warranty_end_time  timestamptz,
  guarantee_end_time timestamptz,
  create_time        timestamptz NOT NULL,
  update_time        timestamptz NOT NULL,
  version            bigint NOT NULL,
  CONSTRAINT installed_products_delivery_time_check CHECK (delivery_time >= ship_time),
  CONSTRAINT installed_products_warranty_end_time_check CHECK (warranty_end_time >= ship_time),
  CONSTRAINT installed_products_guarantee_end_time_check CHECK (guarantee_end_time >= ship_time)
);
CREATE INDEX installed_products_customer_id_idx ON installed_products (customer_id, id DESC);

-- +goose Down
DROP TABLE installed_products, order_lines, orders;
