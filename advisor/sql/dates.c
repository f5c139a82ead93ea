/* SPDX-License-Identifier: ISC */
#include "advisor/sql/dates.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "poolwise/err.h"

#define DAY_SECONDS 86400L
#define YEARS_MAX 9999

typedef struct Interval {
    long months, days, seconds;
} Interval;

/* Days since 1970-01-01 in the Gregorian calendar; years begin in March, so that the leap day is the last. */
static long to_days(long y, long m, long d)
{
    y -= m <= 2;
    long era = y / 400, year = y - era * 400, day = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + year * 365 + year / 4 - year / 100 + day - 719468;
}

static void from_days(long days, long *y, long *m, long *d)
{
    days += 719468;
    long era = days / 146097, rest = days - era * 146097;
    long year = (rest - rest / 1460 + rest / 36524 - rest / 146096) / 365, day = rest - (365 * year + year / 4 - year / 100), month = (5 * day + 2) / 153;
    *d = day - (153 * month + 2) / 5 + 1;
    *m = month < 10 ? month + 3 : month - 9;
    *y = year + era * 400 + (*m <= 2);
}

static long month_days(long y, long m)
{
    return m == 12 ? 31 : to_days(y, m + 1, 1) - to_days(y, m, 1);
}

static bool add_unit(Interval *sum, long n, const char *unit, size_t len)
{
    static const struct {
        const char *name;
        long months, days, seconds;
    } units[] = {
        {"year", 12, 0, 0}, {"month", 1, 0, 0},   {"mon", 1, 0, 0},     {"week", 0, 7, 0},   {"day", 0, 1, 0},  {"hour", 0, 0, 3600},
        {"minute", 0, 0, 60}, {"min", 0, 0, 60}, {"second", 0, 0, 1}, {"sec", 0, 0, 1}, {"decade", 120, 0, 0}, {"quarter", 3, 0, 0},
    };
    if (len > 1 && unit[len - 1] == 's')
        len--;
    for (size_t i = 0; i < PW_ARRAY_LEN(units); i++) {
        if (strlen(units[i].name) != len || strncmp(units[i].name, unit, len) != 0)
            continue;
        sum->months += n * units[i].months;
        sum->days += n * units[i].days;
        sum->seconds += n * units[i].seconds;
        return true;
    }
    return false;
}

static bool read_interval(const char *text, Interval *ret)
{
    *ret = (Interval){0};
    bool any = false;
    while (*(text += strspn(text, " "))) {
        char *end;
        long n = strtol(text, &end, 10);
        if (end == text || n > 1000000 || n < -1000000)
            return false;
        text = end + strspn(end, " ");
        size_t len = 0;
        while (isalpha((unsigned char)text[len]))
            len++;
        if (!add_unit(ret, n, text, len))
            return false;
        text += len;
        any = true;
    }
    return any;
}

const char *adv_date_add(AdvArena *arena, const char *date, const char *interval, int sign)
{
    int y, m, d, hour = 0, minute = 0, second = 0, used = 0;
    Interval i;
    int n = sscanf(date, "%4d-%2d-%2d%n", &y, &m, &d, &used);
    if (n != 3 || m < 1 || m > 12 || d < 1 || d > 31 || y < 1 || y > YEARS_MAX || !read_interval(interval, &i))
        return NULL;
    bool has_time = sscanf(date + used, "%*1[ T]%2d:%2d:%2d", &hour, &minute, &second) >= 2;
    if (!has_time && date[used])
        return NULL;
    long months = (long)y * 12 + m - 1 + sign * i.months, year = months / 12, month = months % 12 + 1, day = d;
    if (year < 1 || year > YEARS_MAX)
        return NULL;
    if (day > month_days(year, month))
        day = month_days(year, month);
    long days = to_days(year, month, day) + sign * i.days;
    long seconds = (long)hour * 3600 + minute * 60L + second + sign * i.seconds;
    days += seconds / DAY_SECONDS - (seconds % DAY_SECONDS < 0);
    seconds = (seconds % DAY_SECONDS + DAY_SECONDS) % DAY_SECONDS;
    from_days(days, &year, &month, &day);
    if (year < 1 || year > YEARS_MAX)
        return NULL;
    if (!has_time && seconds == 0)
        return adv_arena_printf(arena, "%04ld-%02ld-%02ld", year, month, day);
    return adv_arena_printf(arena, "%04ld-%02ld-%02ld %02ld:%02ld:%02ld", year, month, day, seconds / 3600, seconds / 60 % 60, seconds % 60);
}
