/* SPDX-License-Identifier: ISC */
/* types.h - what is known of PostgreSQL's own types without asking a server: length, alignment, category. Pure. */
#ifndef ADVISOR_SQL_TYPES_H
#define ADVISOR_SQL_TYPES_H

#include "advisor/catalog/catalog.h"

/* Fills len, align, category, btree, dedup and avg_width by column->base_type; an unknown type counts as a text that b-trees can hold. */
void adv_type_facts(AdvColumn *column);

#endif
