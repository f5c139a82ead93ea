/* SPDX-License-Identifier: ISC */
/* write_cost.h - what an index costs: its size, and the work that every INSERT, UPDATE and DELETE has with it. */
#ifndef ADVISOR_COST_WRITE_COST_H
#define ADVISOR_COST_WRITE_COST_H

#include "advisor/candidate/candidate.h"

/* Fills bytes and write_cost. `unit` is the weight of one unit of cost (milliseconds when times were measured). */
void adv_price(const AdvCatalog *catalog, const AdvWorkload *workload, double unit, AdvCandidate *candidate);

/* Index entries that the workload writes for it; *ret_hot_lost: UPDATEs (rows) that stop being heap-only. */
double adv_entries_written(const AdvWorkload *workload, const AdvIndex *index, double fraction, double *ret_hot_lost);

/* Rows that one call of an UPDATE or DELETE changes, or that an INSERT adds. */
double adv_rows_written(const AdvQuery *query);

#endif
