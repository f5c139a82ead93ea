/* SPDX-License-Identifier: ISC */
/* markdown.c - the report for a ticket, a wiki or a merge request. */
#include <math.h>

#include "advisor/report/findings.h"
#include "advisor/text.h"

#define QUERIES_SHOWN 10
#define LINE 300

/* Inside of a table cell and of a line: what Markdown would take for its own is escaped. */
static void add_plain(AdvText *text, const char *s)
{
    for (; *s; s++) {
        if (strchr("\\`*_{}[]<>#|~", *s))
            adv_text_add(text, "\\");
        adv_text_add_n(text, *s == '\n' ? " " : s, 1);
    }
}

/* A code span: its fence is longer than any run of backticks inside. */
static void add_code(AdvText *text, const char *s)
{
    int longest = 0, run = 0;
    for (const char *p = s; *p; p++) {
        run = *p == '`' ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    const char *fence = adv_arena_printf(text->arena, "%.*s", longest + 1, "````````````````");
    /* More backticks than the fence can outdo do not occur in SQL that parses; then the text goes unfenced. */
    if (longest >= 15) {
        add_plain(text, s);
        return;
    }
    adv_text_addf(text, "%s%s%s%s%s", fence, longest ? " " : "", s, longest ? " " : "", fence);
}

static void add_block(AdvText *text, const AdvScript *script)
{
    if (script->n == 0)
        return;
    adv_text_add(text, "\n```sql\n");
    for (int i = 0; i < script->n; i++)
        adv_text_addf(text, "%s\n", script->statements[i]);
    adv_text_add(text, "```\n");
}

static void add_summary(AdvText *text, const AdvReport *r)
{
    const AdvSelection *s = r->selection;
    adv_text_add(text, "# Index advice for ");
    add_plain(text, r->catalog->database);
    adv_text_addf(text, "\n\nPostgreSQL %s, costs by %s.\n\n", r->catalog->server_version,
                  strcmp(r->cost_source, "hypopg") == 0 ? "the server's planner with hypothetical indexes" : "the advisor's own model");
    adv_text_add(text, "| | |\n|---|---|\n");
    adv_text_addf(text, "| new indexes | %d, about %s |\n", s->n, adv_format_bytes(text->arena, s->bytes));
    adv_text_addf(text, "| cost of the workload | %.1f %% of today's |\n", s->cost_before > 0 ? 100 * s->cost_after / s->cost_before : 100);
    adv_text_addf(text, "| findings | %d, and %d of what else hurts |\n", r->n_findings, r->health.n);
    adv_text_addf(text, "| statements left out | %d |\n\n", r->n_skipped);
}

static void add_queries(AdvText *text, const AdvFinding *f)
{
    if (f->n_evidence == 0)
        return;
    adv_text_add(text, "\n| calls | share | cost before | after | statement |\n|---:|---:|---:|---:|---|\n");
    for (int i = 0; i < f->n_evidence && i < QUERIES_SHOWN; i++) {
        const AdvEvidence *e = &f->evidence[i];
        adv_text_addf(text, "| %.0f | %.1f %% | %.1f | %.1f | ", e->query->calls, 100 * e->share, e->before, e->after);
        add_plain(text, adv_one_line(text->arena, e->query->text, LINE));
        adv_text_add(text, " |\n");
    }
    if (f->n_evidence > QUERIES_SHOWN)
        adv_text_addf(text, "\nand %d more\n", f->n_evidence - QUERIES_SHOWN);
}

static void add_finding(AdvText *text, const AdvReport *r, const AdvFinding *f)
{
    const AdvIndex *index = f->create ? &f->create->def : f->drop->index;
    adv_text_addf(text, "## %d. %s ", f->number, f->create ? "Create an index on" : "Drop an index of");
    add_code(text, adv_arena_printf(text->arena, "%s %s", f->table, adv_index_columns_text(text->arena, index)));
    adv_text_add(text, "\n\n");
    add_plain(text, f->reason);
    adv_text_add(text, "\n");
    add_block(text, &f->script);
    if (f->create)
        adv_text_addf(text, "\nSaves %.1f %% of the workload's cost; takes about %s, built in about %s; upkeep %.2f %%.\n", 100 * f->gain,
                      adv_format_bytes(text->arena, f->bytes), adv_format_seconds(text->arena, f->build_seconds), 100 * f->write_cost);
    else
        adv_text_addf(text, "\nFrees %s.\n", adv_format_bytes(text->arena, f->bytes));
    add_queries(text, f);
    adv_text_addf(text, "\nConfidence %s: ", adv_confidence_name(f->confidence));
    add_plain(text, f->confidence_why);
    adv_text_add(text, ". Wrong if ");
    add_plain(text, f->wrong_if);
    adv_text_add(text, ".\n\nUndo:\n");
    add_block(text, &f->undo_script);
    adv_text_add(text, "\n");
    (void)r;
}

static void add_health(AdvText *text, const AdvReport *r)
{
    if (r->health.n == 0)
        return;
    adv_text_add(text, "## What else hurts\n\n");
    for (int i = 0; i < r->health.n; i++) {
        const AdvHealth *h = &r->health.items[i];
        adv_text_addf(text, "### %s ", adv_health_kind_title(h->kind));
        add_code(text, adv_table_sql_name(r->catalog, h->table));
        adv_text_add(text, "\n\n");
        add_plain(text, h->reason);
        adv_text_add(text, "\n");
        add_block(text, &h->script);
        if (h->remedy) {
            adv_text_add(text, "\nBy hand: ");
            add_plain(text, h->remedy);
            adv_text_add(text, ".\n");
        }
        adv_text_add(text, "\nWrong if ");
        add_plain(text, h->wrong_if);
        adv_text_add(text, ".\n\n");
    }
}

const char *adv_report_markdown(const AdvReport *r)
{
    AdvText text;
    adv_text_init(&text, r->arena);
    add_summary(&text, r);
    for (int i = 0; i < r->n_findings; i++)
        add_finding(&text, r, &r->findings[i]);
    add_health(&text, r);
    if (r->n_unhelped)
        adv_text_add(&text, "## Statements that no index helps\n\n");
    for (int i = 0; i < r->n_unhelped; i++) {
        adv_text_add(&text, "- ");
        add_code(&text, adv_one_line(r->arena, r->unhelped[i].query->text, LINE));
        adv_text_add(&text, ": ");
        add_plain(&text, r->unhelped[i].why);
        if (r->unhelped[i].rewrite) {
            adv_text_add(&text, ". Better: ");
            add_plain(&text, r->unhelped[i].rewrite);
        }
        adv_text_add(&text, "\n");
    }
    if (r->n_notes)
        adv_text_add(&text, "\n## Notes\n\n");
    for (int i = 0; i < r->n_notes; i++) {
        adv_text_add(&text, "- ");
        add_plain(&text, r->notes[i]);
        adv_text_add(&text, "\n");
    }
    return adv_text_get(&text);
}
