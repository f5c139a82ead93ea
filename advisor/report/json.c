/* SPDX-License-Identifier: ISC */
/* json.c - the report for programs; docs/advisor.md describes each field. */
#include "advisor/json_build.h"
#include "advisor/report/findings.h"

#define REPORT_VERSION 1

static json_t *query_json(const AdvQuery *q)
{
    json_t *o = json_object();
    json_object_set_new(o, "query", adv_json_text_or_null(q->text));
    json_object_set_new(o, "origin", adv_json_text_or_null(q->origin));
    json_object_set_new(o, "calls", adv_json_finite(q->calls));
    if (q->total_ms > 0)
        json_object_set_new(o, "measured_ms", adv_json_finite(q->total_ms));
    return o;
}

static json_t *keys_json(const AdvIndex *index)
{
    json_t *keys = json_array();
    for (int i = 0; i < index->n_keys; i++) {
        const AdvIndexKey *key = &index->keys[i];
        json_t *o = json_object();
        if (key->column)
            json_object_set_new(o, "column", json_string(adv_column(index->table, key->column)->name));
        else
            json_object_set_new(o, "expression", adv_json_text_or_null(key->expr));
        json_object_set_new(o, "descending", json_boolean(key->desc));
        json_object_set_new(o, "nulls_first", json_boolean(key->nulls_first));
        if (key->opclass)
            json_object_set_new(o, "operator_class", json_string(key->opclass));
        json_array_append_new(keys, o);
    }
    return keys;
}

static json_t *include_json(const AdvIndex *index)
{
    json_t *include = json_array();
    for (int i = 0; i < index->n_include; i++)
        json_array_append_new(include, json_string(adv_column(index->table, index->include[i])->name));
    return include;
}

static json_t *texts_json(int n, const char *const *texts)
{
    json_t *array = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(array, adv_json_text_or_null(texts[i]));
    return array;
}

static json_t *index_only_json(const AdvIndexOnly *only)
{
    if (!only->applies)
        return json_null();
    json_t *o = json_object();
    json_object_set_new(o, "all_visible", adv_json_finite(only->all_visible));
    json_object_set_new(o, "saving_today", adv_json_finite(only->saving_today));
    json_object_set_new(o, "saving_after_vacuum", adv_json_finite(only->saving_after_vacuum));
    return o;
}

static json_t *evidence_json(const AdvEvidence *e)
{
    json_t *q = query_json(e->query);
    json_object_set_new(q, "share", adv_json_finite(e->share));
    json_object_set_new(q, "cost_before", adv_json_finite(e->before));
    json_object_set_new(q, "cost_after", adv_json_finite(e->after));
    json_object_set_new(q, "cost_without_this", adv_json_finite(e->without));
    json_object_set_new(q, "plan_before", adv_json_text_or_null(e->plan_before));
    json_object_set_new(q, "plan_after", adv_json_text_or_null(e->plan_after));
    return q;
}

