/* SPDX-License-Identifier: ISC */
/* takeover_marks.h - which databases are paused and disabled in the process that is replaced (-R): they are so in the new one, too.
 *
 * Read from SHOW STATE and SHOW DATABASES before the workers start. */
#ifndef POOLER_APP_TAKEOVER_MARKS_H
#define POOLER_APP_TAKEOVER_MARKS_H

#include <stddef.h>
#include <stdint.h>

#include "pooler/config/snapshot.h"

/* A RowDescription and a DataRow of the answers. What is not of their form is passed over. */
void takeover_marks_columns(const uint8_t *payload, size_t n);
void takeover_marks_row(const uint8_t *payload, size_t n);

/* When there is a registry and before the workers start. Each mark is told in the log. Forgets what was read. */
void takeover_marks_apply(const Config *config);

#endif
