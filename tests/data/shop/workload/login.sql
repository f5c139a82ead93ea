-- SPDX-License-Identifier: ISC
\set card 7000000000 + random(1, 30000) * 37
SELECT id, full_name FROM customers WHERE card_number = :card;
