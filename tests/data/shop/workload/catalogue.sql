-- SPDX-License-Identifier: ISC
\set low random(100, 1200)
\set high :low + 200
SELECT product_name, price FROM products WHERE category = 'Electronics' AND brand = 'Sony' AND price BETWEEN :low AND :high ORDER BY price DESC;
