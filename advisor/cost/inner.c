/* SPDX-License-Identifier: ISC */
#include "advisor/cost/inner.h"

#include <math.h>

#include "poolwise/str.h"

#define POSTINGS_A_PAGE (8192.0 / 3)
#define GIST_OVERLAP 1.5        /* pages of a GiST index that are read for one that holds what is wanted */
#define TRIGRAMS_KNOWN 12000.0 /* different ones in ordinary text */

bool adv_is_inner(const AdvIndex *index)
{
    return strcmp(index->method, "gin") == 0 || strcmp(index->method, "gist") == 0;
}

static bool knows_operator(const AdvIndexKey *key, const AdvPred *pred)
{
    const char *opclass = key->opclass ? key->opclass : "";
    if (pred->kind == ADV_PRED_INFIX)
        return pred->trigram && strstr(opclass, "gin_trgm_ops");
    if (pred->kind != ADV_PRED_CONTAINS || strstr(opclass, "gin_trgm_ops"))
        return false;
    bool path = strcmp(opclass, "jsonb_path_ops") == 0;
    return !path || (pred->op[0] == '@' && strcmp(pred->op, "&&") != 0);
}

const AdvPred *adv_inner_serves(const AdvFacts *facts, int rel, const AdvIndex *index)
{
    bool gist = strcmp(index->method, "gist") == 0;
    if (!adv_is_inner(index))
        return NULL;
    for (int i = 0; i < facts->n_preds; i++) {
        const AdvPred *pred = &facts->preds[i];
        for (int k = 0; k < index->n_keys; k++) {
            const AdvIndexKey *key = &index->keys[k];
            bool same = key->expr ? pw_str_equal(pred->expr, key->expr) : !pred->expr && pred->column == key->column;
            if (pred->rel == rel && !pred->or_group && same && (gist ? pred->gist : !pred->gist && knows_operator(key, pred)))
                return pred;
        }
    }
    return NULL;
}

/* Keys that one search looks up, and the share of the rows that each of them has. */
static void searched(const AdvIndex *index, const AdvPred *pred, double *ret_keys, double *ret_share)
{
    double letters = pred->lo.kind == ADV_VALUE_LITERAL && pred->lo.text ? (double)strlen(pred->lo.text) : 8;
    *ret_keys = 2;
    *ret_share = 0.01;
    if (pred->kind == ADV_PRED_INFIX) {
        double width = pred->column ? adv_column(index->table, pred->column)->avg_width : 20;
        *ret_keys = fmax(letters - 4, 1);
        *ret_share = fmin(width / TRIGRAMS_KNOWN * 3, 1);
    }
}

double adv_inner_cost(const AdvSettings *s, const AdvIndex *index, double pages, const AdvPred *pred, double rows)
{
    double keys = 1, share = rows / fmax(index->table->rows, 1), heap = fmax(index->table->pages, 1);
    if (!pred->gist)
        searched(index, pred, &keys, &share);
    else
        share = fmin(share * GIST_OVERLAP, 1);
    double entries = keys * share * index->table->rows, read = 2 + fmin(pages * share, pages);
    /* As gincostestimate() has it: the way down to each key, then its list of rows. */
    if (!pred->gist)
        read = keys * rint(pow(fmax(pages, 1), 0.15)) + ceil(fmin(entries / POSTINGS_A_PAGE, pages));
    /* What the keys bring is checked against the row: some rows have all the trigrams and not the word. */
    double fetched = fmax(pred->kind == ADV_PRED_INFIX ? rows * 1.3 : rows, 1);
    double visited = fmin(ceil(2 * heap * fetched / (2 * heap + fetched)), heap);
    double per_page = s->random_page_cost - (s->random_page_cost - s->seq_page_cost) * sqrt(fmin(visited / heap, 1));
    return read * s->random_page_cost + entries * s->cpu_operator_cost * 0.5 + visited * per_page +
           fetched * (s->cpu_tuple_cost + 2 * s->cpu_operator_cost);
}
