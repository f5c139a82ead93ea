/* SPDX-License-Identifier: ISC */
/* reader.h - what reads a part of a log, and the forms that logs have.
 *
 * A log is cut into blocks at lines that begin a record, which each form can tell from the line alone; blocks are read by several readers at once, each
 * with a tally of its own. What crosses a block is a time that is told on a line of its own ("duration: 5 ms" after "statement: ..."):
 * the reader notes what its block leaves open, and adv_carry_block puts it together in the order of the file. */
#ifndef ADVISOR_SOURCE_READER_H
#define ADVISOR_SOURCE_READER_H

#include "advisor/source/entry.h"
#include "advisor/source/filter.h"
#include "advisor/source/summary.h"
#include "advisor/source/tally.h"
#include "poolwise/buf.h"

/* The last statement of a process whose time is not told yet. */
typedef struct AdvPending {
    uint64_t pid; /* hash of it; 0: free */
    bool open;    /* the statement of `what` waits for its time */
    bool early;   /* the block's first word of this process was a time: `us` belongs to what a block before left open */
    uint64_t us;
    AdvTallied what;
} AdvPending;

typedef struct AdvPendings {
    size_t n, cap;
    AdvPending *slots;
} AdvPendings;

typedef struct AdvReader {
    AdvTally *tally;
    AdvTally *explained;  /* of auto_explain: counts only when nothing else in the file tells of executions */
    const AdvFilter *filter; /* NULL: everything */
    AdvPendings pendings; /* of the block */
    PwBuf message, detail, statement; /* texts that had to be put together */
    PwBuf field[8];
    PwBuf payload, inner, line; /* a text in a record, in a record in that, a line in pieces: what is read out of them does not use these */
    PwBuf pieces;             /* of a message whose pieces are still coming */
    bool piece_open;          /* the next one is the rest of the same line */
    struct AdvSyslog *syslog; /* messages whose lines are still coming; NULL: none */
    struct AdvJsonSplit *split; /* where in a JSON text the block before has ended; NULL: in none */
    uint64_t time_us;     /* what time_text says */
    char time_text[24];
    AdvSummaryLines lines; /* of the summary in hand */
    const char *error;    /* the file cannot be read at all; NULL: it can */
    uint64_t n_messages;  /* of the block */
    uint64_t unplaced;    /* executions that the filter left out since the log does not tell where they ran */
} AdvReader;

void adv_reader_init(AdvReader *reader, const AdvFilter *filter);
void adv_reader_finish(AdvReader *reader);

/* One message, however it was written. */
void adv_reader_message(AdvReader *reader, const AdvEntry *entry);

/* Goes on with the order of the file: `block` is what the next block left open, and is empty afterwards; times that found their statement
 * are added to `tally`. */
void adv_carry_block(AdvPendings *carry, AdvPendings *block, AdvTally *tally);
void adv_pendings_finish(AdvPendings *pendings);

typedef struct AdvForm {
    const char *name;
    bool told; /* it is an odd thing if such a file tells of no statement */
    bool serial; /* its records are woven into each other: one block after the other */
    bool whole;  /* it is read as one piece */
    bool anywhere; /* its blocks may end in the middle of a record; it is serial then */
    bool (*is)(const char *head, size_t len);          /* is this the beginning of such a file? */
    bool (*starts)(const char *line, size_t len);      /* does this line begin a record? NULL: every line does */
    void (*read)(AdvReader *reader, const char *data, size_t len); /* whole records */
    void (*finish)(AdvReader *reader); /* at the end of the file, of a serial form; NULL: nothing is kept */
} AdvForm;

extern const AdvForm adv_form_stderr, adv_form_syslog, adv_form_csv, adv_form_json, adv_form_json_array, adv_form_container, adv_form_query_log, adv_form_statements, adv_form_summary;

/* NULL: nothing that is known. */
const AdvForm *adv_form_of(const char *head, size_t len);

#endif
