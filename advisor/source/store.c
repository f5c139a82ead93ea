/* SPDX-License-Identifier: ISC */
#include "advisor/source/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/source/summary.h"

#define BATCH ((size_t)1024 * 1024) /* bytes of lines that go with one statement */

static const char *const schema[] = {
    "CREATE SCHEMA IF NOT EXISTS poolwise",
    "CREATE TABLE IF NOT EXISTS poolwise.summary (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, origin text NOT NULL,"
    " stored_at timestamptz NOT NULL DEFAULT now(), head jsonb NOT NULL)",
    "CREATE TABLE IF NOT EXISTS poolwise.shape (summary_id bigint NOT NULL REFERENCES poolwise.summary ON DELETE CASCADE, fingerprint text COLLATE \"C\" NOT NULL,"
    " kind text NOT NULL, calls bigint NOT NULL, us bigint NOT NULL, rows bigint NOT NULL, rows_calls bigint NOT NULL, temp_files bigint NOT NULL,"
    " temp_bytes bigint NOT NULL, lock_waits bigint NOT NULL, PRIMARY KEY (summary_id, fingerprint))",
    "CREATE TABLE IF NOT EXISTS poolwise.sample (summary_id bigint NOT NULL REFERENCES poolwise.summary ON DELETE CASCADE, fingerprint text COLLATE \"C\" NOT NULL,"
    " key text COLLATE \"C\" NOT NULL, calls bigint NOT NULL, origin text NOT NULL, text text NOT NULL, PRIMARY KEY (summary_id, fingerprint, key))",
};

static const char insert_shapes[] =
    "INSERT INTO poolwise.shape SELECT $1::bigint, l->>'fingerprint', l->>'kind', coalesce((l->>'calls')::bigint, 0), coalesce((l->>'us')::bigint, 0),"
    " coalesce((l->>'rows')::bigint, 0), coalesce((l->>'rows_calls')::bigint, 0), coalesce((l->>'temp_files')::bigint, 0), coalesce((l->>'temp_bytes')::bigint, 0),"
    " coalesce((l->>'lock_waits')::bigint, 0) FROM jsonb_array_elements($2::jsonb) l";

static const char insert_samples[] =
    "INSERT INTO poolwise.sample SELECT $1::bigint, l->>'fingerprint', s->>'key', (s->>'calls')::bigint, s->>'origin', s->>'text'"
    " FROM jsonb_array_elements($2::jsonb) l, jsonb_array_elements(l->'samples') s";

/* Each row is a line of a summary. The samples of a sum are the smallest keys of all; their calls are exact, since such a key is among the smallest of each summary
 * that has seen its text. */
static const char select_shapes[] =
    "WITH best AS (SELECT fingerprint, jsonb_agg(jsonb_build_object('key', key, 'calls', calls, 'origin', origin, 'text', text) ORDER BY key) AS samples FROM"
    " (SELECT fingerprint, key, least(sum(calls), 9223372036854775807)::bigint AS calls,"
    "  (array_agg(origin ORDER BY array_position(ARRAY['postgres log', 'pg_stat_statements', 'query log'], origin)))[1] AS origin, min(text) AS text,"
    "  row_number() OVER (PARTITION BY fingerprint ORDER BY key) AS n FROM poolwise.sample GROUP BY fingerprint, key) s WHERE n <= 4 GROUP BY fingerprint)"
    " SELECT jsonb_build_object('fingerprint', s.fingerprint, 'kind', min(s.kind), 'calls', least(sum(s.calls), 9223372036854775807)::bigint,"
    " 'us', least(sum(s.us), 9223372036854775807)::bigint, 'rows', least(sum(s.rows), 9223372036854775807)::bigint,"
    " 'rows_calls', least(sum(s.rows_calls), 9223372036854775807)::bigint, 'temp_files', least(sum(s.temp_files), 9223372036854775807)::bigint,"
    " 'temp_bytes', least(sum(s.temp_bytes), 9223372036854775807)::bigint, 'lock_waits', least(sum(s.lock_waits), 9223372036854775807)::bigint,"
    " 'samples', coalesce((SELECT samples FROM best b WHERE b.fingerprint = s.fingerprint), '[]'::jsonb))::text"
    " FROM poolwise.shape s GROUP BY s.fingerprint ORDER BY sum(s.us) DESC, sum(s.calls) DESC, s.fingerprint LIMIT 20000";

static PwErr run(AdvDb *db, AdvArena *arena, const char *sql, int n_params, const char *const *params, AdvRows *ret_rows, const char **ret_why)
{
    AdvRows rows;
    if (adv_db_query(db, sql, n_params, params, &rows)) {
        *ret_why = adv_arena_printf(arena, "cannot use the store: %s", adv_db_error(db)->message);
        return PW_ERR_IO;
    }
    if (ret_rows)
        *ret_rows = rows;
    else
        adv_db_free_rows(&rows);
    return PW_OK;
}

