-- SPDX-License-Identifier: ISC
\set low random(100, 1200)
SELECT product_name, price FROM products WHERE category = 'Electronics' AND brand = 'Sony' AND price BETWEEN :low AND :low + 200 ORDER BY price DESC;
