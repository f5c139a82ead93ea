/* SPDX-License-Identifier: ISC */
/* problems.h - what advisor check found, by rule and place, and its forms: text, JSON, SARIF 2.1.0. */
#ifndef ADVISOR_COMMAND_PROBLEMS_H
#define ADVISOR_COMMAND_PROBLEMS_H

#include "advisor/app.h"
#include "advisor/arena.h"

typedef struct AdvProblem {
    int rule;            /* row of the rules */
    const char *file;    /* "": the database */
    int line;            /* 0: none */
    const char *message;
    const char *hint;    /* what to do; NULL */
} AdvProblem;

typedef struct AdvProblems {
    AdvArena *arena;
    int n;
    AdvProblem *items;
} AdvProblems;

/* `rule` is the name of a row of the rules. */
void adv_problem_add(AdvProblems *problems, const char *rule, const char *file, int line, const char *message, const char *hint);

AdvLevel adv_problems_worst(const AdvProblems *problems); /* ADV_LEVEL_NONE: nothing was found */

/* Sorted by file, line and rule, whatever order they were added in. */
const char *adv_problems_print(AdvProblems *problems, AdvFormat format);

#endif
