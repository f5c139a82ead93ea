// SPDX-License-Identifier: ISC
// node-postgres (npm pg): the scenarios of scenarios.py.
import pg from 'pg';
import { NotSupported, check, code, main } from './harness.mjs';

async function open() {
    const c = new pg.Client({ application_name: 'drivers' });
    c.on('error', () => {}); // the end of the connection in `reconnect`
    await c.connect();
    return c;
}

async function one(c, text, values) {
    const r = await c.query({ text, values, rowMode: 'array' });
    return r.rows[0][0];
}

async function sleeps(other) {
    while (await one(other, "SELECT count(*)::int FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query = 'SELECT pg_sleep(60)'"
        + ' AND datname = current_database()') !== 1) await new Promise((r) => setTimeout(r, 10));
}

const scenarios = {
    async connect(c, user) { check([await one(c, 'SELECT current_user'), await one(c, 'SHOW application_name')], [user, 'drivers']); },

    async parameters(c) {
        for (const [type, value] of [['text', 'ü\'"\\'], ['int', 42], ['text', null], ['bool', true], ['float8', 1.5], ['text[]', ['a', 'b']], ['json', { a: 1 }]])
            check(await one(c, `SELECT $1::${type}`, [value]), value);
        const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
        check(bytes.equals(await one(c, 'SELECT $1::bytea', [bytes])), true);
    },

    async settings(c) {
        await c.query("SET work_mem = '7MB'; SET TimeZone = 'Asia/Tokyo'");
        for (let i = 0; i < 10; i++) check([await one(c, 'SHOW work_mem'), await one(c, 'SHOW TimeZone')], ['7MB', 'Asia/Tokyo']);
    },

    async prepared(c) {
        for (let i = 0; i < 20; i++) {
            const a = await c.query({ name: 'a', text: 'SELECT $1::int + 1 AS v', values: [i] });
            const b = await c.query({ name: 'b', text: "SELECT $1::text || 'x' AS v", values: [String(i)] });
            check([a.rows[0].v, b.rows[0].v], [i + 1, `${i}x`]);
        }
    },

    async batch(c) { // the driver queues; it sends the next query when the last one is answered
        const all = await Promise.allSettled(Array.from({ length: 50 }, (_, i) => one(c, 'SELECT 100 / ($1::int - 25)', [i])));
        check(all.map((r) => r.status === 'fulfilled').filter((x) => !x).length, 1);
        check(all[25].reason.code, '22012');
        check((await c.query('SELECT 1 AS a; SELECT 2 AS a')).map((r) => r.rows[0].a), [1, 2]);
        check(await code(c.query('SELECT 1; SELECT 1/0; SELECT 2')), '22012');
    },

    async transactions(c) {
        await c.query('BEGIN ISOLATION LEVEL SERIALIZABLE');
        check(await one(c, 'SHOW transaction_isolation'), 'serializable');
        await c.query('INSERT INTO items (name) VALUES ($1)', ['kept']);
        await c.query('SAVEPOINT s');
        await c.query('INSERT INTO items (name) VALUES ($1)', ['undone']);
        await c.query('ROLLBACK TO s');
        await c.query('COMMIT');
        await c.query('BEGIN');
        await c.query('INSERT INTO items (name) VALUES ($1)', ['gone']);
        check([await code(c.query('SELECT 1/0')), await code(c.query('SELECT 1'))], ['22012', '25P02']);
        await c.query('ROLLBACK');
        check(await one(c, "SELECT string_agg(name, ',') FROM items"), 'kept');
        check((await c.query('DELETE FROM items')).rowCount, 1);
    },

    async cursor(c) { // portals in portions
        await c.query('BEGIN');
        const r = await c.query({ text: 'SELECT generate_series(1, $1::int) AS v', values: [1000], rows: 100 });
        check(r.rows.length, 1000);
        await c.query('DECLARE cur CURSOR FOR SELECT generate_series(1, 1000)');
        check((await c.query('FETCH 100 FROM cur')).rows.length, 100);
        await c.query('COMMIT');
    },

    async copy() { throw new NotSupported('COPY is a package of its own'); },

    async cancel(c) {
        const other = await open();
        const query = new pg.Query('SELECT pg_sleep(60)');
        const ended = new Promise((resolve) => { query.on('error', (e) => resolve(e.code)); query.on('end', () => resolve('no error')); });
        c.query(query);
        await sleeps(other);
        const canceller = new pg.Client();
        canceller.on('error', () => {});
        canceller.cancel(c, query);
        check(await ended, '57014');
        await other.end();
        check(await one(c, 'SELECT 1'), 1);
    },

    async notices(c) {
        const heard = [];
        c.on('notice', (n) => heard.push(n.message));
        check(await one(c, 'SELECT loud($1)', ['node']), 'node');
        check(heard, ['hear node']);
    },

    async notify(c) {
        const heard = new Promise((resolve) => { c.on('notification', (n) => resolve(n.payload)); });
        await c.query('LISTEN chan');
        const other = await open();
        await other.query("NOTIFY chan, 'hello'");
        check(await heard, 'hello');
        await c.query('UNLISTEN chan');
        await other.end();
    },

    async large(c) {
        const text = 'x'.repeat(10000000);
        check((await one(c, 'SELECT $1::text', [text])) === text, true);
        check((await c.query('SELECT generate_series(1, 50000)')).rows.length, 50000);
    },

    async errors(c) {
        const codes = [];
        for (const t of ['SELEKT', "INSERT INTO items (name) VALUES ('twice'), ('twice')", 'SELECT 1/0']) codes.push(await code(c.query(t, [])));
        check(codes, ['42601', '23505', '22012']);
        await c.query('SET statement_timeout = 100');
        check(await code(c.query('SELECT pg_sleep(60)')), '57014');
        check(await one(c, 'SELECT 1'), 1);
    },

    async ddl(c) { // the driver keeps a named statement for ever: after an error another name
        const other = await open();
        let generation = 0;
        await c.query('CREATE TABLE wide (a int); INSERT INTO wide VALUES (1)');
        for (const columns of [1, 2, 3]) {
            for (let i = 0; i < 8; i++) {
                try {
                    const r = await c.query({ name: `w${generation}`, text: 'SELECT * FROM wide' });
                    check(Object.keys(r.rows[0]).length, columns);
                } catch (e) {
                    if (e.code !== '0A000') throw e;
                    generation++;
                }
            }
            await other.query(`ALTER TABLE wide ADD b${columns} int`);
        }
        await other.end();
    },

    async session(c) {
        await c.query('CREATE TEMP TABLE mine (a int)');
        await c.query('INSERT INTO mine VALUES ($1)', [8]);
        check(await one(c, 'SELECT a FROM mine'), 8);
        await c.query('DROP TABLE mine');
        await c.query('BEGIN; DECLARE h CURSOR WITH HOLD FOR SELECT generate_series(1, 3); COMMIT');
        check([(await c.query('FETCH 2 FROM h')).rows.length, (await c.query('FETCH 2 FROM h')).rows.length], [2, 1]);
        await c.query('CLOSE h');
        const other = await open();
        check([await one(c, 'SELECT pg_try_advisory_lock(77)'), await one(other, 'SELECT pg_try_advisory_lock(77)')], [true, false]);
        check([await one(c, 'SELECT pg_advisory_unlock(77)'), await one(other, 'SELECT pg_try_advisory_lock(77)')], [true, true]);
        await other.end();
    },

    async reconnect(c) {
        await code(c.query('SELECT pg_terminate_backend(pg_backend_pid())'));
        const again = await open();
        check(await one(again, 'SELECT 1'), 1);
        await again.end();
    },

    async servers(c) {
        const seen = new Set();
        for (let i = 0; i < 30; i++) seen.add(await one(c, 'SELECT pg_backend_pid()'));
        return seen.size;
    },
};

main(scenarios, open, (c) => c.end());
