/* SPDX-License-Identifier: ISC */
/* snapshot.h - the catalog as a file: schema, statistics, sizes and usage, for advice without a connection.
 *
 * One JSON object, versioned. What is written is read back the same. One thread. */
#ifndef ADVISOR_CATALOG_SNAPSHOT_H
#define ADVISOR_CATALOG_SNAPSHOT_H

#include "advisor/catalog/catalog.h"

/* The catalog as text. With `redact` the values in the statistics (common values, histogram bounds) become numbers of their
 * rank in the column: selectivities stay, values do not leave. Names, definitions, booleans and enum labels stay. */
const char *adv_snapshot_write(const AdvCatalog *catalog, bool redact);

/* Fills the empty catalog from text. PW_ERR_SYNTAX or PW_ERR_UNSUPPORTED (another version): *ret_why says more. */
PW_MUSTCHECK PwErr adv_snapshot_read(AdvCatalog *catalog, const char *text, const char **ret_why);

#endif
