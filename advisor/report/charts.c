/* SPDX-License-Identifier: ISC */
/* Widths are percentages and heights are pixels: bars follow the width of the page, and letters keep their size on a phone. */
#include "advisor/report/charts.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#define ROWS 10
#define LABEL 160
#define ROW_PX 52

typedef struct Row {
    const char *label;
    double value[2];
    const char *figure[2]; /* NULL: no bar */
} Row;

typedef struct Chart {
    const char *title, *caption; /* the caption tells what each bar is */
    bool one_scale; /* for both bars; else each has its own */
    int n;
    Row rows[ROWS];
} Chart;

void adv_add_escaped(AdvText *text, const char *s)
{
    for (; *s; s++) {
        const char *entity = *s == '&' ? "&amp;" : *s == '<' ? "&lt;" : *s == '>' ? "&gt;" : *s == '"' ? "&quot;" : NULL;
        if (entity)
            adv_text_add(text, entity);
        else if ((unsigned char)*s >= 0x20 || *s == '\n' || *s == '\t')
            adv_text_add_n(text, s, 1);
    }
}

static void add_bar(AdvText *text, const Row *row, int bar, int y, double most)
{
    if (!row->figure[bar])
        return;
    /* At most 60 %: the figure stands behind the bar. */
    double width = most > 0 ? 60 * row->value[bar] / most : 0;
    adv_text_addf(text, "<rect class=\"%s\" x=\"0\" y=\"%d\" width=\"%.2f%%\" height=\"11\" rx=\"3\"/><text class=\"v\" x=\"%.2f%%\" y=\"%d\" dx=\"6\">",
                  bar ? "b" : "a", y, fmax(width, 0.4), fmax(width, 0.4), y + 10);
    adv_add_escaped(text, row->figure[bar]);
    adv_text_add(text, "</text>");
}

static void add_chart(AdvText *text, const Chart *c)
{
    double most[2] = {0, 0};
    if (c->n == 0)
        return;
    for (int i = 0; i < c->n; i++)
        for (int b = 0; b < 2; b++)
            most[b] = fmax(most[b], c->rows[i].figure[b] ? c->rows[i].value[b] : 0);
    if (c->one_scale)
        most[0] = most[1] = fmax(most[0], most[1]);
    adv_text_add(text, "<figure>\n<figcaption><b>");
    adv_add_escaped(text, c->title);
    adv_text_add(text, "</b> <span class=\"dim\">");
    adv_add_escaped(text, c->caption);
    adv_text_addf(text, "</span></figcaption>\n<svg width=\"100%%\" height=\"%d\" role=\"img\" aria-label=\"", c->n * ROW_PX);
    adv_add_escaped(text, c->title);
    adv_text_add(text, "\">\n");
    for (int i = 0; i < c->n; i++) {
        int y = i * ROW_PX;
        adv_text_addf(text, "<g><title>");
        adv_add_escaped(text, c->rows[i].label);
        adv_text_addf(text, "</title><text class=\"l\" x=\"0\" y=\"%d\">", y + 16);
        adv_add_escaped(text, c->rows[i].label);
        adv_text_add(text, "</text>");
        add_bar(text, &c->rows[i], 0, y + 22, most[0]);
        add_bar(text, &c->rows[i], 1, y + 36, most[1]);
        adv_text_add(text, "</g>\n");
    }
    adv_text_add(text, "</svg>\n</figure>\n");
}

/* ---- what is shown ---- */

/* All texts of one shape together. */
typedef struct Load {
    const AdvQuery *query; /* the first of them */
    double now, after;     /* shares of the load today */
    double calls, ms;
    double cost_now, cost_after; /* of one call */
} Load;

static int by_group(const void *a, const void *b)
{
    const AdvQuery *x = ((const Load *)a)->query, *y = ((const Load *)b)->query;
    return x->group < y->group ? -1 : x->group > y->group ? 1 : strcmp(x->text, y->text);
}

static int heavier_first(const void *a, const void *b)
{
    const Load *x = a, *y = b;
    return x->now < y->now ? 1 : x->now > y->now ? -1 : by_group(a, b);
}

/* The cost of a statement with all advice, as far as some finding serves it. */
double adv_cost_after(const AdvReport *r, const AdvQuery *q)
{
    for (int i = 0; i < r->n_findings; i++)
        for (int k = 0; k < r->findings[i].n_evidence; k++)
            if (r->findings[i].evidence[k].query == q)
                return r->findings[i].evidence[k].after;
    return q->cost_today;
}

