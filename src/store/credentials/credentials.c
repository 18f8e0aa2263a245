/* credentials.c - finds the credentials of a bucket, and renews them before they expire. */
#include "base/cond.h"
#include "base/log.h"
#include "base/secret.h"
#include "store/credentials/credentials-priv.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#define EARLY_US       (INT64_C(5) * 60 * BK_USEC_PER_SEC)
#define EARLY_PAUSE_US (60 * BK_USEC_PER_SEC)

typedef struct Place {
    const char *name;
    BkPlaceAsk ask;
} Place;

struct BkCredentialSource {
    BkCredentialClock clock;
    void *clock_data;

    /* Of the thread that refreshes. */
    BkCredentialWish wish;
    const Place *place; /* that has them; NULL: not found yet */

    pthread_mutex_t mutex; /* guards all that follows */
    pthread_cond_t refreshed;
    bool is_refreshing;
    uint64_t refresh_count;
    GError *failure;       /* of the last refresh, unless its own operation ended */
    BkCredentials current; /* in memory for secrets, since it lives long */
    bool is_refused;       /* the server said that they have expired */
    int64_t next_early_us;
};

static void
clear_current(BkCredentialSource *self)
{
    bk_secret_free(self->current.access_key);
    bk_secret_free(self->current.secret_key);
    bk_secret_free(self->current.session_token);
    self->current = (BkCredentials){0};
}

static int64_t
real_time(void *data)
{
    (void)data;
    return g_get_real_time();
}

BkCredentialSource *
bk_credential_source_new(const BkCredentialOptions *options)
{
    BkCredentialSource *self = g_new0(BkCredentialSource, 1);

    self->clock = real_time;
    self->wish.file = g_strdup(options->file);
    self->wish.profile = g_strdup(options->profile);
    self->wish.region = g_strdup(options->region);
    self->wish.ca_file = g_strdup(options->ca_file);
    self->wish.proxy = g_strdup(options->proxy);
    (void)pthread_mutex_init(&self->mutex, NULL);
    bk_cond_init(&self->refreshed);
    return self;
}

void
bk_credential_source_free(BkCredentialSource *self)
{
    if (self == NULL)
        return;
    clear_current(self);
    g_clear_error(&self->failure);
    (void)pthread_cond_destroy(&self->refreshed);
    (void)pthread_mutex_destroy(&self->mutex);
    g_free(self->wish.file);
    g_free(self->wish.profile);
    g_free(self->wish.region);
    g_free(self->wish.ca_file);
    g_free(self->wish.proxy);
    g_free(self);
}

void
bk_credential_source_set_clock(BkCredentialSource *self, BkCredentialClock clock, void *data)
{
    self->clock = clock;
    self->clock_data = data;
}

