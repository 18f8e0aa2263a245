/* requests.c - the requests that a command sent to buckets, for its report. */
#include "cli/requests.h"

#include "report/format.h"

#include <stdio.h>

static const char *const names[BK_REQUEST_KINDS] = {
    [BK_REQUEST_PUT] = "put",   [BK_REQUEST_POST] = "post", [BK_REQUEST_GET] = "get",
    [BK_REQUEST_HEAD] = "head", [BK_REQUEST_LIST] = "list", [BK_REQUEST_DELETE] = "delete",
};

void
bk_cli_end_report(BkJson *json, const BkOp *op)
{
    BkRequests requests;

    bk_op_get_requests(op, &requests);
    bk_json_begin_object(json, "requests");
    for (size_t i = 0; i < BK_REQUEST_KINDS; i++)
        bk_json_add_uint(json, names[i], requests.count[i]);
    bk_json_add_uint(json, "sent", requests.sent);
    bk_json_add_uint(json, "received", requests.received);
    bk_json_end_object(json);
    bk_json_end_object(json);
    (void)fputs(bk_json_text(json), stdout);
}

void
bk_cli_print_requests(const BkOp *op)
{
    g_autoptr(GString) line = g_string_new(NULL);
    g_autofree char *sent = NULL;
    g_autofree char *received = NULL;
    BkRequests requests;

    bk_op_get_requests(op, &requests);
    for (size_t i = 0; i < BK_REQUEST_KINDS; i++)
        if (requests.count[i] > 0)
            g_string_append_printf(line, "%s%" G_GUINT64_FORMAT " %s", line->len > 0 ? ", " : "",
                                   requests.count[i], names[i]);
    if (line->len == 0)
        return;
    sent = bk_format_size(requests.sent);
    received = bk_format_size(requests.received);
    (void)fprintf(stderr, "requests: %s; %s sent, %s received\n", line->str, sent, received);
}
