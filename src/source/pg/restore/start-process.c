/* start-process.c - the server as a process: finding its program, starting, stopping, reading its
 * log. */
#include "source/pg/restore/start-priv.h"

#include "base/secret.h"
#include "source/pg/restore/server-environment.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOG_TAIL         (64 * BK_KIB)
#define LOG_ERRORS       3
#define FAST_STOP_US     (60 * BK_USEC_PER_SEC)
#define QUIT_STOP_US     (10 * BK_USEC_PER_SEC)
#define POLL_US          20000UL
#define PASSWD_BUFFER    (16 * BK_KIB)
#define CURRENT_LOGFILES "current_logfiles"

void
bk_server_process_clear(BkServerProcess *self)
{
    g_free(self->program);
    g_free(self->user);
    g_free(self->data_dir);
    g_free(self->log_path);
    g_clear_pointer(&self->groups, g_array_unref);
    bk_identity_free(self->identity);
    *self = (BkServerProcess){0};
}

/* --- in a child, where only async-signal-safe calls are allowed ---------------------------- */

/* Root's child becomes the owner of the data directory, or ends. */
static void
become_owner(const BkServerProcess *self)
{
    static const char message[] = "backstay: cannot become the owner of the data directory\n";

    if (self->groups == NULL)
        return;
    if (setgroups(self->groups->len, (const gid_t *)(const void *)self->groups->data) == 0 &&
        setgid(self->gid) == 0 && setuid(self->uid) == 0)
        return;
    if (write(STDERR_FILENO, message, sizeof message - 1) < 0) {
        /* Whether it was written or not, it ends here. */
    }
    (void)kill(getpid(), SIGKILL);
}

static void
prepare_child(void *data)
{
    sigset_t none;

    bk_secret_release_child();
    (void)setsid();
    (void)umask(077);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    become_owner(data);
}

static void
prepare_question(void *data)
{
    become_owner(data);
}

/* --- the program -------------------------------------------------------------------------- */

/* Major version of the program; 0 when it cannot be run or is something else. It is run as the
 * owner of the data directory: whoever put it there, root does not run it. */
static unsigned
major_of_program(const BkServerProcess *self, const char *program)
{
    const char *const argv[] = {program, "--version", NULL};
    g_auto(GStrv) environment = bk_server_environment_new(self->groups != NULL ? self->user : NULL);
    g_autofree char *out = NULL;
    const char *version;
    int status;

    if (!g_spawn_sync("/", (char **)(uintptr_t)argv, environment, G_SPAWN_STDERR_TO_DEV_NULL,
                      prepare_question, (void *)(uintptr_t)self, &out, NULL, &status, NULL) ||
        status != 0)
        return 0;
    version = strstr(out, "(PostgreSQL) ");
    return version == NULL
               ? 0
               : (unsigned)g_ascii_strtoull(version + strlen("(PostgreSQL) "), NULL, 10);
}

static bool
use_given_directory(BkServerProcess *self, const BkStartOptions *options, GError **error)
{
    g_autofree char *program = g_build_filename(options->bin_dir, "postgres", NULL);
    unsigned major;

    if (!g_file_test(program, G_FILE_TEST_IS_EXECUTABLE))
        return bk_throw(error, BK_ERROR_UNFIT, "there is no program \"%s\"", program);
    major = major_of_program(self, program);
    if (major == 0)
        return bk_throw(error, BK_ERROR_UNFIT,
                        "\"%s\" cannot be run, or is not a PostgreSQL server", program);
    if (major != options->major)
        return bk_throw(error, BK_ERROR_UNFIT, "\"%s\" must be of PostgreSQL %u, but is of %u",
                        program, options->major, major);
    self->program = g_steal_pointer(&program);
    return true;
}

static bool
find_server_program(BkServerProcess *self, const BkStartOptions *options, GError **error)
{
    g_autofree char *places =
        g_strdup_printf("/usr/lib/postgresql/%u/bin:/usr/pgsql-%u/bin:/usr/local/pgsql/bin:"
                        "/usr/libexec/postgresql%u:%s",
                        options->major, options->major, options->major,
                        g_getenv("PATH") != NULL ? g_getenv("PATH") : "");
    g_auto(GStrv) directories = g_strsplit(places, ":", -1);

    if (options->bin_dir != NULL)
        return use_given_directory(self, options, error);
    for (char **directory = directories; *directory != NULL; directory++) {
        g_autofree char *program = g_build_filename(*directory, "postgres", NULL);

        if (g_path_is_absolute(program) && g_file_test(program, G_FILE_TEST_IS_EXECUTABLE) &&
            major_of_program(self, program) == options->major) {
            self->program = g_steal_pointer(&program);
            return true;
        }
    }
    return bk_throw(error, BK_ERROR_UNFIT,
                    "the programs of PostgreSQL %u were not found: install them, or give their "
                    "directory with --pg-bin",
                    options->major);
}

