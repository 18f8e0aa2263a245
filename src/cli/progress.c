/* progress.c - shows the progress of an operation on standard error. */
#include "cli/progress.h"

#include "base/cond.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BAR_WIDTH        24
#define DRAW_INTERVAL_US (BK_USEC_PER_SEC / 5)
#define LINE_INTERVAL_US (10 * BK_USEC_PER_SEC)

struct BkProgress {
    const BkOp *op;
    bool is_terminal;
    pthread_t thread;
    pthread_mutex_t lock; /* guards is_stopping */
    pthread_cond_t wake;
    bool is_stopping;
};

char *
bk_progress_format_size(uint64_t size)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)size / 1024;
    size_t unit = 0;

    if (size < 1024)
        return g_strdup_printf("%" G_GUINT64_FORMAT " bytes", size);
    for (; value >= 1000 && unit + 1 < G_N_ELEMENTS(units); unit++)
        value /= 1024;
    return g_strdup_printf(value < 10 ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

static bool
counts_items(const char *phase)
{
    static const char *const words[] = {"files", "segments", "objects", "packs"};

    for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
        if (g_str_has_suffix(phase, words[i]))
            return true;
    return false;
}

static char *
format_amount(const char *phase, uint64_t amount)
{
    return counts_items(phase) ? g_strdup_printf("%" G_GUINT64_FORMAT, amount)
                               : bk_progress_format_size(amount);
}

static char *
format_duration(double seconds)
{
    uint64_t left = seconds < 1e9 ? (uint64_t)(seconds + 0.5) : 1000000000;

    if (left >= 3600)
        return g_strdup_printf("%" G_GUINT64_FORMAT "h%02um", left / 3600,
                               (unsigned)(left % 3600 / 60));
    if (left >= 60)
        return g_strdup_printf("%um%02us", (unsigned)(left / 60), (unsigned)(left % 60));
    return g_strdup_printf("%us", (unsigned)left);
}

static void
append_bar(GString *line, double fraction, unsigned width)
{
    unsigned filled = (unsigned)(fraction * width);

    g_string_append(line, " [");
    for (unsigned i = 0; i < width; i++)
        g_string_append_c(line, i < filled ? '#' : '.');
    g_string_append_c(line, ']');
}

char *
bk_progress_format(const BkOpProgress *progress, int64_t now_us, unsigned width)
{
    GString *line = g_string_new(progress->phase);
    double seconds = (double)(now_us - progress->phase_start_us) / (double)BK_USEC_PER_SEC;
    /* A file that grew makes `done` exceed what was expected. */
    uint64_t total = progress->total > 0 ? MAX(progress->total, progress->done) : 0;
    g_autofree char *done = format_amount(progress->phase, progress->done);

    if (total > 0) {
        double fraction = (double)progress->done / (double)total;
        g_autofree char *all = format_amount(progress->phase, total);

        if (width > 0)
            append_bar(line, fraction, width);
        g_string_append_printf(line, " %3.0f%% %s of %s", fraction * 100, done, all);
    } else if (progress->done > 0) {
        g_string_append_printf(line, " %s", done);
    }
    if (progress->done > 0 && seconds >= 0.5) {
        double rate = (double)progress->done / seconds;
        g_autofree char *per_second = format_amount(progress->phase, (uint64_t)rate);

        g_string_append_printf(line, ", %s/s", per_second);
        if (total > progress->done) {
            g_autofree char *left = format_duration((double)(total - progress->done) / rate);

            g_string_append_printf(line, ", %s left", left);
        }
    }
    return g_string_free(line, false);
}

static void
print(const char *text)
{
    if (write(STDERR_FILENO, text, strlen(text)) < 0)
        return; /* a progress that nobody can see is no failure */
}

static void
draw(const BkProgress *self)
{
    BkOpProgress progress;
    g_autofree char *line = NULL;
    g_autofree char *text = NULL;

    bk_op_get_progress(self->op, &progress);
    if (progress.phase == NULL)
        return;
    line = bk_progress_format(&progress, g_get_monotonic_time(), self->is_terminal ? BAR_WIDTH : 0);
    /* In place: to the start of the line, and what is left of a longer one before it wiped. */
    text = self->is_terminal ? g_strdup_printf("\r%s\033[K", line) : g_strdup_printf("%s\n", line);
    print(text);
}

/* Waits for the next time to draw; false when it is time to end. */
static bool
wait_turn(BkProgress *self)
{
    int64_t interval_us = self->is_terminal ? DRAW_INTERVAL_US : LINE_INTERVAL_US;
    int64_t until_us = g_get_monotonic_time() + interval_us;
    struct timespec until = {.tv_sec = (time_t)(until_us / BK_USEC_PER_SEC),
                             .tv_nsec = (long)(until_us % BK_USEC_PER_SEC) * 1000};
    bool goes_on;
    int result = 0;

    (void)pthread_mutex_lock(&self->lock);
    while (!self->is_stopping && result == 0)
        result = pthread_cond_timedwait(&self->wake, &self->lock, &until);
    goes_on = !self->is_stopping;
    (void)pthread_mutex_unlock(&self->lock);
    return goes_on;
}

static void *
run(void *data)
{
    BkProgress *self = data;

    while (wait_turn(self))
        draw(self);
    return NULL;
}

static void
progress_free(BkProgress *self)
{
    (void)pthread_cond_destroy(&self->wake);
    (void)pthread_mutex_destroy(&self->lock);
    g_free(self);
}

BkProgress *
bk_progress_start(const BkOp *op, bool is_quiet)
{
    BkProgress *self;
    sigset_t all;
    sigset_t before;
    int result;

    if (is_quiet)
        return NULL;
    self = g_new0(BkProgress, 1);
    self->op = op;
    self->is_terminal = isatty(STDERR_FILENO) == 1;
    (void)pthread_mutex_init(&self->lock, NULL);
    bk_cond_init(&self->wake);
    /* Signals are for the main thread. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    result = pthread_create(&self->thread, NULL, run, self);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (result == 0)
        return self;
    progress_free(self);
    return NULL;
}

void
bk_progress_stop(BkProgress *self)
{
    if (self == NULL)
        return;
    (void)pthread_mutex_lock(&self->lock);
    self->is_stopping = true;
    (void)pthread_cond_signal(&self->wake);
    (void)pthread_mutex_unlock(&self->lock);
    (void)pthread_join(self->thread, NULL);
    if (self->is_terminal)
        print("\r\033[K");
    progress_free(self);
}
