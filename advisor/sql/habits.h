/* SPDX-License-Identifier: ISC */
/* habits.h - ways of writing a statement that keep indexes out, told by its form alone. Pure. */
#ifndef ADVISOR_SQL_HABITS_H
#define ADVISOR_SQL_HABITS_H

#include <stdbool.h>

typedef struct AdvHabits {
    bool not_in_subquery;  /* x NOT IN (SELECT ...) */
    bool order_by_random;
    bool has_offset;
    double offset;         /* rows; 0: a parameter or expression */
} AdvHabits;

/* All false when the text does not parse. */
AdvHabits adv_sql_habits(const char *text);

#endif