static json_t *finding_json(const AdvFinding *f)
{
    const AdvIndex *index = f->create ? &f->create->def : f->drop->index;
    json_t *o = json_object();
    json_object_set_new(o, "number", json_integer(f->number));
    json_object_set_new(o, "kind", json_string(f->create ? "create" : adv_drop_kind_name(f->drop->kind)));
    json_object_set_new(o, "schema", adv_json_text_or_null(index->table->schema));
    json_object_set_new(o, "table", adv_json_text_or_null(index->table->name));
    json_object_set_new(o, "index", adv_json_text_or_null(f->name));
    json_object_set_new(o, "method", adv_json_text_or_null(index->method));
    json_object_set_new(o, "keys", keys_json(index));
    json_object_set_new(o, "include", include_json(index));
    json_object_set_new(o, "where", adv_json_text_or_null(index->predicate));
    json_object_set_new(o, "reason", adv_json_text_or_null(f->reason));
    json_object_set_new(o, "wrong_if", adv_json_text_or_null(f->wrong_if));
    json_object_set_new(o, "ddl", adv_json_text_or_null(f->ddl));
    json_object_set_new(o, "undo", adv_json_text_or_null(f->undo));
    json_object_set_new(o, "script", texts_json(f->script.n, f->script.statements));
    json_object_set_new(o, "undo_script", texts_json(f->undo_script.n, f->undo_script.statements));
    json_object_set_new(o, "confidence", json_string(adv_confidence_name(f->confidence)));
    json_object_set_new(o, "confidence_why", adv_json_text_or_null(f->confidence_why));
    json_object_set_new(o, "bytes", adv_json_finite(f->bytes));
    json_object_set_new(o, "entries_written", adv_json_finite(f->entries));
    if (f->drop) {
        json_object_set_new(o, "served_by", adv_json_text_or_null(f->drop->by ? f->drop->by->name : NULL));
        json_object_set_new(o, "scans", adv_json_finite(f->drop->index->scans));
        return o;
    }
    json_object_set_new(o, "hot_updates_lost", adv_json_finite(f->hot_lost));
    json_object_set_new(o, "calls", adv_json_finite(f->calls));
    json_object_set_new(o, "share", adv_json_finite(f->share));
    json_object_set_new(o, "gain", adv_json_finite(f->gain));
    json_object_set_new(o, "write_cost", adv_json_finite(f->write_cost));
    json_object_set_new(o, "build_seconds", adv_json_finite(f->build_seconds));
    json_object_set_new(o, "index_only", index_only_json(&f->index_only));
    json_t *queries = json_array();
    for (int i = 0; i < f->n_evidence; i++)
        json_array_append_new(queries, evidence_json(&f->evidence[i]));
    json_object_set_new(o, "queries", queries);
    return o;
}

static json_t *health_json(const AdvHealth *h)
{
    json_t *o = json_object(), *columns = json_array();
    json_object_set_new(o, "kind", json_string(adv_health_kind_name(h->kind)));
    json_object_set_new(o, "schema", adv_json_text_or_null(h->table->schema));
    json_object_set_new(o, "table", adv_json_text_or_null(h->table->name));
    json_object_set_new(o, "index", adv_json_text_or_null(h->index));
    for (int i = 0; i < h->n_columns; i++)
        json_array_append_new(columns, json_string(adv_column(h->table, h->columns[i])->name));
    json_object_set_new(o, "columns", columns);
    json_object_set_new(o, "bytes", adv_json_finite(h->bytes));
    json_object_set_new(o, "reason", adv_json_text_or_null(h->reason));
    json_object_set_new(o, "wrong_if", adv_json_text_or_null(h->wrong_if));
    json_object_set_new(o, "remedy", adv_json_text_or_null(h->remedy));
    json_object_set_new(o, "script", texts_json(h->script.n, h->script.statements));
    json_object_set_new(o, "undo_script", texts_json(h->undo.n, h->undo.statements));
    json_object_set_new(o, "confidence", json_string(adv_confidence_name(h->confidence)));
    json_object_set_new(o, "query", h->query ? query_json(h->query) : json_null());
    return o;
}

/* What logs told, before anything was left out. */
static json_t *read_json(const AdvTallyCounts *c)
{
    json_t *o = json_object(), *kinds = json_object();
    if (c->statements == 0 && c->messages == 0) {
        json_decref(o);
        json_decref(kinds);
        return json_null();
    }
    for (int i = 0; i < PW_SQL_KIND_COUNT; i++)
        if (c->kinds[i])
            json_object_set_new(kinds, pw_sql_kind_name((PwSqlKind)i), json_integer((json_int_t)c->kinds[i]));
    json_object_set_new(o, "messages", json_integer((json_int_t)c->messages));
    json_object_set_new(o, "executions", json_integer((json_int_t)c->statements));
    json_object_set_new(o, "total_ms", adv_json_finite((double)c->us / 1000));
    json_object_set_new(o, "kinds", kinds);
    json_object_set_new(o, "errors", json_integer((json_int_t)c->errors));
    json_object_set_new(o, "first", c->first[0] ? json_string(c->first) : json_null());
    json_object_set_new(o, "last", c->last[0] ? json_string(c->last) : json_null());
    return o;
}

