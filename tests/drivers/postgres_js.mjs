// SPDX-License-Identifier: ISC
// postgres.js (npm postgres): the scenarios of scenarios.py. VARIANT 'simple': prepare: false.
import postgres from 'postgres';
import { check, code, main } from './harness.mjs';

const heard = [];

function open(more = {}) {
    return postgres({ max: 1, prepare: process.env.VARIANT !== 'simple', connection: { application_name: 'drivers' }, onnotice: (n) => heard.push(n.message),
        host: process.env.PGHOST, port: Number(process.env.PGPORT), username: process.env.PGUSER, password: process.env.PGPASSWORD,
        database: process.env.PGDATABASE, ssl: false, ...more });
}

const scenarios = {
    async connect(sql, user) {
        const [r] = await sql`SELECT current_user AS u, current_setting('application_name') AS a`;
        check([r.u, r.a], [user, 'drivers']);
        check(sql.parameters.client_encoding, 'UTF8');
    },

    async parameters(sql) {
        const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
        const [r] = await sql`SELECT ${'ü\'"\\'}::text AS t, ${42}::int AS i, ${null}::text AS n, ${true}::bool AS b, ${bytes}::bytea AS y, ${sql.array([1, 2], 1007)}::int[] AS l,
            ${sql.json({ a: 1 })}::json AS j`;
        check([r.t, r.i, r.n, r.b, bytes.equals(r.y), r.l, r.j], ['ü\'"\\', 42, null, true, true, [1, 2], { a: 1 }]);
    },

    async settings(sql) {
        await sql`SET work_mem = '7MB'`;
        await sql`SET TimeZone = 'Asia/Tokyo'`;
        for (let i = 0; i < 10; i++) {
            const [r] = await sql`SELECT current_setting('work_mem') AS w, current_setting('TimeZone') AS z`;
            check([r.w, r.z], ['7MB', 'Asia/Tokyo']);
        }
    },

    async prepared(sql) {
        for (let i = 0; i < 20; i++) {
            const [a] = await sql`SELECT ${i}::int + 1 AS v`;
            const [b] = await sql`SELECT ${String(i)}::text || 'x' AS v`;
            check([a.v, b.v], [i + 1, `${i}x`]);
        }
    },

    async batch(sql) { // the driver pipelines what is asked for at once
        const all = await Promise.allSettled(Array.from({ length: 50 }, (_, i) => sql`SELECT 100 / (${i}::int - 25) AS v`));
        check(all.filter((r) => r.status !== 'fulfilled').map((r) => r.reason.code), ['22012']);
        check(all[0].value[0].v, -4);
        check((await sql.unsafe('SELECT 1 AS a; SELECT 2 AS a').simple()).map((r) => r[0].a), [1, 2]);
        await sql`INSERT INTO items ${sql(Array.from({ length: 200 }, (_, i) => ({ name: `b${i}`, n: i })))}`;
        check((await sql`DELETE FROM items`).count, 200);
    },

    async transactions(sql) {
        await sql.begin('isolation level serializable', async (tx) => {
            check((await tx`SHOW transaction_isolation`)[0].transaction_isolation, 'serializable');
            await tx`INSERT INTO items (name) VALUES ('kept')`;
            await tx.savepoint(async (sp) => { await sp`INSERT INTO items (name) VALUES ('undone')`; throw new Error('back'); }).catch(() => {});
        });
        check(await code(sql.begin(async (tx) => {
            await tx`INSERT INTO items (name) VALUES ('gone')`;
            check([await code(tx`SELECT 1/0`), await code(tx`SELECT 1`)], ['22012', '25P02']);
            throw Object.assign(new Error('back'), { code: 'back' });
        })), 'back');
        check((await sql`SELECT string_agg(name, ',') AS n FROM items`)[0].n, 'kept');
        check((await sql`DELETE FROM items`).count, 1);
    },

    async cursor(sql) {
        let total = 0;
        for await (const rows of sql`SELECT generate_series(1, 1000) AS v`.cursor(100)) total += rows.reduce((s, r) => s + r.v, 0);
        check(total, 500500);
    },

    async copy(sql) {
        const input = await sql`COPY copied FROM STDIN`.writable();
        for (let i = 0; i < 1000; i++) input.write(`${i}\trow\n`);
        await new Promise((resolve, reject) => { input.on('error', reject); input.end(resolve); });
        let rows = 0;
        for await (const chunk of await sql`COPY copied TO STDOUT`.readable()) rows += String(chunk).split('\n').length - 1;
        check(rows, 1000);
        check((await sql`DELETE FROM copied`).count, 1000);
    },

    async cancel(sql) {
        const other = open();
        const query = sql.unsafe('SELECT pg_sleep(60)');
        const ended = code(query.execute());
        while ((await other`SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query = 'SELECT pg_sleep(60)'
            AND datname = current_database()`)[0].n !== 1) await new Promise((r) => setTimeout(r, 10));
        query.cancel();
        check(await ended, '57014');
        await other.end();
        check((await sql`SELECT 1 AS v`)[0].v, 1);
    },

    async notices(sql) {
        heard.length = 0;
        check((await sql`SELECT loud(${'node'}) AS v`)[0].v, 'node');
        check(heard, ['hear node']);
    },

    async notify(sql) {
        let got;
        const told = new Promise((resolve) => { got = resolve; });
        const { unlisten } = await sql.listen('chan', got); // on a connection of its own
        await sql.notify('chan', 'hello');
        check(await told, 'hello');
        await unlisten();
    },

    async large(sql) {
        const text = 'x'.repeat(10000000);
        check((await sql`SELECT ${text}::text AS v`)[0].v === text, true);
        check((await sql`SELECT generate_series(1, 50000) AS v`).length, 50000);
    },

    async errors(sql) {
        const codes = [];
        for (const t of ['SELEKT', "INSERT INTO items (name) VALUES ('twice'), ('twice')", 'SELECT 1/0']) codes.push(await code(sql.unsafe(t)));
        check(codes, ['42601', '23505', '22012']);
        await sql`SET statement_timeout = 100`;
        check(await code(sql`SELECT pg_sleep(60)`), '57014');
        check((await sql`SELECT 1 AS v`)[0].v, 1);
    },

    async ddl(sql) {
        const other = open();
        await sql.unsafe('CREATE TABLE wide (a int); INSERT INTO wide VALUES (1)').simple();
        for (const columns of [1, 2, 3]) {
            for (let i = 0; i < 8; i++) {
                try {
                    check(Object.keys((await sql`SELECT * FROM wide`)[0]).length, columns);
                } catch (e) {
                    if (e.code !== '0A000') throw e;
                    await sql.end(); // the driver keeps the statement as long as the connection
                    sql = open();
                }
            }
            await other.unsafe(`ALTER TABLE wide ADD b${columns} int`);
        }
        await other.end();
        await sql.end();
    },

    async session(sql) {
        await sql`CREATE TEMP TABLE mine (a int)`;
        await sql`INSERT INTO mine VALUES (${8})`;
        check((await sql`SELECT a FROM mine`)[0].a, 8);
        await sql`DROP TABLE mine`;
        await sql.unsafe('BEGIN; DECLARE h CURSOR WITH HOLD FOR SELECT generate_series(1, 3); COMMIT').simple();
        check([(await sql`FETCH 2 FROM h`).length, (await sql`FETCH ALL FROM h`).length], [2, 1]);
        await sql`CLOSE h`;
        const other = open();
        check([(await sql`SELECT pg_try_advisory_lock(77) AS v`)[0].v, (await other`SELECT pg_try_advisory_lock(77) AS v`)[0].v], [true, false]);
        check([(await sql`SELECT pg_advisory_unlock(77) AS v`)[0].v, (await other`SELECT pg_try_advisory_lock(77) AS v`)[0].v], [true, true]);
        await other.end();
    },

    async reconnect(sql) { // the driver connects anew by itself
        await code(sql`SELECT pg_terminate_backend(pg_backend_pid())`);
        let got;
        for (let i = 0; i < 100 && !(got && got[0]); i++) { // the first may still meet the dying connection
            got = await sql`SELECT 1 AS v`.catch(() => new Promise((r) => setTimeout(r, 50)));
        }
        check(got[0].v, 1);
    },

    async servers(sql) {
        const seen = new Set();
        for (let i = 0; i < 30; i++) seen.add((await sql`SELECT pg_backend_pid() AS v`)[0].v);
        return seen.size;
    },
};

main(scenarios, open, (sql) => sql.end({ timeout: 5 }));
