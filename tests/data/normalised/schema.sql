-- SPDX-License-Identifier: ISC
-- A schema with many types, for statements without their constants (statements.sql).
CREATE TYPE mood AS ENUM ('calm', 'busy', 'angry');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE accounts (id bigserial PRIMARY KEY, key uuid NOT NULL, email varchar(80) NOT NULL, name text, active boolean NOT NULL, mood mood, level smallint,
                       balance numeric(12,2), score double precision, ratio real, born date, seen timestamptz, created timestamp NOT NULL, wakes time, zone text,
                       address inet, network cidr, tags text[], numbers int[], settings jsonb, raw json, search tsvector, avatar bytea, stay tsrange, units positive,
                       code char(8), parent_id bigint, patience interval);
INSERT INTO accounts (key, email, name, active, mood, level, balance, score, ratio, born, seen, created, wakes, zone, address, network, tags, numbers, settings, raw,
                      search, avatar, stay, units, code, parent_id, patience)
SELECT md5(i::text)::uuid, 'u' || i || '@example.com', 'name ' || i % 700, i % 10 <> 0, (ARRAY['calm','busy','angry'])[1 + i % 3]::mood, i % 9, i % 1000 / 3.0, i / 7.0,
       i / 11.0, date '1950-01-01' + i % 20000, timestamptz '2024-01-01' + i * interval '1 hour', timestamp '2023-01-01' + i * interval '50 minutes',
       time '06:00' + i % 300 * interval '1 minute', 'UTC', ('10.0.' || i % 200 || '.' || i % 250)::inet, '10.0.0.0/8', ARRAY['t' || i % 20, 't' || i % 33],
       ARRAY[i % 50, i % 70], jsonb_build_object('plan', 'p' || i % 5, 'n', i % 100), '{"a": 1}', to_tsvector('simple', 'word' || i % 90 || ' text'), 'x',
       tsrange(timestamp '2024-01-01' + i * interval '1 hour', timestamp '2024-01-02' + i * interval '1 hour'), 1 + i % 40, 'C' || i % 500, nullif(i % 100, 0),
       i % 30 * interval '1 day'
FROM generate_series(1, 6000) i;
CREATE TABLE orders (id serial PRIMARY KEY, account_id bigint NOT NULL, status text NOT NULL, total numeric(10,2) NOT NULL, tax double precision, placed timestamptz NOT NULL,
                     due date, paid boolean, notes text, quantity int NOT NULL, details jsonb);
INSERT INTO orders (account_id, status, total, tax, placed, due, paid, notes, quantity, details)
SELECT 1 + i * 7 % 6000, (ARRAY['new','paid','sent','done'])[1 + i % 4], i % 500, i % 19, timestamptz '2024-01-01' + i * interval '7 minutes', date '2024-01-01' + i % 300,
       i % 3 = 0, 'note ' || i, 1 + i % 12, jsonb_build_object('gift', i % 2 = 0) FROM generate_series(1, 20000) i;
CREATE TABLE events (id bigserial, order_id int, at timestamp NOT NULL, kind varchar(20), amount bigint, payload jsonb);
INSERT INTO events (order_id, at, kind, amount, payload)
SELECT 1 + i % 20000, timestamp '2024-01-01' + i * interval '3 minutes', (ARRAY['view','click','buy'])[1 + i % 3], i % 900, jsonb_build_object('k', i % 40)
FROM generate_series(1, 30000) i;
CREATE VIEW recent_orders AS SELECT o.id, o.account_id AS who, o.total, o.placed FROM orders o WHERE o.status <> 'done';
ANALYZE;
