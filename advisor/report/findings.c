/* SPDX-License-Identifier: ISC */
#include "advisor/report/findings.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

#include "advisor/cost/write_cost.h"
#include "advisor/report/reason.h"
#include "advisor/report/rewrite.h"
#include "advisor/report/worth.h"
#include "advisor/text.h"

#define UNHELPED_SHARE 0.01 /* of the workload's cost; cheaper statements are not worth a line */
#define UNHELPED_MAX 20

void adv_report_note(AdvReport *report, const char *note)
{
    ADV_ROOM(report->arena, report->notes, report->n_notes);
    report->notes[report->n_notes++] = note;
}

const char *adv_one_line(AdvArena *arena, const char *sql, size_t max)
{
    AdvText text;
    adv_text_init(&text, arena);
    bool blank = false;
    for (const char *p = sql; *p; p++) {
        if (isspace((unsigned char)*p)) {
            blank = true;
            continue;
        }
        if (blank && text.len > 0)
            adv_text_add(&text, " ");
        blank = false;
        if (text.len >= max && ((unsigned char)*p & 0xc0) != 0x80) {
            adv_text_add(&text, "...");
            break;
        }
        adv_text_add_n(&text, p, 1);
    }
    return adv_text_get(&text);
}

static int by_saving(const void *a, const void *b)
{
    const AdvEvidence *x = a, *y = b;
    double sx = x->query->weight * (x->before - x->after), sy = y->query->weight * (y->before - y->after);
    return sx > sy ? -1 : sx < sy;
}

static const char *plan_today(const AdvReport *r, const AdvQuery *q)
{
    AdvText text;
    adv_text_init(&text, r->arena);
    for (int i = 0; i < q->n_seq_scans_today; i++)
        adv_text_addf(&text, "%sreads %s whole", text.len ? "; " : "", q->seq_scans_today[i]);
    for (int i = 0; i < q->n_indexes_today; i++)
        adv_text_addf(&text, "%sindex %s", text.len ? "; " : "", q->indexes_today[i]);
    return adv_text_get(&text);
}

static const char *plan_with(const AdvReport *r, const AdvPool *pool, const AdvIdSet *used)
{
    AdvText text;
    adv_text_init(&text, r->arena);
    for (int i = 0; i < used->n; i++) {
        const AdvIndex *def = &pool->items[used->ids[i]]->def;
        adv_text_addf(&text, "%snew index on %s %s", text.len ? "; " : "", def->table->name,
                      adv_index_columns_text(r->arena, def));
    }
    return adv_text_get(&text);
}

static void collect_evidence(AdvReport *r, AdvOracle *oracle, const AdvPool *pool, AdvFinding *finding, int id)
{
    const AdvSelection *s = r->selection;
    int *others = ADV_NEW_ARRAY(r->arena, int, s->n + 1);
    int n_others = 0;
    for (int i = 0; i < s->n; i++)
        if (s->ids[i] != id)
            others[n_others++] = s->ids[i];
    double saved = 0;
    int *queries, n_queries = adv_oracle_statements_of(oracle, &id, 1, &queries);
    adv_oracle_ask_all(oracle, queries, n_queries, s->ids, s->n);
    adv_oracle_ask_all(oracle, queries, n_queries, others, n_others);
    for (int i = 0; i < n_queries; i++) {
        int q = queries[i];
        const AdvQuery *query = r->workload->queries[q];
        const AdvAnswer *with = adv_oracle_ask(oracle, q, s->ids, s->n);
        double after = with->cost;
        bool uses = adv_id_set_has(&with->used, id);
        double without = adv_oracle_ask(oracle, q, others, n_others)->cost;
        saved += query->weight * (without - after);
        if (!uses || after >= query->cost_today)
            continue;
        ADV_ROOM(r->arena, finding->evidence, finding->n_evidence);
        finding->evidence[finding->n_evidence++] =
            (AdvEvidence){.query = query, .before = query->cost_today, .after = after, .without = without,
                          .share = s->cost_before > 0 ? query->weight * query->cost_today / s->cost_before : 0,
                          .plan_before = plan_today(r, query), .plan_after = plan_with(r, pool, &with->used)};
        finding->calls += query->calls;
        finding->share += finding->evidence[finding->n_evidence - 1].share;
    }
    finding->gain = s->cost_before > 0 ? saved / s->cost_before : 0;
    if (finding->n_evidence > 1)
        qsort(finding->evidence, (size_t)finding->n_evidence, sizeof(*finding->evidence), by_saving);
}