static PwErr insert_batch(AdvDb *db, AdvArena *arena, const char *id, PwBuf *batch, const char **ret_why)
{
    if (batch->len == 0)
        return PW_OK;
    pw_buf_append(batch, "]", 2); /* with the NUL */
    batch->data[0] = '[';         /* in the place of the first comma */
    const char *const params[] = {id, (const char *)batch->data};
    PwErr err = run(db, arena, insert_shapes, 2, params, NULL, ret_why);
    if (!err)
        err = run(db, arena, insert_samples, 2, params, NULL, ret_why);
    batch->off = batch->len = 0;
    return err;
}

static PwErr insert_lines(AdvDb *db, AdvArena *arena, const char *id, const char *p, const char *end, const char **ret_why)
{
    PwBuf batch;
    PwErr err = PW_OK;
    pw_buf_init(&batch);
    while (!err && p < end) {
        const char *newline = memchr(p, '\n', (size_t)(end - p)), *stop = newline ? newline : end;
        pw_buf_append_u8(&batch, ',');
        pw_buf_append(&batch, p, (size_t)(stop - p));
        p = stop + 1;
        if (batch.len > BATCH)
            err = insert_batch(db, arena, id, &batch, ret_why);
    }
    if (!err)
        err = insert_batch(db, arena, id, &batch, ret_why);
    pw_buf_finish(&batch);
    return err;
}

static PwErr make_schema(AdvDb *db, AdvArena *arena, const char **ret_why)
{
    AdvRows rows;
    /* Who may only insert cannot create, and hosts that come at the same moment must not trip over each other. */
    PwErr err = run(db, arena, "SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
                               " WHERE n.nspname = 'poolwise' AND c.relname IN ('summary', 'shape', 'sample')", 0, NULL, &rows, ret_why);
    if (err)
        return err;
    bool there = strcmp(adv_db_cell(&rows, 0, 0), "3") == 0;
    adv_db_free_rows(&rows);
    if (there)
        return PW_OK;
    err = run(db, arena, "SELECT pg_catalog.pg_advisory_xact_lock(7074815)", 0, NULL, NULL, ret_why);
    for (size_t i = 0; !err && i < PW_ARRAY_LEN(schema); i++)
        err = run(db, arena, schema[i], 0, NULL, NULL, ret_why);
    return err;
}

static PwErr write_all(AdvDb *db, AdvArena *arena, const PwBuf *text, const char *origin, const char **ret_why)
{
    AdvRows rows;
    const char *lines = (const char *)text->data, *head_end = memchr(lines, '\n', text->len);
    PwErr err = run(db, arena, "BEGIN", 0, NULL, NULL, ret_why);
    if (!err)
        err = make_schema(db, arena, ret_why);
    const char *const params[] = {origin, adv_arena_strndup(arena, lines, (size_t)(head_end - lines))};
    if (!err)
        err = run(db, arena, "INSERT INTO poolwise.summary (origin, head) VALUES ($1, $2::jsonb) RETURNING id", 2, params, &rows, ret_why);
    if (err)
        return err;
    const char *id = adv_arena_strdup(arena, adv_db_cell(&rows, 0, 0));
    adv_db_free_rows(&rows);
    err = insert_lines(db, arena, id, head_end + 1, lines + text->len, ret_why);
    return err ? err : run(db, arena, "COMMIT", 0, NULL, NULL, ret_why);
}

PwErr adv_store_write(AdvDb *db, AdvArena *arena, const AdvTally *tally, bool redact, const char *origin, const char **ret_why)
{
    PwBuf text;
    pw_buf_init(&text);
    adv_summary_write(tally, redact, &text);
    PwErr err = write_all(db, arena, &text, origin, ret_why);
    pw_buf_finish(&text);
    return err;
}

static PwErr read_rows(AdvDb *db, AdvArena *arena, const char *sql, AdvTally *tally, int *ret_n, const char **ret_why)
{
    AdvRows rows;
    PwErr err = run(db, arena, sql, 0, NULL, &rows, ret_why);
    if (err)
        return err;
    for (int i = 0; !err && i < rows.n_rows; i++) {
        const char *line = adv_db_cell(&rows, i, 0), *wrong = adv_summary_read(tally, line, strlen(line), NULL);
        if (wrong) {
            *ret_why = adv_arena_printf(arena, "the store %s", wrong);
            err = PW_ERR_SYNTAX;
        }
    }
    *ret_n = rows.n_rows;
    adv_db_free_rows(&rows);
    return err;
}

PwErr adv_store_read(AdvDb *db, AdvArena *arena, AdvTally *tally, const char **ret_note, const char **ret_why)
{
    int heads = 0, shapes = 0;
    *ret_note = NULL;
    PwErr err = read_rows(db, arena, "SELECT head::text FROM poolwise.summary ORDER BY id", tally, &heads, ret_why);
    if (!err)
        err = read_rows(db, arena, select_shapes, tally, &shapes, ret_why);
    if (!err && heads == 0)
        *ret_note = "the store holds no summary yet: advisor collect --store adds one";
    return err;
}
