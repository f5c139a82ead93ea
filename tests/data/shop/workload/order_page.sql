-- SPDX-License-Identifier: ISC
\set o random(1, 120000)
SELECT o.id, o.status, i.quantity, i.unit_price, p.product_name FROM orders o JOIN order_items i ON i.order_id = o.id JOIN products p ON p.id = i.product_id WHERE o.id = :o;
