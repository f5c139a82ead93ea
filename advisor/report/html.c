/* SPDX-License-Identifier: ISC */
/* html.c - the report as one HTML file: readable on a phone, light and dark, sortable, without any access to a network. */
#include <math.h>

#include "advisor/report/charts.h"

#define LINE 2000

static const char style[] =
    ":root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#57606a;--line:#d0d7de;--card:#f6f8fa;--bar:#0969da;--after:#1a7f37;--code:#eef1f4}\n"
    "@media(prefers-color-scheme:dark){:root{--bg:#0d1117;--fg:#e6edf3;--dim:#9aa4af;--line:#30363d;--card:#161b22;--bar:#58a6ff;--after:#56d364;--code:#1f252d}}\n"
    "*{box-sizing:border-box}body{margin:0 auto;max-width:70rem;padding:1rem;background:var(--bg);color:var(--fg);font:16px/1.5 system-ui,sans-serif}\n"
    "h1{font-size:1.6rem}h2{font-size:1.25rem;margin-top:2rem}h3{font-size:1.05rem;margin:0 0 .5rem}a{color:var(--bar)}\n"
    ".cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(10rem,1fr));gap:.75rem;margin:0;padding:0;list-style:none}\n"
    ".cards li,article{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.75rem 1rem}.cards b{display:block;font-size:1.4rem}\n"
    "article{margin:1rem 0}.dim{color:var(--dim)}pre,code{font:13px/1.45 ui-monospace,monospace;background:var(--code);border-radius:.25rem}\n"
    "code{padding:.1rem .25rem;overflow-wrap:anywhere}pre{padding:.6rem;overflow:auto;white-space:pre-wrap;overflow-wrap:anywhere}\n"
    ".scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.9rem}caption{text-align:left;color:var(--dim);padding:.25rem 0}\n"
    "th,td{border-bottom:1px solid var(--line);padding:.35rem .5rem;text-align:left;vertical-align:top}td.n,th.n{text-align:right;white-space:nowrap}\n"
    "th button{all:unset;cursor:pointer;font-weight:600}th button:focus-visible,summary:focus-visible{outline:2px solid var(--bar)}\n"
    "th[aria-sort=ascending] button::after{content:' \\2191'}th[aria-sort=descending] button::after{content:' \\2193'}\n"
    ".bar{height:.6rem;border-radius:.3rem;background:var(--bar);min-width:2px}.bar.after{background:var(--after);margin-top:2px}\n"
    ".charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));gap:1rem}figure{margin:0;background:var(--card);border:1px solid var(--line);"
    "border-radius:.5rem;padding:.75rem 1rem}figcaption{margin-bottom:.25rem}svg{display:block;overflow:hidden}svg .a{fill:var(--bar)}svg .b{fill:var(--after)}\n"
    "svg text{fill:var(--fg);font:13px ui-monospace,monospace}svg .v{fill:var(--dim);font-size:12px}\n"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:.5rem 0}dt{color:var(--dim)}dd{margin:0}\n";

/* Sorting only: the page is complete without it. */
static const char script[] =
    "for(const t of document.querySelectorAll('table.sort'))t.querySelectorAll('th').forEach((h,i)=>{\n"
    " const b=document.createElement('button');b.type='button';b.textContent=h.textContent;h.textContent='';h.append(b);\n"
    " b.onclick=()=>{const up=h.getAttribute('aria-sort')==='descending';\n"
    "  t.querySelectorAll('th').forEach(o=>o.removeAttribute('aria-sort'));h.setAttribute('aria-sort',up?'ascending':'descending');\n"
    "  const v=r=>{const c=r.cells[i];return c.dataset.v===undefined?c.textContent:+c.dataset.v};\n"
    "  const rows=[...t.tBodies[0].rows].sort((x,y)=>{const a=v(x),c=v(y);return(a<c?-1:a>c?1:0)*(up?1:-1)});\n"
    "  t.tBodies[0].append(...rows)}});\n";

static void add_element(AdvText *text, const char *tag, const char *content)
{
    adv_text_addf(text, "<%s>", tag);
    adv_add_escaped(text, content);
    adv_text_addf(text, "</%s>", tag);
}

