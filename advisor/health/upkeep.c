/* SPDX-License-Identifier: ISC */
/* upkeep.c - tables that were never or long not analysed, and tables that VACUUM has not visited. */
#include "advisor/health/health.h"

#include <math.h>

#include "advisor/text.h"

#define PAGES_MIN 32.0        /* smaller tables are read whole anyway */
#define STALE_SHARE 0.25      /* of the rows changed: autovacuum would have come at 0.1 */
#define STALE_ROWS 10000.0
#define LATE_DAYS (1.0 / 1440)  /* sessions report what they changed up to a minute later */
#define DEAD_SHARE 0.25       /* autovacuum would have come at 0.2 */
#define DEAD_ROWS 10000.0
#define VISIBLE_PAGES_MIN 100.0
#define VISIBLE_SHARE 0.1

static bool has_rows_of_its_own(const AdvTable *t)
{
    return t->kind == 'r' || t->kind == 'm';
}

static double pages_of(const AdvTable *t)
{
    double pages = t->kind == 'p' ? 0 : t->pages + t->size_pages;
    for (int i = 0; t->kind == 'p' && i < t->n_children; i++)
        pages += pages_of(t->children[i]);
    return pages;
}

static bool has_statistics(const AdvTable *t)
{
    for (int c = 0; c < t->n_columns; c++)
        if (t->columns[c].has_stats)
            return true;
    return false;
}

/* Rows changed since the last ANALYZE. A load that is analysed at once is counted after its ANALYZE, as if it had come then; but each
 * row that ANALYZE saw was inserted before it, so that many changes are older. (pg_stat_reset forgets the time of the ANALYZE too.) */
static double changed_since(const AdvTable *t)
{
    double room = t->inserted + t->updated + t->deleted - t->rows;
    return t->analyze_age < LATE_DAYS ? fmin(t->modified, fmax(room, 0)) : t->modified;
}

static void check_analyze(AdvHealthList *list, const AdvTable *t)
{
    bool large = pages_of(t) >= PAGES_MIN;
    double changed = changed_since(t);
    bool never = t->readable && t->referenced && large && (t->borrowed_stats || !has_statistics(t));
    bool stale = has_rows_of_its_own(t) && t->referenced && t->analyze_age >= 0 && changed >= STALE_ROWS &&
                 changed > STALE_SHARE * t->live;
    if (!never && !stale)
        return;
    AdvHealth *h = adv_health_add(list, ADV_HEALTH_ANALYZE, t);
    const char *name = adv_table_sql_name(list->catalog, t);
    h->confidence = ADV_CONFIDENCE_HIGH;
    if (never && t->kind == 'p')
        h->reason = adv_arena_printf(list->arena, "The partitioned table %s has no statistics of its own: autovacuum never makes them, and "
                                     "plans over all partitions are guesses.", name);
    else if (never)
        h->reason = adv_arena_printf(list->arena, "%s has no statistics: plans and this advice are guesses until it has.", name);
    else
        h->reason = adv_arena_printf(list->arena, "%.0f rows of %s changed since its last ANALYZE %s ago; it holds %.0f.",
                                     changed, name, adv_duration(list->arena, t->analyze_age), t->live);
    h->wrong_if = "the table is being loaded just now and is analysed afterwards";
    adv_health_statement(list, &h->script, adv_arena_printf(list->arena, "ANALYZE %s;", name));
}

static bool is_read(const AdvHealthList *list, const AdvTable *t)
{
    for (int q = 0; q < list->workload->n_queries; q++) {
        const AdvQuery *query = list->workload->queries[q];
        for (int r = 0; query->facts && query->weight > 0 && r < query->facts->n_rels; r++)
            if (query->facts->rels[r].table == t && !query->facts->rels[r].target)
                return true;
    }
    return false;
}

static void check_vacuum(AdvHealthList *list, const AdvTable *t)
{
    if (!has_rows_of_its_own(t) || t->persistence == 't')
        return;
    bool dead = t->dead >= DEAD_ROWS && t->dead > DEAD_SHARE * (t->live + t->dead);
    bool hidden = t->pages >= VISIBLE_PAGES_MIN && t->vacuum_age < 0 && t->all_visible < VISIBLE_SHARE * t->pages && is_read(list, t);
    if (!dead && !hidden)
        return;
    AdvHealth *h = adv_health_add(list, ADV_HEALTH_VACUUM, t);
    const char *name = adv_table_sql_name(list->catalog, t);
    h->confidence = dead ? ADV_CONFIDENCE_HIGH : ADV_CONFIDENCE_MEDIUM;
    h->reason = dead ? adv_arena_printf(list->arena, "%.0f of the %.0f rows in %s are dead: scans read them all the same.", t->dead,
                                        t->live + t->dead, name)
                     : adv_arena_printf(list->arena, "VACUUM has never visited %s: no page is known to be all-visible, so that "
                                        "index-only scans must look into the table. Before that, advice within a budget has no INCLUDE columns for it: "
                                        "vacuum it, then ask again.", name);
    h->wrong_if = dead ? "an old transaction or replication slot still holds the rows: then VACUUM cannot remove them"
                       : "every page changes again at once";
    adv_health_statement(list, &h->script, adv_arena_printf(list->arena, "VACUUM (ANALYZE) %s;", name));
}

void adv_health_upkeep(AdvHealthList *list)
{
    for (int i = 0; i < list->catalog->n_tables && !list->catalog->assumed; i++) {
        const AdvTable *t = list->catalog->tables[i];
        if (has_rows_of_its_own(t) || t->kind == 'p') {
            check_analyze(list, t);
            check_vacuum(list, t);
        }
    }
}
