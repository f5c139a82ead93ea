/* SPDX-License-Identifier: ISC */
/* findings.h - what the advisor says: each finding with its evidence, ready to be printed in any form. */
#ifndef ADVISOR_REPORT_FINDINGS_H
#define ADVISOR_REPORT_FINDINGS_H

#include "advisor/health/health.h"
#include "advisor/candidate/script.h"
#include "advisor/select/curve.h"
#include "advisor/select/redundant.h"
#include "advisor/select/search.h"

typedef struct AdvEvidence {
    const AdvQuery *query;
    double before;  /* planner cost of one call */
    double after;   /* with everything advised */
    double without; /* with everything advised but this */
    double share;   /* of the workload's cost today, which is its time when times were measured */
    const char *plan_before; /* what today's plan does with tables, "reads orders whole; index a" */
    const char *plan_after;
} AdvEvidence;

/* What index-only scans are worth: they need pages that VACUUM has marked all-visible. */
typedef struct AdvIndexOnly {
    bool applies;        /* the index holds all that one of its statements reads */
    double all_visible;  /* share of the table's pages */
    double saving_today; /* share of the cost of the statements served */
    double saving_after_vacuum;
} AdvIndexOnly;

typedef struct AdvFinding {
    int number; /* 1, 2, ... in the order to act */
    const AdvCandidate *create; /* a new index, or NULL */
    const AdvDrop *drop;        /* an index to remove, or NULL */
    const char *name;
    const char *table;
    int n_evidence;
    AdvEvidence *evidence; /* most saved first */
    double calls;
    double gain;        /* share of the workload's cost that it saves, given the others */
    double bytes;       /* needed, or freed */
    double entries;     /* index entries that the workload writes for it */
    double hot_lost;    /* rows whose updates stop being heap-only */
    double share;       /* of the workload's cost today: the statements it serves */
    double write_cost;  /* of its upkeep, as a share of the workload's cost today */
    double build_seconds;
    AdvIndexOnly index_only;
    AdvConfidence confidence;
    const char *confidence_why; /* how it was costed */
    const char *reason; /* one plain sentence */
    const char *wrong_if; /* what would make it wrong */
    const char *ddl;    /* the script's statements, one a line */
    const char *undo;
    AdvScript script;
    AdvScript undo_script;
} AdvFinding;

typedef struct AdvUnhelped {
    const AdvQuery *query;
    const char *why;
    const char *rewrite; /* what would help; NULL: nothing known */
} AdvUnhelped;

typedef struct AdvReport {
    AdvArena *arena;
    const AdvCatalog *catalog;
    const AdvWorkload *workload;
    const AdvSelection *selection;
    const char *cost_source; /* "hypopg", "model" */
    const char *model_why;   /* "model": "the server's statistics (HypoPG is not installed)" */
    double budget;
    AdvNames names;          /* of the indexes advised */
    uint64_t questions, plans;
    AdvBuildStep *build_order; /* selection->n steps; NULL: not asked for */
    int n_findings;
    AdvFinding *findings;
    AdvHealthList health;
    int n_unhelped;
    AdvUnhelped *unhelped; /* expensive, and no index can help: why */
    int n_skipped;
    const AdvQuery **skipped; /* not costed; why_not says why */
    int n_notes;
    const char **notes;
} AdvReport;

void adv_report_build(AdvReport *report, AdvOracle *oracle, AdvPool *pool, const AdvDropList *drops);
void adv_report_note(AdvReport *report, const char *note);

const char *adv_confidence_name(AdvConfidence confidence); /* "low", "medium", "high" */

/* The forms. The text is complete, with a final newline. */
const char *adv_report_text(const AdvReport *report);
const char *adv_report_json(const AdvReport *report);
const char *adv_report_sql(const AdvReport *report);
const char *adv_report_markdown(const AdvReport *report);
const char *adv_report_html(const AdvReport *report);

/* The statement on one line, at most `max` bytes, cut with "...". */
const char *adv_one_line(AdvArena *arena, const char *sql, size_t max);

#endif