static BkPlaceState
ask_environment(BkCredentialWish *wish, BkCredentials *credentials, char **note, BkOp *op,
                GError **error)
{
    const char *access_key = g_getenv("AWS_ACCESS_KEY_ID");
    const char *secret_key = g_getenv("AWS_SECRET_ACCESS_KEY");
    const char *token = g_getenv("AWS_SESSION_TOKEN");
    bool has_access_key = access_key != NULL && access_key[0] != 0;
    bool has_secret_key = secret_key != NULL && secret_key[0] != 0;
    const char *fault;

    (void)wish;
    (void)op;
    if (!has_access_key && !has_secret_key) {
        *note = g_strdup("AWS_ACCESS_KEY_ID is not set");
        return BK_PLACE_EMPTY;
    }
    credentials->access_key = g_strdup(access_key);
    credentials->secret_key = g_strdup(secret_key);
    if (token != NULL && token[0] != 0)
        credentials->session_token = g_strdup(token);
    if (!has_access_key || !has_secret_key) {
        bk_throw(error, BK_ERROR_CONFIG, "%s is set and %s is not",
                 has_access_key ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY",
                 has_access_key ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
        return BK_PLACE_BROKEN;
    }
    fault = bk_credentials_find_fault(credentials);
    if (fault == NULL)
        return BK_PLACE_FULL;
    bk_throw(error, BK_ERROR_CONFIG, "%s", fault);
    return BK_PLACE_BROKEN;
}

static const Place configured_place = {"credentials file", bk_credential_file_ask};

static const Place places[] = {
    {"environment", ask_environment},
    {"shared credentials file", bk_credential_file_ask_shared},
    {"web identity", bk_credential_remote_ask_web},
    {"container", bk_credential_remote_ask_container},
    {"instance metadata", bk_credential_remote_ask_instance},
};

/* Tells where credentials were looked for so far. */
static void
add_note(GString *notes, const Place *place, const char *note)
{
    g_string_append_printf(notes, "%s%s: %s", notes->len > 0 ? "; " : "", place->name, note);
}

/* Of a place that is there but broken: what was looked at before it tells why it was asked. */
static bool
throw_broken(const Place *place, const GString *notes, GError **error, GError *cause)
{
    return bk_throw(error, (BkErrorCode)cause->code, "credentials: %s%s%s: %s", notes->str,
                    notes->len > 0 ? "; " : "", place->name, cause->message);
}

/* Asks the place that has them, or all in their order until one has. */
static bool
look_for_credentials(BkCredentialSource *self, BkCredentials *fresh, BkOp *op, GError **error)
{
    const Place *first = self->place;
    size_t count = 1;
    g_autoptr(GString) notes = g_string_new(NULL);

    if (first == NULL) {
        first = self->wish.file != NULL ? &configured_place : places;
        count = self->wish.file != NULL ? 1 : G_N_ELEMENTS(places);
    }
    for (const Place *place = first; place < first + count; place++) {
        g_autoptr(GError) cause = NULL;
        g_autofree char *note = NULL;
        BkPlaceState state;

        bk_credentials_clear(fresh);
        if (!bk_op_check(op, error))
            return false;
        state = place->ask(&self->wish, fresh, &note, op, &cause);
        if (state == BK_PLACE_BROKEN)
            return throw_broken(place, notes, error, cause);
        if (state == BK_PLACE_FULL) {
            if (fresh->expires_us != 0 && fresh->expires_us <= self->clock(self->clock_data))
                return bk_throw(error, BK_ERROR_STORE,
                                "credentials: %s: these credentials have already expired (or this "
                                "host's clock is wrong)",
                                place->name);
            self->place = place;
            return true;
        }
        add_note(notes, place, note);
    }
    return bk_throw(error, BK_ERROR_DENIED, "there are no credentials: %s", notes->str);
}

/* With the mutex held, as all below. */
static bool
is_current_usable(const BkCredentialSource *self, int64_t now_us)
{
    return self->current.access_key != NULL && !self->is_refused &&
           (self->current.expires_us == 0 || now_us < self->current.expires_us);
}

static bool
is_due(const BkCredentialSource *self, int64_t now_us)
{
    return self->current.expires_us != 0 && now_us >= self->current.expires_us - EARLY_US &&
           now_us >= self->next_early_us;
}

static bool
replace_credentials(BkCredentialSource *self, BkCredentials *fresh, GError **error)
{
    if (self->is_refused && bk_credentials_is_same(&self->current, fresh))
        return bk_throw(error, BK_ERROR_DENIED,
                        "credentials: %s: the server reports that they have expired, and there are "
                        "no newer ones",
                        self->place->name);
    clear_current(self);
    self->current = (BkCredentials){
        .access_key = bk_secret_strdup(fresh->access_key),
        .secret_key = bk_secret_strdup(fresh->secret_key),
        .session_token = bk_secret_strdup(fresh->session_token),
        .expires_us = fresh->expires_us,
    };
    bk_credentials_clear(fresh);
    self->is_refused = false;
    return true;
}

/* Gives the mutex back while it looks. */
static bool
refresh_credentials(BkCredentialSource *self, BkOp *op, GError **error)
{
    g_auto(BkCredentials) fresh = {0};
    g_autoptr(GError) cause = NULL;
    bool ok;

    self->is_refreshing = true;
    (void)pthread_mutex_unlock(&self->mutex);
    ok = look_for_credentials(self, &fresh, op, &cause);
    (void)pthread_mutex_lock(&self->mutex);
    self->is_refreshing = false;
    self->refresh_count++;
    g_clear_error(&self->failure);
    if ((!ok || !replace_credentials(self, &fresh, &cause)) && bk_op_check(op, NULL))
        self->failure = g_error_copy(cause);
    (void)pthread_cond_broadcast(&self->refreshed);
    return bk_propagate(error, &cause);
}

/* While the old ones hold, a failure is no harm yet: one line, and another try a minute later. */
static bool
refresh_early(BkCredentialSource *self, int64_t now_us, BkOp *op, GError **error)
{
    g_autoptr(GError) cause = NULL;

    self->next_early_us = now_us + EARLY_PAUSE_US;
    if (refresh_credentials(self, op, &cause))
        return true;
    if (!bk_op_check(op, NULL) || !is_current_usable(self, self->clock(self->clock_data)))
        return bk_propagate(error, &cause);
    bk_log(BK_LOG_WARNING, "%s; the old ones hold for another %" G_GINT64_FORMAT " s",
           cause->message, (self->current.expires_us - now_us) / BK_USEC_PER_SEC);
    return true;
}

/* Until the thread that refreshes is done. What it failed with is our failure too, or each of many
 * threads would wait for the same dead endpoint in turn. */
static bool
wait_for_other(BkCredentialSource *self, BkOp *op, GError **error)
{
    uint64_t count = self->refresh_count;

    while (self->is_refreshing && self->refresh_count == count) {
        struct timespec until;

        if (!bk_op_check(op, error))
            return false;
        /* Not for ever: cancelling signals no condition. */
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += 100000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        (void)pthread_cond_timedwait(&self->refreshed, &self->mutex, &until);
    }
    if (self->failure == NULL)
        return true;
    if (error != NULL)
        *error = g_error_copy(self->failure);
    return false;
}

static bool
obtain_credentials(BkCredentialSource *self, BkOp *op, GError **error)
{
    for (;;) {
        int64_t now_us = self->clock(self->clock_data);

        if (is_current_usable(self, now_us)) {
            if (self->is_refreshing || !is_due(self, now_us))
                return true;
            return refresh_early(self, now_us, op, error);
        }
        if (!self->is_refreshing)
            return refresh_credentials(self, op, error);
        if (!wait_for_other(self, op, error))
            return false;
    }
}

bool
bk_credentials_get(BkCredentialSource *self, BkCredentials *credentials, BkOp *op, GError **error)
{
    bool ok;

    bk_credentials_clear(credentials);
    (void)pthread_mutex_lock(&self->mutex);
    ok = obtain_credentials(self, op, error);
    if (ok) {
        credentials->access_key = g_strdup(self->current.access_key);
        credentials->secret_key = g_strdup(self->current.secret_key);
        credentials->session_token = g_strdup(self->current.session_token);
        credentials->expires_us = self->current.expires_us;
    }
    (void)pthread_mutex_unlock(&self->mutex);
    return ok;
}

void
bk_credentials_expire(BkCredentialSource *self, const BkCredentials *credentials)
{
    (void)pthread_mutex_lock(&self->mutex);
    if (self->current.access_key != NULL && bk_credentials_is_same(&self->current, credentials))
        self->is_refused = true;
    (void)pthread_mutex_unlock(&self->mutex);
}
