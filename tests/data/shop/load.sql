-- SPDX-License-Identifier: ISC
-- Deterministic data: the same rows on every machine. Values are spread by a hash of the row number, so that
-- neighbours differ and no column follows the physical order by accident.
CREATE FUNCTION pg_temp.pick(n bigint, salt int, upto int) RETURNS int LANGUAGE sql IMMUTABLE AS
$$ SELECT (abs(hashint8extended(n, salt)) % upto)::int $$;

INSERT INTO customers (card_number, email, full_name, country, newsletter, created_at)
SELECT 7000000000 + n * 37,
       'customer' || n || '@example.com',
       'Customer ' || n,
       (ARRAY['DE', 'FR', 'US', 'JP', 'BR', 'IN', 'PL', 'SE'])[1 + pg_temp.pick(n, 1, 8)],
       pg_temp.pick(n, 2, 2) = 0,
       timestamptz '2024-01-01' + pg_temp.pick(n, 3, 700) * interval '1 day'
FROM generate_series(1, 30000) n;

INSERT INTO products (product_name, category, brand, price, stock)
SELECT 'Product ' || n,
       (ARRAY['Electronics', 'Books', 'Garden', 'Toys', 'Clothing', 'Sports', 'Kitchen', 'Music', 'Office', 'Health'])[1 + pg_temp.pick(n, 4, 10)],
       (ARRAY['Sony', 'Acme', 'Globex', 'Initech', 'Umbrella', 'Stark', 'Wayne', 'Hooli', 'Vandelay', 'Wonka',
              'Cyberdyne', 'Tyrell', 'Soylent', 'Duff', 'Oscorp', 'Aperture', 'Monarch', 'Zorg', 'Nakatomi', 'Virtucon'])[1 + pg_temp.pick(n, 5, 20)],
       5 + pg_temp.pick(n, 6, 150000) / 100.0,
       pg_temp.pick(n, 7, 500)
FROM generate_series(1, 60000) n;

-- One order in a hundred is still open.
INSERT INTO orders (customer_id, status, total, created_at)
SELECT 1 + pg_temp.pick(n, 8, 30000),
       CASE WHEN pg_temp.pick(n, 9, 100) = 0 THEN 'open' WHEN pg_temp.pick(n, 9, 100) < 4 THEN 'returned' ELSE 'shipped' END,
       10 + pg_temp.pick(n, 10, 90000) / 100.0,
       timestamptz '2025-01-01' + pg_temp.pick(n, 11, 525600) * interval '1 minute'
FROM generate_series(1, 120000) n;

INSERT INTO order_items (order_id, product_id, quantity, unit_price)
SELECT 1 + pg_temp.pick(n, 12, 120000), 1 + pg_temp.pick(n, 13, 60000), 1 + pg_temp.pick(n, 14, 5), 5 + pg_temp.pick(n, 15, 150000) / 100.0
FROM generate_series(1, 300000) n;

CREATE INDEX order_items_order_id_idx ON order_items (order_id);
CREATE INDEX order_items_order_id_again_idx ON order_items (order_id); -- a duplicate
CREATE INDEX customers_newsletter_idx ON customers (newsletter);       -- useless: nobody asks, and it has two values
