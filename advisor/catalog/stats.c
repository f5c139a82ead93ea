/* SPDX-License-Identifier: ISC */
#include "advisor/catalog/stats.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <strings.h>

#include "poolwise/str.h"

/* Where statistics say nothing, PostgreSQL's own defaults. */
#define DEFAULT_EQ 0.005
#define DEFAULT_RANGE (1.0 / 3)
#define DEFAULT_BETWEEN 0.005
#define DEFAULT_PREFIX 0.005
#define DEFAULT_DISTINCT 200.0
#define DEFAULT_EXPR_DISTINCT 200.0
#define DEFAULT_DOCUMENT 0.001

double adv_column_distinct(const AdvTable *table, int column)
{
    const AdvColumn *c = adv_column(table, column);
    double distinct = c->n_distinct < 0 ? -c->n_distinct * table->rows : c->n_distinct;
    if (c->n_distinct == 0 && c->null_frac < 1) /* not known */
        distinct = DEFAULT_DISTINCT;
    /* Old statistics may know more values than there are rows now. */
    if (table->rows > 0)
        distinct = fmin(distinct, table->rows);
    return distinct >= 1 ? distinct : 1;
}

static double clamp(double x)
{
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

int adv_compare_values(const AdvColumn *column, const char *a, const char *b)
{
    if (column->category == 'N') {
        double x = strtod(a, NULL), y = strtod(b, NULL);
        if (isnan(x) || isnan(y)) /* above all others, and equal to itself, as the server sorts it */
            return (isnan(x) != 0) - (isnan(y) != 0);
        return x < y ? -1 : x > y;
    }
    int c = strcmp(a, b);
    return c < 0 ? -1 : c > 0;
}

static bool same_value(const AdvColumn *c, const char *stored, const char *written)
{
    if (c->category == 'N')
        return strtod(stored, NULL) == strtod(written, NULL);
    if (c->category == 'B') /* stored as t or f, written as true, 't', 'yes', on, 1, ... */
        return (stored[0] == 't') == (strchr("tTyY1", written[0]) != NULL || strcasecmp(written, "on") == 0);
    size_t n = strlen(stored), m = strlen(written);
    if (strcmp(c->base_type, "bpchar") == 0) { /* stored with its padding */
        while (n > 0 && stored[n - 1] == ' ')
            n--;
        while (m > 0 && written[m - 1] == ' ')
            m--;
    }
    return n == m && memcmp(stored, written, n) == 0;
}

/* Dates and the like can be written in more than one way: not to find one says nothing. */
static bool one_spelling(const AdvColumn *c)
{
    return c->category == 'N' || c->category == 'B' || c->category == 'S' || c->category == 'E';
}

double adv_value_selectivity(const AdvTable *table, int column, const char *value)
{
    const AdvColumn *c = adv_column(table, column);
    if (!c->has_stats && !c->declared)
        return table->rows > 0 ? fmax(DEFAULT_EQ, 1 / table->rows) : DEFAULT_EQ;
    double common = 0;
    for (int i = 0; i < c->n_mcv; i++) {
        if (value && *value && same_value(c, c->mcv[i], value))
            return c->mcf[i];
        common += c->mcf[i];
    }
    double distinct = adv_column_distinct(table, column);
    if (!value || !one_spelling(c))
        return clamp((1 - c->null_frac) / distinct);
    double others = distinct - c->n_mcv;
    double rest = 1 - common - c->null_frac;
    if (others < 1)
        return c->n_mcv && rest < 0.001 ? clamp(rest) : clamp((1 - c->null_frac) / distinct);
    return clamp(rest / others);
}

/* Share of the rows below `value`, from histogram and common values together. */
static double below(const AdvColumn *c, const char *value)
{
    double sum = 0, common = 0;
    for (int i = 0; i < c->n_mcv; i++) {
        if (adv_compare_values(c, c->mcv[i], value) < 0)
            sum += c->mcf[i];
        common += c->mcf[i];
    }
    double rest = clamp(1 - common - c->null_frac);
    if (c->n_hist < 2)
        return sum;
    int i = 0;
    while (i < c->n_hist && adv_compare_values(c, c->hist[i], value) < 0)
        i++;
    double f = (double)i;
    if (i > 0 && i < c->n_hist && c->category == 'N') {
        double lo = strtod(c->hist[i - 1], NULL), hi = strtod(c->hist[i], NULL), v = strtod(value, NULL);
        f = i - 1 + (hi > lo ? (v - lo) / (hi - lo) : 0.5);
    } else if (i > 0 && i < c->n_hist) {
        f = i - 0.5;
    } else if (i == c->n_hist) {
        f = c->n_hist - 1;
    }
    return sum + rest * f / (c->n_hist - 1);
}

/* What one partition knows says nothing of values that it cannot have. */
static bool is_beyond(const AdvTable *table, const AdvColumn *c, const AdvValue *value)
{
    return table->borrowed_stats && c->n_hist > 1 && value->kind == ADV_VALUE_LITERAL && value->text &&
           (adv_compare_values(c, value->text, c->hist[0]) < 0 || adv_compare_values(c, value->text, c->hist[c->n_hist - 1]) > 0);
}

/* Of expressions only those that keep the order have the column's values. */
static bool is_range_known(const AdvTable *table, const AdvPred *pred)
{
    const AdvColumn *c = adv_column(table, pred->column);
    bool foreign = pred->expr && strncmp(pred->expr, "date_trunc(", 11) != 0 && strncmp(pred->expr, "date(", 5) != 0 && strncmp(pred->expr, "timezone(", 9) != 0 &&
                   !strstr(pred->expr, "::date)");
    return c->has_stats && (c->n_hist || c->n_mcv) && !foreign && !(pred->has_lo && is_beyond(table, c, &pred->lo)) &&
           !(pred->has_hi && is_beyond(table, c, &pred->hi));
}

static double range_selectivity(const AdvTable *table, const AdvPred *pred)
{
    const AdvColumn *c = adv_column(table, pred->column);
    bool lo = pred->has_lo && pred->lo.kind == ADV_VALUE_LITERAL, hi = pred->has_hi && pred->hi.kind == ADV_VALUE_LITERAL;
    if (!is_range_known(table, pred) || (!lo && !hi))
        return pred->has_lo && pred->has_hi ? DEFAULT_BETWEEN : DEFAULT_RANGE;
    double from = lo ? below(c, pred->lo.text) : 0;
    double to = hi ? below(c, pred->hi.text) : 1 - c->null_frac;
    if ((pred->has_lo && !lo) || (pred->has_hi && !hi))
        return DEFAULT_BETWEEN;
    /* A range inside one histogram bucket is narrow, not empty. */
    return clamp(fmax(to - from, 1.0 / fmax(adv_column_distinct(table, pred->column), 1)));
}

static double eq_selectivity(const AdvTable *table, const AdvPred *pred, const AdvValue *value)
{
    const AdvExprStats *known = pred->expr ? adv_table_expr(table, pred->expr) : NULL;
    if (known)
        return clamp(known->share);
    if (pred->expr) {
        double distinct = fmin(DEFAULT_EXPR_DISTINCT, adv_column_distinct(table, pred->column));
        /* lower(email) is about as distinctive as email itself. */
        if (strncmp(pred->expr, "lower(", 6) == 0 || strncmp(pred->expr, "upper(", 6) == 0 ||
            strncmp(pred->expr, "md5(", 4) == 0)
            distinct = adv_column_distinct(table, pred->column);
        return clamp(1 / distinct);
    }
    return adv_value_selectivity(table, pred->column, value->kind == ADV_VALUE_LITERAL ? value->text : NULL);
}

/* LIKE, with % and _; `fold`: upper and lower case are the same. */
static bool matches_pattern(const char *text, const char *pattern, bool fold)
{
    const char *star = NULL, *again = NULL;
    while (*text) {
        bool escaped = *pattern == '\\' && pattern[1];
        const char *p = escaped ? pattern + 1 : pattern;
        bool same = fold ? tolower((unsigned char)*p) == tolower((unsigned char)*text) : *p == *text;
        if (!escaped && *pattern == '%') {
            star = ++pattern;
            again = text;
        } else if ((same && *p) || (!escaped && *pattern == '_')) {
            pattern = p + 1;
            text++;
        } else if (star) {
            pattern = star;
            text = ++again;
        } else {
            return false;
        }
    }
    while (*pattern == '%')
        pattern++;
    return !*pattern;
}

/* Without values to try: each letter leaves a fifth, and a wildcard behind the first letter takes that back. */
static double guess_pattern(const char *pattern)
{
    double s = 1;
    while (*pattern == '%' || *pattern == '_')
        pattern++;
    for (; *pattern && s > 1e-6; pattern++)
        s *= *pattern == '%' ? 5 : *pattern == '_' ? 0.9 : 0.2;
    return fmin(s, 1);
}

/* As the planner does it: the pattern is tried on the common values and on the bounds of the histogram. */
static double pattern_selectivity(const AdvColumn *c, const AdvPred *pred)
{
    const char *pattern = pred->lo.text;
    bool fold = pred->why && strstr(pred->why, "ILIKE");
    double sum = 0, common = 0, s = guess_pattern(pattern);
    for (int i = 0; i < c->n_mcv; i++) {
        common += c->mcf[i];
        if (matches_pattern(c->mcv[i], pattern, fold))
            sum += c->mcf[i];
    }
    int tried = 0, fits = 0;
    for (int i = 1; i + 1 < c->n_hist; i++, tried++)
        fits += matches_pattern(c->hist[i], pattern, fold);
    if (tried >= 8) {
        double weight = fmin(tried / 100.0, 1);
        s = weight * fits / tried + (1 - weight) * s;
    }
    s = fmin(fmax(s, 1e-4), 0.9999);
    return clamp(s * clamp(1 - common - c->null_frac) + sum);
}

static bool has_pattern(const AdvColumn *c, const AdvPred *pred)
{
    return c->has_stats && !pred->expr && pred->lo.kind == ADV_VALUE_LITERAL && pred->lo.text && !pred->op;
}

/* A regular expression or an expression that nothing is known of: each letter leaves a fifth. */
static double infix_selectivity(const AdvColumn *c, const AdvPred *pred)
{
    double s = 1;
    if (has_pattern(c, pred))
        return pattern_selectivity(c, pred);
    if (pred->lo.kind != ADV_VALUE_LITERAL || !pred->lo.text)
        return 0.005;
    for (const char *p = pred->lo.text; *p && s > 1e-4; p++)
        s *= isalnum((unsigned char)*p) ? 0.2 : 1;
    return fmin(fmax(s, 1e-4), 0.5);
}

double adv_pred_selectivity(const AdvTable *table, const AdvPred *pred)
{
    const AdvColumn *c = adv_column(table, pred->column);
    double s = 0;
    switch (pred->kind) {
    case ADV_PRED_EQ:
        return eq_selectivity(table, pred, &pred->lo);
    case ADV_PRED_IN:
        for (int i = 0; i < pred->n_values; i++)
            s += eq_selectivity(table, pred, &pred->values[i]);
        if (pred->n_values == 0 || (pred->n_values == 1 && pred->values[0].kind == ADV_VALUE_PARAM))
            s = 3 * eq_selectivity(table, pred, &(AdvValue){.kind = ADV_VALUE_UNKNOWN});
        return clamp(s);
    case ADV_PRED_RANGE:
        return range_selectivity(table, pred);
    case ADV_PRED_PREFIX:
        return has_pattern(c, pred) ? pattern_selectivity(c, pred) : fmax(DEFAULT_PREFIX, 1 / fmax(1, adv_column_distinct(table, pred->column)));
    case ADV_PRED_IS_NULL:
        return c->has_stats ? clamp(c->null_frac) : c->not_null ? 0 : fmax(c->null_frac, DEFAULT_EQ);
    case ADV_PRED_NOT_NULL:
        return c->has_stats ? clamp(1 - c->null_frac) : c->not_null ? 1 : 1 - fmax(c->null_frac, DEFAULT_EQ);
    case ADV_PRED_TRUE:
        return c->has_stats ? adv_value_selectivity(table, pred->column, "t") : 0.5;
    case ADV_PRED_FALSE:
        return c->has_stats ? adv_value_selectivity(table, pred->column, "f") : 0.5;
    case ADV_PRED_NE:
        return c->has_stats ? clamp(1 - c->null_frac - 1 / adv_column_distinct(table, pred->column)) : 0.995;
    case ADV_PRED_INFIX:
        return infix_selectivity(c, pred);
    case ADV_PRED_CONTAINS:
        /* The planner tries the value on the documents of its sample and rarely finds it there. */
        if (strcmp(c->base_type, "jsonb") == 0 && c->has_stats)
            return DEFAULT_DOCUMENT;
        return c->n_elements > 0 && c->elements_distinct > 0 ? clamp(c->n_elements / fmax(c->elements_distinct, c->n_elements)) : 0.01;
    case ADV_PRED_OPAQUE:
        return 0.1;
    case ADV_PRED_COUNT:
        break;
    }
    return 1;
}

double adv_range_selectivity(const AdvFacts *facts, const AdvPred *pred, bool *ret_first)
{
    const AdvTable *table = facts->rels[pred->rel].table;
    double sum = 0;
    int n = 0;
    bool unknown = false, lo = false, hi = false;
    *ret_first = true;
    for (int i = 0; i < facts->n_preds; i++) {
        const AdvPred *p = &facts->preds[i];
        if (p->kind != ADV_PRED_RANGE || p->rel != pred->rel || p->column != pred->column || !pw_str_equal(p->expr, pred->expr) ||
            p->or_group != pred->or_group || p->or_arm != pred->or_arm)
            continue;
        if (p < pred)
            *ret_first = false;
        lo = lo || p->has_lo;
        hi = hi || p->has_hi;
        unknown = unknown || !is_range_known(table, p) || (p->has_lo && p->lo.kind != ADV_VALUE_LITERAL) ||
                  (p->has_hi && p->hi.kind != ADV_VALUE_LITERAL);
        sum += adv_pred_selectivity(table, p);
        n++;
    }
    if (n <= 1)
        return sum;
    if (unknown)
        return lo && hi ? DEFAULT_BETWEEN : DEFAULT_RANGE;
    return clamp(fmax(sum - (n - 1), 1 / adv_column_distinct(table, pred->column)));
}

const char *adv_column_quantile(const AdvColumn *c, double f)
{
    if (c->n_hist >= 2)
        return c->hist[(int)(f * (c->n_hist - 1) + 0.5)];
    if (c->n_mcv == 0)
        return NULL;
    /* The common values are sorted by frequency; find the one with the right share below it. */
    const char *best = c->mcv[0];
    double best_distance = 2;
    for (int i = 0; i < c->n_mcv; i++) {
        double share = 0;
        for (int k = 0; k < c->n_mcv; k++)
            if (adv_compare_values(c, c->mcv[k], c->mcv[i]) < 0)
                share += c->mcf[k];
        if (fabs(share - f) < best_distance) {
            best_distance = fabs(share - f);
            best = c->mcv[i];
        }
    }
    return best;
}

const char *adv_column_typical(const AdvTable *table, int column, int nth)
{
    const AdvColumn *c = adv_column(table, column);
    double common = 0;
    for (int i = 0; i < c->n_mcv; i++)
        common += c->mcf[i];
    /* Mostly rare values: one out of the histogram. */
    if (c->n_hist >= 2 && common < 0.5)
        return c->hist[(c->n_hist / 2 + nth * 7) % c->n_hist];
    if (c->n_mcv == 0)
        return c->n_hist ? c->hist[0] : NULL;
    double average = common / c->n_mcv;
    int first = 0;
    for (int i = 0; i < c->n_mcv; i++)
        if (fabs(c->mcf[i] - average) < fabs(c->mcf[first] - average))
            first = i;
    return c->mcv[(first + nth) % c->n_mcv];
}
