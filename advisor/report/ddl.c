/* SPDX-License-Identifier: ISC */
/* ddl.c - the report as a script for psql. */
#include "advisor/report/findings.h"
#include "advisor/text.h"

static void add_comment(AdvText *text, const char *line)
{
    adv_text_add(text, "-- ");
    for (const char *p = line; *p; p++) {
        adv_text_add_n(text, p, 1);
        if (*p == '\n')
            adv_text_add(text, "-- ");
    }
    adv_text_add(text, "\n");
}

const char *adv_report_sql(const AdvReport *r)
{
    AdvText text;
    adv_text_init(&text, r->arena);
    add_comment(&text, adv_arena_printf(r->arena, "index advice for database %s", r->catalog->database));
    add_comment(&text, "run with psql, outside of a transaction: CONCURRENTLY does not block reads or writes");
    add_comment(&text, "a failed CREATE INDEX CONCURRENTLY leaves an invalid index: drop it, then try again");
    adv_text_add(&text, "SET lock_timeout = '5s';\nSET statement_timeout = 0;\n\n");
    for (int i = 0; i < r->n_findings; i++) {
        const AdvFinding *f = &r->findings[i];
        add_comment(&text, adv_arena_printf(r->arena, "%d. %s", f->number, f->reason));
        add_comment(&text, adv_arena_printf(r->arena, "wrong if: %s", f->wrong_if));
        add_comment(&text, adv_arena_printf(r->arena, "undo: %s", f->undo));
        adv_text_addf(&text, "%s\n\n", f->ddl);
    }
    if (r->n_findings == 0)
        add_comment(&text, "nothing to do");
    return adv_text_get(&text);
}
