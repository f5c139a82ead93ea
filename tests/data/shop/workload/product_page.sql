-- SPDX-License-Identifier: ISC
\set product random(1, 60000)
SELECT product_name, price, stock FROM products WHERE id = :product;