static void add_pre(AdvText *text, const AdvScript *s)
{
    if (s->n == 0)
        return;
    adv_text_add(text, "<pre>");
    for (int i = 0; i < s->n; i++) {
        adv_add_escaped(text, s->statements[i]);
        adv_text_add(text, "\n");
    }
    adv_text_add(text, "</pre>\n");
}

static void add_pair(AdvText *text, const char *name, const char *value)
{
    add_element(text, "dt", name);
    add_element(text, "dd", value);
    adv_text_add(text, "\n");
}

static void add_bar(AdvText *text, double share, const char *class)
{
    adv_text_addf(text, "<div class=\"bar%s\" style=\"width:%.1f%%\"></div>", class, 100 * fmin(fmax(share, 0), 1));
}

static void add_card(AdvText *text, const char *value, const char *what)
{
    adv_text_add(text, "<li>");
    add_element(text, "b", value);
    adv_add_escaped(text, what);
    adv_text_add(text, "</li>\n");
}

static void add_head(AdvText *text, const AdvReport *r)
{
    const AdvSelection *s = r->selection;
    AdvArena *arena = text->arena;
    adv_text_add(text, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                       "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
                       "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Index advice for ");
    adv_add_escaped(text, r->catalog->database);
    adv_text_addf(text, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<main>\n<h1>Index advice for ", style);
    adv_add_escaped(text, r->catalog->database);
    adv_text_add(text, "</h1>\n<p class=\"dim\">PostgreSQL ");
    adv_add_escaped(text, r->catalog->server_version);
    adv_text_addf(text, ", costs by %s</p>\n<ul class=\"cards\">\n",
                  strcmp(r->cost_source, "hypopg") == 0 ? "the server&#39;s planner with hypothetical indexes" : "the advisor&#39;s own model");
    add_card(text, adv_arena_printf(arena, "%.1f %%", s->cost_before > 0 ? 100 * s->cost_after / s->cost_before : 100), "of today's cost, with all advice");
    add_card(text, adv_arena_printf(arena, "%d", s->n), "new indexes");
    add_card(text, adv_format_bytes(arena, s->bytes), "for them");
    add_card(text, adv_arena_printf(arena, "%d", r->n_findings - s->n), "indexes to drop");
    add_card(text, adv_arena_printf(arena, "%d", r->health.n), "more that hurts");
    adv_text_add(text, "</ul>\n");
}

static void add_evidence(AdvText *text, const AdvFinding *f)
{
    if (f->n_evidence == 0)
        return;
    adv_text_addf(text, "<details><summary>%d statements served</summary><div class=\"scroll\"><table>\n<thead><tr><th class=\"n\" scope=\"col\">Calls</th>"
                        "<th class=\"n\" scope=\"col\">Share</th><th class=\"n\" scope=\"col\">Cost before</th><th class=\"n\" scope=\"col\">After</th>"
                        "<th scope=\"col\">Statement and plan</th></tr></thead>\n<tbody>\n", f->n_evidence);
    for (int i = 0; i < f->n_evidence; i++) {
        const AdvEvidence *e = &f->evidence[i];
        adv_text_addf(text, "<tr><td class=\"n\">%.0f</td><td class=\"n\">%.1f %%</td><td class=\"n\">%.1f</td><td class=\"n\">%.1f</td><td>", e->query->calls,
                      100 * e->share, e->before, e->after);
        add_element(text, "code", adv_one_line(text->arena, e->query->text, LINE));
        adv_text_add(text, "<br><span class=\"dim\">");
        adv_add_escaped(text, e->plan_before);
        adv_text_add(text, " &rarr; ");
        adv_add_escaped(text, e->plan_after);
        adv_text_add(text, "</span></td></tr>\n");
    }
    adv_text_add(text, "</tbody></table></div></details>\n");
}

static void add_finding(AdvText *text, const AdvFinding *f)
{
    AdvArena *arena = text->arena;
    const AdvIndex *index = f->create ? &f->create->def : f->drop->index;
    adv_text_addf(text, "<article id=\"f%d\">\n<h3>%d. %s ", f->number, f->number, f->create ? "Create an index on" : "Drop an index of");
    add_element(text, "code", adv_arena_printf(arena, "%s %s", f->table, adv_index_columns_text(arena, index)));
    adv_text_add(text, "</h3>\n");
    add_element(text, "p", f->reason);
    add_pre(text, &f->script);
    adv_text_add(text, "<dl>\n");
    if (f->create) {
        add_pair(text, "Saves", adv_arena_printf(arena, "%.1f %% of the workload's cost, given the other advice", 100 * f->gain));
        add_pair(text, "Size", adv_arena_printf(arena, "about %s, built in about %s", adv_format_bytes(arena, f->bytes), adv_format_seconds(arena, f->build_seconds)));
        add_pair(text, "Upkeep", adv_arena_printf(arena, "%.0f index entries in this workload, %.2f %% of its cost", f->entries, 100 * f->write_cost));
    } else {
        add_pair(text, "Frees", adv_format_bytes(arena, f->bytes));
    }
    if (f->index_only.applies)
        add_pair(text, "Visible", adv_arena_printf(arena, "%.0f %% of the pages; saves %.1f %% of the cost of its statements today, %.1f %% after VACUUM",
                                                   100 * f->index_only.all_visible, 100 * f->index_only.saving_today, 100 * f->index_only.saving_after_vacuum));
    add_pair(text, "Confidence", adv_arena_printf(arena, "%s: %s", adv_confidence_name(f->confidence), f->confidence_why));
    add_pair(text, "Wrong if", f->wrong_if);
    adv_text_add(text, "</dl>\n");
    add_evidence(text, f);
    adv_text_add(text, "<details><summary>Undo</summary>");
    add_pre(text, &f->undo_script);
    adv_text_add(text, "</details>\n</article>\n");
}

static void add_health(AdvText *text, const AdvReport *r)
{
    if (r->health.n)
        adv_text_add(text, "<h2>What else hurts</h2>\n");
    for (int i = 0; i < r->health.n; i++) {
        const AdvHealth *h = &r->health.items[i];
        adv_text_add(text, "<article>\n<h3>");
        adv_add_escaped(text, adv_health_kind_title(h->kind));
        adv_text_add(text, " ");
        add_element(text, "code", adv_table_sql_name(r->catalog, h->table));
        adv_text_add(text, "</h3>\n");
        add_element(text, "p", h->reason);
        add_pre(text, &h->script);
        if (h->remedy)
            add_element(text, "p", h->remedy);
        adv_text_add(text, "<p class=\"dim\">Wrong if ");
        adv_add_escaped(text, h->wrong_if);
        adv_text_add(text, ".</p>\n</article>\n");
    }
}

static const char *cell(AdvArena *arena, double value, const char *form)
{
    return adv_arena_printf(arena, "<td class=\"n\" data-v=\"%.6g\">%s</td>", value, form);
}

static void add_statements(AdvText *text, const AdvReport *r)
{
    AdvArena *arena = text->arena;
    const AdvWorkload *w = r->workload;
    double load = r->selection->cost_before;
    adv_text_addf(text, "<h2>Statements</h2>\n<div class=\"scroll\"><table class=\"sort\">\n<caption>Share of the load today (first bar) and with the advice (second bar)%s"
                        "</caption>\n<thead><tr><th class=\"n\" scope=\"col\">Calls</th><th class=\"n\" scope=\"col\">Measured ms</th><th class=\"n\" scope=\"col\">Cost"
                        "</th><th class=\"n\" scope=\"col\">With advice</th><th class=\"n\" scope=\"col\">Share</th><th scope=\"col\">Statement</th></tr></thead>\n<tbody>\n",
                  w->measured ? ", weighted with measured time" : "");
    for (int i = 0; i < w->n_queries; i++) {
        const AdvQuery *q = w->queries[i];
        double after = adv_cost_after(r, q), share = load > 0 ? q->weight * q->cost_today / load : 0;
        if (q->foreign_key_check)
            continue;
        adv_text_addf(text, "<tr>%s%s%s%s<td class=\"n\" data-v=\"%.6g\">%.1f %%", cell(arena, q->calls, adv_arena_printf(arena, "%.0f", q->calls)),
                      cell(arena, q->total_ms, q->total_ms > 0 ? adv_arena_printf(arena, "%.1f", q->total_ms) : ""),
                      cell(arena, q->cost_today, q->cost_today > 0 ? adv_arena_printf(arena, "%.1f", q->cost_today) : ""),
                      cell(arena, after, q->cost_today > 0 ? adv_arena_printf(arena, "%.1f", after) : ""), share, 100 * share);
        add_bar(text, share, "");
        add_bar(text, load > 0 ? q->weight * after / load : 0, " after");
        adv_text_add(text, "</td><td>");
        add_element(text, "code", adv_one_line(arena, q->text, LINE));
        if (q->why_not) {
            adv_text_add(text, "<br><span class=\"dim\">left out: ");
            adv_add_escaped(text, q->why_not);
            adv_text_add(text, "</span>");
        }
        adv_text_add(text, "</td></tr>\n");
    }
    adv_text_add(text, "</tbody></table></div>\n");
}

static void add_indexes_chart(AdvText *text, const AdvReport *r)
{
    double most = 0;
    for (int i = 0; i < r->n_findings; i++)
        most = fmax(most, r->findings[i].create ? r->findings[i].bytes : 0);
    if (most <= 0)
        return;
    adv_text_add(text, "<h2>Size and worth of the new indexes</h2>\n<div class=\"scroll\"><table>\n<caption>Size (first bar) and share of the workload's cost saved "
                       "(second bar)</caption>\n<thead><tr><th scope=\"col\">Index</th><th class=\"n\" scope=\"col\">Size</th><th class=\"n\" scope=\"col\">Saves</th>"
                       "<th class=\"n\" scope=\"col\">Upkeep</th><th scope=\"col\">Bars</th></tr></thead>\n<tbody>\n");
    for (int i = 0; i < r->n_findings; i++) {
        const AdvFinding *f = &r->findings[i];
        if (!f->create)
            continue;
        adv_text_addf(text, "<tr><td><a href=\"#f%d\">", f->number);
        adv_add_escaped(text, f->name);
        adv_text_addf(text, "</a></td><td class=\"n\">%s</td><td class=\"n\">%.1f %%</td><td class=\"n\">%.2f %%</td><td>", adv_format_bytes(text->arena, f->bytes),
                      100 * f->gain, 100 * f->write_cost);
        add_bar(text, f->bytes / most, "");
        add_bar(text, f->gain, " after");
        adv_text_add(text, "</td></tr>\n");
    }
    adv_text_add(text, "</tbody></table></div>\n");
}

static void add_lists(AdvText *text, const AdvReport *r)
{
    if (r->n_unhelped)
        adv_text_add(text, "<h2>Statements that no index helps</h2>\n<ul>\n");
    for (int i = 0; i < r->n_unhelped; i++) {
        adv_text_add(text, "<li>");
        add_element(text, "code", adv_one_line(text->arena, r->unhelped[i].query->text, LINE));
        adv_text_add(text, ": ");
        adv_add_escaped(text, r->unhelped[i].why);
        if (r->unhelped[i].rewrite) {
            adv_text_add(text, ". Better: ");
            adv_add_escaped(text, r->unhelped[i].rewrite);
        }
        adv_text_add(text, "</li>\n");
    }
    adv_text_add(text, r->n_unhelped ? "</ul>\n" : "");
    adv_text_add(text, r->n_notes ? "<h2>Notes</h2>\n<ul>\n" : "");
    for (int i = 0; i < r->n_notes; i++) {
        add_element(text, "li", r->notes[i]);
        adv_text_add(text, "\n");
    }
    adv_text_add(text, r->n_notes ? "</ul>\n" : "");
}

const char *adv_report_html(const AdvReport *r)
{
    AdvText text;
    adv_text_init(&text, r->arena);
    add_head(&text, r);
    adv_add_charts(&text, r);
    adv_text_add(&text, "<h2>What to do, in this order</h2>\n");
    if (r->n_findings == 0)
        adv_text_add(&text, "<p>Nothing: the indexes fit this workload.</p>\n");
    for (int i = 0; i < r->n_findings; i++)
        add_finding(&text, &r->findings[i]);
    add_health(&text, r);
    add_indexes_chart(&text, r);
    add_statements(&text, r);
    add_lists(&text, r);
    adv_text_addf(&text, "</main>\n<script>\n%s</script>\n</body>\n</html>\n", script);
    return adv_text_get(&text);
}
