/* SPDX-License-Identifier: ISC */
/* time.h - one unit of time: microseconds in a signed 64-bit integer. Any thread. */
#ifndef POOLWISE_TIME_H
#define POOLWISE_TIME_H

#include <stddef.h>
#include <stdint.h>
#include <sys/time.h>

typedef int64_t PwUsec;

#define PW_USEC_PER_SEC INT64_C(1000000)
#define PW_USEC_PER_MSEC INT64_C(1000)

/* For libevent; usec is not negative. */
static inline struct timeval pw_timeval(PwUsec usec)
{
    return (struct timeval){.tv_sec = (time_t)(usec / PW_USEC_PER_SEC), .tv_usec = (suseconds_t)(usec % PW_USEC_PER_SEC)};
}

/* CLOCK_MONOTONIC; for durations and deadlines. */
PwUsec pw_time_mono(void);

/* CLOCK_REALTIME since the epoch; for what people read. */
PwUsec pw_time_wall(void);

/* "2026-11-23 20:14:57.588 UTC" (local zone) into buf; returns buf. 40 bytes are always enough. */
char *pw_time_format_log(PwUsec wall, char *buf, size_t size);

/* "2026-11-23 20:14:57 UTC" (local zone), the form of the admin console. */
char *pw_time_format_sec(PwUsec wall, char *buf, size_t size);

#endif
