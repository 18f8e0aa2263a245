/* reread.c - reads an object again from its original when it does not authenticate. */
#include "repo/reread.h"

#include "base/log.h"

#define MAX_TRIES 4 /* a cache, the network, another version; and one more */

/* What is cut off, forged or of another kind looks damaged, or newer than we know. */
static bool
is_damage(const GError *error)
{
    return bk_error_is(error, BK_ERROR_CORRUPT) || bk_error_is(error, BK_ERROR_UNSUPPORTED);
}

bool
bk_reread_is_worth(BkStore *store, const char *name, unsigned *tries, GError **cause, BkOp *op)
{
    g_autoptr(GError) failure = NULL;
    const bool is_first = (*tries)++ == 0;
    bool has_other;

    if (!is_damage(*cause) || *tries > MAX_TRIES)
        return false;
    if (!bk_store_reread_original(store, name, &has_other, op, &failure)) {
        bk_log(BK_LOG_INFO, "%s", failure->message);
        has_other = false;
    }
    if (!has_other && !(is_first && bk_store_is_remote(store)))
        return false;
    bk_log(BK_LOG_WARNING,
           "\"%s\" in %s is not the object that was stored first (%s): reading the first version",
           name, bk_store_describe(store), (*cause)->message);
    g_clear_error(cause);
    return true;
}
