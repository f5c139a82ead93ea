/* SPDX-License-Identifier: ISC */
/* ddl.c - the report as a script for psql. */
#include "advisor/report/findings.h"
#include "advisor/text.h"

/* Names hold any byte, and whoever may create a table chooses them. A carriage return ends a comment too. */
static void add_comment(AdvText *text, const char *line)
{
    adv_text_add(text, "-- ");
    for (const char *p = line; *p; p++) {
        if (*p == '\n' || *p == '\r')
            adv_text_add(text, "\n-- ");
        else
            adv_text_add_n(text, p, 1);
    }
    adv_text_add(text, "\n");
}

/* The quotes around the body are such that no name in it ends them. */
static void add_do(AdvText *text, const char *body)
{
    const char *quote = "$$";
    for (int i = 1; strstr(body, quote); i++)
        quote = adv_arena_printf(text->arena, "$do%d$", i);
    adv_text_addf(text, "DO %s BEGIN %s END %s;\n", quote, body, quote);
}

/* What an interrupted CREATE INDEX CONCURRENTLY left behind goes first, so that the script can be run again. The shell on a
 * partitioned parent (relkind I) is invalid by design until its last partition is attached. */
static void add_clean_up(AdvText *text, const char *index)
{
    AdvText body;
    adv_text_init(&body, text->arena);
    adv_text_add(&body, "/* what a CREATE INDEX CONCURRENTLY that failed left behind */ IF EXISTS (SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
                        " WHERE c.relkind = 'i' AND NOT i.indisvalid AND c.oid = to_regclass(");
    adv_text_add_literal(&body, index);
    adv_text_addf(&body, ")) THEN DROP INDEX %s; END IF;", index);
    add_do(text, adv_text_get(&body));
}

static void add_statement(AdvText *text, const char *statement)
{
    static const char *const heads[] = {"CREATE INDEX CONCURRENTLY ", "CREATE INDEX "};
    for (size_t i = 0; i < PW_ARRAY_LEN(heads); i++)
        if (strncmp(statement, heads[i], strlen(heads[i])) == 0) {
            adv_text_addf(text, "%sIF NOT EXISTS %s\n", heads[i], statement + strlen(heads[i]));
            return;
        }
    adv_text_addf(text, "%s\n", statement);
}

/* An old index must not go when the one that replaces it could not be built, whatever client runs the script and whether or not it
 * stops at errors: from here on the session refuses to write. */
static void add_guard(AdvText *text, const AdvReport *r, const AdvCandidate *needed)
{
    for (int i = 0; i < r->n_findings; i++) {
        const AdvFinding *f = &r->findings[i];
        if (f->create != needed || f->script.n_indexes == 0)
            continue;
        AdvText body;
        adv_text_init(&body, text->arena);
        adv_text_add(&body, "/* before DROP INDEX CONCURRENTLY */ IF NOT EXISTS (SELECT FROM pg_index WHERE indisvalid AND indexrelid = to_regclass(");
        adv_text_add_literal(&body, f->script.indexes[0]);
        adv_text_add(&body, ")) THEN PERFORM set_config('default_transaction_read_only', 'on', false);"
                            " RAISE WARNING 'the new index is not there: the old one stays'; END IF;");
        add_do(text, adv_text_get(&body));
    }
}

static void add_script(AdvText *text, const AdvScript *script)
{
    for (int i = 0; i < script->n_indexes; i++)
        add_clean_up(text, script->indexes[i]);
    for (int i = 0; i < script->n; i++)
        add_statement(text, script->statements[i]);
    for (int i = 0; i < script->n_skipped; i++)
        add_comment(text, adv_arena_printf(text->arena, "the partition %s is a foreign table: the index is made on its own server",
                                           script->skipped[i]->name));
    adv_text_add(text, "\n");
}

static void add_health(AdvText *text, const AdvReport *r, const AdvHealth *h, int number)
{
    add_comment(text, adv_arena_printf(r->arena, "%d. %s", number, h->reason));
    add_comment(text, adv_arena_printf(r->arena, "wrong if: %s", h->wrong_if));
    if (h->remedy)
        add_comment(text, adv_arena_printf(r->arena, "by hand: %s", h->remedy));
    if (h->undo.n)
        add_comment(text, adv_arena_printf(r->arena, "undo: %s", adv_script_text(r->arena, &h->undo)));
    add_script(text, &h->script);
}

const char *adv_report_sql(const AdvReport *r)
{
    AdvText text;
    adv_text_init(&text, r->arena);
    add_comment(&text, adv_arena_printf(r->arena, "index advice for database %s", r->catalog->database));
    add_comment(&text, "run with psql, outside of a transaction: CONCURRENTLY does not block reads or writes");
    add_comment(&text, "after an error run it again: what is there already is left as it is");
    adv_text_add(&text, "SET lock_timeout = '5s';\nSET statement_timeout = 0;\n\n");
    for (int i = 0; i < r->n_findings; i++) {
        const AdvFinding *f = &r->findings[i];
        add_comment(&text, adv_arena_printf(r->arena, "%d. %s", f->number, f->reason));
        add_comment(&text, adv_arena_printf(r->arena, "wrong if: %s", f->wrong_if));
        add_comment(&text, adv_arena_printf(r->arena, "undo: %s", f->undo));
        if (f->drop && f->drop->by_new)
            add_guard(&text, r, f->drop->by_new);
        add_script(&text, &f->script);
    }
    for (int i = 0; i < r->health.n; i++)
        add_health(&text, r, &r->health.items[i], r->n_findings + i + 1);
    if (r->n_findings + r->health.n == 0)
        add_comment(&text, "nothing to do");
    return adv_text_get(&text);
}
