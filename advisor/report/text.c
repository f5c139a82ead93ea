/* SPDX-License-Identifier: ISC */
#include <math.h>

#include "advisor/report/findings.h"
#include "advisor/text.h"

#define QUERIES_SHOWN 5
#define LINE 110

static double percent(double part, double whole)
{
    return whole > 0 ? 100 * part / whole : 0;
}

static void add_wrapped(AdvText *text, const char *label, const char *value)
{
    /* Breaks at blanks, continuation lines aligned with the text. */
    size_t indent = 14, column = indent;
    adv_text_addf(text, "    %-10s", label);
    const char *p = value;
    while (*p) {
        size_t n = strcspn(p, " ");
        if (column > indent && column + n + 1 > LINE) {
            adv_text_addf(text, "\n%*s", (int)indent, "");
            column = indent;
        } else if (column > indent) {
            adv_text_add(text, " ");
            column++;
        }
        adv_text_add_n(text, p, n);
        column += n;
        p += n;
        while (*p == ' ')
            p++;
    }
    adv_text_add(text, "\n");
}

/* "logs      314562 executions in 945 s: 184865 SELECT, ...; from ... to ..." */
static void add_read(AdvText *text, const AdvTallyCounts *c)
{
    if (c->statements == 0)
        return;
    adv_text_addf(text, "  logs      %llu executions", (unsigned long long)c->statements);
    if (c->us)
        adv_text_addf(text, " in %.1f s", (double)c->us / 1e6);
    const char *mark = ":";
    for (int i = 0; i < PW_SQL_KIND_COUNT; i++)
        if (c->kinds[i]) {
            adv_text_addf(text, "%s %llu %s", mark, (unsigned long long)c->kinds[i], pw_sql_kind_name((PwSqlKind)i));
            mark = ",";
        }
    if (c->errors)
        adv_text_addf(text, "; %llu errors", (unsigned long long)c->errors);
    if (c->first[0])
        adv_text_addf(text, "; %.19s to %.19s", c->first, c->last);
    adv_text_add(text, "\n");
}

static void add_head(AdvText *text, const AdvReport *r)
{
    const AdvWorkload *w = r->workload;
    int costed = 0, statements = 0;
    double calls = 0;
    for (int i = 0; i < w->n_queries; i++) {
        costed += w->queries[i]->weight > 0;
        statements += !w->queries[i]->foreign_key_check;
        calls += w->queries[i]->foreign_key_check ? 0 : w->queries[i]->calls;
    }
    adv_text_addf(text, "Index advice for database %s (PostgreSQL %s)\n", r->catalog->database,
                  r->catalog->server_version);
    add_read(text, &w->read);
    adv_text_addf(text, "  workload  %.0f calls of %d statements; %d costed (with foreign key checks), %d left out\n", calls, statements, costed,
                  r->n_skipped);
    bool planner = strcmp(r->cost_source, "hypopg") == 0;
    adv_text_addf(text, "  costs     %s%s; %llu plans for %llu questions\n", planner ? "the server's planner with hypothetical indexes (HypoPG)" : "own model on ",
                  planner ? "" : r->model_why, (unsigned long long)r->plans, (unsigned long long)r->questions);
    const AdvSelection *s = r->selection;
    if (s->n > 0)
        adv_text_addf(text, "  advice    %d new index%s, %s, estimated cost %.1f %% of today's\n", s->n,
                      s->n == 1 ? "" : "es", adv_format_bytes(r->arena, s->bytes),
                      percent(s->cost_after, s->cost_before));
    else
        adv_text_add(text, "  advice    no new index\n");
    if (r->budget > 0)
        adv_text_addf(text, "  budget    %s\n", adv_format_bytes(r->arena, r->budget));
    adv_text_add(text, "\n");
}

