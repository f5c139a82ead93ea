/* SPDX-License-Identifier: ISC */
#include "advisor/cost/write_cost.h"

#include <ctype.h>
#include <math.h>

#include "advisor/catalog/stats.h"
#include "advisor/cost/size.h"

/* In planner units: descending a cached tree and adding an entry, with its WAL, takes about as long as reading a
 * page of rows in sequence. */
#define ENTRY_BASE 0.5
#define ENTRY_PER_LEVEL 0.25
#define GIN_ENTRY 0.5   /* for each key of a row, about 8 bytes; they come in batches */
#define BRIN_ENTRY 0.02 /* the summary of a range changes now and then */
#define SPARE 1.01 /* of the size: it is an estimate, and what is built should not be larger than the budget */
#define DELETE_SHARE 0.5 /* the entry goes later, when VACUUM passes */

double adv_rows_written(const AdvQuery *q)
{
    if (q->rows_per_call >= 0)
        return q->rows_per_call;
    const AdvFacts *facts = q->facts;
    if (facts->kind == ADV_STMT_INSERT)
        return facts->insert_rows > 0 ? facts->insert_rows : fmax(q->rows_today, 1);
    if (q->rows_today >= 0)
        return q->rows_today;
    for (int r = 0; r < facts->n_rels; r++) {
        const AdvRel *rel = &facts->rels[r];
        if (!rel->target || rel->kind != ADV_REL_TABLE)
            continue;
        double share = 1;
        for (int i = 0; i < facts->n_preds; i++)
            if (facts->preds[i].rel == r && !facts->preds[i].or_group)
                share *= adv_pred_selectivity(rel->table, &facts->preds[i]);
        return fmax(rel->table->rows * share, 1);
    }
    return 1;
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

/* The name as a word of its own: "state" is none of "estate = 1". */
static bool mentions(const char *text, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = n ? strstr(text, name) : NULL; p; p = strstr(p + 1, name))
        if ((p == text || !is_word(p[-1])) && !is_word(p[n]))
            return true;
    return false;
}

static bool writes_index(const AdvFacts *facts, const AdvIndex *index)
{
    for (int c = 0; facts->written_columns && c < index->table->n_columns; c++) {
        if (!facts->written_columns[c])
            continue;
        if (adv_index_has_column(index, c + 1))
            return true;
        /* Expressions and predicates are only known as texts. */
        const char *name = index->table->columns[c].name;
        if (index->predicate && mentions(index->predicate, name))
            return true;
        for (int k = 0; k < index->n_keys; k++)
            if (index->keys[k].expr && mentions(index->keys[k].expr, name))
                return true;
    }
    return false;
}

static bool hot_today(const AdvFacts *facts, const AdvTable *table)
{
    for (int i = 0; i < table->n_indexes; i++)
        if (writes_index(facts, table->indexes[i]))
            return false;
    return true;
}

double adv_entries_written(const AdvWorkload *w, const AdvIndex *index, double fraction, double *ret_hot_lost)
{
    double entries = 0, hot_lost = 0;
    for (int i = 0; i < w->n_queries; i++) {
        const AdvQuery *q = w->queries[i];
        if (!q->facts || q->facts->written != index->table || q->foreign_key_check)
            continue;
        double rows = q->calls * adv_rows_written(q);
        if (q->facts->kind == ADV_STMT_INSERT) {
            entries += rows * fraction;
        } else if (q->facts->kind == ADV_STMT_DELETE) {
            entries += rows * fraction * DELETE_SHARE;
        } else if (writes_index(q->facts, index)) {
            entries += rows * fraction;
            if (hot_today(q->facts, index->table))
                hot_lost += rows;
        } else if (!hot_today(q->facts, index->table)) {
            entries += rows * fraction; /* a row that moves gets an entry in every index */
        }
    }
    if (ret_hot_lost)
        *ret_hot_lost = hot_lost;
    return entries;
}

void adv_price(const AdvCatalog *catalog, const AdvWorkload *workload, double unit, AdvCandidate *c)
{
    AdvSize size = adv_index_size(&c->def, c->fraction);
    c->bytes = ceil(SPARE * size.bytes);
    double hot_lost;
    double entries = adv_entries_written(workload, &c->def, c->fraction, &hot_lost);
    double entry = ENTRY_BASE + ENTRY_PER_LEVEL * size.height;
    if (size.pages > catalog->settings.effective_cache_size)
        entry += catalog->settings.random_page_cost;
    if (strcmp(c->def.method, "gin") == 0)
        entry = GIN_ENTRY * size.bytes / fmax(c->def.table->rows * c->fraction, 1) / 8;
    else if (strcmp(c->def.method, "brin") == 0)
        entry = BRIN_ENTRY;
    c->write_cost = unit * entry * (entries + hot_lost * c->def.table->n_indexes);
}
