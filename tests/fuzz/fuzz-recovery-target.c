/* fuzz-recovery-target.c - any text is a target or a usage error; what a target says of itself for
 * the server is read back as the same one. */
#include "source/pg/restore/recovery-target.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *
prefix_of(BkRecoveryTargetKind kind)
{
    switch (kind) {
    case BK_RECOVERY_TARGET_LSN:
        return "lsn:";
    case BK_RECOVERY_TARGET_XID:
        return "xid:";
    case BK_RECOVERY_TARGET_NAME:
        return "name:";
    case BK_RECOVERY_TARGET_LATEST:
    case BK_RECOVERY_TARGET_IMMEDIATE:
    case BK_RECOVERY_TARGET_SNAPSHOT:
    case BK_RECOVERY_TARGET_TIME:
        break;
    }
    return "";
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    g_auto(BkRecoveryTarget) target = BK_RECOVERY_TARGET_INIT;
    g_auto(BkRecoveryTarget) again = BK_RECOVERY_TARGET_INIT;
    g_autofree char *value = NULL;
    g_autofree char *description = NULL;
    g_autofree char *repeated = NULL;
    g_autoptr(GError) error = NULL;

    g_setenv("TZ", "Europe/Berlin", TRUE);
    if (!bk_recovery_target_parse(text, INT64_C(1795256100000000), &target, &error)) {
        g_assert_true(bk_error_is(error, BK_ERROR_USAGE));
        return 0;
    }
    description = bk_recovery_target_describe(&target);
    g_assert_nonnull(description);
    value = bk_recovery_target_value(&target);
    repeated = g_strconcat(prefix_of(target.kind), value != NULL ? value : text, NULL);
    /* The zone may carry the first moments of 1970 to the year before, which is not read. */
    if (target.kind == BK_RECOVERY_TARGET_TIME && target.time_us < 0)
        return 0;
    g_assert_true(bk_recovery_target_parse(repeated, 0, &again, NULL) ||
                  target.time_us > INT64_C(253402214400000000));
    if (again.kind != target.kind)
        return 0;
    g_assert_true(again.time_us == target.time_us && again.lsn == target.lsn &&
                  again.xid == target.xid);
    g_assert_cmpstr(again.text, ==, target.text);
    return 0;
}
