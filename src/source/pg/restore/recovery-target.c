/* recovery-target.c - the recovery target, parsed from the form that the user types. */
#include "source/pg/restore/recovery-target.h"

#include "repo/snapshot/snapshot.h"
#include "source/pg/format/pg-time.h"

#include <string.h>

#define XID_FIRST_NORMAL 3 /* the server's own transactions have the smaller ones */

void
bk_recovery_target_clear(BkRecoveryTarget *self)
{
    g_free(self->text);
    *self = BK_RECOVERY_TARGET_INIT;
}

static bool
fail_target(GError **error, const char *text, const char *reason)
{
    g_autofree char *message =
        g_strdup_printf("\"%s\" is not a recovery target: %s; targets are latest, immediate, a "
                        "snapshot id, lsn:X/Y, "
                        "xid:N, name:POINT and a time like \"2026-11-21 10:15:00+01\"",
                        text, reason);

    /* A line break in the text would make two lines of it. */
    for (char *c = message; *c != '\0'; c++)
        if (g_ascii_iscntrl(*c))
            *c = '?';
    return bk_throw(error, BK_ERROR_USAGE, "%s", message);
}

static bool
parse_lsn(const char *text, const char *value, BkRecoveryTarget *target, GError **error)
{
    if (!bk_lsn_parse(value, &target->lsn) || target->lsn == 0)
        return fail_target(error, text, "an LSN is like 0/3000028");
    target->kind = BK_RECOVERY_TARGET_LSN;
    return true;
}

/* With or without the epoch, which recovery does not look at. */
static bool
parse_xid(const char *text, const char *value, BkRecoveryTarget *target, GError **error)
{
    uint64_t xid;

    if (!g_ascii_string_to_unsigned(value, 10, 0, G_MAXUINT64, &xid, NULL))
        return fail_target(error, text, "a transaction id is a number");
    target->xid = (uint32_t)(xid & G_MAXUINT32);
    if (target->xid < XID_FIRST_NORMAL)
        return fail_target(error, text, "no transaction can have that id");
    target->kind = BK_RECOVERY_TARGET_XID;
    return true;
}

static bool
parse_name(const char *text, const char *value, BkRecoveryTarget *target, GError **error)
{
    size_t size = strlen(value);

    if (size == 0 || size > BK_RECOVERY_TARGET_NAME_MAX)
        return fail_target(error, text, "the name of a restore point has 1 to 63 bytes");
    if (strpbrk(value, "\n\r") != NULL)
        return fail_target(error, text, "the name contains a line break");
    target->kind = BK_RECOVERY_TARGET_NAME;
    target->text = g_strdup(value);
    return true;
}

static bool
parse_target_time(const char *text, int64_t now_us, BkRecoveryTarget *target, GError **error)
{
    g_autoptr(GError) reason = NULL;

    if (!bk_pg_time_parse(text, now_us, &target->time_us, &reason))
        return fail_target(error, text, reason->message);
    target->kind = BK_RECOVERY_TARGET_TIME;
    return true;
}

bool
bk_recovery_target_parse(const char *text, int64_t now_us, BkRecoveryTarget *target, GError **error)
{
    *target = BK_RECOVERY_TARGET_INIT;
    if (strcmp(text, "latest") == 0)
        return true;
    if (strcmp(text, "immediate") == 0) {
        target->kind = BK_RECOVERY_TARGET_IMMEDIATE;
        return true;
    }
    if (bk_snapshot_is_id(text)) {
        target->kind = BK_RECOVERY_TARGET_SNAPSHOT;
        target->text = g_strdup(text);
        return true;
    }
    if (g_str_has_prefix(text, "lsn:"))
        return parse_lsn(text, text + strlen("lsn:"), target, error);
    if (g_str_has_prefix(text, "xid:"))
        return parse_xid(text, text + strlen("xid:"), target, error);
    if (g_str_has_prefix(text, "name:"))
        return parse_name(text, text + strlen("name:"), target, error);
    return parse_target_time(text, now_us, target, error);
}

static const char *
exclusive_note(const BkRecoveryTarget *self)
{
    return self->exclusive ? " (exclusive)" : "";
}

char *
bk_recovery_target_describe(const BkRecoveryTarget *self)
{
    char time[BK_PG_TIME_TEXT_SIZE];
    char lsn[BK_LSN_TEXT_SIZE];

    switch (self->kind) {
    case BK_RECOVERY_TARGET_LATEST:
        return g_strdup("latest");
    case BK_RECOVERY_TARGET_IMMEDIATE:
        return g_strdup("immediate");
    case BK_RECOVERY_TARGET_SNAPSHOT:
        return g_strdup_printf("snapshot %s", self->text);
    case BK_RECOVERY_TARGET_TIME:
        return g_strdup_printf("time %s UTC%s", bk_pg_time_format(self->time_us, time),
                               exclusive_note(self));
    case BK_RECOVERY_TARGET_LSN:
        return g_strdup_printf("lsn %s%s", bk_lsn_format(self->lsn, lsn), exclusive_note(self));
    case BK_RECOVERY_TARGET_XID:
        return g_strdup_printf("xid %u%s", self->xid, exclusive_note(self));
    case BK_RECOVERY_TARGET_NAME:
        return g_strdup_printf("restore point \"%s\"", self->text);
    }
    g_assert_not_reached();
}

const char *
bk_recovery_target_kind_name(BkRecoveryTargetKind kind)
{
    static const char *const names[] = {
        [BK_RECOVERY_TARGET_LATEST] = "latest",     [BK_RECOVERY_TARGET_IMMEDIATE] = "immediate",
        [BK_RECOVERY_TARGET_SNAPSHOT] = "snapshot", [BK_RECOVERY_TARGET_TIME] = "time",
        [BK_RECOVERY_TARGET_LSN] = "lsn",           [BK_RECOVERY_TARGET_XID] = "xid",
        [BK_RECOVERY_TARGET_NAME] = "name",
    };

    return names[kind];
}

char *
bk_recovery_target_value(const BkRecoveryTarget *self)
{
    char time[BK_PG_TIME_TEXT_SIZE];
    char lsn[BK_LSN_TEXT_SIZE];

    switch (self->kind) {
    case BK_RECOVERY_TARGET_LATEST:
    case BK_RECOVERY_TARGET_IMMEDIATE:
        return NULL;
    case BK_RECOVERY_TARGET_SNAPSHOT:
    case BK_RECOVERY_TARGET_NAME:
        return g_strdup(self->text);
    case BK_RECOVERY_TARGET_TIME:
        return g_strdup_printf("%s+00", bk_pg_time_format(self->time_us, time));
    case BK_RECOVERY_TARGET_LSN:
        return g_strdup(bk_lsn_format(self->lsn, lsn));
    case BK_RECOVERY_TARGET_XID:
        return g_strdup_printf("%u", self->xid);
    }
    g_assert_not_reached();
}
