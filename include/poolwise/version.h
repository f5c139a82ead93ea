/* SPDX-License-Identifier: ISC */
/* version.h - the version; meson.build's project version is the one place that is edited. */
#ifndef POOLWISE_VERSION_H
#define POOLWISE_VERSION_H

#ifndef POOLWISE_VERSION
#error "POOLWISE_VERSION comes from meson.build"
#endif

/* The release of PgBouncer whose surface the pooler has. Tools that expect a PgBouncer read it out of SHOW VERSION, the console's
 * server_version and "pgbouncer --version": they take the first number or the second word, and switch metrics off when it is
 * too small. What they see therefore names PgBouncer first. */
#define POOLWISE_PGBOUNCER_VERSION "1.26.1"
#define POOLWISE_BANNER            "Poolwise " POOLWISE_VERSION " (PgBouncer " POOLWISE_PGBOUNCER_VERSION " compatible)"
#define POOLWISE_AS_PGBOUNCER      "PgBouncer " POOLWISE_PGBOUNCER_VERSION " compatible (Poolwise " POOLWISE_VERSION ")"

#endif
