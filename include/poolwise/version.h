/* SPDX-License-Identifier: ISC */
/* version.h - the version; meson.build's project version is the one place that is edited. */
#ifndef POOLWISE_VERSION_H
#define POOLWISE_VERSION_H

#ifndef POOLWISE_VERSION
#error "POOLWISE_VERSION comes from meson.build"
#endif

#endif
