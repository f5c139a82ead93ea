/* SPDX-License-Identifier: ISC */
/* version.h - the version; meson.build's project version is the one place that is edited. */
#ifndef POOLWISE_VERSION_H
#define POOLWISE_VERSION_H

#ifndef POOLWISE_VERSION
#error "POOLWISE_VERSION comes from meson.build"
#endif

/* The release of PgBouncer whose surface the pooler has. Tools read it out of SHOW VERSION, --version and the
 * console's server_version. */
#define POOLWISE_PGBOUNCER_VERSION "1.25.2"
#define POOLWISE_BANNER            "Poolwise " POOLWISE_VERSION " (PgBouncer " POOLWISE_PGBOUNCER_VERSION " compatible)"

#endif
