/* SPDX-License-Identifier: ISC */
/* stderr_log.h - lines of a stderr log, for the forms that wrap them. */
#ifndef ADVISOR_SOURCE_STDERR_LOG_H
#define ADVISOR_SOURCE_STDERR_LOG_H

#include "advisor/source/reader.h"

void adv_stderr_read(AdvReader *reader, const char *data, size_t len);

#endif
