/* SPDX-License-Identifier: ISC */
/* generate.h - the indexes that could help a statement, by what it does with each table.
 *
 * Equality columns first, then one range column or the sort order; join and group columns; each also with
 * INCLUDE columns that make index-only scans possible. What an existing index serves is left out. */
#ifndef ADVISOR_CANDIDATE_GENERATE_H
#define ADVISOR_CANDIDATE_GENERATE_H

#include "advisor/candidate/candidate.h"

/* Adds the candidates of one statement to the pool and their ids (each once) to *ids. */
void adv_generate(AdvPool *pool, const AdvWorkload *workload, const AdvQuery *query, int **ids, int *n_ids);

/* The same for other methods than b-tree, of one table of the statement. */
void adv_generate_other(AdvPool *pool, const AdvQuery *query, int rel, int **ids, int *n_ids);

/* Tables below this are read faster than an index on them. */
bool adv_table_is_small(const AdvTable *table);

/* A sample has shown that its expressions have too few values; with columns that are coarse as well, together. */
bool adv_candidate_is_coarse(const AdvIndex *def);

/* One equality on it leaves too many rows for an index of its own. */
bool adv_column_is_coarse(const AdvTable *table, int column);

#endif