static AdvFinding *add_finding(AdvReport *r)
{
    ADV_ROOM(r->arena, r->findings, r->n_findings);
    return &r->findings[r->n_findings++];
}

static void add_creations(AdvReport *r, AdvOracle *oracle, AdvPool *pool)
{
    for (int i = 0; i < r->selection->n; i++) {
        const AdvCandidate *c = pool->items[r->selection->ids[i]];
        AdvFinding *f = add_finding(r);
        f->create = c;
        f->name = adv_index_new_name(r->catalog, &c->def, r->names.items, r->names.n);
        f->table = adv_table_sql_name(r->catalog, c->def.table);
        f->bytes = c->bytes;
        f->entries = adv_entries_written(r->workload, &c->def, c->fraction, &f->hot_lost);
        collect_evidence(r, oracle, pool, f, c->id);
        adv_script_create(&f->script, r->catalog, &c->def, f->name, &r->names);
        const AdvIndex named = {.table = c->def.table, .name = f->name};
        adv_script_drop(&f->undo_script, r->catalog, &named);
        f->ddl = adv_script_text(r->arena, &f->script);
        f->undo = adv_script_text(r->arena, &f->undo_script);
        adv_worth_create(r, pool, f);
        f->reason = adv_reason_create(r, f);
        f->wrong_if = adv_caveat_create(r, f);
    }
}

static int by_gain(const void *a, const void *b)
{
    const AdvFinding *x = a, *y = b;
    if (x->gain != y->gain)
        return x->gain > y->gain ? -1 : 1;
    return x->create->id - y->create->id;
}

static void add_drops(AdvReport *r, const AdvDropList *drops)
{
    for (int i = 0; i < drops->n; i++) {
        const AdvDrop *drop = &drops->drops[i];
        AdvFinding *f = add_finding(r);
        f->drop = drop;
        f->name = drop->index->name;
        f->table = adv_table_sql_name(r->catalog, drop->index->table);
        f->bytes = drop->index->bytes;
        f->entries = adv_entries_written(r->workload, drop->index, 1, NULL);
        adv_script_drop(&f->script, r->catalog, drop->index);
        f->ddl = adv_script_text(r->arena, &f->script);
        f->undo = adv_undo_drop(r->arena, drop->index);
        adv_script_add(&f->undo_script, r->arena, f->undo);
        adv_worth_drop(r, f);
        f->reason = adv_reason_drop(r, drop);
        f->wrong_if = adv_caveat_drop(r, drop);
    }
}

static void add_unhelped(AdvReport *r, AdvOracle *oracle)
{
    const AdvSelection *s = r->selection;
    for (int q = 0; q < r->workload->n_queries && r->n_unhelped < UNHELPED_MAX; q++) {
        const AdvQuery *query = r->workload->queries[q];
        if (query->why_not) {
            ADV_ROOM(r->arena, r->skipped, r->n_skipped);
            r->skipped[r->n_skipped++] = query;
            continue;
        }
        if (query->weight <= 0 || query->weight * query->cost_today < UNHELPED_SHARE * s->cost_before)
            continue;
        double after = adv_oracle_ask(oracle, q, s->ids, s->n)->cost;
        AdvUnhelped unhelped = {0};
        if (after > 0.9 * query->cost_today)
            unhelped = adv_unhelped_find(r, query);
        if (!unhelped.why)
            continue;
        ADV_ROOM(r->arena, r->unhelped, r->n_unhelped);
        r->unhelped[r->n_unhelped++] = unhelped;
    }
}

static void find_health(AdvReport *r)
{
    const AdvCandidate **advised = ADV_NEW_ARRAY(r->arena, const AdvCandidate *, r->n_findings + 1);
    AdvHealthList *list = &r->health;
    for (int i = 0; i < r->n_findings; i++)
        if (r->findings[i].create)
            advised[list->n_advised++] = r->findings[i].create;
    list->arena = r->arena;
    list->catalog = r->catalog;
    list->workload = r->workload;
    list->advised = advised;
    list->names = &r->names;
    adv_health_find(list);
}

void adv_report_build(AdvReport *r, AdvOracle *oracle, AdvPool *pool, const AdvDropList *drops)
{
    add_creations(r, oracle, pool);
    if (r->n_findings > 1)
        qsort(r->findings, (size_t)r->n_findings, sizeof(*r->findings), by_gain);
    add_drops(r, drops);
    for (int i = 0; i < r->n_findings; i++)
        r->findings[i].number = i + 1;
    add_unhelped(r, oracle);
    find_health(r);
}
