-- SPDX-License-Identifier: ISC
\set customer random(1, 30000)
SELECT id, full_name FROM customers WHERE email = 'customer' || :customer || '@example.com';