static void add_evidence(AdvText *text, const AdvReport *r, const AdvFinding *f)
{
    for (int i = 0; i < f->n_evidence && i < QUERIES_SHOWN; i++) {
        const AdvEvidence *e = &f->evidence[i];
        adv_text_addf(text, "    %-10s%.0f x %s\n", i ? "" : "serves", e->query->calls,
                      adv_one_line(r->arena, e->query->text, LINE));
        adv_text_addf(text, "              cost %.1f -> %.1f (%.1f without this index)", e->before, e->after, e->without);
        adv_text_addf(text, ", %.1f %% of all", 100 * e->share);
        if (e->query->total_ms > 0)
            adv_text_addf(text, ", measured %.2f ms a call", e->query->total_ms / e->query->calls);
        adv_text_addf(text, "  [%s]\n", e->query->origin);
        if (e->plan_before[0] || e->plan_after[0])
            adv_text_addf(text, "              plan %s%s%s\n", e->plan_before, e->plan_before[0] ? " -> " : "with it: ", e->plan_after);
    }
    if (f->n_evidence > QUERIES_SHOWN)
        adv_text_addf(text, "              and %d more\n", f->n_evidence - QUERIES_SHOWN);
}

static void add_index_only(AdvText *text, const AdvFinding *f)
{
    if (!f->index_only.applies)
        return;
    adv_text_addf(text, "    %-10s%.0f %% of the pages are all-visible: saves %.1f %% of the cost of these statements today",
                  "visible", 100 * f->index_only.all_visible, 100 * f->index_only.saving_today);
    if (f->index_only.all_visible < 0.95)
        adv_text_addf(text, ", %.1f %% after VACUUM", 100 * f->index_only.saving_after_vacuum);
    adv_text_add(text, "\n");
}

static void add_finding(AdvText *text, const AdvReport *r, const AdvFinding *f)
{
    if (f->create) {
        adv_text_addf(text, "%d. CREATE an index on %s %s\n", f->number, f->table,
                      adv_index_columns_text(r->arena, &f->create->def));
        add_wrapped(text, "why", f->reason);
        add_evidence(text, r, f);
        adv_text_addf(text, "    %-10s%.1f %% of the workload's cost, given the other advice\n", "saves", 100 * f->gain);
        adv_text_addf(text, "    %-10sabout %s, built in about %s\n", "size", adv_format_bytes(r->arena, f->bytes),
                      adv_format_seconds(r->arena, f->build_seconds));
        adv_text_addf(text, "    %-10s%.0f index entries in this workload, %.2f %% of its cost\n", "writes", f->entries,
                      100 * f->write_cost);
        add_index_only(text, f);
    } else {
        adv_text_addf(text, "%d. DROP index %s on %s %s\n", f->number, f->name, f->table,
                      adv_index_columns_text(r->arena, f->drop->index));
        add_wrapped(text, "why", f->reason);
        adv_text_addf(text, "    %-10s%s, and %.0f index entries in this workload\n", "frees",
                      adv_format_bytes(r->arena, f->bytes), f->entries);
    }
    add_wrapped(text, "trust", adv_arena_printf(r->arena, "%s: %s", adv_confidence_name(f->confidence), f->confidence_why));
    add_wrapped(text, "wrong if", f->wrong_if);
    for (int i = 0; i < f->script.n; i++)
        adv_text_addf(text, "    %-10s%s\n", i ? "" : "do", f->script.statements[i]);
    for (int i = 0; i < f->undo_script.n; i++)
        adv_text_addf(text, "    %-10s%s\n", i ? "" : "undo", f->undo_script.statements[i]);
    adv_text_add(text, "\n");
}

static void add_health(AdvText *text, const AdvReport *r, const AdvHealth *h, int number)
{
    adv_text_addf(text, "%d. %s %s", number, adv_health_kind_title(h->kind), adv_table_sql_name(r->catalog, h->table));
    for (int i = 0; i < h->n_columns; i++)
        adv_text_addf(text, "%s%s", i ? ", " : " (", adv_column(h->table, h->columns[i])->name);
    adv_text_add(text, h->n_columns ? ")\n" : "\n");
    add_wrapped(text, "why", h->reason);
    if (h->query)
        adv_text_addf(text, "    %-10s%.0f x %s  [%s]\n", "seen in", h->query->calls, adv_one_line(r->arena, h->query->text, LINE),
                      h->query->origin);
    if (h->bytes > 0)
        adv_text_addf(text, "    %-10sabout %s\n", h->kind == ADV_HEALTH_FK_WITHOUT_INDEX ? "size" : "frees",
                      adv_format_bytes(r->arena, h->bytes));
    add_wrapped(text, "wrong if", h->wrong_if);
    for (int i = 0; i < h->script.n; i++)
        adv_text_addf(text, "    %-10s%s\n", i ? "" : "do", h->script.statements[i]);
    if (h->remedy)
        add_wrapped(text, h->script.n ? "then" : "do", h->remedy);
    for (int i = 0; i < h->undo.n; i++)
        adv_text_addf(text, "    %-10s%s\n", i ? "" : "undo", h->undo.statements[i]);
    adv_text_add(text, "\n");
}

