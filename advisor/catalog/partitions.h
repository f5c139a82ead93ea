/* SPDX-License-Identifier: ISC */
/* partitions.h - a partitioned table has no rows of its own: sizes and counters are those of its partitions together, and as long as nobody
 * has run ANALYZE on it (autovacuum never does), the statistics of its largest partition stand for its own. */
#ifndef ADVISOR_CATALOG_PARTITIONS_H
#define ADVISOR_CATALOG_PARTITIONS_H

#include "advisor/catalog/catalog.h"

/* The partition with most rows that has rows of its own; NULL: there is none. */
const AdvTable *adv_largest_partition(const AdvTable *table);

/* When all is loaded. */
void adv_sum_up_partitions(AdvCatalog *catalog);

#endif
