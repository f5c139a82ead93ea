/* SPDX-License-Identifier: ISC */
/* json_log.h - one record of a log in JSON, for the forms that have it in different wrappings. */
#ifndef ADVISOR_SOURCE_JSON_LOG_H
#define ADVISOR_SOURCE_JSON_LOG_H

#include "advisor/source/reader.h"

/* False: it is no object, or cut. Lines of a stderr log in it stay with the reader until adv_pieces_flush. */
bool adv_json_record(AdvReader *reader, AdvSlice object);

/* Does the text name what such a record has? */
bool adv_json_is_told(const char *text, size_t len);

#endif