static json_t *workload_json(const AdvReport *r)
{
    const AdvSelection *s = r->selection;
    json_t *o = json_object();
    double calls = 0;
    int statements = 0;
    for (int i = 0; i < r->workload->n_queries; i++) {
        if (r->workload->queries[i]->foreign_key_check)
            continue;
        calls += r->workload->queries[i]->calls;
        statements++;
    }
    json_object_set_new(o, "calls", adv_json_finite(calls));
    json_object_set_new(o, "statements", json_integer(statements));
    json_object_set_new(o, "read", read_json(&r->workload->read));
    json_object_set_new(o, "measured", json_boolean(r->workload->measured));
    json_object_set_new(o, "cost_before", adv_json_finite(s->cost_before));
    json_object_set_new(o, "cost_after", adv_json_finite(s->cost_after));
    json_object_set_new(o, "write_cost", adv_json_finite(s->write_cost));
    json_object_set_new(o, "bytes", adv_json_finite(s->bytes));
    json_object_set_new(o, "budget", r->budget > 0 ? adv_json_finite(r->budget) : json_null());
    return o;
}

static void add_curve(json_t *root, const AdvReport *r)
{
    const AdvSelection *s = r->selection;
    json_t *curve = json_array(), *order = json_array();
    int knee = adv_curve_knee(&s->curve, s->cost_before);
    for (int i = 0; i < s->curve.n; i++) {
        const AdvCurvePoint *p = &s->curve.points[i];
        json_t *point = json_object();
        json_object_set_new(point, "budget", adv_json_finite(p->budget));
        json_object_set_new(point, "bytes", adv_json_finite(p->bytes));
        json_object_set_new(point, "indexes", json_integer(p->n));
        json_object_set_new(point, "cost", adv_json_finite(p->cost));
        json_object_set_new(point, "knee", json_boolean(i == knee));
        json_array_append_new(curve, point);
    }
    for (int i = 0; i < s->n; i++)
        for (int f = 0; f < r->n_findings; f++) {
            if (!r->findings[f].create || r->findings[f].create->id != r->build_order[i].id)
                continue;
            json_t *step = json_object();
            json_object_set_new(step, "index", adv_json_text_or_null(r->findings[f].name));
            json_object_set_new(step, "bytes", adv_json_finite(r->build_order[i].bytes));
            json_object_set_new(step, "cost", adv_json_finite(r->build_order[i].cost));
            json_array_append_new(order, step);
        }
    json_object_set_new(root, "curve", curve);
    json_object_set_new(root, "build_order", order);
}

const char *adv_report_json(const AdvReport *r)
{
    json_t *root = json_object();
    json_object_set_new(root, "version", json_integer(REPORT_VERSION));
    json_object_set_new(root, "database", adv_json_text_or_null(r->catalog->database));
    json_object_set_new(root, "server_version", adv_json_text_or_null(r->catalog->server_version));
    json_object_set_new(root, "cost_source", adv_json_text_or_null(r->cost_source));
    json_object_set_new(root, "plans", json_integer((json_int_t)r->plans));
    json_object_set_new(root, "workload", workload_json(r));
    json_t *findings = json_array(), *health = json_array(), *unhelped = json_array(), *skipped = json_array(), *notes = json_array();
    for (int i = 0; i < r->n_findings; i++)
        json_array_append_new(findings, finding_json(&r->findings[i]));
    for (int i = 0; i < r->health.n; i++)
        json_array_append_new(health, health_json(&r->health.items[i]));
    for (int i = 0; i < r->n_unhelped; i++) {
        json_t *q = query_json(r->unhelped[i].query);
        json_object_set_new(q, "cost", adv_json_finite(r->unhelped[i].query->cost_today));
        json_object_set_new(q, "why", adv_json_text_or_null(r->unhelped[i].why));
        json_object_set_new(q, "rewrite", adv_json_text_or_null(r->unhelped[i].rewrite));
        json_array_append_new(unhelped, q);
    }
    for (int i = 0; i < r->n_skipped; i++) {
        json_t *q = query_json(r->skipped[i]);
        json_object_set_new(q, "why", adv_json_text_or_null(r->skipped[i]->why_not));
        json_array_append_new(skipped, q);
    }
    for (int i = 0; i < r->n_notes; i++)
        json_array_append_new(notes, adv_json_text_or_null(r->notes[i]));
    if (r->build_order)
        add_curve(root, r);
    json_object_set_new(root, "findings", findings);
    json_object_set_new(root, "health", health);
    json_object_set_new(root, "unhelped", unhelped);
    json_object_set_new(root, "skipped", skipped);
    json_object_set_new(root, "notes", notes);
    return adv_json_print(r->arena, root, 2);
}