/* --- the owner ---------------------------------------------------------------------------- */

static void
find_groups(BkServerProcess *self)
{
    int count = 64;

    self->groups = g_array_new(FALSE, TRUE, sizeof(gid_t));
    for (;;) {
        int got = count;

        g_array_set_size(self->groups, (guint)count);
        if (getgrouplist(self->user, self->gid, &g_array_index(self->groups, gid_t, 0), &got) >=
            0) {
            g_array_set_size(self->groups, (guint)got);
            return;
        }
        count = MAX(got, count * 2);
    }
}

static bool
find_server_owner(BkServerProcess *self, GError **error)
{
    g_autofree char *buffer = g_malloc(PASSWD_BUFFER);
    struct passwd entry;
    struct passwd *found = NULL;
    struct stat st;

    if (stat(self->data_dir, &st) < 0)
        return bk_throw_errno(error, "stat \"%s\"", self->data_dir);
    self->uid = st.st_uid;
    self->gid = st.st_gid;
    if (getpwuid_r(st.st_uid, &entry, buffer, PASSWD_BUFFER, &found) == 0 && found != NULL) {
        self->user = g_strdup(entry.pw_name);
        self->gid = entry.pw_gid;
    } else {
        self->user = g_strdup_printf("%u", st.st_uid);
    }
    if (st.st_uid == 0)
        return bk_throw(error, BK_ERROR_UNFIT,
                        "\"%s\" belongs to root, but a server cannot run as root: change its owner "
                        "(chown -R postgres)",
                        self->data_dir);
    self->log_mode = (st.st_mode & S_IRGRP) != 0 ? 0640 : 0600;
    self->identity = bk_identity_new(self->uid, self->gid, error);
    if (self->identity == NULL)
        return false;
    if (geteuid() == 0)
        find_groups(self);
    else if (geteuid() != st.st_uid)
        return bk_throw(error, BK_ERROR_UNFIT, "\"%s\" belongs to \"%s\": start it as that user",
                        self->data_dir, self->user);
    return true;
}

void
bk_server_process_set_owner(BkServerProcess *self, uid_t uid, const char *user)
{
    g_autofree char *buffer = g_malloc(PASSWD_BUFFER);
    struct passwd entry;
    struct passwd *found = NULL;

    if (geteuid() != 0)
        return; /* then it can be nobody but us */
    /* A name counts more than a number, which may be somebody else's here. */
    if (user == NULL || user[0] == 0 ||
        getpwnam_r(user, &entry, buffer, PASSWD_BUFFER, &found) != 0 || found == NULL)
        (void)getpwuid_r(uid, &entry, buffer, PASSWD_BUFFER, &found);
    self->uid = found != NULL ? found->pw_uid : uid;
    self->gid = found != NULL ? found->pw_gid : (gid_t)uid;
    self->user = found != NULL ? g_strdup(found->pw_name) : g_strdup_printf("%u", uid);
    if (self->uid != 0)
        find_groups(self);
}

bool
bk_server_process_find_program(BkServerProcess *self, const BkStartOptions *options, GError **error)
{
    return find_server_program(self, options, error);
}

bool
bk_server_process_ask(const BkServerProcess *self, const char *const *argv, char **answer,
                      GError **error)
{
    g_auto(GStrv) environment = bk_server_environment_new(self->groups != NULL ? self->user : NULL);
    g_autofree char *complaint = NULL;
    g_autoptr(GError) cause = NULL;
    int status;

    if (!g_spawn_sync("/", (char **)(uintptr_t)argv, environment, G_SPAWN_DEFAULT, prepare_question,
                      (void *)(uintptr_t)self, answer, &complaint, &status, &cause))
        return bk_throw(error, BK_ERROR_UNFIT, "run \"%s\": %s", argv[0], cause->message);
    g_strchomp(*answer);
    if (status == 0)
        return true;
    g_clear_pointer(answer, g_free);
    g_strdelimit(g_strstrip(complaint), "\n", ' ');
    return bk_throw(error, BK_ERROR_UNFIT, "%s", complaint);
}