static void add_curve(AdvText *text, const AdvReport *r)
{
    const AdvSelection *s = r->selection;
    double before = s->cost_before > 0 ? s->cost_before : 1;
    int knee = adv_curve_knee(&s->curve, s->cost_before);
    if (s->curve.n > 0)
        adv_text_add(text, "What less space would bring:\n");
    for (int i = 0; i < s->curve.n; i++) {
        const AdvCurvePoint *p = &s->curve.points[i];
        adv_text_addf(text, "  %8s  %3d indexes  cost %5.1f %%%s\n", adv_format_bytes(r->arena, p->bytes), p->n, 100 * p->cost / before,
                      i == knee ? "  <- the knee: more space brings less than its share" : "");
    }
    if (r->build_order && s->n > 0)
        adv_text_add(text, "The order to build in, most gain for its size first:\n");
    for (int i = 0; r->build_order && i < s->n; i++) {
        const AdvBuildStep *step = &r->build_order[i];
        for (int f = 0; f < r->n_findings; f++)
            if (r->findings[f].create && r->findings[f].create->id == step->id)
                adv_text_addf(text, "  %8s  cost %5.1f %%  %s\n", adv_format_bytes(r->arena, step->bytes), 100 * step->cost / before, r->findings[f].name);
    }
    if (s->curve.n > 0 || (r->build_order && s->n > 0))
        adv_text_add(text, "\n");
}

const char *adv_report_text(const AdvReport *r)
{
    AdvText text;
    adv_text_init(&text, r->arena);
    add_head(&text, r);
    for (int i = 0; i < r->n_findings; i++)
        add_finding(&text, r, &r->findings[i]);
    add_curve(&text, r);
    if (r->health.n > 0)
        adv_text_add(&text, "What else hurts:\n\n");
    for (int i = 0; i < r->health.n; i++)
        add_health(&text, r, &r->health.items[i], r->n_findings + i + 1);
    if (r->n_unhelped > 0) {
        adv_text_add(&text, "Expensive statements that no index helps:\n");
        for (int i = 0; i < r->n_unhelped; i++) {
            adv_text_addf(&text, "  - %.0f x %s\n", r->unhelped[i].query->calls,
                          adv_one_line(r->arena, r->unhelped[i].query->text, LINE));
            adv_text_addf(&text, "    %s\n", r->unhelped[i].why);
            if (r->unhelped[i].rewrite)
                adv_text_addf(&text, "    better: %s\n", r->unhelped[i].rewrite);
        }
        adv_text_add(&text, "\n");
    }
    if (r->n_skipped > 0) {
        adv_text_add(&text, "Left out of the costs:\n");
        for (int i = 0; i < r->n_skipped && i < 10; i++)
            adv_text_addf(&text, "  - %s\n    %s  [%s]\n", adv_one_line(r->arena, r->skipped[i]->text, LINE),
                          r->skipped[i]->why_not, r->skipped[i]->origin);
        if (r->n_skipped > 10)
            adv_text_addf(&text, "  and %d more\n", r->n_skipped - 10);
        adv_text_add(&text, "\n");
    }
    for (int i = 0; i < r->n_notes; i++)
        adv_text_addf(&text, "note: %s\n", r->notes[i]);
    if (r->n_findings + r->health.n > 0)
        adv_text_add(&text, "Nothing was changed. \"--format sql\" prints a script of the above.\n");
    else
        adv_text_add(&text, "Nothing to do: the indexes fit this workload.\n");
    return adv_text_get(&text);
}
