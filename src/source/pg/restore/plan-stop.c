/* plan-stop.c - see plan-stop.h. */
#include "source/pg/restore/plan-stop.h"

#include "base/log.h"
#include "repo/targets/targets.h"
#include "source/pg/format/pg-time.h"
#include "source/pg/restore/wal-search.h"

/* "database 16400", a new string. */
static char *
describe_dropped(const BkWalDrop *drop)
{
    if (drop->oid == 0)
        return g_strdup("a database");
    return g_strdup_printf("%s %u", drop->is_tablespace ? "tablespace" : "database", drop->oid);
}

/* What to give for a position on the plan's line: a new string. */
static char *
choose_lsn(const BkPlanRequest *request, const BkPlan *plan, BkLsn lsn, bool exclusive)
{
    char text[BK_LSN_TEXT_SIZE];
    g_autofree char *at =
        g_strdup_printf("lsn:%s%s", bk_lsn_format(lsn, text), exclusive ? " --exclusive" : "");

    return bk_plan_format_choice(request, at, plan->timeline);
}

/* Others have committed within the drop, or the snapshot ends in it: no state that the target can
 * mean is whole. */
static bool
refuse_drop(const BkRecoveryIndex *past, const BkPlanRequest *request, const BkPlan *plan,
            const BkStopCheck *check, GError **error)
{
    const BkWalDrop *drop = &check->drop;
    g_autofree char *described = bk_recovery_target_describe(request->target);
    g_autofree char *dropped = describe_dropped(drop);
    g_autofree char *before = choose_lsn(request, plan, drop->lsn, true);
    g_autofree char *xid = g_strdup_printf("xid:%u", drop->xid);
    g_autofree char *after = bk_plan_format_choice(request, xid, plan->timeline);

    return bk_throw(error, BK_ERROR_AMBIGUOUS,
                    "%s of \"%s\" is inside transaction %u, which drops %s: the files are removed "
                    "before it commits, and %" G_GUINT64_FORMAT
                    " other transactions committed meanwhile; use %s for the state before it, or "
                    "%s for the state after it",
                    described, bk_source_repo_source(past->source_repo), drop->xid, dropped,
                    check->commits, before, after);
}

static void
add_caution(BkPlan *plan, char *text)
{
    g_autofree char *before = g_steal_pointer(&plan->caution);
    g_autofree char *added = text;

    plan->caution = before != NULL ? g_strdup_printf("%s; %s", before, added) : g_strdup(added);
}

/* The end of the WAL is in the drop, or the server crashed in it: that is how it was. */
static void
warn_of_drop(const BkPlanRequest *request, BkPlan *plan, const BkWalDrop *drop)
{
    g_autofree char *dropped = describe_dropped(drop);
    g_autofree char *before = choose_lsn(request, plan, drop->lsn, true);

    add_caution(plan,
                g_strdup_printf(
                    "transaction %u, which drops %s, does not commit in this WAL: what it drops "
                    "will exist only in name, so drop it again; use %s for the state before",
                    drop->xid, dropped, before));
}

/* Nothing is lost by stopping before the drop. */
static void
stop_before(BkPlan *plan, const BkWalDrop *drop)
{
    g_autofree char *dropped = describe_dropped(drop);
    char lsn[BK_LSN_TEXT_SIZE];

    plan->stop =
        (BkRecoveryTarget){.kind = BK_RECOVERY_TARGET_LSN, .lsn = drop->lsn, .exclusive = true};
    add_caution(plan, g_strdup_printf("transaction %u drops %s, whose files are removed before it "
                                      "commits: recovery will stop just before that, at lsn %s",
                                      drop->xid, dropped, bk_lsn_format(drop->lsn, lsn)));
}

bool
bk_plan_settle(const BkRecoveryIndex *past, const BkPlanRequest *request, BkPlan *plan,
               const BkStopPosition *position, BkLsn end_lsn, BkOp *op, GError **error)
{
    BkStopCheck check;

    if (!bk_stop_check(past, plan->snapshot, &plan->path, position, &check, op, error))
        return false;
    if (check.drop.lsn != 0) {
        if (check.commits == 0 && check.drop.lsn >= plan->snapshot->meta.stop_lsn)
            stop_before(plan, &check.drop);
        else if (check.drop.end == 0)
            warn_of_drop(request, plan, &check.drop);
        else
            return refuse_drop(past, request, plan, &check, error);
    }
    if (end_lsn != 0)
        bk_window_path_cut(&plan->path, end_lsn, past->input.segment_size);
    return true;
}

/* The server stops at the first restore point of a name behind the snapshot. */
static bool
check_point(const BkRecoveryIndex *past, const BkPlanRequest *request, BkPlan *plan,
            const BkWalMoment *found, BkOp *op, GError **error)
{
    const BkRecoveryTarget *target = request->target;
    g_autofree char *one = choose_lsn(request, plan, found->lsn, false);
    g_autofree char *other = NULL;
    g_autoptr(GError) cause = NULL;
    char lsn[BK_LSN_TEXT_SIZE];
    char time[BK_PG_TIME_TEXT_SIZE], next_time[BK_PG_TIME_TEXT_SIZE];
    BkWalMoment next = {0};

    bk_lsn_format(found->lsn, lsn);
    bk_pg_time_format(found->time_us, time);
    if (!bk_wal_search(past, &plan->path, found->end_lsn, UINT64_MAX, target, &next, op, &cause)) {
        /* Recovery does not come so far. */
        if (!bk_targets_is_at_fault(cause))
            return bk_propagate(error, &cause);
        bk_log(BK_LOG_WARNING, "it is unknown whether there is a later restore point \"%s\": %s",
               target->text, cause->message);
        next = (BkWalMoment){0};
    }
    if (next.lsn != 0) {
        other = choose_lsn(request, plan, next.lsn, false);
        return bk_throw(error, BK_ERROR_AMBIGUOUS,
                        "there are several restore points \"%s\" of \"%s\": use %s for the one of "
                        "%.19s UTC, or %s for the one of %.19s UTC",
                        target->text, bk_source_repo_source(past->source_repo), one, time, other,
                        bk_pg_time_format(next.time_us, next_time));
    }
    plan->caution = g_strdup_printf("this is the newest restore point of that name, of %.19s UTC, "
                                    "at lsn %s; there may be others before snapshot %s",
                                    time, lsn, plan->snapshot->head.id);
    return true;
}

bool
bk_plan_settle_found(const BkRecoveryIndex *past, const BkPlanRequest *request, BkPlan *plan,
                     const BkWalMoment *found, BkOp *op, GError **error)
{
    const BkRecoveryTarget *target = request->target;
    const BkStopPosition position = {target->exclusive ? found->lsn : found->end_lsn, false};

    if (target->kind == BK_RECOVERY_TARGET_NAME &&
        !check_point(past, request, plan, found, op, error))
        return false;
    return bk_plan_settle(past, request, plan, &position, found->end_lsn, op, error);
}