static void add_load(Load *to, const Load *more)
{
    double calls = to->calls + more->calls;
    if (calls > 0) {
        to->cost_now = (to->cost_now * to->calls + more->cost_now * more->calls) / calls;
        to->cost_after = (to->cost_after * to->calls + more->cost_after * more->calls) / calls;
    }
    to->calls = calls;
    to->now += more->now;
    to->after += more->after;
    to->ms += more->ms;
}

static Load *loads(const AdvReport *r, int *ret_n)
{
    const AdvWorkload *w = r->workload;
    Load *all = ADV_NEW_ARRAY(r->arena, Load, w->n_queries + 1);
    double load = r->selection->cost_before;
    int n = 0, groups = 0;
    for (int i = 0; i < w->n_queries; i++) {
        const AdvQuery *q = w->queries[i];
        if (q->foreign_key_check || q->weight <= 0 || load <= 0)
            continue;
        double after = adv_cost_after(r, q);
        all[n++] = (Load){q, q->weight * q->cost_today / load, q->weight * after / load, q->calls, q->total_ms, q->cost_today, after};
    }
    qsort(all, (size_t)n, sizeof(*all), by_group);
    for (int i = 0; i < n; i++)
        if (groups > 0 && all[groups - 1].query->group == all[i].query->group)
            add_load(&all[groups - 1], &all[i]);
        else
            all[groups++] = all[i];
    qsort(all, (size_t)groups, sizeof(*all), heavier_first);
    *ret_n = groups;
    return all;
}

static void add_time(AdvText *text, const AdvReport *r, const Load *all, int n)
{
    Chart c = {.title = r->workload->measured ? "Time by statement" : "Load by statement", .caption = "share of the load today; calls"};
    for (; c.n < ROWS && c.n < n; c.n++) {
        const Load *l = &all[c.n];
        const char *time = l->ms > 0 ? adv_arena_printf(r->arena, ", %.1f s", l->ms / 1000) : "";
        c.rows[c.n] = (Row){adv_one_line(r->arena, l->query->text, LABEL), {l->now, l->calls},
                            {adv_arena_printf(r->arena, "%.1f %%%s", 100 * l->now, time), adv_arena_printf(r->arena, "%.0f calls", l->calls)}};
    }
    add_chart(text, &c);
}

/* Each statement is its own measure: costs of different statements differ by powers of ten. */
static void add_before_after(AdvText *text, const AdvReport *r, const Load *all, int n)
{
    Chart c = {.title = "Cost before and after", .caption = "of one call, as the planner sees it: today, and with all advice", .one_scale = true};
    for (int i = 0; c.n < ROWS && i < n; i++) {
        const Load *l = &all[i];
        if (l->cost_now <= 0 || l->cost_after > 0.99 * l->cost_now)
            continue;
        c.rows[c.n++] = (Row){adv_one_line(r->arena, l->query->text, LABEL), {1, l->cost_after / l->cost_now},
                              {adv_arena_printf(r->arena, "%.1f", l->cost_now), adv_arena_printf(r->arena, "%.1f", l->cost_after)}};
    }
    add_chart(text, &c);
}

static void add_size(AdvText *text, const AdvReport *r)
{
    Chart c = {.title = "Size and write cost of the new indexes", .caption = "space; upkeep as a share of the workload's cost"};
    for (int i = 0; c.n < ROWS && i < r->n_findings; i++) {
        const AdvFinding *f = &r->findings[i];
        if (!f->create)
            continue;
        c.rows[c.n++] = (Row){f->name, {f->bytes, f->write_cost},
                              {adv_arena_printf(r->arena, "%s, saves %.1f %%", adv_format_bytes(r->arena, f->bytes), 100 * f->gain),
                               adv_arena_printf(r->arena, "%.2f %% upkeep", 100 * f->write_cost)}};
    }
    add_chart(text, &c);
}

void adv_add_charts(AdvText *text, const AdvReport *r)
{
    int n;
    const Load *all = loads(r, &n);
    if (n == 0)
        return;
    adv_text_add(text, "<h2>At a glance</h2>\n<div class=\"charts\">\n");
    add_time(text, r, all, n);
    add_before_after(text, r, all, n);
    add_size(text, r);
    adv_text_add(text, "</div>\n");
}
