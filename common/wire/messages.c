/* SPDX-License-Identifier: ISC */
/* messages.c - the one table of message facts (documentation chapter "Message Formats"). */
#include "poolwise/wire.h"

#define F PW_MSG_FRONTEND
#define X (PW_MSG_FRONTEND | PW_MSG_EXTENDED)
#define B PW_MSG_BACKEND
#define W (PW_MSG_BACKEND | PW_MSG_WHOLE)

static const PwMsgInfo frontend[256] = {
    [PW_F_BIND] = {"Bind", 4 + 8, X},
    [PW_F_CLOSE] = {"Close", 4 + 2, X},
    [PW_F_DESCRIBE] = {"Describe", 4 + 2, X},
    [PW_F_EXECUTE] = {"Execute", 4 + 5, X},
    [PW_F_FUNCTION] = {"FunctionCall", 4 + 10, F},
    [PW_F_FLUSH] = {"Flush", 4, X},
    [PW_F_PARSE] = {"Parse", 4 + 4, X},
    [PW_F_QUERY] = {"Query", 4 + 1, F},
    [PW_F_SYNC] = {"Sync", 4, X},
    [PW_F_TERMINATE] = {"Terminate", 4, F},
    [PW_F_COPY_DONE] = {"CopyDone", 4, F},
    [PW_F_COPY_DATA] = {"CopyData", 4, F},
    [PW_F_COPY_FAIL] = {"CopyFail", 4 + 1, F},
    [PW_F_PASSWORD] = {"PasswordMessage", 4, F},
};

static const PwMsgInfo backend[256] = {
    [PW_B_AUTH] = {"Authentication", 4 + 4, W},
    [PW_B_KEY_DATA] = {"BackendKeyData", 4 + 8, W},
    [PW_B_BIND_COMPLETE] = {"BindComplete", 4, B},
    [PW_B_CLOSE_COMPLETE] = {"CloseComplete", 4, B},
    [PW_B_COMMAND_COMPLETE] = {"CommandComplete", 4 + 1, W},
    [PW_B_COPY_BOTH] = {"CopyBothResponse", 4 + 3, B},
    [PW_B_COPY_DATA] = {"CopyData", 4, B},
    [PW_B_COPY_DONE] = {"CopyDone", 4, B},
    [PW_B_COPY_IN] = {"CopyInResponse", 4 + 3, B},
    [PW_B_COPY_OUT] = {"CopyOutResponse", 4 + 3, B},
    [PW_B_DATA_ROW] = {"DataRow", 4 + 2, B},
    [PW_B_EMPTY_QUERY] = {"EmptyQueryResponse", 4, B},
    [PW_B_ERROR] = {"ErrorResponse", 4 + 1, W},
    [PW_B_FUNCTION_RESULT] = {"FunctionCallResponse", 4 + 4, B},
    [PW_B_NEGOTIATE] = {"NegotiateProtocolVersion", 4 + 8, W},
    [PW_B_NO_DATA] = {"NoData", 4, B},
    [PW_B_NOTICE] = {"NoticeResponse", 4 + 1, B},
    [PW_B_NOTIFICATION] = {"NotificationResponse", 4 + 6, B},
    [PW_B_PARAM_DESC] = {"ParameterDescription", 4 + 2, W},
    [PW_B_PARAM_STATUS] = {"ParameterStatus", 4 + 2, W},
    [PW_B_PARSE_COMPLETE] = {"ParseComplete", 4, B},
    [PW_B_PORTAL_SUSPENDED] = {"PortalSuspended", 4, B},
    [PW_B_READY] = {"ReadyForQuery", 4 + 1, W},
    [PW_B_ROW_DESC] = {"RowDescription", 4 + 2, B},
};

#undef F
#undef X
#undef B
#undef W

const PwMsgInfo *pw_msg_frontend(uint8_t type)
{
    return &frontend[type];
}

const PwMsgInfo *pw_msg_backend(uint8_t type)
{
    return &backend[type];
}
