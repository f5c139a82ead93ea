-- SPDX-License-Identifier: ISC
\set product random(1, 60000)
SELECT sum(quantity) AS sold, sum(quantity * unit_price) AS revenue FROM order_items WHERE product_id = :product;