/* --- spawning ----------------------------------------------------------------------------- */

/* As the owner, and not through a link: the name is in a directory of his. */
static int
open_log(BkServerProcess *self, GError **error)
{
    g_auto(BkIdentityScope) scope = bk_identity_enter(self->identity);
    g_auto(BkFd) fd =
        bk_fd_open(AT_FDCWD, self->log_path,
                   O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK, self->log_mode, error);
    struct stat st;

    if (fd < 0)
        return -1;
    if (fstat(fd, &st) < 0) {
        bk_throw_errno(error, "stat \"%s\"", self->log_path);
        return -1;
    }
    if (!S_ISREG(st.st_mode)) {
        bk_throw(error, BK_ERROR_UNFIT, "\"%s\" is not a regular file: remove it", self->log_path);
        return -1;
    }
    if (st.st_size == 0 && fchmod(fd, self->log_mode) < 0) {
        bk_throw_errno(error, "set the mode of \"%s\"", self->log_path);
        return -1;
    }
    self->log_start = (uint64_t)st.st_size;
    return bk_fd_steal(&fd);
}

static void
add_setting(GPtrArray *argv, char *setting)
{
    g_ptr_array_add(argv, g_strdup("-c"));
    g_ptr_array_add(argv, setting);
}

static GPtrArray *
make_argv(const BkServerProcess *self, const BkStartOptions *options)
{
    GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);

    g_ptr_array_add(argv, g_strdup(self->program));
    g_ptr_array_add(argv, g_strdup("-D"));
    g_ptr_array_add(argv, g_strdup(self->data_dir));
    if (options->config_file != NULL) {
        /* A file elsewhere names the directory it was written for. */
        add_setting(argv, g_strdup_printf("config_file=%s", options->config_file));
        add_setting(argv, g_strdup_printf("data_directory=%s", self->data_dir));
    }
    /* What its log says is read. */
    add_setting(argv, g_strdup("lc_messages=C"));
    if (options->port != 0)
        add_setting(argv, g_strdup_printf("port=%u", options->port));
    for (const char *const *each = options->settings; each != NULL && *each != NULL; each++)
        add_setting(argv, g_strdup(*each));
    g_ptr_array_add(argv, NULL);
    return argv;
}

static bool
check_configuration(const BkServerProcess *self, const BkStartOptions *options, GError **error)
{
    g_autofree char *path = options->config_file != NULL
                                ? g_strdup(options->config_file)
                                : g_build_filename(self->data_dir, "postgresql.conf", NULL);

    return g_file_test(path, G_FILE_TEST_EXISTS) ||
           bk_throw(error, BK_ERROR_UNFIT,
                    "there is no \"%s\", because the cluster had its configuration elsewhere: copy "
                    "it there and start the server",
                    path);
}

bool
bk_server_process_spawn(BkServerProcess *self, const BkStartOptions *options, GError **error)
{
    g_autoptr(GPtrArray) argv = NULL;
    g_auto(GStrv) environment = NULL;
    g_autoptr(GError) spawn_error = NULL;
    g_auto(BkFd) log = -1;

    self->data_dir = g_strdup(options->data_dir);
    self->log_path = g_strdup(options->log_path);
    if (!find_server_owner(self, error) || !check_configuration(self, options, error) ||
        !find_server_program(self, options, error))
        return false;
    log = open_log(self, error);
    if (log < 0)
        return false;
    argv = make_argv(self, options);
    environment = bk_server_environment_new(self->groups != NULL ? self->user : NULL);
    self->start_us = g_get_real_time();
    if (!g_spawn_async_with_pipes_and_fds(
            "/", (const char *const *)argv->pdata, (const char *const *)environment,
            G_SPAWN_DO_NOT_REAP_CHILD, prepare_child, self, -1, log, log, NULL, NULL, 0, &self->pid,
            NULL, NULL, NULL, &spawn_error))
        return bk_throw(error, BK_ERROR_SYSTEM, "start \"%s\": %s", self->program,
                        spawn_error->message);
    return true;
}

