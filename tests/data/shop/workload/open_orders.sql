-- SPDX-License-Identifier: ISC
\set day random(1, 360)
SELECT id, customer_id, total FROM orders WHERE status = 'open' AND created_at >= timestamptz '2025-01-01' + :day * interval '1 day' ORDER BY created_at LIMIT 20;
