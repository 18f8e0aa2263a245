/* target.c - opening, state and operation of one repository of a run. */
#include "repo/targets/target.h"

/* How long giving up the lease in one that was dropped may take: it would run out by itself. */
#define RELEASE_US (2 * BK_USEC_PER_SEC)

BkTarget *
bk_target_new(const BkRepositorySpec *spec, BkOp *op)
{
    BkTarget *self = g_new0(BkTarget, 1);

    self->spec = spec;
    self->is_required = spec->is_required;
    self->op = op;
    (void)pthread_mutex_init(&self->mutex, NULL);
    return self;
}

void
bk_target_free(BkTarget *self)
{
    if (self == NULL)
        return;
    if (self->state == BK_TARGET_DROPPED)
        bk_lease_release_within(self->lease, RELEASE_US);
    else
        bk_lease_release(self->lease);
    g_clear_pointer(&self->snapshots, g_ptr_array_unref);
    bk_source_repo_free(self->source_repo);
    bk_repository_free(self->repository);
    bk_op_free(self->op);
    (void)pthread_mutex_destroy(&self->mutex);
    g_free(self->why);
    g_free(self);
}

bool
bk_target_begin_call(BkTarget *self, int64_t patience_us)
{
    bool is_live;

    (void)pthread_mutex_lock(&self->mutex);
    is_live = self->state != BK_TARGET_DROPPED;
    if (is_live && self->calls++ == 0)
        bk_op_set_patience(self->op, patience_us);
    (void)pthread_mutex_unlock(&self->mutex);
    return is_live;
}

void
bk_target_end_call(BkTarget *self, bool ok, int64_t patience_us)
{
    (void)pthread_mutex_lock(&self->mutex);
    if (--self->calls == 0)
        bk_op_set_patience(self->op, 0);
    else if (ok)
        bk_op_set_patience(self->op, patience_us);
    (void)pthread_mutex_unlock(&self->mutex);
}

static void
set_state(BkTarget *self, BkTargetState state, char *why)
{
    self->state = state;
    g_free(self->why);
    self->why = why;
}

bool
bk_target_drop(BkTarget *self, const GError *cause)
{
    bool is_first;

    (void)pthread_mutex_lock(&self->mutex);
    is_first = self->state != BK_TARGET_DROPPED;
    if (is_first) {
        set_state(self, BK_TARGET_DROPPED, g_strdup(cause->message));
        if (self->op != NULL)
            bk_op_cancel(self->op);
    }
    (void)pthread_mutex_unlock(&self->mutex);
    return is_first;
}

/* One that was dropped meanwhile stays so. */
static void
set_state_unless_dropped(BkTarget *self, BkTargetState state, char *why)
{
    (void)pthread_mutex_lock(&self->mutex);
    if (self->state != BK_TARGET_DROPPED)
        set_state(self, state, why);
    else
        g_free(why);
    (void)pthread_mutex_unlock(&self->mutex);
}

void
bk_target_set_behind(BkTarget *self, char *why)
{
    set_state_unless_dropped(self, BK_TARGET_BEHIND, why);
}

void
bk_target_set_done(BkTarget *self)
{
    set_state_unless_dropped(self, BK_TARGET_DONE, NULL);
}