bool
bk_server_process_is_running(BkServerProcess *self)
{
    pid_t ended;

    if (self->pid == 0)
        return false;
    do
        ended = waitpid(self->pid, &self->status, WNOHANG);
    while (ended < 0 && errno == EINTR);
    if (ended == 0)
        return true;
    self->pid = 0;
    return false;
}

void
bk_server_process_stop(BkServerProcess *self)
{
    static const struct {
        int number;
        int64_t wait_us;
    } signals[] = {{SIGINT, FAST_STOP_US}, {SIGQUIT, QUIT_STOP_US}, {SIGKILL, QUIT_STOP_US}};

    for (size_t i = 0; i < G_N_ELEMENTS(signals) && bk_server_process_is_running(self); i++) {
        int64_t end_us = g_get_monotonic_time() + signals[i].wait_us;

        (void)kill(self->pid, signals[i].number);
        while (bk_server_process_is_running(self) && g_get_monotonic_time() < end_us)
            g_usleep(POLL_US);
    }
}

/* --- the log ------------------------------------------------------------------------------ */

/* Appends the end of the file, from `start` on. */
static void
append_tail(GString *text, const char *path, uint64_t start)
{
    g_auto(BkFd) fd = bk_fd_open(AT_FDCWD, path, O_RDONLY | O_NONBLOCK, 0, NULL);
    g_autofree char *buffer = g_malloc(LOG_TAIL);
    struct stat st;
    size_t got;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return;
    if ((uint64_t)st.st_size > start + LOG_TAIL)
        start = (uint64_t)st.st_size - LOG_TAIL;
    if (bk_fd_pread(fd, buffer, LOG_TAIL, start, &got, NULL))
        g_string_append_len(text, buffer, (gssize)got);
}

/* Where the server's own collector of log lines writes, when it has one that is at work. */
static void
append_collected(const BkServerProcess *self, GString *text)
{
    g_autofree char *list = g_build_filename(self->data_dir, CURRENT_LOGFILES, NULL);
    g_autofree char *content = NULL;
    g_auto(GStrv) lines = NULL;
    struct stat st;

    /* The list may be a copy of the old server's. */
    if (stat(list, &st) < 0 || st.st_mtime < self->start_us / BK_USEC_PER_SEC ||
        !g_file_get_contents(list, &content, NULL, NULL))
        return;
    lines = g_strsplit(content, "\n", -1);
    for (char **line = lines; *line != NULL; line++) {
        const char *name = strchr(*line, ' ');
        g_autofree char *path = NULL;

        if (name == NULL)
            continue;
        path = g_path_is_absolute(name + 1) ? g_strdup(name + 1)
                                            : g_build_filename(self->data_dir, name + 1, NULL);
        append_tail(text, path, 0);
        return;
    }
}

char *
bk_server_process_log(const BkServerProcess *self)
{
    g_auto(BkIdentityScope) scope = bk_identity_enter(self->identity);
    g_autoptr(GString) text = g_string_new(NULL);

    append_tail(text, self->log_path, self->log_start);
    append_collected(self, text);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* The message of an error line, from its severity on; NULL for another line. */
static const char *
error_of_line(const char *line)
{
    static const char *const severities[] = {"FATAL:", "PANIC:", "ERROR:"};

    for (size_t i = 0; i < G_N_ELEMENTS(severities); i++) {
        const char *found = strstr(line, severities[i]);

        /* What clients are told that come too early is no cause of anything. */
        if (found != NULL)
            return strstr(found, "the database system is ") != NULL ? NULL : found;
    }
    return NULL;
}

char *
bk_server_log_errors(const char *log)
{
    g_auto(GStrv) lines = g_strsplit(log, "\n", -1);
    g_autoptr(GPtrArray) errors = g_ptr_array_new();
    const char *last = "";

    for (char **line = lines; *line != NULL; line++) {
        const char *message = error_of_line(*line);

        if (message != NULL)
            g_ptr_array_add(errors, (void *)(uintptr_t)message);
        if (**line != '\0')
            last = *line;
    }
    if (errors->len == 0)
        return g_strdup(last);
    while (errors->len > LOG_ERRORS)
        g_ptr_array_remove_index(errors, 0);
    g_ptr_array_add(errors, NULL);
    return g_strjoinv("; ", (char **)errors->pdata);
}

char *
bk_server_log_find(const char *log, const char *words)
{
    const char *line = g_strrstr(log, words);

    if (line == NULL)
        return NULL;
    line += strlen(words);
    return g_strndup(line, strcspn(line, "\n"));
}
