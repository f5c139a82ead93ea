-- SPDX-License-Identifier: ISC
\set since 1735689600 + random(1, 360) * 86400
SELECT id, customer_id, total FROM orders WHERE status = 'open' AND created_at >= to_timestamp(:since) ORDER BY created_at LIMIT 20;
