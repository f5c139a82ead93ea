/* SPDX-License-Identifier: ISC */
/* notes.h - what is to be known of the logs that something was read from. They go with it into summaries, so that a report of summaries says the same as one of the logs. */
#ifndef ADVISOR_SOURCE_NOTES_H
#define ADVISOR_SOURCE_NOTES_H

#include <stddef.h>
#include <stdint.h>

#define ADV_NOTES_MAX 100
#define ADV_NOTE_LEN_MAX 1800 /* bytes */

typedef struct AdvNotes {
    size_t n;
    uint64_t more; /* that found no place */
    char *items[ADV_NOTES_MAX];
} AdvNotes;

void adv_notes_add(AdvNotes *notes, const char *text); /* copies, as UTF-8 */
void adv_notes_append(AdvNotes *into, const AdvNotes *from);
void adv_notes_finish(AdvNotes *notes); /* frees; then as zeroed */

#endif
