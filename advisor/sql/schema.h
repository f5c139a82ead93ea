/* SPDX-License-Identifier: ISC */
/* schema.h - a catalog out of a schema alone (pg_dump -s): tables, keys and indexes are known, sizes and values are assumed. */
#ifndef ADVISOR_SQL_SCHEMA_H
#define ADVISOR_SQL_SCHEMA_H

#include "advisor/catalog/catalog.h"

/* Fills the empty catalog. PW_ERR_NOT_FOUND when the text makes no table; *ret_note tells what did not parse, or is NULL. */
PW_MUSTCHECK PwErr adv_schema_read(AdvCatalog *catalog, const char *text, const char **ret_note, const char **ret_why);

#endif
