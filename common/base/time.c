/* SPDX-License-Identifier: ISC */
#include "poolwise/time.h"

#include <stdbool.h>
#include <stdio.h>
#include <time.h>

static PwUsec read_clock(clockid_t id)
{
    struct timespec ts;
    /* Both clocks always exist on Linux and the BSDs; with a valid pointer the call cannot fail. */
    (void)clock_gettime(id, &ts);
    return (PwUsec)ts.tv_sec * PW_USEC_PER_SEC + ts.tv_nsec / 1000;
}

PwUsec pw_time_mono(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

PwUsec pw_time_wall(void)
{
    return read_clock(CLOCK_REALTIME);
}

/* Splits into whole seconds and the rest, which is never negative (times before 1970 too). */
static void split(PwUsec wall, struct tm *ret_tm, int *ret_msec)
{
    time_t sec = (time_t)(wall / PW_USEC_PER_SEC);
    PwUsec rest = wall % PW_USEC_PER_SEC;
    if (rest < 0) {
        sec -= 1;
        rest += PW_USEC_PER_SEC;
    }
    *ret_msec = (int)(rest / PW_USEC_PER_MSEC);
    if (localtime_r(&sec, ret_tm) == NULL)
        *ret_tm = (struct tm){.tm_mday = 1, .tm_year = 70}; /* a year that does not fit an int */
}

/* Zone names come from the TZ variable and can be long: at most 6 bytes keep the promised 40 bytes. */
static void format_zone(const struct tm *tm, char *buf, size_t size)
{
    if (strftime(buf, size, "%Z", tm) == 0)
        buf[0] = '\0';
    buf[size > 6 ? 6 : size - 1] = '\0';
}

static char *format(PwUsec wall, bool with_msec, char *buf, size_t size)
{
    struct tm tm;
    int msec;
    char zone[64], stamp[64], fraction[16] = "";
    split(wall, &tm, &msec);
    format_zone(&tm, zone, sizeof(zone));
    (void)strftime(stamp, sizeof(stamp), "%Y-%m-%d %H:%M:%S", &tm);
    if (with_msec)
        (void)snprintf(fraction, sizeof(fraction), ".%03d", msec);
    (void)snprintf(buf, size, "%s%s %s", stamp, fraction, zone);
    return buf;
}

char *pw_time_format_log(PwUsec wall, char *buf, size_t size)
{
    return format(wall, true, buf, size);
}

char *pw_time_format_sec(PwUsec wall, char *buf, size_t size)
{
    return format(wall, false, buf, size);
}
