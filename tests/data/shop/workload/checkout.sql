-- SPDX-License-Identifier: ISC
\set customer random(1, 30000)
\set product random(1, 60000)
\set amount random(1, 5)
BEGIN;
INSERT INTO orders (customer_id, status, total, created_at) VALUES (:customer, 'open', :amount * 20, now());
INSERT INTO order_items (order_id, product_id, quantity, unit_price) VALUES (currval('orders_id_seq'), :product, :amount, 20);
UPDATE products SET stock = stock - :amount WHERE id = :product;
COMMIT;
